"""Groups: layers that are measured in the same forward pass, because they run on the same canvas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isopter.erf.canvas import Box, Place
from isopter.erf.torch.asks import NotSeparable
from isopter.erf.torch.live import Live
from isopter.erf.torch.plan import Course
from isopter.erf.torch.trial import ask
from isopter.errors import UsageError

Maps = dict[str, npt.NDArray[np.float64]]
Statistic = Literal["energy", "abs", "relu"]


def group(courses: Sequence[Course]) -> list[tuple[Course, ...]]:
    """Courses on one canvas share their forward passes; those that wander go alone."""
    found: dict[Box | str, list[Course]] = {}
    for course in courses:
        found.setdefault(course.layer.name if course.wander and course.slack else course.place.canvas, []).append(course)
    return [tuple(members) for members in found.values()]


def measure(live: Live, courses: Sequence[Course], inputs: Mapping[int, Tensor], statistic: Statistic) -> dict[int, Maps]:
    """The maps of every sample: rows of `inputs` by number, all on the courses' one canvas. Raises NotSeparable if they meet."""
    numbers = tuple(inputs)
    places = {course.layer.name: course.at(numbers[0], live.seed) for course in courses}
    asks = [ask(course.layer, places[course.layer.name]) for course in courses]
    batch = torch.cat(list(inputs.values())) if len(inputs) > 1 else inputs[numbers[0]]
    found: dict[int, Maps] = {number: {} for number in numbers}
    for wanted, gradient in zip(asks, live.gradients(batch, asks, numbers), strict=True):
        for row, number in enumerate(numbers):
            one = gradient[row : row + 1] if len(numbers) > 1 else gradient
            values = reduced(one, places[wanted.layer], statistic)
            if not np.isfinite(values).all():
                raise UsageError(
                    f"The gradient of {wanted.layer} by sample {number} is not finite. Look at that input, or measure with dtype='float64'."
                )
            found[number][wanted.layer] = values
    return found


def separable(live: Live, courses: Sequence[Course], inputs: Mapping[int, Tensor]) -> bool:
    """Whether the last sample of a batch gives the same map as when it is alone."""
    number = list(inputs)[-1]
    try:
        together = measure(live, courses, inputs, "abs")[number]
    except NotSeparable:
        return False
    alone = measure(live, courses, {number: inputs[number]}, "abs")[number]
    return all(np.linalg.norm(together[k] - alone[k]) <= 0.02 * np.linalg.norm(alone[k]) for k in alone)


def reduced(gradient: Tensor, place: Place, statistic: Statistic) -> npt.NDArray[np.float64]:
    """One sample's map: the statistic of its gradient summed over all axes that are not space, within the place's box."""
    values = gradient[place.index].detach().cpu().double()
    match statistic:
        case "energy":
            values = values.square()
        case "abs":
            values = values.abs()
        case "relu":
            values = values.clamp(min=0)
    others = list(range(values.dim() - len(place.box)))
    return (values.sum(dim=others) if others else values).numpy()
