"""Trying a canvas before it is used: the real gradient must not notice that the rest of the image is gone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isopter.erf.asks import Ask, generator
from isopter.erf.canvas import Place, grown
from isopter.erf.data.sources import drawn
from isopter.erf.frame import Frame
from isopter.erf.layers import Layer
from isopter.erf.live import Live
from isopter.errors import CaptureError, UsageError

CLOSED = 4
"""How many draws more where the unit is closed, and its gradient zero: nothing is tried by those."""


@dataclass(frozen=True, eq=False)
class Trial:
    """`why` the canvas will not do, "" if it will; `first`: the gradient by sample 0 on it, if the samples are noise."""

    why: str = ""
    first: npt.NDArray[np.floating] | None = None


def ask(layer: Layer, place: Place) -> Ask:
    """The layer's unit at its place."""
    return Ask(layer.name, layer.call, layer.output, layer.field.shape, layer.field.unit_axes, place.at)


def tried(live: Live, layer: Layer, place: Place, frame: Frame, *, noise: bool, draws: int) -> Trial:
    """What a canvas changes: whether the gradient is another on a larger canvas, where the unit is elsewhere.

    It finds what no analysis of reads can: embeddings of positions, weights that depend on the size, models of one fixed size; and
    whether all the gradient is within the field. `frame`: how the input lies; `draws`: on how much noise to try. Where the
    samples are `noise` themselves they are what it is tried on, so that the pass on the canvas is none too many; the larger one has
    more noise around it, and may lie outside the image.
    """
    larger = grown(layer.field, place, beyond=noise)
    part = frame.index(place.canvas, larger.canvas)
    trial, left = Trial(), draws
    for number in range(draws + CLOSED):
        around = frame.normal(generator(live.seed, number, f"trial {layer.name}"), larger.size)
        if noise:
            around[part] = drawn(live.seed, number, frame, place.size)
        try:
            (small,) = live.gradients([around[part]], [ask(layer, place)], (number,))
            (large,) = live.gradients([around], [ask(layer, larger)], (number,))
        except (CaptureError, UsageError) as error:
            return Trial(str(error))
        if number == 0 and noise:
            trial = Trial(first=small)
        if small.any() or large.any():
            inside = frame.behind(place.box, place.canvas), frame.behind(larger.box, larger.canvas)
            if why := _compared(small.astype(np.float64), large.astype(np.float64), *inside, live.tolerance):
                return Trial(why)
            left -= 1
        if not left:
            break
    return trial


def _compared(small: npt.NDArray[np.float64], large: npt.NDArray[np.float64], here: Any, there: Any, tolerance: float) -> str:
    """What is otherwise on the larger canvas; `here` and `there` take the field from the two."""
    inside, total = large[there], max(np.linalg.norm(large), np.linalg.norm(small))
    if not math.isfinite(total):
        return "the gradient is not finite on noise"
    difference = float(np.linalg.norm(small[here] - inside) / total)
    rest = large.copy()
    rest[there] = 0
    outside = float(np.linalg.norm(rest) / total)
    if outside > tolerance:
        return f"{outside:.1%} of the gradient lies outside the theoretical field"
    if difference > tolerance:
        return f"the gradient depends on the size of the input or on where the unit is in it, by {difference:.1%}"
    return ""
