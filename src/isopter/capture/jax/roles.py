"""What each weight of a jaxpr is to the equation that uses it, and numbers for it under which reads show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

import jax
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
    own: dict[Any, int] = {v: k for k, v in enumerate((*jaxpr.invars[: len(weights)], *jaxpr.constvars))}
    walk = _Walk(len(own), {}, {}, [])
    walk.follow(jaxpr, own, set(jaxpr.invars[len(weights) :]), "")
    first = [SCALE if k < len(weights) else None for k in range(len(weights) + len(closed.consts))]
    arrays = (*weights, *closed.consts)
    numbers = [_numbers(w, walk.uses.get(k, use), random, signed) for k, (w, use) in enumerate(zip(arrays, first, strict=True))]
    given = {key: _numbers(walk.made[at - walk.base], walk.uses.get(at), random, signed) for key, at in walk.keys.items()}
    return numbers[: len(weights)], numbers[len(weights) :], given


def _numbers(array: Any, use: Use | None, random: np.random.Generator, signed: bool) -> Any:
    shape, dtype = tuple(array.shape), array.dtype
    abstract = isinstance(array, jax.ShapeDtypeStruct)
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
    return drawn(random, use.role, shape, signed, use.fan_in, known)


@dataclass(slots=True)
class _Walk:
    """`uses`: the first of each weight; `keys` and `made`: weights without numbers, counted on from `base`."""

    base: int
    uses: dict[int, Use | None]
    keys: dict[str, int]
    made: list[Any]

    def follow(self, jaxpr: Any, own: dict[Any, int], data: set[Any], prefix: str) -> None:
        """Note uses in a jaxpr, of whose variables `own` are weights and `data` depend on the inputs; both grow."""
        for at, eqn in enumerate(jaxpr.eqns):
            place = f"{prefix}{at}"
            if eqn.primitive.name == "isopter_weight":
                self.keys[f"{place}:0"] = own[eqn.outvars[0]] = self.base + len(self.made)
                self.made.append(Struct(eqn.params["shape"], eqn.params["dtype"]))
                continue
            ids = [None if isinstance(v, Literal) else own.get(v) for v in eqn.invars]
            reads = [not isinstance(v, Literal) and v in data for v in eqn.invars]
            inner = _inner(eqn)
            if inner is not None:
                self._enter(eqn, inner, ids, reads, own, data, place)
                continue
            if any(reads):
                data.update(eqn.outvars)
            if any(k is not None for k in ids):
                self._used(eqn, ids, reads, own)

    def _enter(
        self, eqn: Any, inner: Any, ids: Sequence[int | None], reads: Sequence[bool], own: dict[Any, int], data: set[Any], at: str
    ) -> None:
        inside = {v: k for v, k in zip(inner.invars, ids, strict=False) if k is not None}
        tainted = {v for v, r in zip(inner.invars, reads, strict=False) if r}
        if eqn.primitive.name == "scan" and tainted:
            first, count = eqn.params.get("num_consts", 0), eqn.params.get("num_carry", 0)
            tainted |= {v for v in inner.invars[first : first + count] if v not in inside}
        self.follow(inner, inside, tainted, f"{at}/")
        for var, out in zip(eqn.outvars, inner.outvars, strict=False):
            if isinstance(out, Literal):
                continue
            if out in tainted or (eqn.primitive.name == "scan" and tainted):
                data.add(var)
            elif out in inside and eqn.primitive.name != "scan":
                own[var] = inside[out]

    def _used(self, eqn: Any, ids: Sequence[int | None], reads: Sequence[bool], own: dict[Any, int]) -> None:
        name = eqn.primitive.name
        for position, weight in enumerate(ids):
            if weight is None:
                continue
            shape = eqn.invars[position].aval.shape
            others = [(k, v) for at, (k, v) in enumerate(zip(ids, eqn.invars, strict=True)) if at != position]
            if name in MOVES and position == 0:
                own[eqn.outvars[0]] = weight
            elif name == "conv_general_dilated" and position == 1:
                spec = eqn.params["dimension_numbers"].rhs_spec
                self.uses.setdefault(weight, Use("weight", float(math.prod(shape) / max(shape[spec[0]], 1))))
            elif name == "dot_general":
                inner = eqn.params["dimension_numbers"][0][position]
                self.uses.setdefault(weight, Use("weight", float(math.prod(shape[a] for a in inner))) if any(reads) else None)
            elif name in ("rsqrt", "sqrt"):
                self.uses.setdefault(weight, Use("one"))
            elif all(isinstance(v, Literal) for _, v in others) and eqn.outvars[0].aval.shape == shape:
                own[eqn.outvars[0]] = weight  # a variance and its epsilon
            elif name in ("add", "add_any") or (name == "sub" and position == 1):
                self.uses.setdefault(weight, Use("zero") if any(reads) else None)
            else:
                product = name == "mul" and all(k is not None or not isinstance(v, Literal) for k, v in others)
                self.uses.setdefault(weight, Use("scale") if any(reads) or product else None)


def _inner(eqn: Any) -> Any:
    if eqn.primitive.name == "while":
        return None
    found = next((eqn.params[k] for k in CALLS if k in eqn.params), None)
    return getattr(found, "jaxpr", found) if eqn.primitive.name not in ("reduce", "reduce_window") else None
