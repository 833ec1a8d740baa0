"""Interpolation. Positions are computed in exact fractions, so a tap of weight zero is never read."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import numpy as np

from isopter.reads.axis import AxisMap, Periodic, Take
from isopter.reads.registry import Site, rule
from isopter.reads.relation import Reads, along


@rule("resample")
def resample(site: Site) -> Reads:
    """n positions to m along each of the last axes, with scale s = n / m input steps per output step. Exact.

    nearest: floor(i s). nearest-exact: floor((i + 1/2) s). linear: floor(x) and, off the grid, floor(x) + 1, with
    x = (i + 1/2) s - 1/2 clamped at 0, or x = i (n - 1) / (m - 1) with align_corners. cubic: floor(x) - 1 ... floor(x) + 2.
    antialias widens the filter by s when shrinking. Positions past the border read the border.
    Params: mode, align_corners, antialias, steps (a Fraction, float or None per axis: the step used when it is not n / m).
    """
    p = site.params
    ndim, steps = len(site.shape), p["steps"]
    maps: dict[int, AxisMap | None] = {}
    for axis, step in enumerate(steps, start=ndim - len(steps)):
        n, m = site.inputs[0][axis], site.shape[axis]
        exact = _step(n, m, step, p["align_corners"])
        maps[axis] = _resampled(n, m, exact, p["mode"], p["align_corners"], p["antialias"])
    return ((along(ndim, maps),),)


def _step(n: int, m: int, given: float | None, align_corners: bool) -> Fraction:
    if align_corners:
        return Fraction(n - 1, m - 1) if m > 1 else Fraction(0)
    if given is None:
        return Fraction(n, m)
    simple = Fraction(given).limit_denominator(10_000)  # a user's 1.7 means 17/10, not its nearest double
    return simple if math.isclose(simple, given, rel_tol=1e-14) else Fraction(given)


@lru_cache(maxsize=1024)
def _resampled(n: int, m: int, step: Fraction, mode: str, align_corners: bool, antialias: bool) -> AxisMap:
    if antialias:
        read = _antialiased(step, 1 if mode == "linear" else 2)
    else:
        read = _READERS[mode](step, Fraction(0) if align_corners else Fraction(1, 2))
    if antialias:
        rows = [[j for j in read(i) if 0 <= j < n] for i in range(m)]
    else:
        rows = [[min(max(j, 0), n - 1) for j in read(i)] for i in range(m)]
    return Take(_pad(rows), None if align_corners or step == 0 else _pattern(read, step))


Reader = Callable[[int], list[int]]


def _nearest(step: Fraction, half: Fraction) -> Reader:
    return lambda i: [math.floor(i * step)]


def _nearest_exact(step: Fraction, half: Fraction) -> Reader:
    return lambda i: [math.floor((i + Fraction(1, 2)) * step)]


def _linear(step: Fraction, half: Fraction) -> Reader:
    def read(i: int) -> list[int]:
        x = (i + half) * step - half
        return [math.floor(x)] if x.denominator == 1 else [math.floor(x), math.floor(x) + 1]

    return read


def _cubic(step: Fraction, half: Fraction) -> Reader:
    def read(i: int) -> list[int]:
        x = (i + half) * step - half
        return [math.floor(x)] if x.denominator == 1 else [math.floor(x) + t for t in (-1, 0, 1, 2)]

    return read


_READERS: dict[str, Callable[[Fraction, Fraction], Reader]] = {
    "nearest": _nearest,
    "nearest-exact": _nearest_exact,
    "linear": _linear,
    "cubic": _cubic,
}


def _antialiased(step: Fraction, reach: int) -> Reader:
    """A triangle (reach 1) or cubic (reach 2) filter, stretched by `step` when shrinking; zero at its ends and, for the
    cubic, at distance 1."""
    stretch = max(step, Fraction(1))

    def read(i: int) -> list[int]:
        center = (i + Fraction(1, 2)) * step
        lo, hi = math.floor(center - reach * stretch), math.ceil(center + reach * stretch)
        taps = []
        for j in range(lo, hi + 1):
            distance = abs(j + Fraction(1, 2) - center) / stretch
            if distance < reach and distance != 1:
                taps.append(j)
        return taps

    return read


def _pattern(read: Reader, step: Fraction) -> Periodic | None:
    """The reader's rows over one period, on the plane; None where the period is too long to be of use."""
    if step.denominator > 4096:
        return None
    rows = [read(i) for i in range(step.denominator)]
    width = max(len(r) for r in rows)
    return Periodic(step.numerator, np.array([r + [r[-1]] * (width - len(r)) for r in rows], np.int64))


def _pad(rows: list[list[int]]) -> np.ndarray:
    width = max((len(r) for r in rows), default=1)
    return np.array([r + [-1] * (width - len(r)) for r in rows], np.int64).reshape(len(rows), max(width, 1))
