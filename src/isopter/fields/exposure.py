"""Exposure to padding: for every unit of a layer, how much of its field lies outside the image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from isopter.errors import UsageError
from isopter.fields.extent import Progression

if TYPE_CHECKING:
    from isopter.fields.field import Field


def padding_shares(field: Field) -> npt.NDArray[np.float64]:
    """See `Field.padding_shares`. Exact but for one division: 1 - (pixels in the image) / (pixels of the box on the plane).

    As `Region.padding_share`: 0 where a whole axis is read, and where nothing is read at all.
    """
    if field.basis != "plane":
        raise UsageError(f"{field.name} has no field on the plane ({field.why_no_plane}), so none of it lies outside the image.")
    whole = np.ones(field.units)
    for extent in field.walks.extent(field.op):
        if not isinstance(extent, Progression):
            return np.zeros(field.units)
        axis = field.unit_axes.index(extent.carrier)
        lo, hi = extent.by_phase()
        length = np.maximum(hi - lo, 0)[np.arange(field.units[axis]) % extent.period]
        whole = whole * length.reshape([-1 if a == axis else 1 for a in range(whole.ndim)])
    lows, highs = field.regions()
    inside = math.prod((high - low).astype(np.float64) for low, high in zip(lows, highs, strict=True))
    return np.where(whole > 0, 1 - inside / np.where(whole > 0, whole, 1), 0.0)
