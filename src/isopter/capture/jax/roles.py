"""What each weight of a jaxpr is to the equation that uses it, and numbers for it under which reads show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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

LOADED = 16_000_000


@dataclass(frozen=True, slots=True)
class Use:
    """A role, and over how many numbers a weight's product is summed."""

    role: Role
    fan_in: float = 1.0


def drawn_weights(closed: ClosedJaxpr, weights: Sequence[Any], random: np.random.Generator, signed: bool) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """New numbers for `weights` (the first arguments of the jaxpr), for its constants that are weights, and for weights that were never
    made (by key): weights that average what they are multiplied with, biases of 0, norms at rest. Whole numbers and masks stay."""
    uses: dict[int, Use] = {}
    keys: dict[str, int] = {}
    jaxpr = closed.jaxpr
    own: dict[Any, int] = {v: k for k, v in enumerate((*jaxpr.invars[: len(weights)], *jaxpr.constvars))}
    made: list[Any] = []
    base = len(own)
    _follow(jaxpr, own, uses, keys, made, base, "")
    numbers = [_numbers(w, uses.get(k), random, signed) for k, w in enumerate((*weights, *closed.consts))]
    given = {key: _numbers(made[at - base], uses.get(at), random, signed) for key, at in keys.items()}
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
    use = use or Use("scale")
    return drawn(random, use.role, shape, signed, use.fan_in, known)


def _follow(jaxpr: Any, own: dict[Any, int], uses: dict[int, Use], keys: dict[str, int], made: list[Any], base: int, prefix: str) -> list[int | None]:
    """Note the first use of each weight; `own` are the variables of this jaxpr that are weights. Which weights its results are."""
    for at, eqn in enumerate(jaxpr.eqns):
        name, place = eqn.primitive.name, f"{prefix}{at}"
        if name == "isopter_weight":
            keys[f"{place}:0"] = own[eqn.outvars[0]] = base + len(made)
            made.append(jax.ShapeDtypeStruct(eqn.params["shape"], eqn.params["dtype"]))
            continue
        ids = [None if isinstance(v, Literal) else own.get(v) for v in eqn.invars]
        inner = _inner(eqn)
        if inner is not None:
            inside = {v: k for v, k in zip(inner.invars, ids, strict=False) if k is not None}
            found = _follow(inner, inside, uses, keys, made, base, f"{place}/")
            own.update({v: k for v, k in zip(eqn.outvars, found, strict=False) if k is not None and name not in ("scan", "while")})
        elif any(k is not None for k in ids):
            _used(eqn, ids, own, uses)
    return [None if isinstance(v, Literal) else own.get(v) for v in jaxpr.outvars]


def _inner(eqn: Any) -> Any:
    if eqn.primitive.name == "while":
        return None
    found = next((eqn.params[k] for k in CALLS if k in eqn.params), None)
    return getattr(found, "jaxpr", found) if eqn.primitive.name not in ("reduce", "reduce_window") else None


def _used(eqn: Any, ids: Sequence[int | None], own: dict[Any, int], uses: dict[int, Use]) -> None:
    name = eqn.primitive.name
    for position, weight in enumerate(ids):
        if weight is None:
            continue
        shape = eqn.invars[position].aval.shape
        alone = all(k is not None or _still(v) for k, v in zip(ids, eqn.invars, strict=True))
        if name in MOVES and position == 0:
            own[eqn.outvars[0]] = weight
        elif name == "conv_general_dilated" and position == 1:
            spec = eqn.params["dimension_numbers"].rhs_spec
            uses.setdefault(weight, Use("weight", float(math.prod(shape) / max(shape[spec[0]], 1))))
        elif name == "dot_general":
            inner = eqn.params["dimension_numbers"][0][position]
            uses.setdefault(weight, Use("weight", float(math.prod(shape[a] for a in inner))))
        elif alone and name in ("add", "mul", "sub", "rsqrt", "sqrt", "div", "exp", "max"):
            if name in ("rsqrt", "sqrt"):
                uses.setdefault(weight, Use("one"))
            elif eqn.outvars[0].aval.shape == shape and sum(k is not None for k in ids) == 1:
                own[eqn.outvars[0]] = weight  # a variance and its epsilon
            elif name == "mul":
                uses.setdefault(weight, Use("scale"))
        elif name in ("add", "add_any") or (name == "sub" and position == 1):
            uses.setdefault(weight, Use("zero"))
        else:
            uses.setdefault(weight, Use("scale"))


def _still(v: Any) -> bool:
    """Whether an operand is a number in the code."""
    return isinstance(v, Literal)
