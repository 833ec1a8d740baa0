"""A measured field beside the expected one: how far the weights have moved from what the architecture alone gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isopter.erf.maps import metrics
from isopter.erf.maps.field import EffectiveField
from isopter.erf.maps.metrics import Floats
from isopter.errors import UsageError


@dataclass(frozen=True)
class Moved:
    """How far a measured map is from its prior, both with a mass of 1. Tuples have one entry per space axis; numbers of a measured
    map have a ``.stderr``; the prior is taken as exact.

    `sigma_ratio`: measured over prior sigma. `center_shift`: measured minus prior centroid, input pixels. `overlap`: the sum of
    sqrt(p q), from 0 (disjoint) to 1 (equal); the noise of few samples lowers it. `distance`: ||p - q|| / ||q||. `outside`: the share of
    the prior that lies outside the measured map, where that was clipped; it is left out of the comparison.
    """

    layer: str
    sigma_ratio: tuple[float, ...]
    center_shift: tuple[float, ...]
    overlap: float
    distance: float
    outside: float

    def __str__(self) -> str:
        def show(values: tuple[float, ...]) -> str:
            return " x ".join(f"{v:.3g}" if type(v) is float else str(v) for v in values)

        return (
            f"{self.layer}: sigma {show(self.sigma_ratio)} times the prior's, centre moved by {show(self.center_shift)} pixels, "
            f"overlap {show((self.overlap,))}"
        )


def compare_fields(field: EffectiveField, prior: EffectiveField) -> Moved:
    """`field` beside `prior`, which is laid under it so that the centres of the two theoretical fields meet.

    Raises UsageError where these are maps of different statistics or numbers of axes, or where their centres are no whole pixels apart.
    """
    if not isinstance(prior, EffectiveField):
        raise UsageError(f"{prior if prior is not None else 'None'}: there is no map to compare {field.layer} with.")
    if field.size != prior.size:
        raise UsageError(
            f"The theoretical field of {field.layer} is {field.size} pixels, that of {prior.layer} {prior.size}: they are of other "
            "layers, or of units of another phase. Expect the field of the layer and the unit that were measured."
        )
    if field.statistic != prior.statistic or field.map.ndim != prior.map.ndim:
        raise UsageError(
            f"A map of {field.statistic} over {field.map.ndim} axes cannot be compared with one of {prior.statistic} over "
            f"{prior.map.ndim}. Measure the energy, and expect the field of the same layer."
        )
    apart = np.subtract(field.center, prior.center)
    if not np.allclose(apart, np.rint(apart)):
        raise UsageError(
            f"The fields are centred at {field.center} and {prior.center}, no whole pixels apart: after upsampling, units differ by phase. "
            f"Expect the field of the unit that was measured, {field.unit}."
        )
    below = _under(field, prior, np.rint(apart).astype(int))
    inside = float(below.sum() / prior.map.sum())
    if not inside > 0:
        raise UsageError(f"{field.layer}: the measured map and the expected one have no pixel in common. Are they of the same layer?")
    q = below / below.sum()

    def ratio(values: Floats) -> Floats:
        own, other = metrics.sigma(values), metrics.sigma(q)
        return np.where((own == 0) & (other == 0), 1.0, own / other)  # of one pixel, both

    with np.errstate(divide="ignore", invalid="ignore"):
        return Moved(
            layer=field.layer,
            sigma_ratio=field._numbers(ratio),
            center_shift=field._numbers(lambda values: metrics.centroid(values) - metrics.centroid(q)),
            overlap=field._number(lambda values: float(np.sqrt(values / values.sum() * q).sum())),
            distance=field._number(lambda values: float(np.linalg.norm(values / values.sum() - q) / np.linalg.norm(q))),
            outside=1 - inside,
        )


def _under(field: EffectiveField, prior: EffectiveField, shift: Floats) -> Floats:
    """The prior on the pixels of the field's map."""
    canvas = np.zeros(field.map.shape)
    starts = [o + int(s) - at for o, s, at in zip(prior.origin, shift, field.origin, strict=True)]
    cuts = [(max(start, 0), min(start + n, m), start) for start, n, m in zip(starts, prior.map.shape, field.map.shape, strict=True)]
    if all(lo < hi for lo, hi, _ in cuts):
        canvas[tuple(slice(lo, hi) for lo, hi, _ in cuts)] = prior.map[tuple(slice(lo - s, hi - s) for lo, hi, s in cuts)]
    return canvas
