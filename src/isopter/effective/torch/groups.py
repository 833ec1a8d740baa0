"""Groups: layers that are measured in the same forward pass, because they run on the same canvas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isopter.effective import canvas
from isopter.effective.canvas import Box, Place, Slack
from isopter.effective.layers import Layer
from isopter.effective.torch.asks import NotSeparable, generator
from isopter.effective.torch.live import Live
from isopter.effective.torch.trial import ask, noticed
from isopter.errors import UsageError

Maps = dict[str, npt.NDArray[np.float64]]
Statistic = Literal["energy", "abs", "relu"]


@dataclass(frozen=True, eq=False)
class Course:
    """How one layer is measured: `place` is its unit's, the middle one's where `wander` lists, per axis, the units to draw from.

    `slack`: that of a canvas cut to the field, None for the whole image; `beyond`: the canvas may lie outside the image.
    """

    layer: Layer
    place: Place
    wander: tuple[Sequence[int], ...] | None = None
    slack: Slack | None = None
    beyond: bool = False
    notes: tuple[str, ...] = ()

    def at(self, number: int, seed: int) -> Place:
        """Where sample `number` is measured."""
        if self.wander is None:
            return self.place
        draw = generator(seed, number, f"unit of {self.layer.name}")
        unit = tuple(int(options[int(draw.integers(len(options)))]) for options in self.wander)
        field = self.layer.field
        found = canvas.cut(field, unit, beyond=self.beyond, slack=self.slack) if self.slack else canvas.whole(field, unit)
        return replace(found, box=canvas.reach(field, unit))


def plan(live: Live, layer: Layer, unit: object, lead: tuple[int, ...], *, noise: bool, crop: bool) -> Course:
    """Choose the layer's unit, and the smallest canvas on which its gradient is what it is in the whole image."""
    field = layer.field
    chosen = canvas.middle(field) if unit in ("center", "interior") else field.region(unit).unit  # type: ignore[arg-type]
    why = []
    if crop and canvas.can_be_cut(field):
        for slack in get_args(Slack):
            place = canvas.cut(field, chosen, beyond=noise, slack=slack)
            if place.canvas == canvas.image(field):
                break
            why.append(noticed(live, layer, place, lead, beyond=noise))
            if not why[-1]:
                wander = canvas.interior(field) if unit == "interior" and not noise else None
                return Course(layer, place, wander, slack, noise)
    place = canvas.whole(field, chosen)
    wander = canvas.interior(field) if unit == "interior" else None
    if wander is not None:
        place = replace(place, box=canvas.reach(field, chosen))
    return Course(layer, place, wander, notes=(f"Ran on the whole image: {why[-1].rstrip('.')}.",) if why else ())


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
