"""Recording: a trace of our own, which writes the jaxpr that ``jax.make_jaxpr`` would, in a third to half of its time.

JAX's trace keeps what only compilers and derivatives need, and finds out anew what every ``+`` does. This one writes equations down, looks
up what a function of numpy did with operands of the same types before, and writes functions that have derivatives of their own as plain
calls, as nobody asks for their derivatives here. What it does not know (effects, mutable arrays, values that are computed while tracing) is
left to JAX, and so is every error: JAX says best what is wrong.
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
from jax.extend.core.primitives import closed_call_p, convert_element_type_p, jit_p
from jax.extend.source_info_util import current, reset_name_stack

from isopter.capture.jax.marks import PATCHING

Equation: Any = core.JaxprEqn  # which have no types
Literal: Any = core.Literal
set_current_trace: Any = core.set_current_trace
state_of_traces: Any = core.get_opaque_trace_state
_flatten: Any = jax.tree.flatten

UNKNOWN = DebugInfo("isopter", "function", None, None)

Step = tuple[tuple[Any, ...], Any, Any, Any]
"""An equation of a function: what it reads (0, 1: variables given to the function, and then results of the steps before; or literals), its
primitive, its params, and the type of its result."""

_KEPT: dict[bool, dict[Any, Any]] = {}
"""What is kept from trace to trace, by whether there are numbers of 64 bits: functions with their steps, by their ids and what they were
given; types of results, by primitives, operands and params."""

MOST = 10_000
"""Entries that are kept."""

SETTINGS = "jax_enable_x64", "jax_numpy_dtype_promotion", "jax_numpy_rank_promotion", "eager_constant_folding"
"""Settings of JAX that functions of numpy depend on, of which a model may change each as it runs."""


class Unsuited(Exception):
    """The function does what only JAX's own trace can hold."""


def recorded(function: Callable[..., Sequence[Any]], structs: Sequence[Any]) -> ClosedJaxpr:
    """The jaxpr of a function of arrays that returns arrays in a list, as ``jax.make_jaxpr(function)(*structs)``.

    Functions with derivatives of their own are plain calls. Raises `Unsuited`, or anything else, where JAX's own trace is to be asked.
    """
    recorder = Recorder()
    arguments = [Var(jax.typeof(struct)) for struct in structs]
    with set_current_trace(recorder), _shortened(recorder):
        recorder.state = state_of_traces()
        results = [recorder.atom(x) for x in function(*(Recorded(recorder, v) for v in arguments))]
    held = list(recorder.constants.values())
    return ClosedJaxpr(Jaxpr([v for v, _ in held], arguments, results, recorder.equations, set(), UNKNOWN), [x for _, x in held])


class Recorded(Tracer):  # type: ignore[type-arg] # not generic in all versions
    """An array that is recorded: a variable of the jaxpr to be, or a number in it."""

    __slots__ = ("atom",)

    def __init__(self, recorder: Recorder, atom: Any) -> None:
        super().__init__(recorder, atom.aval)
        self._line_info = None
        self.atom = atom


class Recorder(Trace):
    """Equations so far; `constants` by id, each with its variable; the `state` of JAX while no trace inside this one runs."""

    __slots__ = ("constants", "context", "equations", "kept", "state")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.equations: list[Any] = []
        self.constants: dict[int, tuple[Any, Any]] = {}
        self.kept = _KEPT.setdefault(bool(getattr(jax.config, "jax_enable_x64", False)), {})
        if len(self.kept) > MOST:
            self.kept.clear()
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

    def repeat(self, steps: Sequence[Step], values: list[Any]) -> Recorded:
        """Write the steps of a function of these variables."""
        source = current()
        for ins, primitive, params, made in steps:
            values += self.write([values[v] if type(v) is int else v for v in ins], [made], primitive, params, source)
        return Recorded(self, values[-1])

    def stage_value(self, x: Any) -> Recorded:
        """A value as one that is recorded."""
        _staged()
        return Recorded(self, self.atom(x))

    def process_primitive(self, primitive: Any, tracers: Any, params: Any, /) -> Any:
        """Write an equation, or those of a call that is inlined."""
        _staged()
        atoms = [self.atom(x) for x in tracers]
        if primitive is jit_p and params["inline"]:
            return self._inlined(params["jaxpr"], atoms)
        types = self._types(primitive, tuple(a.aval for a in atoms), params)
        results = [Recorded(self, v) for v in self.write(atoms, types, primitive, params, current())]
        return results if primitive.multiple_results else results[0]

    def process_custom_jvp_call(self, primitive: Any, fun: Any, jvp: Any, tracers: Any, /, **_: Any) -> Any:
        """Write a function with a derivative of its own as a call."""
        return self.called(fun.call_wrapped, [self.stage_value(x) for x in tracers])

    def process_custom_vjp_call(self, primitive: Any, fun: Any, fwd: Any, bwd: Any, tracers: Any, /, **_: Any) -> Any:
        """Write a function with a derivative of its own as a call."""
        return self.called(fun.call_wrapped, [self.stage_value(x) for x in tracers])

    def called(self, fun: Callable[..., Any], args: Sequence[Recorded]) -> Any:
        """What a function returns, whose equations become those of one call: an activation is to be one op, whatever is in it."""
        outside = len(self.equations)
        with set_current_trace(self), reset_name_stack():
            results, tree = _flatten(fun(*args))
        returned = [self.atom(x) for x in results]
        inner = self.equations[outside:]
        if inner:
            del self.equations[outside:]
            made = {v for eqn in inner for v in eqn.outvars}
            read = (*(x.atom for x in args), *(v for eqn in inner for v in eqn.invars), *returned)
            operands = list(dict.fromkeys(v for v in read if not isinstance(v, Literal) and v not in made))
            body = ClosedJaxpr(Jaxpr([], operands, returned, inner, set(), UNKNOWN), ())
            returned = self.write(operands, [v.aval for v in returned], closed_call_p, {"call_jaxpr": body}, current())
        return tree.unflatten([Recorded(self, v) for v in returned])

    def _types(self, primitive: Any, operands: tuple[Any, ...], params: Any) -> Any:
        """The types of an equation's results."""
        key = primitive, operands, tuple(params.items())
        known = self.kept.get(key)
        if known is None:
            known, effects = primitive.abstract_eval(*operands, **params)
            if effects:
                raise Unsuited(f"{primitive} has effects")
            if operands and not primitive.multiple_results and not _holds_jaxprs(params):  # calls of functions, which may hold arrays too
                self.kept[key] = known
        return known if primitive.multiple_results else (known,)

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


@contextmanager
def _shortened(recorder: Recorder) -> Iterator[None]:
    """Within, while no trace inside the recorder's runs: functions of numpy (``+`` is one) write what they wrote for operands of the same
    types before, and functions that have derivatives of their own are called as plain ones, which the recorder does with them anyway.
    Functions that users made (`jax.numpy.frompyfunc`) may do another thing each time."""

    def looked_up(original: Any) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            own = not kwargs and state_of_traces() == recorder.state and getattr(jax.numpy, self.__name__, None) is self
            values, key = _known(recorder, args) if own else (None, ())
            if values is None:
                return original(self, *args, **kwargs)
            key = id(self), *map(_setting, SETTINGS), *key
            if key not in recorder.kept:
                before = len(recorder.equations)
                with jax.disable_jit():  # what JAX inlines anyway would be traced on its own first
                    result = original(self, *args)
                recorder.kept[key] = self, _steps(recorder.equations[before:], values, result)
                return result
            steps = recorder.kept[key][1]
            return original(self, *args) if steps is None else recorder.repeat(steps, values)

        return call

    def entered(original: Any) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            plain = not kwargs and all(isinstance(x, Recorded) and x._trace is recorder for x in args)
            if plain and _derived(self) and state_of_traces() == recorder.state:
                return recorder.called(self.fun, args)
            return original(self, *args, **kwargs)

        return call

    shorter: dict[Any, Any] = {jax.numpy.ufunc: looked_up, jax.custom_jvp: entered, jax.custom_vjp: entered}
    with PATCHING:
        before = {kind: kind.__call__ for kind in shorter}
        try:
            for kind, patched in shorter.items():
                kind.__call__ = patched(kind.__call__)
            yield
        finally:
            for kind, original in before.items():
                kind.__call__ = original


def _setting(name: str) -> Any:
    """A setting of JAX, here and now."""
    return getattr(jax.config, name, None)


def _derived(function: Any) -> bool:
    """Whether a function has been given its derivative."""
    return bool(function.jvp if isinstance(function, jax.custom_jvp) else function.fwd and function.bwd)


def _staged() -> None:
    """Raises Unsuited within `jax.ensure_compile_time_eval`."""
    if _setting("eager_constant_folding"):
        raise Unsuited("values that are computed while tracing")


def _known(recorder: Recorder, args: Sequence[Any]) -> tuple[list[Any] | None, tuple[Any, ...]]:
    """The variables among the operands of a function, and all that its equations depend on; None for operands of other kinds."""
    values: list[Any] = []
    key: list[Any] = []
    for x in args:
        if isinstance(x, jax.Array) and not isinstance(atom := recorder.atom(x), Literal):
            key += atom.aval, values.index(atom) if atom in values else -1
            values.append(atom)
        elif type(x) in (int, float):
            key += type(x), str(x)
        else:
            return None, ()
    return values, tuple(key)


def _steps(equations: Sequence[Any], values: Sequence[Any], result: Any) -> list[Step] | None:
    """Equations as a function of variables that gives `result`; None where they are no such function."""
    numbers: dict[Any, int] = {value: k for k, value in enumerate(values)}
    found: list[Step] = []
    for eqn in equations:
        ins = tuple(v if isinstance(v, Literal) else numbers.get(v) for v in eqn.invars)
        if None in ins or len(eqn.outvars) != 1 or _holds_jaxprs(eqn.params):
            return None
        numbers[eqn.outvars[0]] = len(values) + len(found)
        found.append((ins, eqn.primitive, eqn.params, eqn.outvars[0].aval))
    return found if found and isinstance(result, Recorded) and result.atom is equations[-1].outvars[0] else None


def _holds_jaxprs(params: Any) -> bool:
    """Whether params hold what may hold arrays, which are not to be kept."""
    return any(True for _ in core.jaxprs_in_params(params))
