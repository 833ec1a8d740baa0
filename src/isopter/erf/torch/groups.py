"""Groups: layers that are measured in the same forward pass, because they run on the same canvas."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isopter.erf.canvas import Box, Place
from isopter.erf.torch.live import Live
from isopter.erf.torch.plan import Course
from isopter.erf.torch.trial import ask
from isopter.errors import UsageError

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


def gradients(live: Live, courses: Sequence[Course], inputs: Mapping[int, Tensor]) -> list[Tensor]:
    """Per course the gradient by the samples, which are rows by number, all on the courses' one canvas. NotSeparable if they meet."""
    numbers = tuple(inputs)
    asks = [ask(course.layer, course.at(numbers[0], live.seed)) for course in courses]
    return live.gradients(torch.cat(list(inputs.values())) if len(inputs) > 1 else inputs[numbers[0]], asks, numbers)


def same(together: Sequence[Tensor], alone: Sequence[Tensor]) -> bool:
    """Whether the last sample of a batch has the gradients that it has alone.

    Up to ten times the root of the precision (0.3 % in float32): what another order of summation leaves, and a GPU's shorter products.
    """
    pairs = [(many[-1:], one) for many, one in zip(together, alone, strict=True)]
    return all(bool((last - one).norm() <= 10 * torch.finfo(one.dtype).eps ** 0.5 * one.norm()) for last, one in pairs)


def maps(courses: Sequence[Course], found: Sequence[Tensor], numbers: Sequence[int], seed: int, statistic: Statistic) -> dict[str, Maps]:
    """By layer, the map of every sample, from their gradients. Raises UsageError for one that is not finite."""
    made: dict[str, Maps] = {}
    for course, gradient in zip(courses, found, strict=True):
        name, place = course.layer.name, course.at(numbers[0], seed)
        rows = gradient if len(numbers) > 1 else gradient[None]
        parts = rows.split(_apart(rows))
        made[name] = dict(zip(numbers, itertools.chain(*(reduced(part, place, statistic) for part in parts)), strict=True))
        for number, values in made[name].items():
            if not np.isfinite(values).all():
                raise UsageError(
                    f"The gradient of {name} by sample {number} is not finite. Look at that input, or measure with dtype='float64'."
                )
    return made


def _apart(rows: Tensor) -> int:
    """How many rows to reduce at once: copies in double precision should be small."""
    return max(1, REDUCED * len(rows) // max(rows.numel(), 1))


def reduced(gradients: Tensor, place: Place, statistic: Statistic) -> npt.NDArray[np.float64]:
    """The maps of samples, a row each: the statistic of the gradient summed over all axes that are not space, within the place's box."""
    values = gradients[place.index].detach().cpu().double()
    match statistic:
        case "energy":
            values = values.square()
        case "abs":
            values = values.abs()
        case "relu":
            values = values.clamp(min=0)
    others = list(range(1, values.dim() - len(place.box)))
    return (values.sum(dim=others) if others else values).numpy()
