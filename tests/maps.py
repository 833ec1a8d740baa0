"""Maps to hold metrics against: simple ones, and samples of maps as gradients give them."""

from __future__ import annotations

from typing import Any

import numpy as np

from isopter.erf.maps.field import EffectiveField
from isopter.erf.maps.measured import Measured, Sums

Array = np.ndarray[Any, np.dtype[np.float64]]


def outer(*lines: Array) -> Array:
    """The product of one line per axis."""
    out = np.ones(())
    for line in lines:
        out = np.multiply.outer(out, line)
    return out


def boxes(n: int, k: int = 3) -> Array:
    """n convolutions of a box of k."""
    line = np.ones(1)
    for _ in range(n):
        line = np.convolve(line, np.ones(k) / k)
    return line


def bell(n: int, middle: float, width: float) -> Array:
    return np.exp(-((np.arange(n) - middle) ** 2) / (2 * width**2))


def field(values: Array, **place: Any) -> EffectiveField:
    """A field whose map is all of its theoretical field, in an image of the same size, unless told otherwise."""
    given: dict[str, Any] = {
        "layer": "conv", "origin": (0,) * values.ndim, "center": tuple((n - 1) / 2 for n in values.shape), "size": values.shape,
        "image": values.shape, "unit": (0,) * values.ndim, "statistic": "energy",
    }  # fmt: skip
    return EffectiveField(map=values, **given | place)


def measured(samples: Array, groups: int = 16, **place: Any) -> Measured:
    """The same of samples, one along the first axis."""
    sums, template = Sums(samples.shape[1:], groups), vars(field(samples[0]))
    for index, sample in enumerate(samples):
        sums.add(index, sample)
    return Measured(sums=sums, **{key: template[key] for key in template if key != "map"} | place)


def skewed(seed: int, count: int, truth: Array) -> Array:
    """Samples as gradients give them: squares of normal numbers, with a scale of their own, of mean `truth` times a constant."""
    random = np.random.default_rng(seed)
    ones = (1,) * truth.ndim
    return truth * random.standard_normal((count, *truth.shape)) ** 2 * np.exp(random.normal(0, 0.7, (count, *ones)))


TRUTH = outer(bell(21, 10, 3), bell(21, 10, 3))
"""What `skewed` samples are about in tests of errors."""
