"""Interpolation. Positions are computed in exact fractions, so a tap of weight zero is never read.

Frameworks compute in floating point: where they miss an exact grid point by a rounding error, a neighbour gets a weight of
1e-16 or so, and whether it does depends on the processor. Such a tap is no read. ``rounding=True`` in the params names these
taps too; `verify` uses it to tell them from real misses. (A nearest neighbour that precision decides is a bound of both.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from isopter.graph import Shape
from isopter.reads.axis import AxisMap, Periodic, Take
from isopter.reads.registry import Site, rule
from isopter.reads.relation import Reads, along

HALF = Fraction(1, 2)


@rule("resample")
def resample(site: Site) -> Reads:
    """n positions to m along each of the last axes, with scale s = n / m input steps per output step. Exact.

    nearest: floor(i s). nearest-exact: floor((i + 1/2) s). linear: floor(x) and, off the grid, floor(x) + 1, with
    x = (i + 1/2) s - 1/2, or x = i (n - 1) / (m - 1) with align_corners, or x = i s if asymmetric.
    cubic: floor(x) - 1 ... floor(x) + 2, on the grid x alone.
    antialias widens the filter by s when shrinking. Positions past the border read the border.
    Example, linear 2 to 4: x = -1/4, 1/4, 3/4, 5/4 reads {0}, {0, 1}, {0, 1}, {1}.
    Params: mode, align_corners, antialias, steps (input steps per output step where a user fixed them, else None per axis), and
    optionally asymmetric (pixels are points at their left edge, as in older TensorFlow).
    """
    p = site.params
    ndim, steps = len(site.shape), p["steps"]
    maps: dict[int, AxisMap | None] = {}
    for axis, step in enumerate(steps, start=ndim - len(steps)):
        sizes = site.inputs[0][axis], site.shape[axis]
        maps[axis] = _resampled(*sizes, step, p["mode"], p["align_corners"], p["antialias"], p.get("rounding", False), _half(p))
    nearest = p["mode"].startswith("nearest")
    decided = not nearest or all(isinstance(m, Take) and m.rows.shape[1] == 1 for m in maps.values())
    return ((along(ndim, maps, exactness="exact" if decided else "bound"),),)


@lru_cache(maxsize=1024)
def _resampled(
    n: int, m: int, given: float | None, mode: str, align_corners: bool, antialias: bool, rounding: bool, half: Fraction
) -> AxisMap:
    if n == m and (given is None or given == 1) and not antialias and mode != "cubic":
        return Take(np.arange(n)[:, None], Periodic(1, np.zeros((1, 1), np.int64)))
    exact = _step(n, m, given, align_corners)
    if antialias:
        reach = 1 if mode == "linear" else 2
        rows = [[j for j in _stretched(i, exact, reach, rounding) if 0 <= j < n] for i in range(m)]
        return Take(_pad(rows), _pattern(lambda i: _stretched(i, exact, reach), exact, align_corners))
    read = _READERS[mode]
    if mode.startswith("nearest"):
        rows = [sorted({*read(i, exact, half), *_nearest_in_floats(i, n / m if given is None else given, mode)}) for i in range(m)]
    else:
        rows = [read(i, exact, half) for i in range(m)]
    if rounding and not mode.startswith("nearest"):
        rows = [row if len(row) > 1 else list(range(row[0] - _WIDE[mode], row[0] + _WIDE[mode] + 1)) for row in rows]
    rows = [[min(max(j, 0), n - 1) for j in row] for row in rows]
    return Take(_pad(rows), _pattern(lambda i: read(i, exact, half), exact, align_corners))


def _half(p: Mapping[str, Any]) -> Fraction:
    """Where in its pixel a position is looked at: in the middle, or at the left edge."""
    return Fraction(0) if p["align_corners"] or p.get("asymmetric", False) else HALF


def _step(n: int, m: int, given: float | None, align_corners: bool) -> Fraction:
    """Input steps per output step."""
    if align_corners:
        return Fraction(n - 1, m - 1) if m > 1 else Fraction(0)
    if given is None:
        return Fraction(n, m)
    simple = Fraction(given).limit_denominator(10_000)  # a user's 1.7 means 17/10, not its nearest double
    return simple if math.isclose(simple, given, rel_tol=1e-14) else Fraction(given)


def _nearest_in_floats(i: int, step: float, mode: str) -> set[int]:
    """What single and double precision make of it; frameworks use the one or the other by dtype, rank and device."""
    at = i + (0.5 if mode == "nearest-exact" else 0.0)
    return {math.floor(np.float32(at) * np.float32(step)), math.floor(at * step)}


# ---- exact readers: output i, step, half a step -------------------------------------------------------------------------

Reader = Callable[[int, Fraction, Fraction], list[int]]


def _nearest(i: int, step: Fraction, half: Fraction) -> list[int]:
    return [math.floor(i * step)]


def _nearest_exact(i: int, step: Fraction, half: Fraction) -> list[int]:
    return [math.floor((i + HALF) * step)]


def _linear(i: int, step: Fraction, half: Fraction) -> list[int]:
    x = (i + half) * step - half
    return [math.floor(x)] if x.denominator == 1 else [math.floor(x), math.floor(x) + 1]


def _cubic(i: int, step: Fraction, half: Fraction) -> list[int]:
    x = (i + half) * step - half
    return [math.floor(x)] if x.denominator == 1 else [math.floor(x) + t for t in (-1, 0, 1, 2)]


_READERS: dict[str, Reader] = {"nearest": _nearest, "nearest-exact": _nearest_exact, "linear": _linear, "cubic": _cubic}

_WIDE = {"linear": 1, "cubic": 2}
"""How far from a grid point a rounding error can leave a tap."""


def _stretched(i: int, step: Fraction, reach: int, rounding: bool = False) -> list[int]:
    """A triangle (reach 1) or cubic (reach 2) filter, stretched by the step when shrinking; zero at its ends and, for the
    cubic, at distance 1."""
    center, stretch = (i + HALF) * step, max(step, Fraction(1))
    lo, hi = math.floor(center - reach * stretch), math.ceil(center + reach * stretch)
    distance = {j: abs(j + HALF - center) / stretch for j in range(lo, hi + 1)}
    return [j for j, d in distance.items() if (d < reach and d != 1) or (rounding and d <= reach)]


def _pattern(read: Callable[[int], list[int]], step: Fraction, align_corners: bool) -> Periodic | None:
    """The rows over one period, on the plane; None for a grid that depends on the tensor's size, or too long a period."""
    if align_corners or step == 0 or step.denominator > 4096:
        return None
    rows = [read(i) for i in range(step.denominator)]
    width = max(len(r) for r in rows)
    return Periodic(step.numerator, np.array([r + [r[-1]] * (width - len(r)) for r in rows], np.int64))


def _pad(rows: list[list[int]]) -> np.ndarray:
    width = max((len(r) for r in rows), default=1)
    return np.array([r + [-1] * (width - len(r)) for r in rows], np.int64).reshape(len(rows), max(width, 1))


# ---- squared coefficients, for expected gradients ------------------------------------------------------------------------


def squared(p: Mapping[str, Any], shape_in: Shape, shape_out: Shape) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Per resampled axis, the squared coefficient of each tap of its map: inside the tensor and on the plane.

    Taps that the border folds onto one position count once, with their sum. Example, linear 2 to 4: 1, 9/16 and 1/16, 1/16 and 9/16, 1.
    """
    found = {}
    for axis, step in enumerate(p["steps"], start=len(shape_out) - len(p["steps"])):
        both = _squared(shape_in[axis], shape_out[axis], step, p["mode"], p["align_corners"], p["antialias"], _half(p))
        if both is not None:
            found[axis] = both
    return found


@lru_cache(maxsize=1024)
def _squared(
    n: int, m: int, given: float | None, mode: str, align_corners: bool, antialias: bool, half: Fraction
) -> tuple[np.ndarray, np.ndarray] | None:
    axis_map = _resampled(n, m, given, mode, align_corners, antialias, False, half)
    if mode.startswith("nearest") or not isinstance(axis_map, Take) or axis_map.rows.shape[1] == 1:
        return None  # one tap, of coefficient 1
    step = _step(n, m, given, align_corners)
    inside = np.zeros(axis_map.rows.shape)
    for i, row in enumerate(axis_map.rows):
        folded: dict[int, float] = {}
        for j, coefficient in _coefficients(i, step, half, mode, antialias, n).items():
            at = min(max(j, 0), n - 1)
            folded[at] = folded.get(at, 0.0) + coefficient
        for tap, j in enumerate(row):
            inside[i, tap] = folded.pop(int(j), 0.0) ** 2 if j >= 0 else 0.0
    pattern = axis_map.plane.pattern if axis_map.plane is not None else np.zeros((1, 1), np.int64)
    plane = np.zeros(pattern.shape)
    for i, row in enumerate(pattern if axis_map.plane is not None else ()):
        left = _coefficients(i, step, half, mode, antialias, None)
        for tap, j in enumerate(row):
            plane[i, tap] = left.pop(int(j), 0.0) ** 2  # a row is filled up with its last position: it counts once
    return inside, plane


def _coefficients(i: int, step: Fraction, half: Fraction, mode: str, antialias: bool, n: int | None) -> dict[int, float]:
    """What each input position contributes to output i; of `n` positions, or of a plane."""
    if antialias:
        center, stretch = (i + HALF) * step, max(step, Fraction(1))
        taps = [j for j in _stretched(i, step, 1 if mode == "linear" else 2) if n is None or 0 <= j < n]
        away = [float(abs(j + HALF - center) / stretch) for j in taps]
        weights = [1 - d if mode == "linear" else _cubic_kernel(d, -0.5) for d in away]
        return {j: w / sum(weights) for j, w in zip(taps, weights, strict=True)}
    x = (i + half) * step - half
    low = math.floor(x)
    if x == low:
        return {low: 1.0}
    part = float(x - low)
    if mode == "linear":
        return {low: 1 - part, low + 1: part}
    return {low + t: _cubic_kernel(abs(part - t), -0.75) for t in (-1, 0, 1, 2)}


def _cubic_kernel(distance: float, bend: float) -> float:
    """Keys 1981, Cubic convolution interpolation; PyTorch bends by -0.75, and by -0.5 with antialias."""
    if distance <= 1:
        return (bend + 2) * distance**3 - (bend + 3) * distance**2 + 1
    if distance < 2:
        return bend * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return 0.0
