"""Running a jaxpr equation by equation, keeping the values that somebody watches. It can be differentiated and compiled.

It knows what equations compute, and nothing of what they read: the judge of an analysis, which shares the keys of values with it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

Watch = frozenset[str]

Struct: Any = jax.ShapeDtypeStruct

CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
"""Where equations that call a jaxpr with all of their operands keep it."""

OWN_TYPES = frozenset("bitcast_convert_type random_bits random_seed random_wrap random_unwrap threefry2x32 rng_bit_generator".split())
"""Primitives that look at bits: they compute in the types that they were traced with."""


def evaluate(
    closed: ClosedJaxpr,
    inputs: Sequence[Any],
    watch: Watch,
    *,
    consts: Sequence[Any] | None = None,
    given: Mapping[str, Any] | None = None,
    double: bool = False,
) -> dict[str, Any]:
    """The watched values of a jaxpr on `inputs` (arrays, one per argument), by key.

    A key is the position of the equation, those of the equations it is inside before it, and the number of the result:
    ``"12/3:0"``; ``t5`` is step 5 of a loop, ``b1`` branch 1. `consts`: other constants than the jaxpr's own. `given`: results that
    are not computed, by key. `double`: in double precision, whatever the types of the trace (within ``jax.enable_x64``).
    """
    found: dict[str, Any] = {}
    run = _Run(watch, given or {}, double, found)
    values = [run.wide(x) for x in inputs]
    run.jaxpr(closed.jaxpr, [run.wide(x) for x in (closed.consts if consts is None else consts)], values, "")
    return found


class _Run:
    def __init__(self, watch: Watch, given: Mapping[str, Any], double: bool, found: dict[str, Any]) -> None:
        self.watch, self.given, self.double, self.found = watch, given, double, found
        self.eager = False
        self.inside = {key[: k + 1] for key in watch for k, letter in enumerate(key) if letter == "/"}

    def wide(self, x: Any) -> Any:
        """A number, or an array, in double precision."""
        if not self.double:
            return x
        dtype = getattr(x, "dtype", None)
        to = _wide(np.result_type(x) if dtype is None else dtype)
        return x if dtype == to else jnp.asarray(x, to) if to is not None else x

    def jaxpr(self, jaxpr: Any, consts: Sequence[Any], args: Sequence[Any], prefix: str) -> list[Any]:
        """The results of a jaxpr, whose equations have keys that begin with `prefix`."""
        env: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
        env.update(zip(jaxpr.invars, args, strict=True))

        def read(v: Any) -> Any:
            if not isinstance(v, Literal):
                return env[v]
            aval: Any = v.aval
            return self.wide(np.asarray(v.val, aval.dtype))

        for at, eqn in enumerate(jaxpr.eqns):
            outs = self.equation(eqn, [read(v) for v in eqn.invars], f"{prefix}{at}")
            for k, (var, value) in enumerate(zip(eqn.outvars, outs, strict=True)):
                key = f"{prefix}{at}:{k}"
                env[var] = value
                if key in self.watch:
                    self.found[key] = value
        return [read(v) for v in jaxpr.outvars]

    def equation(self, eqn: Any, ins: list[Any], place: str) -> list[Any]:
        """The results of one equation."""
        name, params = eqn.primitive.name, eqn.params
        if f"{place}:0" in self.given:
            return [self.wide(self.given[f"{place}:0"])]
        if name == "isopter_mark":
            return ins
        if name == "scan":
            return self.scan(params, ins, place)
        if name == "while":
            return self.loop(params, ins, place)
        if name == "cond":
            return self.branch(params, ins, place)
        inner = next((params[k] for k in CALLS if k in params), None)
        if inner is not None and name not in ("reduce", "reduce_window", "shard_map", "custom_partitioning"):
            closed = inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
            return self.jaxpr(closed.jaxpr, [self.wide(x) for x in closed.consts], ins, f"{place}/")
        return self.bind(eqn, ins)

    def bind(self, eqn: Any, ins: list[Any]) -> list[Any]:
        """A primitive, in double precision where it does not look at bits."""
        params, name = eqn.params, eqn.primitive.name
        if self.double:
            if name in OWN_TYPES:
                ins = [x if x.dtype == v.aval.dtype else x.astype(v.aval.dtype) for x, v in zip(ins, eqn.invars, strict=True)]
            elif name == "reduce_precision":
                return ins
            else:
                params = {k: self.retraced(v) if hasattr(v, "eqns") or hasattr(v, "jaxpr") else _widened(v) for k, v in params.items()}
        if self.eager and not any(isinstance(x, jax.core.Tracer) for x in ins):
            with jax.ensure_compile_time_eval():
                found = eqn.primitive.bind(*ins, **params)
        else:
            found = eqn.primitive.bind(*ins, **params)
        return [self.wide(x) for x in (found if eqn.primitive.multiple_results else [found])]

    def retraced(self, body: Any) -> Any:
        """The function of a reduction or a scatter, in double precision."""
        closed = body if isinstance(body, ClosedJaxpr) else ClosedJaxpr(body, ())
        ins = [Struct(v.aval.shape, _wide(v.aval.dtype) or v.aval.dtype) for v in closed.jaxpr.invars]
        made = jax.make_jaxpr(lambda *args: self.jaxpr(closed.jaxpr, closed.consts, args, "-"))(*ins)
        return made if isinstance(body, ClosedJaxpr) else made.jaxpr

    # ---- loops and branches ------------------------------------------------------------------------------------------------

    def scan(self, p: Any, ins: list[Any], place: str) -> list[Any]:
        """Step by step where a value inside is watched, else by JAX."""
        first, carried, length = p["num_consts"], p["num_carry"], p["length"]
        consts, carry, xs = ins[:first], ins[first : first + carried], ins[first + carried :]
        closed = p["jaxpr"]

        def body(state: list[Any], row: Sequence[Any], prefix: str) -> tuple[list[Any], list[Any]]:
            outs = self.jaxpr(closed.jaxpr, closed.consts, [*consts, *state, *row], prefix)
            return outs[:carried], outs[carried:]

        if f"{place}/" not in self.inside:
            state, rows = jax.lax.scan(lambda s, r: body(s, r, "-"), carry, xs, length=length, reverse=p["reverse"])
            return [*state, *rows]
        stacks: list[list[Any]] = []
        for step in range(length - 1, -1, -1) if p["reverse"] else range(length):
            carry, rows = body(carry, [x[step] for x in xs], f"{place}/t{step}/")
            stacks.append(rows)
        if p["reverse"]:
            stacks.reverse()
        return [*carry, *(jnp.stack(column) for column in zip(*stacks, strict=True))]

    def loop(self, p: Any, ins: list[Any], place: str) -> list[Any]:
        """Step by step where a value inside is watched, which only loops that constants decide have; else by JAX."""
        first, second = p["cond_nconsts"], p["body_nconsts"]
        tests, consts, carry = ins[:first], ins[first : first + second], ins[first + second :]

        def more(state: Any, prefix: str) -> Any:
            return self.jaxpr(p["cond_jaxpr"].jaxpr, p["cond_jaxpr"].consts, [*tests, *state], prefix)[0]

        def body(state: Any, prefix: str) -> list[Any]:
            return self.jaxpr(p["body_jaxpr"].jaxpr, p["body_jaxpr"].consts, [*consts, *state], prefix)

        if f"{place}/" not in self.inside:
            return list(jax.lax.while_loop(lambda s: more(s, "-").any(), lambda s: _kept(more(s, "-"), body(s, "-"), list(s)), carry))
        step, before = 0, self.eager
        self.eager = True
        while bool(more(carry, f"{place}/c{step}/")):
            carry = body(carry, f"{place}/t{step}/")
            step += 1
        self.eager = before
        return carry

    def branch(self, p: Any, ins: list[Any], place: str) -> list[Any]:
        """The branch whose values are watched, which a constant chose; else that of the index."""
        branches, index, args = p["branches"], ins[0], ins[1:]

        def one(k: int, prefix: str) -> Callable[..., list[Any]]:
            return lambda *a: self.jaxpr(branches[k].jaxpr, branches[k].consts, a, prefix)

        for k in range(len(branches)):
            if f"{place}/b{k}/" in self.inside:
                return one(k, f"{place}/b{k}/")(*args)
        return list(jax.lax.switch(index.astype(np.int32), [one(k, "-") for k in range(len(branches))], *args))


def _kept(more: Any, after: Sequence[Any], before: Sequence[Any]) -> list[Any]:
    """The state of a loop after a step: under vmap (`more` has axes, the first of the state's) items that are through stay as they are."""
    if not more.ndim:
        return list(after)
    pairs = zip(after, before, strict=True)
    return [jnp.where(more.reshape(*more.shape, *(1,) * (a.ndim - more.ndim)), a, b) for a, b in pairs]


def _wide(dtype: Any) -> Any:
    """The double of a type of real or complex numbers; None for others."""
    if not jnp.issubdtype(dtype, jnp.inexact):
        return None
    return np.dtype(np.complex128) if jnp.issubdtype(dtype, jnp.complexfloating) else np.dtype(np.float64)


def _widened(param: Any) -> Any:
    """A parameter that is a type of real numbers, in double precision."""
    try:
        dtype = param if isinstance(param, np.dtype) else np.dtype(param) if isinstance(param, type) else None
    except TypeError:
        return param
    return param if dtype is None else _wide(dtype) or param
