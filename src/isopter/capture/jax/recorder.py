"""Recording: a trace of our own, which writes the jaxpr that ``jax.make_jaxpr`` would, in a third to half of its time.

JAX's trace keeps what only compilers and derivatives need, and finds out anew what every ``+`` does. This one writes equations down, looks
up what an operator did with operands of the same types before, and enters functions that have derivatives of their own, which nobody asks
for here. What it does not know (effects, mutable arrays) is left to JAX, and so is every error: JAX says best what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.core import Trace, Tracer
from jax.extend import core
from jax.extend.core import ClosedJaxpr, DebugInfo, Jaxpr, Var
from jax.extend.core.primitives import convert_element_type_p, jit_p
from jax.extend.source_info_util import current

from isopter.capture.jax.marks import PATCHING

Equation: Any = core.JaxprEqn  # which have no types
Literal: Any = core.Literal
set_current_trace: Any = core.set_current_trace
state_of_traces: Any = core.get_opaque_trace_state

OPERATORS = "add radd sub rsub mul rmul truediv rtruediv matmul rmatmul".split()
"""Operators of arrays whose equations are looked up."""

Step = tuple[tuple[Any, ...], Any, Any, Any]
"""An equation of an operator: its operands (0 and 1: those of the operator, further numbers: results of the steps before; or a literal),
its primitive, its params, and the type of its result."""


_STEPS: dict[bool, dict[Any, list[Step] | None]] = {}
"""By whether there are numbers of 64 bits: the steps of an operator by its name and the types of its operands."""


class Unsuited(Exception):
    """The function does what only JAX's own trace can hold."""


def recorded(function: Callable[..., Sequence[Any]], structs: Sequence[Any]) -> ClosedJaxpr:
    """The jaxpr of a function of arrays that returns arrays in a list, as ``jax.make_jaxpr(function)(*structs)``.

    Functions with derivatives of their own are entered. Raises `Unsuited`, or anything else, where JAX's own trace is to be asked.
    """
    recorder = Recorder()
    arguments = [Var(jax.typeof(struct)) for struct in structs]
    with set_current_trace(recorder), _entered(recorder):
        recorder.state = state_of_traces()
        results = [recorder.atom(x) for x in function(*(Recorded(recorder, v) for v in arguments))]
    held = list(recorder.constants.values())
    unknown = DebugInfo("isopter", "function", None, None)
    return ClosedJaxpr(Jaxpr([v for v, _ in held], arguments, results, recorder.equations, set(), unknown), [x for _, x in held])


class Recorded(Tracer):  # type: ignore[type-arg] # not generic in all versions
    """An array that is recorded: a variable of the jaxpr to be, or a number in it."""

    __slots__ = ("atom",)

    def __init__(self, recorder: Recorder, atom: Any) -> None:
        super().__init__(recorder, atom.aval)
        self._line_info = None
        self.atom = atom


class Recorder(Trace):
    """Equations so far; `constants` by id, each with its variable; `steps` of operators, kept from trace to trace; the `state` of JAX while
    no trace inside this one is running."""

    __slots__ = ("constants", "context", "equations", "known", "state", "steps")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.equations: list[Any] = []
        self.constants: dict[int, tuple[Any, Any]] = {}
        self.steps = _STEPS.setdefault(bool(getattr(jax.config, "jax_enable_x64", False)), {})
        if len(self.steps) > 4096:
            self.steps.clear()
        self.known: dict[Any, Any] = {}
        self.state: Any = None
        self.context = core.new_jaxpr_eqn([], [], jit_p, {}, set()).ctx

    def atom(self, x: Any) -> Any:
        """What an equation reads: a variable or a literal."""
        if isinstance(x, Recorded) and x._trace is self:
            return x.atom
        if isinstance(x, Tracer):
            raise Unsuited("a value of another trace")
        if not isinstance(x, jax.Array) and not np.shape(x):
            return Literal(x, jax.typeof(x))
        if id(x) not in self.constants:
            self.constants[id(x)] = Var(jax.typeof(x)), x
        return self.constants[id(x)][0]

    def write(self, atoms: Sequence[Any], types: Sequence[Any], primitive: Any, params: Any, source: Any) -> list[Any]:
        """Append an equation, and return the variables of its results; of a number whose type is changed, the number."""
        if primitive is convert_element_type_p and isinstance(atoms[0], Literal):
            return [Literal(np.asarray(atoms[0].val).astype(params["new_dtype"]), types[0])]
        results = [Var(t) for t in types]
        self.equations.append(Equation(list(atoms), results, primitive, params, set(), source, self.context))
        return results

    def stage_value(self, x: Any) -> Recorded:
        """A value as one that is recorded."""
        return Recorded(self, self.atom(x))

    def process_primitive(self, primitive: Any, tracers: Any, params: Any, /) -> Any:
        """Write an equation, or those of a call that is inlined."""
        atoms = [self.atom(x) for x in tracers]
        if primitive is jit_p and params["inline"]:
            return self._inlined(params["jaxpr"], atoms)
        types = self._types(primitive, tuple(a.aval for a in atoms), params)
        results = [Recorded(self, v) for v in self.write(atoms, types, primitive, params, current())]
        return results if primitive.multiple_results else results[0]

    def process_custom_jvp_call(self, primitive: Any, fun: Any, jvp: Any, tracers: Any, /, **_: Any) -> Any:
        """Enter a function with a derivative of its own."""
        with set_current_trace(self):
            return fun.call_wrapped(*tracers)

    def process_custom_vjp_call(self, primitive: Any, fun: Any, fwd: Any, bwd: Any, tracers: Any, /, **_: Any) -> Any:
        """Enter a function with a derivative of its own."""
        with set_current_trace(self):
            return fun.call_wrapped(*tracers)

    def _types(self, primitive: Any, operands: tuple[Any, ...], params: Any) -> Any:
        """The types of an equation's results."""
        key = primitive, operands, tuple(params.items())
        if key not in self.known:
            found, effects = primitive.abstract_eval(*operands, **params)
            if effects:
                raise Unsuited(f"{primitive} has effects")
            self.known[key] = found if primitive.multiple_results else (found,)
        return self.known[key]

    def _inlined(self, closed: ClosedJaxpr, atoms: Sequence[Any]) -> list[Recorded]:
        jaxpr = closed.jaxpr
        if jaxpr.effects:
            raise Unsuited("a call with effects")
        env: dict[Any, Any] = dict(zip(jaxpr.invars, atoms, strict=True))
        env.update((v, self.atom(x)) for v, x in zip(jaxpr.constvars, closed.consts, strict=True))
        around = current()
        for eqn in jaxpr.eqns:
            stack = eqn.source_info.name_stack
            source = around.replace(name_stack=around.name_stack + stack) if stack else around
            ins = [v if isinstance(v, Literal) else env[v] for v in eqn.invars]
            env.update(zip(eqn.outvars, self.write(ins, [v.aval for v in eqn.outvars], eqn.primitive, eqn.params, source), strict=True))
        return [Recorded(self, v if isinstance(v, Literal) else env[v]) for v in jaxpr.outvars]


def _looked_up(name: str) -> Callable[[Recorded, Any], Any]:
    """An operator that writes what it wrote for operands of the same types before."""
    original = getattr(Tracer, name)

    def operator(self: Recorded, other: Any) -> Any:
        recorder = self._trace
        if not isinstance(other, jax.Array) or state_of_traces() != recorder.state:
            return original(self, other)
        left, right = self.atom, recorder.atom(other)
        if isinstance(left, Literal) or isinstance(right, Literal):
            return original(self, other)
        key = name, left.aval, right.aval, left is right
        if key not in recorder.steps:
            before = len(recorder.equations)
            result = original(self, other)
            recorder.steps[key] = _steps(recorder.equations[before:], left, right, result)
            return result
        steps = recorder.steps[key]
        if steps is None:
            return original(self, other)
        values, source = [left, right], current()
        for ins, primitive, params, made in steps:
            values += recorder.write([values[v] if type(v) is int else v for v in ins], [made], primitive, params, source)
        return Recorded(recorder, values[-1])

    return operator


def _steps(equations: Sequence[Any], left: Any, right: Any, result: Any) -> list[Step] | None:
    """Equations as a function of two operands that gives `result`; None where they are no such function."""
    numbers: dict[Any, int] = {right: 1, left: 0}
    found: list[Step] = []
    for eqn in equations:
        ins = tuple(v if isinstance(v, Literal) else numbers.get(v) for v in eqn.invars)
        if None in ins or len(eqn.outvars) != 1:
            return None
        numbers[eqn.outvars[0]] = len(found) + 2
        found.append((ins, eqn.primitive, eqn.params, eqn.outvars[0].aval))
    return found if found and isinstance(result, Recorded) and result.atom is equations[-1].outvars[0] else None


for _name in OPERATORS:
    setattr(Recorded, f"__{_name}__", _looked_up(f"__{_name}__"))


@contextmanager
def _entered(recorder: Recorder) -> Iterator[None]:
    """Within, `jax.custom_jvp` and `jax.custom_vjp` functions of recorded values are called as plain functions: what the recorder does with
    them anyway, without the preparations."""
    kinds: tuple[Any, ...] = (jax.custom_jvp, jax.custom_vjp)

    def patched(original: Any) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            tracers = [x for x in jax.tree.leaves((args, kwargs)) if isinstance(x, Tracer)]
            plain = tracers and all(isinstance(x, Recorded) and x._trace is recorder for x in tracers)
            return self.fun(*args, **kwargs) if plain else original(self, *args, **kwargs)

        return call

    with PATCHING:
        before = [kind.__call__ for kind in kinds]
        try:
            for kind, original in zip(kinds, before, strict=True):
                kind.__call__ = patched(original)
            yield
        finally:
            for kind, original in zip(kinds, before, strict=True):
                kind.__call__ = original
