"""Values of one forward pass of a graph of TensorFlow, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.static.values import Const, Data, Weight
from isopter.capture.tensorflow.capture import Capture, captured
from isopter.capture.tensorflow.concrete import traced
from isopter.capture.tensorflow.prepared import _Run
from isopter.capture.tensorflow.program import said
from isopter.erf.facts import Facts, measured
from isopter.erf.passes import by_name, check_same, finals, given, nearest
from isopter.errors import CaptureError
from isopter.fields.plan import Plan

PRODUCTS = frozenset(
    """Conv Conv2D Conv2DBackpropInput Conv2DBackpropInputV2 Conv3D Conv3DBackpropInput Conv3DBackpropInputV2 DepthwiseConv2dNative
    DepthwiseConv2dNativeBackpropInput MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum XlaEinsum""".split()
)

FAILS = (tf.errors.OpError, ValueError, TypeError, NotImplementedError, LookupError)


def facts(plan: Plan, model: Any, data: Any, seed: int) -> Facts:
    """See `isopter.erf.live.Measures`."""
    values = given(plan, data, seed)
    found = traced(model, None, values, False)
    capture = captured(found.program, found.names, None, found.shapes)
    run = pass_of(capture, by_name(values, _shapes(capture), found.name), found.name)
    check_same(plan.graph, run.graph, found.name)
    return measured(plan, run)


def _shapes(capture: Capture) -> dict[str, tuple[int, ...]]:
    found = zip(capture.names, capture.flat.inputs, strict=True)
    return {name: tuple(capture.flat.graph.get_tensor_by_name(f"{node}:0").shape.as_list()) for name, node in found}


def pass_of(capture: Capture, values: Mapping[str, Any], title: str) -> TensorFlowPass:
    """A pass of a graph on arrays, by the names of inputs. Raises CaptureError where it fails."""
    try:
        return TensorFlowPass(capture, values)
    except FAILS as error:
        raise CaptureError(f"TensorFlow could not run {title} on these data: {said(error)}") from error


class _Part(_Run):
    """Some of the ops of a graph, made anew."""

    def part(self, ops: Sequence[Any], given: Mapping[str, Any], wanted: Sequence[str]) -> list[Any]:
        """The tensors `wanted`, of the values `given` by `ops` in order."""
        found = dict(given)
        for op in ops:
            if op.outputs and op.outputs[0].name not in found:
                made = [self.held[op.name]] if op.name in self.held else self._op(op, [found[t.name] for t in op.inputs])
                found |= {t.name: v for t, v in zip(op.outputs, made, strict=True) if t.name not in given}
        return [found[name] for name in wanted]


class TensorFlowPass:
    """A graph that was run, see `isopter.erf.live.Pass`."""

    def __init__(self, capture: Capture, values: Mapping[str, Any]) -> None:
        self.graph = capture.graph()
        new = finals(capture.rec.ops, self.graph)
        self._names: dict[int, list[str]] = {}
        """By op, the tensors that are its value: one is what it made, others are that again (Identity)."""
        for name, value in capture.known.items():
            if isinstance(value, Data) and value.op in new:
                self._names.setdefault(new[value.op], []).append(name)
        self._data = {name for name, value in capture.known.items() if not _is_still(value)}
        self._tensor = capture.flat.graph.get_tensor_by_name
        self._order = {op.name: at for at, op in enumerate(capture.flat.graph.get_operations())}
        self._run = _Part(capture.flat, tf.float64, {}, set())
        self._factors = {k: self._weights(k) for k, op in enumerate(self.graph.ops) if op.kind in ("conv", "conv_transpose", "matmul")}
        wanted = [names[-1] for names in self._names.values()] + [n for names in self._factors.values() for n in names]
        inputs = self._inputs(capture, values)
        made = _called(lambda *given: self._run.values(dict(zip(inputs, given, strict=True)), wanted), list(inputs.values()))
        self._values = dict(zip(wanted, made, strict=True))

    def _inputs(self, capture: Capture, values: Mapping[str, Any]) -> dict[str, Any]:
        tensors = {name: self._tensor(f"{node}:0") for node, name in zip(capture.flat.inputs, capture.names, strict=True)}
        wide = {name: tf.float64 if t.dtype.is_floating else t.dtype for name, t in tensors.items()}
        still = {name: np.zeros(tuple(t.shape.as_list()), t.dtype.as_numpy_dtype) for name, t in tensors.items() if name not in values}
        return {t.name: tf.cast(tf.convert_to_tensor({**values, **still}[name]), wide[name]) for name, t in tensors.items()}

    def value(self, op: int) -> npt.NDArray[Any] | None:
        """What an op made."""
        if op not in self._names:
            return None
        found = self._values[self._names[op][-1]]
        return np.asarray(found) if tuple(found.shape) == self.graph.ops[op].shape else None

    def again(self, op: int, source: int, given: npt.NDArray[np.float64]) -> npt.NDArray[Any] | None:
        """What an op makes of another value of `source`."""
        if op not in self._names or source not in self._names:
            return None
        others = self.graph.ops[op].inputs if source in self.graph.ops[op].inputs else ()
        stop = {name: self._values[self._names[i][-1]] for i in others if i in self._names for name in self._names[i]}
        moved = self._names[source]
        target = self._names[op][-1]
        ops = self._between(target, {*stop, *moved}, still=True)
        if not self._reached(ops, set(moved), target):
            return None
        self._run.single.clear()
        try:
            found = _called(
                lambda x, *rest: self._run.part(ops, {**dict(zip(stop, rest, strict=True)), **dict.fromkeys(moved, x)}, [target])[0],
                [tf.constant(given), *stop.values()],
            )
        except (*FAILS, CaptureError):
            return None
        return None if self._run.single else np.asarray(found)

    def weights(self, op: int) -> list[npt.NDArray[Any]]:
        """What products multiply their input by."""
        return [np.asarray(self._values[name]) for name in self._factors.get(op, ())]

    def _weights(self, op: int) -> list[str]:
        """The names of the tensors that no input reaches, among the operands of the products in an op."""
        if op not in self._names:
            return []
        stop = nearest(self.graph, op, self._names)
        ops = [made for made in self._between(self._names[op][-1], stop) if made.type in PRODUCTS]
        return [t.name for made in ops for t in made.inputs if t.name not in self._data and t.dtype.is_floating]

    def _between(self, target: str, stop: set[str], still: bool = False) -> list[Any]:
        """The ops, in order, that lead from the tensors `stop` to this one; `still`: with those that no input reaches."""
        found: dict[str, Any] = {}
        waiting = [target]
        while waiting:
            name = waiting.pop()
            op = self._tensor(name).op
            if name not in stop and op.name not in found and (still or name in self._data):
                found[op.name] = op
                waiting += [t.name for t in op.inputs]
        return sorted(found.values(), key=lambda op: self._order[op.name])

    def _reached(self, ops: Sequence[Any], moved: set[str], target: str) -> bool:
        reached = set(moved)
        for op in ops:
            if any(t.name in reached for t in op.inputs):
                reached |= {t.name for t in op.outputs}
        return target in reached


def _called(function: Callable[..., Any], tensors: Sequence[Any]) -> Any:
    """What a function makes of tensors, as a graph that is made for this one call."""
    specs = [tf.TensorSpec(t.shape, t.dtype) for t in tensors]
    return tf.function(function, autograph=False).get_concrete_function(*specs)(*tensors)


def _is_still(value: object) -> bool:
    """Whether no input reaches a value."""
    return isinstance(value, Const | Weight)
