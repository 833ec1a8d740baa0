"""Nested squares (intervals, cubes) about a point, and the share of a map's mass that each holds."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from isopter.erf.maps.metrics import Floats, distances

_NORMAL = np.array([NormalDist().inv_cdf((k + 0.5) / 64) for k in range(64)])
"""Sixty-four equally likely values of a standard normal."""


@dataclass(frozen=True, eq=False)
class Squares:
    """`sides` in pixels, ascending, and the share of all mass that each square holds (`held`; nan for a map without mass).

    `strict`: a square must hold more than the share asked for, not just as much.
    """

    sides: Floats
    held: Floats
    strict: bool = False

    def side(self, share: float) -> float:
        """The smallest side that holds `share`; nan if none does."""
        index = self._index(share)
        return float(self.sides[index]) if index < len(self.sides) and self.held[-1] > 0 else math.nan

    def crossing(self, share: float) -> float:
        """`side` before it is rounded up: the shares held, joined by straight lines, cross `share` there.

        It answers every small change of the map, which a side in whole pixels does not; errors are found with it.
        """
        side = self.side(share)
        if math.isnan(side):
            return math.nan
        return min(float(np.interp(share, [0.0, *self.held], [0.0, *self.sides])), side)  # rounding must not lift it over the side

    def rounded_error(self, share: float, stderr: float) -> float:
        """Standard error of `side`, given that of the crossing: how far off it is, root mean square, if the crossing is normal.

        Nearly 0 where the crossing is well between two sides, most of a step where it may be on either side of one.
        """
        crossing = self.crossing(share)
        if not math.isfinite(crossing) or not math.isfinite(stderr):
            return math.nan
        at = np.searchsorted(self.sides, crossing + stderr * _NORMAL)
        off = self.sides[np.minimum(at, len(self.sides) - 1)] - self.side(share)
        return math.sqrt((off**2).mean())

    def _index(self, share: float) -> int:
        return int(np.searchsorted(self.held, share, side="right" if self.strict else "left"))


def about(values: Floats, center: Sequence[float]) -> Squares:
    """Squares about `center` (pixels of the map; x.5 between two). They may reach beyond the map, where there is no mass.

    A pixel is in a square if the whole of it is, so sides are odd about a pixel and even about a corner of pixels. Where
    `center` is on a pixel along one axis and between two along another both occur, and a square of side s is s pixels long
    along the axes that fits, and s - 1 along the others.
    """
    farthest = functools.reduce(np.maximum.outer, distances(values, center))
    needed = np.ceil(2 * farthest + 1).astype(np.int64).ravel()
    sides = np.flatnonzero(np.bincount(needed))
    held = np.cumsum(np.bincount(needed, values.ravel()), dtype=np.float64)[sides]
    return Squares(sides.astype(np.float64), held / held[-1] if held[-1] > 0 else np.full(held.shape, math.nan))


def replknet(values: Floats) -> Squares:
    """The squares of the script of Ding et al. 2022 (RepLKNet, `erf/analyze_erf.py`), for a map of h by w pixels.

    The map becomes log10(1 + x), so the result depends on its scale; the script's division by the maximum changes no share. Squares
    are [h // 2 - i, h // 2 + i] by [w // 2 - i, w // 2 + i], 1 <= i < h // 2, of side 2 i + 1; the script takes the first that
    holds *more* than the share, and fails where there is none. In a map narrower than high they are cut at the border.
    """
    logged = np.log10(values + 1)
    (row, column), total = (n // 2 for n in values.shape), logged.sum()
    steps = range(1, row)
    held = [logged[row - i : row + i + 1, max(column - i, 0) : column + i + 1].sum() for i in steps]
    shares = np.array(held, dtype=np.float64) / total if total > 0 else np.full(len(held), math.nan)
    return Squares(np.array([2.0 * i + 1 for i in steps]), shares, strict=True)
