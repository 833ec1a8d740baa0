"""Interpolation on grids other than those of the kind ``resample``: which positions each output reads, computed in exact fractions."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

HALF = Fraction(1, 2)

Where = Callable[[int], Fraction]
"""The place, in input positions, that an output position looks at."""

ROUND: dict[str, Callable[[Fraction], int]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "round_prefer_floor": lambda x: math.ceil(x - HALF),
    "round_prefer_ceil": lambda x: math.floor(x + HALF),
}
"""From a place between positions to the nearest, by what is done with ties."""


def nearest_rows(n: int, m: int, where: Where, rounding: str) -> np.ndarray:
    """The position that each of `m` outputs reads of `n`, shape (m, taps); both where single precision falls on another one."""
    rows: list[list[int]] = []
    for i in range(m):
        place = where(i)
        found = {ROUND[rounding](place), ROUND[rounding](Fraction(float(np.float32(float(place)))))}
        near = ROUND[rounding](place + Fraction(1, 2**20)), ROUND[rounding](place - Fraction(1, 2**20))
        if place.denominator > 2**20:  # a scale that no simple fraction is: precision decides
            found |= set(near)
        rows.append(sorted({min(max(j, 0), n - 1) for j in found}))
    return padded(rows)


def smooth_rows(n: int, m: int, where: Where, reach: int, outside: Callable[[Fraction], bool] | None = None) -> np.ndarray:
    """The positions floor(x) - reach + 1 ... floor(x) + reach around each place, on the grid x alone; `outside` places read nothing."""
    rows: list[list[int]] = []
    for i in range(m):
        place = where(i)
        if outside is not None and outside(place):
            rows.append([])
            continue
        low = math.floor(place)
        taps = [low] if place == low else range(low - reach + 1, low + reach + 1)
        rows.append(sorted({min(max(j, 0), n - 1) for j in taps}))
    return padded(rows)


def padded(rows: list[list[int]]) -> np.ndarray:
    """Lists of positions as a table, -1 for nothing."""
    width = max((len(r) for r in rows), default=1) or 1
    return np.array([r + [-1] * (width - len(r)) for r in rows], np.int64).reshape(len(rows), width)


def plane(where: Where, step: Fraction, m: int, taps: Callable[[Fraction], list[int]]) -> dict[str, object]:
    """Params ``jump`` and ``pattern`` of the kind ``take``: the rows of one period without borders; none where the period is too long."""
    if step == 0 or step.denominator > 4096 or where(step.denominator) - where(0) != step.numerator:
        return {}
    rows = [taps(where(i)) for i in range(step.denominator)]
    width = max(map(len, rows))
    return {"jump": step.numerator, "pattern": np.array([r + [r[-1]] * (width - len(r)) for r in rows], np.int64)}
