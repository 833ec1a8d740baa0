"""Groups: layers that are measured in the same forward pass, because they run on the same canvas."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from isopter.erf.canvas import Place
from isopter.erf.frame import Box, Frame
from isopter.erf.live import Live
from isopter.erf.plan import Course
from isopter.erf.trial import ask
from isopter.errors import UsageError

Gradients = Sequence[npt.NDArray[np.floating]]
"""Per course the gradient by every sample, (samples, *shape of the input)."""

Maps = dict[int, npt.NDArray[np.float64]]
"""Maps by the number of the sample."""

REDUCED = 2**18
"""How many numbers of a gradient are made a map at once."""

Statistic = Literal["energy", "abs", "relu"]


def group(courses: Sequence[Course]) -> list[tuple[Course, ...]]:
    """Courses on one canvas share their forward passes; those that wander go alone."""
    found: dict[Box | str, list[Course]] = {}
    for course in courses:
        found.setdefault(course.layer.name if course.wander and course.slack else course.place.canvas, []).append(course)
    return [tuple(members) for members in found.values()]


def gradients(live: Live, courses: Sequence[Course], inputs: Mapping[int, Any]) -> Gradients:
    """Per course the gradient by the samples, by number, all on the courses' one canvas. NotSeparable if they meet."""
    numbers = tuple(inputs)
    asks = [ask(course.layer, course.at(numbers[0], live.seed)) for course in courses]
    return live.gradients(list(inputs.values()), asks, numbers)


def same(together: Gradients, alone: Gradients, precision: float) -> bool:
    """Whether the last sample of a batch has the gradients that it has alone.

    Up to ten times the root of the precision (0.3 % in float32): what another order of summation leaves, and a GPU's shorter products.
    """
    pairs = [(many[-1:], one) for many, one in zip(together, alone, strict=True)]
    return all(bool(np.linalg.norm(last - one) <= 10 * precision**0.5 * np.linalg.norm(one)) for last, one in pairs)


def maps(
    courses: Sequence[Course], found: Gradients, numbers: Sequence[int], seed: int, statistic: Statistic, frame: Frame
) -> dict[str, Maps]:
    """By layer, the map of every sample, from their gradients. Raises UsageError for one that is not finite."""
    made: dict[str, Maps] = {}
    for course, rows in zip(courses, found, strict=True):
        name, place = course.layer.name, course.at(numbers[0], seed)
        some = _apart(rows)
        parts = (rows[i : i + some] for i in range(0, len(rows), some))
        made[name] = dict(zip(numbers, itertools.chain(*(reduced(part, place, statistic, frame) for part in parts)), strict=True))
        for number, values in made[name].items():
            if not np.isfinite(values).all():
                raise UsageError(
                    f"The gradient of {name} by sample {number} is not finite. Look at that input, or measure with dtype='float64'."
                )
    return made


def _apart(rows: npt.NDArray[Any]) -> int:
    """How many rows to reduce at once: copies in double precision should be small."""
    return max(1, REDUCED * len(rows) // max(rows.size, 1))


def reduced(gradients: npt.NDArray[Any], place: Place, statistic: Statistic, frame: Frame) -> npt.NDArray[np.float64]:
    """The maps of samples, a row each: the statistic of the gradient summed over all axes that are not space, within the place's box."""
    values = gradients[frame.behind(place.box, place.canvas)].astype(np.float64)
    match statistic:
        case "energy":
            np.square(values, out=values)
        case "abs":
            np.abs(values, out=values)
        case "relu":
            np.maximum(values, 0, out=values)
    return frame.on_space(values)
