"""Mean squared slopes of pointwise functions, for values that are normal with mean 0 and variance 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LINEAR = frozenset(
    "add sub rsub batch_norm dropout native_dropout feature_dropout alpha_dropout expand mask view clone copy contiguous to_copy _to_copy "
    "alias detach lift_fresh convolution addmm baddbmm addmv neg norm bn identity masked_fill tril triu".split()
)
"""Functions of slope 1 or -1; with several inputs each gets the whole gradient."""


FLAT = frozenset(
    "gt ge lt le eq ne isnan isinf isfinite logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor "
    "round floor ceil trunc fix sign sgn signbit floor_divide bucketize searchsorted".split()
)
"""Functions of slope 0: comparisons, and steps."""


def _normal(x: Floats) -> Floats:
    return np.asarray(np.exp(-x * x / 2) / math.sqrt(2 * math.pi))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


def _gelu_slope(x: Floats) -> Floats:
    cdf = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])
    return cdf + x * _normal(x)


SLOPES: dict[str, Callable[[Floats], Floats]] = {
    "relu": lambda x: (x > 0).astype(np.float64),
    "leaky_relu": lambda x: np.where(x > 0, 1.0, 0.01),
    "prelu": lambda x: np.where(x > 0, 1.0, 0.25),
    "elu": lambda x: np.where(x > 0, 1.0, np.exp(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, 1.0, 1.6732632423543772 * np.exp(x)),
    "relu6": lambda x: ((x > 0) & (x < 6)).astype(np.float64),
    "hardtanh": lambda x: (np.abs(x) < 1).astype(np.float64),
    "sigmoid": lambda x: _sigmoid(x) * (1 - _sigmoid(x)),
    "tanh": lambda x: 1 - np.tanh(x) ** 2,
    "silu": lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x))),
    "gelu": _gelu_slope,
    "softplus": _sigmoid,
    "hardswish": lambda x: np.where(x > 3, 1.0, np.where(x < -3, 0.0, x / 3 + 0.5)),
    "hardsigmoid": lambda x: np.where(np.abs(x) < 3, 1 / 6, 0.0),
    "abs": np.ones_like,
    "mish": lambda x: np.gradient(x * np.tanh(np.log1p(np.exp(x))), x),
}
"""Derivatives, with the default parameters of the frameworks; the slopes of another (a leak of 0.2) come from a forward pass."""

PARAMETRIC = frozenset("leaky_relu prelu elu softplus hardtanh".split())

ALIASES = {
    "swish": "silu",
    "hard_swish": "hardswish",
    "_prelu_kernel": "prelu",
    "rrelu": "leaky_relu",
    "lrelu": "leaky_relu",
    "celu": "elu",
}


NORMAL = "values before an activation are normal with mean 0 and variance 1"


def slope_of(name: str, leak: float | None = None, between: tuple[float, float] | None = None) -> tuple[float, str]:
    """The mean squared slope of a function, and what had to be assumed for it. `leak`: its slope below 0; `between`: where it has any."""
    name = ALIASES.get(name, name)
    if leak is not None:
        return (1 + leak**2) / 2, NORMAL
    if between is not None:
        low, high = (math.erf(v / math.sqrt(2)) for v in between)
        return max(high - low, 0.0) / 2, NORMAL
    if name in LINEAR:
        return 1.0, ""
    if name in FLAT:
        return 0.0, ""
    if name in SLOPES:
        return _mean_square(name), NORMAL if name not in PARAMETRIC else f"{NORMAL}, its parameters the default"
    return 1.0, f"the slope of {name or 'a pointwise function'} is taken as 1"


@cache
def _mean_square(name: str) -> float:
    x = (np.arange(-80_000, 80_000) + 0.5) / 10_000  # the midpoint rule over eight deviations: kinks and all, to 1e-8
    density = _normal(x)
    return float((SLOPES[name](x) ** 2 * density).sum() / density.sum())
