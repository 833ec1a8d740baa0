"""Gains: how much of an output's mean squared gradient each position it reads receives.

With independent weights of mean zero the expected squared gradient is a linear map of the architecture: where a relation says
*which* positions an output reads, its gain says *how much* each of them gets. A gain function is registered per kind, beside the
rule of that kind. What depends on values (the variance of weights, the slope of an activation) is assumed, and the assumption
noted, unless it is known and stands in the op's params: `power` (mean squared weight), `squares` (squared taps of a fixed filter, per
axis), `slopes` (mean squared derivative by each input) and `gate` (see `pool`).

Source: Luo et al. 2016, Understanding the effective receptive field; He et al. 2015 for the variance of weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from isopter.graph import Op, Shape
from isopter.reads.layout import layout_of, straightened
from isopter.reads.slopes import FLAT, LINEAR, slope_of

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Taps:
    """Factors of the taps of one axis map, laid out (or broadcastable) as its two settings: ``inside`` as its table, (n_out, taps),
    ``plane`` as its periodic pattern, (period, taps)."""

    inside: Floats
    plane: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Gain:
    """Every position read gets `scale` times the product of its taps' factors (1 on input axes that are not in `taps`)."""

    scale: float = 1.0
    taps: Mapping[int, Taps] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class Passed:
    """The gains of an op, for each input one per relation (None: nothing is passed), and what was assumed."""

    gains: tuple[tuple[Gain | None, ...], ...]
    assumed: str = ""


class NotCovered(Exception):
    """The theory says nothing of this op; the message says why."""


GainFunction = Callable[[Op, tuple[Shape, ...]], Passed]

_GAINS: dict[str, GainFunction] = {}


def gain(*kinds: str) -> Callable[[GainFunction], GainFunction]:
    """Register the decorated function as the gain of each of `kinds`."""

    def register(function: GainFunction) -> GainFunction:
        for kind in kinds:
            assert kind not in _GAINS, f"{kind} has a gain already"
            _GAINS[kind] = function
        return function

    return register


def draws(op: Op) -> bool:
    """Whether an op has random weights: what passes through it on two ways is independent."""
    return op.kind in ("conv", "conv_transpose", "matmul") and "squares" not in op.params


def mixes(op: Op) -> bool:
    """Whether an op without random weights adds up neighbours."""
    averages = op.kind in ("pool", "adaptive_pool") and op.params.get("mode", op.source) != "max" and "max" not in op.source
    blends = op.kind == "resample" and not op.params["mode"].startswith("nearest")
    return averages or blends or op.kind == "scan" or "squares" in op.params


def gains(op: Op, shapes: tuple[Shape, ...], relations: tuple[int, ...]) -> Passed:
    """What `op`, with inputs of these shapes and so many relations to each, passes back. Raises NotCovered."""
    function = _GAINS.get(op.kind)
    if function is None:
        raise NotCovered(f"no expected gradient is known for {op.source or op.kind}")
    layout = layout_of(op.params)
    passed = function(*straightened(op, shapes)) if layout else function(op, shapes)
    if layout:
        first = tuple(g and replace(g, taps={layout[axis]: taps for axis, taps in g.taps.items()}) for g in passed.gains[0])
        passed = replace(passed, gains=(first, *passed.gains[1:]))
    filled = tuple(own * count if len(own) == 1 else own for own, count in zip(passed.gains, relations, strict=True))
    return Passed(filled, passed.assumed)


def _each(shapes: tuple[Shape, ...], scale: float = 1.0) -> tuple[tuple[Gain | None, ...], ...]:
    return tuple((Gain(scale),) for _ in shapes)


# ---- moving -----------------------------------------------------------------------------------------------------------------


@gain("reshape", "transpose", "slice", "pad", "roll", "concat", "take", "gather", "overlay")
def moved(op: Op, shapes: tuple[Shape, ...]) -> Passed:
    """A position that is moved keeps its gradient; one that is copied adds up what its copies get."""
    return Passed(_each(shapes))


# ---- weights ----------------------------------------------------------------------------------------------------------------

HE = "weights drawn independently, with variance 2 / fan-in (He)"


@gain("conv")
def conv(op: Op, shapes: tuple[Shape, ...]) -> Passed:
    """Each tap passes the variance of a weight. Example, 3 x 3 over 64 channels: 2 / 576 under He's initialisation."""
    squares = op.params.get("squares")
    if squares is not None:
        taps = {axis: Taps(row, row) for axis, row in enumerate((np.array([s]) for s in squares), start=2)}
        return Passed(((Gain(1.0, taps),),))
    return _weighted(op, shapes, fan_in=shapes[0][1] // op.params.get("groups", 1) * math.prod(op.params["kernel"]))


@gain("conv_transpose")
def conv_transpose(op: Op, shapes: tuple[Shape, ...]) -> Passed:
    """As for a convolution; an output has kernel / stride inputs per axis on average."""
    per_output = math.prod(k / s for k, s in zip(op.params["kernel"], op.params["stride"], strict=True))
    return _weighted(op, shapes, fan_in=shapes[0][1] // op.params.get("groups", 1) * per_output)


@gain("matmul")
def matmul(op: Op, shapes: tuple[Shape, ...]) -> Passed:
    """A product with weights passes their variance; one of two computed factors (attention) is not covered."""
    side = op.params["operands"][0]
    return _weighted(op, shapes, fan_in=shapes[0][-1 if side == "left" else -2])


def _weighted(op: Op, shapes: tuple[Shape, ...], fan_in: float) -> Passed:
    if len(shapes) > 1:
        raise NotCovered("it multiplies two computed tensors, as attention does")
    power = op.params.get("power")
    return Passed(_each(shapes, 2 / max(fan_in, 1) if power is None else power), HE if power is None else "")


LARGEST = "each position under a maximum is as likely to be the largest"

# ---- windows ----------------------------------------------------------------------------------------------------------------


@gain("pool")
def pool(op: Op, shapes: tuple[Shape, ...]) -> Passed:
    """An average of k positions passes 1 / k^2 to each, a maximum all to one of those in the image: 1 / k to each.

    `gate` of a maximum over rectified values is P(the largest is active) / P(one is active): a window is dead less often than
    one of its positions, and the rectifier before it is counted with the latter.
    """
    p = op.params
    first = len(op.shape) - len(p["kernel"])
    taps: dict[int, Taps] = {}
    for axis, (kernel, stride, dilation, pad) in enumerate(zip(p["kernel"], p["stride"], p["dilation"], p["pad"], strict=True), first):
        if p["mode"] == "avg":
            over = _divisor(p, op.shape[axis], shapes[0][axis], kernel, stride, pad)
            taps[axis] = Taps(over**-2.0, over[:1] ** -2.0 if p.get("divisor") else np.full((1, 1), kernel**-2.0))
        elif kernel > 1:
            at = np.arange(op.shape[axis])[:, None] * stride - pad + dilation * np.arange(kernel)
            inside = ((at >= 0) & (at < shapes[0][axis])).sum(axis=1, keepdims=True)
            taps[axis] = Taps(1 / np.maximum(inside, 1), np.full((1, 1), 1 / kernel))
    assumed = LARGEST if p["mode"] == "max" else ""
    return Passed(((Gain(p.get("gate", 1.0), taps),),), assumed)


def _divisor(p: Mapping[str, Any], n_out: int, n_in: int, kernel: int, stride: int, pad: int) -> Floats:
    """By how much each output of an average is divided, along one axis: positions of the window, with the padding or without it."""
    if p.get("divisor"):
        return np.full((1, 1), float(p["divisor"]) ** (1 / len(p["kernel"])))
    first = np.arange(n_out)[:, None] * stride - pad
    last = np.minimum(first + kernel, n_in + pad)  # a window may hang over the padding, too
    if not p.get("counts_pad", True):
        first, last = np.maximum(first, 0), np.minimum(last, n_in)
    return np.maximum(last - first, 1).astype(np.float64)


@gain("adaptive_pool")
def adaptive_pool(op: Op, shapes: tuple[Shape, ...]) -> Passed:
    """As for pooling, over windows that may differ by one position."""
    power = -1 if "max" in op.source else -2
    taps, scale = {}, 1.0
    for axis in range(len(op.shape) - op.params["axes"], len(op.shape)):
        n, m = shapes[0][axis], op.shape[axis]
        if m == 1:
            scale *= float(n) ** power
        elif n != m:
            taps[axis] = _adaptive(n, m, power)
    return Passed(((Gain(scale, taps),),), LARGEST if power == -1 else "")


def _adaptive(n: int, m: int, power: int) -> Taps:
    out = np.arange(m)
    lo, hi = out * n // m, -(-(out + 1) * n // m)
    count = (hi - lo).astype(np.float64)[:, None]
    used = np.arange(int(count.max())) < count  # a pattern on the plane is filled up with repeats
    inside = np.where(used, count**power, 0.0)
    return Taps(inside, inside[: m // math.gcd(n, m)])


@gain("resample")
def resample(op: Op, shapes: tuple[Shape, ...]) -> Passed:
    """Interpolation passes its squared coefficients."""
    from isopter.reads.rules.resample import squared

    return Passed(((Gain(1.0, {a: Taps(*both) for a, both in squared(op.params, shapes[0], op.shape).items()}),),))


# ---- pointwise --------------------------------------------------------------------------------------------------------------


@gain("pointwise")
def pointwise(op: Op, shapes: tuple[Shape, ...]) -> Passed:
    """A function passes its mean squared slope, to each input. Example, ReLU on symmetric values: 1/2."""
    slopes = op.params.get("slopes")
    if op.source in FLAT:
        return Passed(_each(shapes, 0.0))
    if op.source == "where" and len(shapes) > 1 and slopes is None:
        return Passed(_each(shapes, 0.5), "where takes either side equally often")
    if len(shapes) > 1 and op.source not in LINEAR and op.source != "where":
        raise NotCovered(f"{op.source} of two computed tensors, as in a gate")
    if slopes is not None:
        return Passed(tuple((Gain(s),) for s in slopes))
    slope, assumed = slope_of(op.source, op.params.get("leak"), op.params.get("between"))
    return Passed(_each(shapes, slope), assumed)


@gain("norm")
def norm(op: Op, shapes: tuple[Shape, ...]) -> Passed:
    """Each position by itself; what passes through the statistics is left out (a share of about 2 / positions)."""
    slopes = op.params.get("slopes")
    assumed = "" if slopes else "norms see values of variance 1"
    own = Gain(slopes[0] if slopes else 1.0)
    return Passed(((own, None),), "; ".join(filter(None, (assumed, "gradients through a norm's statistics are left out"))))


# ---- reductions -------------------------------------------------------------------------------------------------------------


@gain("reduce")
def reduce(op: Op, shapes: tuple[Shape, ...]) -> Passed:
    """A mean of n passes 1 / n^2, a sum 1, a maximum 1 / n to each."""
    count = math.prod(shapes[0][a] for a in op.params["axes"])
    if op.source not in REDUCTIONS:
        raise NotCovered(f"{op.source} is no sum, mean or maximum")
    scale = float(count) ** REDUCTIONS[op.source] if count else 0.0
    return Passed(_each(shapes, scale), LARGEST if REDUCTIONS[op.source] == -1 else "")


REDUCTIONS = {"sum": 0, "nansum": 0, "mean": -2, "nanmean": -2, "gap": -2} | dict.fromkeys(("max", "min", "amax", "amin"), -1)
"""The power of the number of positions that each gets."""


@gain("scan")
def scan(op: Op, shapes: tuple[Shape, ...]) -> Passed:
    """A running sum passes 1 to each position it holds."""
    if op.source != "cumsum":
        raise NotCovered(f"{op.source} is no running sum")
    return Passed(_each(shapes))
