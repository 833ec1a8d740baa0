"""Activations that exporters take apart: ``x * sigmoid(x)`` is SiLU, ``0.5 * x * (1 + erf(x / sqrt(2)))`` is GELU.

What an op reads is the same either way; the theory of gradients needs to know the function, as its factors depend on each other. A chain
of pointwise ops of one tensor and numbers is kept as a function, and where it holds a product it is tried on numbers from -6 to 6, and
called by the name of the activation that it is.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isopter.capture.static.values import Const, Data, Value

Floats = npt.NDArray[np.float64]
Function = Callable[..., Any]

LONGEST = 12
"""Links of a chain: GELU by tanh, the longest, has nine."""

TRIED: Floats = np.linspace(-6, 6, 98)  # without 0, where some ways are 0 / 0

CLOSE = 1e-5
"""Constants of a file are in single precision; other activations differ by 1e-3 and more."""


def _erf(x: Any) -> Any:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _softplus(x: Any) -> Any:
    return np.logaddexp(x, 0)


FUNCTIONS: dict[str, Function] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "neg": np.negative,
    "exp": np.exp,
    "log": np.log,
    "gt": np.greater,
    "lt": np.less,
    "where": np.where,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "erf": _erf,
    "erfc": lambda x: 1 - _erf(x),
    "relu6": lambda x: np.clip(x, 0, 6),
    "softplus": _softplus,
    "hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "relu": lambda x: np.maximum(x, 0),
    "clip": np.clip,
}
"""Links of a chain, by the names of pointwise ops."""

OPERANDS = {"where": 3, "clip": 3, **dict.fromkeys(("add", "sub", "mul", "div", "pow", "gt", "lt"), 2)}
"""How many operands a link has, where more than one."""

NAMED: dict[str, tuple[Function, ...]] = {
    "silu": (lambda x: x * _sigmoid(x),),
    "gelu": (
        lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2,
        lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
        lambda x: x * _sigmoid(1.702 * x),
    ),
    "mish": (lambda x: x * np.tanh(_softplus(x)),),
    "hardswish": (lambda x: x * np.clip(x / 6 + 0.5, 0, 1),),
    "softplus": (_softplus,),
}
"""Activations that use their input twice, and the ways in which they are computed."""


@dataclass(frozen=True, eq=False, slots=True)
class Chain:
    """What an op is of op `root`; `twice` if two of its own values meet in it."""

    root: int
    length: int
    twice: bool
    function: Callable[[Floats], Any]


def named(chains: dict[int, Chain], made: int, source: str, operands: Sequence[Value]) -> tuple[str, int] | None:
    """The activation that op `made` is, the pointwise function `source` of these operands, and the op it is one of; None if it is none
    with a name. `chains` holds those of earlier ops, and is added to."""
    chain = _chain(chains, source, operands)
    if chain is None:
        return None
    chains[made] = chain
    if not chain.twice:
        return None
    names, table = _named()
    with np.errstate(all="ignore"):
        values = np.asarray(chain.function(TRIED), np.float64)
        off = np.abs(table - values) > CLOSE * (1 + np.abs(table)) if values.shape == TRIED.shape and np.isfinite(values).all() else None
    return None if off is None else next(((name, chain.root) for name, row in zip(names, off, strict=True) if not row.any()), None)


@functools.cache
def _named() -> tuple[list[str], Floats]:
    """Every way of every activation: names, and values on `TRIED`."""
    ways = [(name, way) for name, several in NAMED.items() for way in several]
    return [name for name, _ in ways], np.stack([way(TRIED) for _, way in ways])


def _chain(chains: dict[int, Chain], source: str, operands: Sequence[Value]) -> Chain | None:
    function = FUNCTIONS.get(source)
    if function is None or len(operands) != OPERANDS.get(source, 1):
        return None
    links: list[Chain] = []
    parts: list[Callable[[Floats], Any]] = []
    for value in operands:
        if isinstance(value, Data):
            link = chains.get(value.op) or Chain(value.op, 0, False, lambda x: x)
            links.append(link)
            parts.append(link.function)
        elif isinstance(value, Const) and math.prod(value.shape) == 1 and (known := value.load()) is not None and known.dtype.kind in "fiu":
            number = float(known.reshape(-1)[0])
            parts.append(lambda x, number=number: number)  # type: ignore[misc]
        else:
            return None
    length = 1 + sum(link.length for link in links)
    if len({link.root for link in links}) != 1 or length > LONGEST or any(isinstance(v, Data) and v.fixed is not None for v in operands):
        return None
    twice = len(links) > 1 or links[0].twice
    return Chain(links[0].root, length, twice, lambda x: function(*(part(x) for part in parts)))
