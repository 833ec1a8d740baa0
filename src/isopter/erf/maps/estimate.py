"""Estimate: a number with its standard error; and the jackknife that finds the error of any metric of a mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from isopter.erf.maps.metrics import Floats

ROUNDING = 1e-12
"""An error this small beside the value (in pixels, beside one pixel) is that of floating point: it is written as 0."""


class Estimate(float):
    """A float that knows its standard error, `stderr` (nan where there is none). Arithmetic gives plain floats.

    Printed as ``12.3 ± 0.4``: the error with one digit (two if it begins with 1), the value to the same place.
    """

    __slots__ = ("stderr",)

    stderr: float

    def __new__(cls, value: float, stderr: float = math.nan) -> Estimate:
        self = super().__new__(cls, value)
        object.__setattr__(self, "stderr", float(stderr))
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"An Estimate is a value and cannot be changed: make another, Estimate(value, stderr), to set {name}.")

    def __reduce__(self) -> tuple[type[Estimate], tuple[float, float]]:
        return type(self), (float(self), self.stderr)

    def __repr__(self) -> str:
        if not (math.isfinite(self) and math.isfinite(self.stderr)):
            return f"{float(self):.4g} ± {'?' if math.isnan(self.stderr) else f'{self.stderr:g}'}"
        if self.stderr <= ROUNDING * max(abs(self), 1.0):
            return f"{round(float(self), 12):.6g} ± 0"
        places = _places(self.stderr)
        return f"{round(float(self), places):.{max(places, 0)}f} ± {round(self.stderr, places):.{max(places, 0)}f}"


def scaled_power(value: float, exponent: float, factor: float) -> float:
    """factor * value ** exponent; of an Estimate an Estimate, its error carried over to first order."""
    result = factor * math.pow(value, exponent)
    if not isinstance(value, Estimate):
        return result
    return Estimate(result, abs(exponent * result / value) * value.stderr if value else math.nan)


def _places(error: float) -> int:
    """Decimal places at which an error is written: its first digit, or its second if the first is 1."""
    digits = f"{error:.1e}"
    return (1 if digits[0] == "1" else 0) - int(digits.partition("e")[2])


def jackknife(whole: Floats, without: Sequence[Floats], counts: Sequence[int]) -> Floats:
    """Standard error of a statistic by leaving out one group of samples at a time; an array of its shape.

    `whole`: the statistic of all samples; `without[j]`: of all but group j, which has `counts[j]` samples. The pseudo-values are
    weighted for groups of unequal size (Busing, Meijer & van der Leeden 1999, "Delete-m jackknife for unequal m"); equal
    groups give sqrt((g - 1) / g * sum of squared deviations). Fewer than two groups give nan.
    """
    if len(counts) < 2:
        return np.full(np.shape(whole), math.nan)
    left_out = np.stack(without)
    weight = (sum(counts) / np.asarray(counts, dtype=np.float64)).reshape(-1, *[1] * np.ndim(whole))
    estimate = len(counts) * whole - ((1 - 1 / weight) * left_out).sum(axis=0)
    deviation = weight * whole - (weight - 1) * left_out - estimate
    return np.asarray(np.sqrt((deviation**2 / (weight - 1)).mean(axis=0)))
