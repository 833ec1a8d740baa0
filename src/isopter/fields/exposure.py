"""Exposure to padding: for every unit of a layer, how much of its field lies outside the image.

The share is that of `Region.padding_share`. Inside the image lies a product over the axes, so one row of numbers per axis tells it for all
units; a map is made only when it is asked for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from isopter.errors import UsageError
from isopter.fields.extent import Progression

if TYPE_CHECKING:
    from isopter.fields.field import Field

Floats = npt.NDArray[np.float64]


def padding_shares(field: Field) -> Floats:
    """See `Field.padding_shares`."""
    if field.basis != "plane":
        raise UsageError(f"{field.name} has no field on the plane ({field.why_no_plane}), so none of it lies outside the image.")
    rows = _rows(field)
    if rows is None:
        return np.zeros(field.units)
    inside, whole = np.ones(field.units), np.ones(field.units)
    for axis, (kept, length) in rows.items():
        shape = [-1 if a == axis else 1 for a in range(len(field.units))]
        inside, whole = inside * kept.reshape(shape), whole * length.reshape(shape)
    return np.where(whole > 0, 1 - inside / np.maximum(whole, 1), 0.0)


def mean_padding(field: Field) -> float | None:
    """The mean of `padding_shares`, in the memory of a row of units. None where some axis has no bounded field, or there are no units."""
    rows = _rows(field) if field.basis == "plane" and 0 not in field.units else None
    if rows is None:
        return None
    there = math.prod(float((length > 0).mean()) for _, length in rows.values())
    return there - math.prod(float((kept / np.maximum(length, 1)).mean()) for kept, length in rows.values())


def _rows(field: Field) -> dict[int, tuple[Floats, Floats]] | None:
    """By unit axis, for each place along it: how much of its box lies inside the image, and the box's length, in pixels.

    None where an axis is read whole.
    """
    rows: dict[int, tuple[Floats, Floats]] = {}
    for extent, n in zip(field.walks.extent(field.op), field.input_shape, strict=True):
        if not isinstance(extent, Progression):
            return None
        axis = field.unit_axes.index(extent.carrier)
        turns, phase = np.divmod(np.arange(field.units[axis]), extent.period)
        lo, hi = (ends[phase] + turns * extent.jump for ends in extent.by_phase())
        length = np.maximum(hi - lo, 0)
        kept = np.maximum(np.minimum(hi, n) - np.maximum(lo, 0), 0)
        rows[axis] = kept.astype(np.float64), length.astype(np.float64)
    return rows
