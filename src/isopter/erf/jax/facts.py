"""Values of one forward pass of a model of JAX: equation by equation in double precision, each kept with what it was made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from jax.extend.core import ClosedJaxpr

from isopter.capture.jax import evaluate
from isopter.capture.jax.capture import Capture
from isopter.capture.jax.models import subject_of
from isopter.capture.jax.names import key_text
from isopter.capture.jax.trace import _arguments, _is_array, traced
from isopter.erf.facts import Facts, measured
from isopter.erf.jax.live import with_numbers
from isopter.erf.passes import check_same, finals, given
from isopter.errors import CaptureError, IsopterError
from isopter.fields.plan import Plan

PRODUCTS = frozenset("conv_general_dilated dot_general".split())


def facts(plan: Plan, model: Any, data: Any, seed: int) -> Facts:
    """See `isopter.erf.live.Measures`."""
    subject = with_numbers(subject_of(model, False))
    values = given(plan, data, seed)
    found = traced(model, None, values, False)
    args, kwargs = _arguments(subject, None, values)
    leaves = [leaf for leaf in jax.tree.leaves((args, kwargs)) if _is_array(leaf)]
    names = [*(None for _ in found.weights), *found.names]
    run = run_of(found.closed, [*found.weights, *leaves], names, found.outputs, found.name)
    check_same(plan.graph, run.graph, found.name)
    return measured(plan, run)


def run_of(
    closed: ClosedJaxpr, arguments: Sequence[Any], names: Sequence[str | None], outputs: Sequence[str] | None, title: str
) -> JaxPass:
    """A pass of a jaxpr with these arguments, those of the image by name. Raises CaptureError where it fails."""
    try:
        with jax.enable_x64(True):
            return JaxPass(closed, arguments, names, outputs)
    except IsopterError:
        raise
    except Exception as error:  # whatever JAX, or what the model calls, raises
        line = next(iter(str(error).strip().splitlines()), "")[:300]
        raise CaptureError(f"JAX could not run {title} on these data: {type(error).__name__}: {line}") from error


@dataclass(frozen=True, eq=False, slots=True)
class _Entry:
    """One equation that was run: how to run it again, and what it got and made. `name`: its primitive."""

    name: str
    again: Callable[[list[Any]], list[Any]]
    ins: list[Any]
    outs: list[Any]


class _Taped(evaluate._Run):
    """Equation by equation, in double precision. Loops that are not entered are one entry."""

    def __init__(self, watch: evaluate.Watch, found: dict[str, Any]) -> None:
        super().__init__(watch, {}, True, found)
        self.tape: list[_Entry] = []
        self.quiet = False

    def equation(self, eqn: Any, ins: list[Any], place: str) -> list[Any]:
        """The results of one equation."""
        name = eqn.primitive.name
        if name not in ("scan", "while", "cond") or self.quiet or f"{place}/" in self.inside:
            return super().equation(eqn, ins, place)
        return self._noted(name, lambda given: self._unheard(eqn, given, place), ins)

    def _unheard(self, eqn: Any, ins: list[Any], place: str) -> list[Any]:
        self.quiet, before = True, self.quiet
        try:
            return super().equation(eqn, ins, place)
        finally:
            self.quiet = before

    def bind(self, eqn: Any, ins: list[Any]) -> list[Any]:
        """A primitive, noted."""
        if self.quiet or any(isinstance(x, jax.core.Tracer) for x in ins):
            return super().bind(eqn, ins)
        name, dtype = eqn.primitive.name, getattr(ins[0], "dtype", None) if ins else None
        if name == "convert_element_type" and dtype == np.float64 and np.issubdtype(eqn.params["new_dtype"], np.floating):
            return ins  # the same numbers, under one name
        return self._noted(name, lambda given: super(_Taped, self).bind(eqn, given), ins)

    def _noted(self, name: str, run: Callable[[list[Any]], list[Any]], ins: list[Any]) -> list[Any]:
        outs = run(ins)
        self.tape.append(_Entry(name, run, ins, outs))
        return outs


class JaxPass:
    """A jaxpr that was run, see `isopter.erf.live.Pass`. Arrays are known by their identity: the tape keeps all of them."""

    def __init__(self, closed: ClosedJaxpr, arguments: Sequence[Any], names: Sequence[str | None], outputs: Sequence[str] | None) -> None:
        capture = Capture(closed, None)
        self.graph = capture.run(names, outputs)
        heard = capture.heard.keys
        keys = {new: key_text(heard[op]) for op, new in finals(capture.rec.ops, self.graph).items() if op in heard}
        found: dict[str, Any] = {}
        run = _Taped(frozenset(keys.values()), found)
        wide = [run.wide(x if _is_key(x) else jax.numpy.asarray(x)) for x in arguments]
        run.jaxpr(closed.jaxpr, [run.wide(x) for x in closed.consts], wide, "")
        self.tape = run.tape
        self._made = {id(out): at for at, entry in enumerate(self.tape) for out in entry.outs}
        self._values = {op: found[key] for op, key in keys.items() if key in found}
        images = [x for x, name in zip(wide, names, strict=True) if name is not None and x.shape]
        self._values |= dict(zip(self.graph.input_names.values(), images, strict=True))
        self._data = {id(x) for x in images}
        for entry in self.tape:
            if any(id(x) in self._data for x in entry.ins):
                self._data |= {id(x) for x in entry.outs}

    def value(self, op: int) -> npt.NDArray[Any] | None:
        """What an op made."""
        found = self._values.get(op)
        return None if found is None or tuple(found.shape) != self.graph.ops[op].shape else np.asarray(found)

    def again(self, op: int, source: int, given: npt.NDArray[np.float64]) -> npt.NDArray[Any] | None:
        """What an op makes of another value of `source`."""
        target, moved = self._values.get(op), self._values.get(source)
        if target is None or moved is None:
            return None
        with jax.enable_x64(True):
            new: dict[int, Any] = {id(moved): jax.numpy.asarray(given)}
            stop = {id(moved)} | (self._before(op) if source in self.graph.ops[op].inputs else set())
            for at in self._between(target, stop):
                entry = self.tape[at]
                if any(id(x) in new for x in entry.ins):
                    outs = entry.again([new.get(id(x), x) for x in entry.ins])
                    new |= {id(old): out for old, out in zip(entry.outs, outs, strict=True)}
        return np.asarray(new[id(target)]) if id(target) in new else None

    def weights(self, op: int) -> list[npt.NDArray[Any]]:
        """What products multiply their input by."""
        target = self._values.get(op)
        entries = [] if target is None else [self.tape[at] for at in self._between(target, self._before(op))]
        return [np.asarray(x) for e in entries if e.name in PRODUCTS for x in e.ins if id(x) not in self._data]

    def _before(self, op: int) -> set[int]:
        """The nearest values before an op."""
        found, waiting = set(), list(self.graph.ops[op].inputs)
        while waiting:
            source = waiting.pop()
            if source in self._values:
                found.add(id(self._values[source]))
            else:
                waiting += self.graph.ops[source].inputs
        return found

    def _between(self, target: Any, stop: set[int]) -> list[int]:
        """The entries, in order, that lead from the values `stop` to this one."""
        found: set[int] = set()
        waiting = [target]
        while waiting:
            x = waiting.pop()
            at = self._made.get(id(x))
            if at is None or at in found or id(x) in stop:
                continue
            found.add(at)
            waiting += [y for y in self.tape[at].ins if id(y) in self._data]
        return sorted(found)


def _is_key(x: Any) -> bool:
    """Whether it is a key of random numbers."""
    dtype = getattr(x, "dtype", None)
    return dtype is not None and not isinstance(dtype, np.dtype)
