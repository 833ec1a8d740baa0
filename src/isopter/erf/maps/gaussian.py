"""The Gaussian that fits a map best, by least squares over pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isopter.erf.maps.metrics import Floats, centroid, sigma

_STEPS = 200
_FAR = 1e6
_DAMPING_MAX = 1e12
_DONE = 1e-9
"""A fit has arrived when what it leaves is orthogonal to every change of it: the largest cosine there may be."""

_STUCK = 1e-5
"""The same where rounding lets no step lower the cost any more."""

_FLAT = 10
"""A Gaussian this many times wider than the pixels fitted is flat: they do not tell its width."""


def gaussian_sigma(values: Floats, zero: Sequence[tuple[bool, bool]]) -> Floats:
    """Standard deviation per axis, pixels, of the a * exp(-sum_i (x_i - m_i)^2 / (2 s_i^2)) nearest to the map.

    Amplitude a, centre m and widths s are all free; Levenberg-Marquardt, started from the moments and from the width at half the
    maximum; the better of the two. `zero`: per axis, whether the map is known to be 0 before its first and after its last pixel
    (the unit reads nothing there); what lies beyond an edge that cuts the field off is not fitted. An axis along which all mass
    is on one pixel has width 0.0. nan without mass, where the map is flat up to such an edge, and where no start arrives.
    """
    if not values.sum() > 0:
        return np.full(values.ndim, math.nan)
    thick = [axis for axis in range(values.ndim) if np.count_nonzero(values.any(axis=_others(values.ndim, axis))) > 1]
    core = values.max(axis=_others(values.ndim, *thick))
    widths = np.zeros(values.ndim)
    if thick:
        widths[thick] = _best(core / core.max(), [zero[axis] for axis in thick])
    return widths


def _best(values: Floats, zero: Sequence[tuple[bool, bool]]) -> Floats:
    axes = [_positions(n, *known) for n, known in zip(values.shape, zero, strict=True)]
    starts = [
        (centroid(values), sigma(values)),
        (np.array(np.unravel_index(values.argmax(), values.shape), dtype=float), _half_widths(values)),
    ]
    fits = [fit for middle, width in starts if (fit := _descend(values, axes, middle, width)) is not None]
    return min(fits, key=lambda fit: fit[0])[1] if fits else np.full(values.ndim, math.nan)


def _others(ndim: int, *axes: int) -> tuple[int, ...]:
    return tuple(axis for axis in range(ndim) if axis not in axes)


def _positions(n: int, before: bool, after: bool) -> Floats:
    """Pixels the fit sums over along one axis: those of the map, and two lengths of known zeros on either side.

    Two lengths: the best Gaussian of a box of n pixels has a width of about 0.4 n, so five of them.
    """
    return np.arange(-2 * n if before else 0, 3 * n if after else n, dtype=np.float64)


def _half_widths(values: Floats) -> Floats:
    """Per axis, the width of the Gaussian as wide at half its maximum as the map along the line through its peak."""
    peak = np.unravel_index(values.argmax(), values.shape)
    lines = [values[tuple(slice(None) if a == axis else p for a, p in enumerate(peak))] for axis in range(values.ndim)]
    return np.array([np.count_nonzero(line > line.max() / 2) / math.sqrt(8 * math.log(2)) for line in lines])


@dataclass(frozen=True)
class _Model:
    """A Gaussian beside the map: inner products that its best amplitude, cost and next step are made of.

    The Gaussian and its derivatives are products of one factor per axis, so no array but the map itself is as large as the map.
    """

    cost: float
    normal: Floats
    slope: Floats
    cosine: float


def _descend(values: Floats, axes: Sequence[Floats], middle: Floats, width: Floats) -> tuple[float, Floats] | None:
    """(cost, widths) after Levenberg-Marquardt steps in the amplitude, centres and logarithms of widths; None if it does not arrive."""
    at, damping = np.concatenate([middle, np.log(np.maximum(width, 0.3))]), 1e-3
    model = _model(values, axes, at)
    for _ in range(_STEPS):
        if model.cosine < _DONE:
            break
        scaled = model.normal + damping * np.diag(np.diag(model.normal) + 1e-30)
        there = at + np.linalg.lstsq(scaled, model.slope, rcond=None)[0][1:]
        trial = _model(values, axes, there) if np.abs(there).max() < _FAR else None
        if trial is not None and trial.cost < model.cost:
            at, model, damping = there, trial, damping / 10
        elif (damping := damping * 10) > _DAMPING_MAX:
            break
    widths = np.exp(at[values.ndim :])
    flat = widths > _FLAT * np.array([x.size for x in axes])
    return (model.cost, np.where(flat, math.nan, widths)) if model.cosine < _STUCK or flat.any() else None


def _model(values: Floats, axes: Sequence[Floats], at: Floats) -> _Model:
    ndim = values.ndim
    factors = [_factors(x, m, s) for x, m, s in zip(axes, at[:ndim], np.exp(at[ndim:]), strict=True)]
    grams = [rows @ rows.T for rows in factors]
    terms = _terms(ndim)
    onto = values
    for n, x, rows in zip(values.shape, axes, factors, strict=True):  # each turn trades the first axis for one of three factors at the end
        first = int(-x[0])
        onto = np.tensordot(onto, rows[:, first : first + n], axes=(0, 1))
    inner = np.array([onto[term] for term in terms])
    gram = np.array([[math.prod(g[i, j] for g, i, j in zip(grams, a, b, strict=True)) for b in terms] for a in terms])
    amplitude = float(inner[0] / gram[0, 0]) if gram[0, 0] > 0 else 0.0
    square = float((values**2).sum())
    scale = np.array([1.0] + [amplitude] * (2 * ndim))
    normal, slope = gram * np.outer(scale, scale), scale * (inner - amplitude * gram[0])
    cosine = float((np.abs(slope) / np.sqrt(np.diag(normal) * square + 1e-300)).max())
    return _Model(square - amplitude * float(inner[0]), normal, slope, cosine)


def _factors(x: Floats, middle: float, width: float) -> Floats:
    """The Gaussian along one axis and its derivatives by the centre and by the logarithm of the width: three rows."""
    z = (x - middle) / width
    line = np.exp(-(z**2) / 2)
    return np.stack([line, line * z / width, line * z**2])


def _terms(ndim: int) -> list[tuple[int, ...]]:
    """Which factor each axis contributes to: the Gaussian, its derivative by each centre, by each width."""
    return [(0,) * ndim, *(tuple(kind if a == axis else 0 for a in range(ndim)) for kind in (1, 2) for axis in range(ndim))]
