"""From a jaxpr to a Graph: one walk over its equations; calls are entered, everything else is translated or bounded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Literal

from isopter.capture.jax import control, translate
from isopter.capture.jax.fold import LOADED, still
from isopter.capture.jax.names import Heard, Key, finished, path_of
from isopter.capture.jax.node import Node, Tape
from isopter.capture.jax.translate.pointwise import call
from isopter.capture.static.values import Const, Data, Value, Weight
from isopter.errors import CaptureError
from isopter.graph import Graph

EQUATIONS = 400_000
"""More, once calls are entered and loops unrolled, are more than a network has."""


def jaxpr_graph(
    closed: ClosedJaxpr,
    input_names: Sequence[str | None],
    root: str | None = None,
    output_names: Sequence[str] | None = None,
) -> Graph:
    """The graph of a traced function.

    `input_names`: one per argument of the jaxpr, None for weights. Constants of the jaxpr are constants or weights. `root`: the first
    scope of name stacks, which is left out of module paths (``"ResNet/layer1/conv"`` is ``layer1.conv``). `output_names`: one per
    result of the jaxpr; default "output", or "output_0" and so on.
    """
    return Capture(closed, root).run(input_names, output_names)


class Capture:
    """One walk over the equations of a jaxpr."""

    def __init__(self, closed: ClosedJaxpr, root: str | None) -> None:
        self.closed = closed
        self.root = root
        self.rec = Tape()
        self.heard = Heard()
        self.seen = 0
        self._paths: dict[Any, tuple[str, str | None]] = {}

    def run(self, input_names: Sequence[str | None], output_names: Sequence[str] | None) -> Graph:
        """Walk all equations, and finish the graph."""
        jaxpr = self.closed.jaxpr
        if len(input_names) != len(jaxpr.invars):
            raise CaptureError(f"{len(input_names)} names for the {len(jaxpr.invars)} arguments of the traced function.")
        inputs: dict[str, int] = {}
        values: list[Value] = []
        for name, var in zip(input_names, jaxpr.invars, strict=True):
            shape = tuple(var.aval.shape)
            if name is None or not shape:
                values.append(Weight(shape))
                continue
            inputs[name] = self.rec.emit("input", shape, (), {}, name)
            values.append(Data(inputs[name]))
        if not inputs:
            raise CaptureError("The inputs are single numbers: there is no space to see.")
        found = self.walk(jaxpr, self.consts_of(self.closed), values, ((), ()))
        names = output_names or (["output"] if len(found) == 1 else [f"output_{k}" for k in range(len(found))])
        outputs = {name: value.op for name, value in zip(names, found, strict=True) if isinstance(value, Data)}
        return finished(self.rec, self.heard, inputs, outputs)

    def consts_of(self, closed: Any) -> list[Value]:
        """The constants of a jaxpr: numbers that were closed over."""
        return [closed_over(x) for x in closed.consts]

    def walk(self, jaxpr: Any, consts: Sequence[Value], args: Sequence[Value], place: tuple[tuple[Any, ...], Key]) -> list[Value]:
        """The values of a jaxpr's results. `place`: the scopes around it, and the key of the equation it is in."""
        env: dict[Any, Value] = dict(zip(jaxpr.constvars, consts, strict=True))
        env.update(zip(jaxpr.invars, args, strict=True))
        rec, heard = self.rec, self.heard
        scopes, prefix = place
        self.seen += len(jaxpr.eqns)
        if self.seen > EQUATIONS:
            raise CaptureError(f"It has more than {EQUATIONS:,} equations, once calls are entered and loops are unrolled.")
        for at, eqn in enumerate(jaxpr.eqns):
            ins = [_literal(v) if type(v) is Literal else env[v] for v in eqn.invars]
            primitive, stack = eqn.primitive, eqn.source_info.name_stack.stack
            if primitive.name == "isopter_mark":
                env[eqn.outvars[0]] = self._mark(ins[0], eqn.params, (*prefix, at, 0))
                continue
            inner = control.inner_of(primitive.name, eqn.params)
            if inner is None and Data not in map(type, ins):
                env.update(zip(eqn.outvars, still(primitive, eqn.params, ins, [v.aval for v in eqn.outvars]), strict=True))
                continue
            around = (*scopes, *stack) if stack else scopes
            path, module = self._path(around)
            rec.label, rec.module = path, path if module is None else self._call(module)
            before = len(rec.ops)
            if inner is not None and not control.is_pointwise(inner, ins, eqn):
                outs: list[Value] = self.walk(inner.jaxpr, [closed_over(x) for x in inner.consts], ins, (around, (*prefix, at)))
            else:
                node = _node(eqn, ins)
                if inner is not None:
                    outs = [call(rec, node, inner)]
                elif node.op in control.LOOPS:
                    outs = control.taken_apart(self, node, around, (*prefix, at))
                else:
                    outs = translate.translate(rec, node)
            for k, (var, value) in enumerate(zip(eqn.outvars, outs, strict=True)):
                env[var] = value
                if type(value) is Data and (value.op >= before or inner is None):
                    heard.keys[value.op] = (*prefix, at, k)
                    if getattr(var.aval.dtype, "kind", "f") in "fcV":
                        heard.real.add(value.op)
        return [_literal(v) if type(v) is Literal else env[v] for v in jaxpr.outvars]

    def _path(self, around: tuple[Any, ...]) -> tuple[str, str | None]:
        found = self._paths.get(around)
        if found is None:
            found = self._paths[around] = path_of(around, self.root)
            self.heard.scoped |= bool(found[0])
        return found

    def _call(self, module: str) -> str:
        """The module's path, with ``#2`` in its second call."""
        calls = self.heard.calls[module]
        return module if not calls else f"{module}#{calls + 1}"

    def _mark(self, value: Value, params: Any, key: Key) -> Value:
        path, position = params["path"], params["position"]
        if position == 0:
            self.heard.calls[path] += 1
        calls = self.heard.calls[path]
        name = path if calls <= 1 else f"{path}#{calls}"
        if isinstance(value, Data):
            self.heard.modules[name if position == 0 else f"{name}:{position}"] = value.op, key
        return value


def closed_over(array: Any) -> Value:
    """A constant of a jaxpr. Numbers that are all 0 or all 1 are those of a weight before training, and not looked at; those of a trace
    around this one are not there."""
    shape = tuple(np.shape(array))
    dtype = getattr(array, "dtype", None)
    if not isinstance(dtype, np.dtype) or math.prod(shape) > LOADED or isinstance(array, Tracer):
        return Weight(shape)
    loaded: list[np.ndarray | None] = []

    def load() -> np.ndarray | None:
        if not loaded:
            numbers = np.asarray(array)
            real = numbers.dtype.kind == "f" and numbers.ndim > 0 and numbers.size > 0
            first = numbers.item(0) if real else None
            plain = first in (0, 1) and bool((numbers == first).all())
            loaded.append(None if plain else numbers)
        return loaded[0]

    return Const(shape, load)


def _literal(literal: Any) -> Const:
    return Const.of(np.asarray(literal.val))


def _node(eqn: Any, ins: list[Value]) -> Node:
    shapes = tuple([v.aval.shape for v in eqn.invars])
    outs = tuple([v.aval.shape for v in eqn.outvars])
    return Node(eqn.primitive.name, eqn.primitive.name, tuple(ins), shapes, outs, eqn.params, eqn)
