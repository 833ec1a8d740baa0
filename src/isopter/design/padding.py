"""How much of what units see is padding."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from isopter.fields.extent import Progression
from isopter.fields.field import Field

Floats = npt.NDArray[np.float64]


def exposure(field: Field) -> float | None:
    """The mean share of padding over all units of a layer: of `Region.padding_share`, without making a map of them.

    None where some axis has no field on the plane, or there are no units. A unit's share is 1 - (pixels in the image) / (pixels on the
    plane), a product over the axes. Where each axis' part varies only along its own axis of units, which is the rule, the mean of the
    product is the product of the means, and nothing larger than an axis is made.
    """
    if field.basis == "input" or 0 in field.units or not all(isinstance(e, Progression) for e in field.walks.extent(field.op)):
        return None
    kept = _kept(field)
    own = [_varying(part) for part in kept]
    if sum(map(len, own)) == len(set().union(*own)):
        return float(math.prod(p[1].mean() for p in kept) - math.prod(p[0].mean() for p in kept))
    inside, there = np.ones(1), np.ones(1)
    for part, exists in kept:
        inside, there = inside * part, there * exists
    return float(there.mean() - inside.mean())


def _kept(field: Field) -> list[tuple[Floats, Floats]]:
    """Per space axis (share inside the image, 1 where the unit reads anything at all), lazily broadcast over the unit axes."""
    others = tuple(a for a in range(len(field.shape)) if a not in field.unit_axes)
    lo, hi = field.walks.boxes(field.op, False).over(others)
    found = []
    for low, high, extent in zip(lo, hi, field.walks.extent(field.op), strict=True):
        assert isinstance(extent, Progression)
        first, last = extent.by_phase()
        along = field.unit_axes.index(extent.carrier)
        phase = np.arange(field.units[along]) % extent.period
        shape = [-1 if a == along else 1 for a in range(len(field.units))]
        whole = np.maximum(last - first, 0)[phase].reshape(shape).astype(np.float64)
        size = np.maximum(high.astype(np.float64) - low, 0)
        there = np.where(whole > 0, 1.0, 0.0)
        found.append((there * size / np.maximum(whole, 1), there))
    return found


def _varying(part: tuple[Floats, Floats]) -> set[int]:
    return {axis for array in part for axis, n in enumerate(array.shape) if n > 1}
