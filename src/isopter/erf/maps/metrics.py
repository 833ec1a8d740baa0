"""What one map says: pure functions of an array of non-negative numbers, with one axis per space axis of the input.

Positions are pixels of the map, counted from its first pixel; pixel 0 is centred at 0. `center` is the centre of the unit's
theoretical field on that scale: a whole number where it lies on a pixel, x.5 where it lies between two. No metric depends on the
scale of the map's values. The squares that hold a share of the mass are in `squares.py`, the least-squares Gaussian in `gaussian.py`.

A map without mass has no place, width or shape: every metric of it is nan, never 0.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LUO_LEVEL = 0.0455
"""1 - 95.45 %, the mass of a Gaussian beyond two standard deviations: the threshold of Luo et al. 2016, section 4."""

_FLAT = 1e-12
"""A second moment this small beside the largest is rounding: the map is a line."""


def centroid(values: Floats) -> Floats:
    """Centre of mass per axis, in pixels of the map."""
    return np.array([_moments(_marginal(values, axis))[0] for axis in range(values.ndim)])


def sigma(values: Floats) -> Floats:
    """Standard deviation per axis in pixels: the root of the second central moment.

    n convolutions of kernel k, all of one weight, give sqrt(n (k^2 - 1) / 12): 2.582 for n = 10, k = 3.
    """
    return np.sqrt([_moments(_marginal(values, axis))[1] for axis in range(values.ndim)])


def anisotropy(values: Floats) -> float:
    """Largest over smallest principal standard deviation, whatever their directions: 1.0 is round, inf a line.

    Always 1.0 in one dimension; nan for a single pixel, which has no direction.
    """
    if values.ndim == 1:
        return 1.0 if values.sum() > 0 else math.nan
    spread = _covariance(values)
    if not np.isfinite(spread).all():
        return math.nan
    smallest, *_, largest = np.linalg.eigvalsh(spread)
    if largest <= 0:
        return math.nan
    return math.sqrt(largest / smallest) if smallest > _FLAT * largest else math.inf


def threshold_size(values: Floats, center: Sequence[float], level: float = LUO_LEVEL) -> float:
    """(Number of pixels above `level` times the value at `center`) ** (1 / axes), pixels: the size of Luo et al. 2016, section 4.

    Between pixels the value is the mean of the neighbours. nan where there is nothing to compare with: the centre lies in a hole
    of the field, or outside the map. Biased low with few samples, since the one value at the centre is noisy.
    """
    middle = _value_at(values, center)
    return float((values > level * middle).sum()) ** (1 / values.ndim) if middle > 0 else math.nan


def radial(values: Floats, center: Sequence[float]) -> tuple[Floats, Floats]:
    """Rings one pixel wide about `center`: (mean distance of their pixels, mean value), nearest first.

    Ring k holds the pixels at distances in [k, k + 1), pixel centre to `center`. Rings without pixels of the map are left out.
    """
    distance = np.sqrt(functools.reduce(np.add.outer, [d * d for d in distances(values, center)]))
    ring = distance.astype(np.int64).ravel()
    count, far, mass = (np.bincount(ring, weights) for weights in (None, distance.ravel(), values.ravel()))
    there = count > 0
    total = values.sum()
    return far[there] / count[there], mass[there] / count[there] if total > 0 else np.full(int(there.sum()), math.nan)


# ---- parts ---------------------------------------------------------------------------------------------------------------


def _marginal(values: Floats, *axes: int) -> Floats:
    return np.asarray(values.sum(axis=tuple(a for a in range(values.ndim) if a not in axes)))


def _moments(line: Floats) -> tuple[float, float]:
    """Mean and variance of the positions along one axis, weighted by `line`; nan without mass."""
    mass = line.sum()
    if not mass > 0:
        return math.nan, math.nan
    at = np.arange(line.size)
    mean = (line @ at) / mass
    return float(mean), float(line @ (at - mean) ** 2 / mass)


def _covariance(values: Floats) -> Floats:
    middle, mass = centroid(values), values.sum()
    spread = np.diag(sigma(values) ** 2)
    for a, b in itertools.combinations(range(values.ndim), 2):
        offsets = [np.arange(values.shape[axis]) - middle[axis] for axis in (a, b)]
        spread[a, b] = spread[b, a] = offsets[0] @ _marginal(values, a, b) @ offsets[1] / mass if mass > 0 else math.nan
    return spread


def distances(values: Floats, center: Sequence[float]) -> list[Floats]:
    """Per axis, how far each pixel is from `center`."""
    return [np.abs(np.arange(n) - c) for n, c in zip(values.shape, center, strict=True)]


def _value_at(values: Floats, center: Sequence[float]) -> float:
    """The value at a position, the mean of its neighbours between pixels; nan outside the map."""
    near = [(math.floor(c), math.ceil(c)) for c in center]
    if any(low < 0 or high >= n for (low, high), n in zip(near, values.shape, strict=True)):
        return math.nan
    return float(values[np.ix_(*near)].mean())
