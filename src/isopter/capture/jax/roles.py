"""What each weight of a jaxpr is to the equation that uses it, and numbers for it under which reads show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from isopter.capture.jax.evaluate import CALLS
from isopter.capture.static.probes import Role, drawn

MOVES = frozenset(
    "reshape broadcast_in_dim transpose squeeze expand_dims convert_element_type stop_gradient copy copy_p rev slice isopter_mark "
    "reduce_precision concatenate pad dynamic_slice gather optimization_barrier".split()
)
"""Primitives whose result is as much a weight as their operand."""

Struct: Any = jax.ShapeDtypeStruct

LOADED = 16_000_000


@dataclass(frozen=True, slots=True)
class Use:
    """A role, and over how many numbers a weight's product is summed."""

    role: Role
    fan_in: float = 1.0


SCALE = Use("scale")


def drawn_weights(
    closed: ClosedJaxpr, weights: Sequence[Any], random: np.random.Generator, signed: bool
) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """New numbers for `weights` (the first arguments of the jaxpr), for its constants that are weights, and for weights that were never
    made (by key): weights that average what they are multiplied with, biases of 0, norms at rest. Whole numbers and masks stay."""
    jaxpr = closed.jaxpr
    own = {v: _Made((k,)) for k, v in enumerate((*jaxpr.invars[: len(weights)], *jaxpr.constvars))}
    walk = _Walk(len(own))
    walk.follow(jaxpr, own, set(jaxpr.invars[len(weights) :]), "")
    first = [SCALE if k < len(weights) else None for k in range(len(weights) + len(closed.consts))]
    arrays = (*weights, *closed.consts)
    numbers = [_numbers(w, walk.uses.get(k, use), random, signed) for k, (w, use) in enumerate(zip(arrays, first, strict=True))]
    given = {key: _numbers(walk.made[at - walk.base], walk.uses.get(at), random, signed) for key, at in walk.keys.items()}
    return numbers[: len(weights)], numbers[len(weights) :], given


def _numbers(array: Any, use: Use | None, random: np.random.Generator, signed: bool) -> Any:
    shape, dtype = tuple(array.shape), array.dtype
    abstract = isinstance(array, jax.ShapeDtypeStruct)
    if abstract and jax.numpy.issubdtype(dtype, jax.dtypes.prng_key):
        return jax.random.split(jax.random.key(0), shape) if shape else jax.random.key(0)
    if not jax.numpy.issubdtype(dtype, np.floating):
        return np.zeros(shape, dtype) if abstract else array
    if not shape and not abstract:
        return array
    known = np.asarray(array, np.float64) if not abstract and math.prod(shape) <= LOADED else None
    if known is not None and bool(((known <= -50) | np.isinf(known)).any()):
        return array
    if use is None and not abstract:
        return array
    use = use or SCALE
    numbers = drawn(random, use.role, shape, signed, use.fan_in, known)
    masks = use.role == "scale" and known is not None and bool(known.any())  # what a factor of 0 hides stays hidden
    return np.where(known == 0, 0.0, numbers) if masks else numbers


@dataclass(frozen=True, slots=True)
class _Made:
    """A value computed of weights alone. `plain`: it is one weight, moved or times a number; others are no longer weights of a product."""

    weights: tuple[int, ...]
    plain: bool = True


@dataclass(slots=True)
class _Walk:
    """`uses`: the first of each weight; `rests`: weights under a root, as variances are; `keys` and `made`: weights without numbers,
    counted on from `base`."""

    base: int
    uses: dict[int, Use | None] = field(default_factory=dict)
    rests: set[int] = field(default_factory=set)
    keys: dict[str, int] = field(default_factory=dict)
    made: list[Any] = field(default_factory=list)

    def follow(self, jaxpr: Any, own: dict[Any, _Made], data: set[Any], prefix: str) -> None:
        """Note uses in a jaxpr, of whose variables `own` are computed of weights and `data` depend on the inputs; both grow."""
        for at, eqn in enumerate(jaxpr.eqns):
            place = f"{prefix}{at}"
            if eqn.primitive.name == "isopter_weight":
                own[eqn.outvars[0]] = _Made((self.base + len(self.made),))
                self.keys[f"{place}:0"] = self.base + len(self.made)
                self.made.append(Struct(eqn.params["shape"], eqn.params["dtype"]))
                continue
            given = [None if isinstance(v, Literal) else own.get(v) for v in eqn.invars]
            reads = [not isinstance(v, Literal) and v in data for v in eqn.invars]
            inner = _inner(eqn)
            if inner is not None:
                self._enter(eqn, inner, given, reads, own, data, place)
            elif any(reads):
                data.update(eqn.outvars)
                self._used(eqn, given)
            elif any(given):
                if any(getattr(v.aval.dtype, "kind", "f") in "iub" for v in eqn.outvars):  # what indices or masks come from stays
                    self.uses.update((k, None) for g in given if g is not None for k in g.weights)
                own.update(dict.fromkeys(eqn.outvars, self._kept(eqn, given)))

    def _enter(
        self, eqn: Any, inner: Any, given: Sequence[_Made | None], reads: Sequence[bool], own: dict[Any, _Made], data: set[Any], at: str
    ) -> None:
        inside = {v: k for v, k in zip(inner.invars, given, strict=False) if k is not None}
        tainted = {v for v, r in zip(inner.invars, reads, strict=False) if r}
        loops = eqn.primitive.name == "scan"
        if loops and tainted:
            first, count = eqn.params.get("num_consts", 0), eqn.params.get("num_carry", 0)
            tainted |= {v for v in inner.invars[first : first + count] if v not in inside} | _reached(inner, tainted, first, count)
            inside = {v: k for v, k in inside.items() if v not in tainted}
        self.follow(inner, inside, tainted, f"{at}/")
        for var, out in zip(eqn.outvars, inner.outvars, strict=False):
            if isinstance(out, Literal):
                continue
            if out in tainted or (loops and tainted):
                data.add(var)
            elif out in inside and not loops:
                own[var] = inside[out]

    def _kept(self, eqn: Any, given: Sequence[_Made | None]) -> _Made:
        """What an equation makes of weights and numbers."""
        ids = tuple(k for g in given if g is not None for k in g.weights)
        first, name = given[0], eqn.primitive.name
        if name in ("rsqrt", "sqrt"):
            self.rests.update(ids)
        numbers = all(g is not None or isinstance(v, Literal) for g, v in zip(given, eqn.invars, strict=True))
        scaled = numbers and sum(g is not None for g in given) == 1 and name not in ("reduce_sum", "reduce_max")
        moved = name in MOVES and first is not None
        return _Made(ids, (moved or scaled) and all(g is None or g.plain for g in given))

    def _used(self, eqn: Any, given: Sequence[_Made | None]) -> None:
        """What weights are to an equation that reads data."""
        name = eqn.primitive.name
        for position, made in enumerate(given):
            if made is None:
                continue
            use: Use | None
            if name in ("conv_general_dilated", "dot_general"):
                use = Use("weight", _fan_in(eqn, position)) if made.plain else None
            elif name in ("add", "add_any") or (name == "sub" and position == 1):
                use = Use("zero")
            else:
                use = SCALE if made.plain or name in ("mul", "div") else None
            for weight in made.weights:
                one = weight in self.rests and name in ("mul", "div")
                self.uses.setdefault(weight, Use("one") if one else use)


def _reached(inner: Any, data: set[Any], first: int, count: int) -> set[Any]:
    """Which of the variables that a loop carries (`count` of them, from number `first`) depend on `data` after some step."""
    found: set[Any] = set()
    while True:
        read = data | found
        for eqn in inner.eqns:
            if any(not isinstance(v, Literal) and v in read for v in eqn.invars):
                read.update(eqn.outvars)
        carried = zip(inner.invars[first : first + count], inner.outvars[:count], strict=True)
        more = {v for v, out in carried if not isinstance(out, Literal) and out in read}
        if more <= found:
            return found
        found |= more


def _fan_in(eqn: Any, position: int) -> float:
    """How many numbers a product adds up."""
    shape = eqn.invars[position].aval.shape
    if eqn.primitive.name == "dot_general":
        return float(math.prod(shape[a] for a in eqn.params["dimension_numbers"][0][position]))
    return float(math.prod(shape) / max(shape[eqn.params["dimension_numbers"].rhs_spec[0]], 1)) if position else 1.0


def _inner(eqn: Any) -> Any:
    if eqn.primitive.name == "while":
        return None
    found = next((eqn.params[k] for k in CALLS if k in eqn.params), None)
    return getattr(found, "jaxpr", found) if eqn.primitive.name not in ("reduce", "reduce_window") else None
