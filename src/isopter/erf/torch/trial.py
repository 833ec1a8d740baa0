"""Trying a canvas before it is used: the real gradient must not notice that the rest of the image is gone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from isopter.erf.canvas import Place, grown
from isopter.erf.data.sources import Noise
from isopter.erf.layers import Layer
from isopter.erf.torch.asks import Ask, generator
from isopter.erf.torch.live import Live
from isopter.errors import CaptureError, UsageError

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
"""Largest relative difference (of norms) that rounding makes, in another order of the same sums. On GPUs float32 may be TF32."""

CLOSED = 4
"""How many draws more where the unit is closed, and its gradient zero: nothing is tried by those."""


@dataclass(frozen=True, eq=False)
class Trial:
    """`why` the canvas will not do, "" if it will; `first`: the gradient by sample 0 on it, if the samples are noise."""

    why: str = ""
    first: Tensor | None = None


def ask(layer: Layer, place: Place) -> Ask:
    """The layer's unit at its place."""
    return Ask(layer.name, layer.call, layer.output, layer.field.shape, layer.field.unit_axes, place.at)


def tried(live: Live, layer: Layer, place: Place, lead: tuple[int, ...], *, noise: bool, draws: int) -> Trial:
    """What a canvas changes: whether the gradient is another on a larger canvas, where the unit is elsewhere.

    It finds what no analysis of reads can: embeddings of positions, weights that depend on the size, models of one fixed size; and
    whether all the gradient is within the field. `lead`: the input's axes before space; `draws`: on how much noise to try. Where the
    samples are `noise` themselves they are what it is tried on, so that the pass on the canvas is none too many; the larger one has
    more noise around it, and may lie outside the image.
    """
    larger = grown(layer.field, place, beyond=noise)
    part = replace(larger, box=place.canvas).index
    trial, left = Trial(), draws
    for number in range(draws + CLOSED):
        around = generator(live.seed, number, f"trial {layer.name}").standard_normal((*lead, *larger.size))
        if noise:
            around[part] = drawn(live.seed, number, (*lead, *place.size))
        values = torch.from_numpy(around)
        try:
            (small,) = live.gradients(values[part], [ask(layer, place)], (number,))
            (large,) = live.gradients(values, [ask(layer, larger)], (number,))
        except (CaptureError, UsageError) as error:
            return Trial(str(error))
        if number == 0 and noise:
            trial = Trial(first=small)
        if small.any() or large.any():
            if why := _compared(small.double(), large.double(), place, larger, _tolerance(live)):
                return Trial(why)
            left -= 1
        if not left:
            break
    return trial


def drawn(seed: int, number: int, shape: tuple[int, ...]) -> Tensor:
    """Sample `number` where the samples are noise."""
    ((_, noise),) = Noise(shape, seed, number + 1).take([number])
    return noise


def _compared(small: Tensor, large: Tensor, place: Place, larger: Place, tolerance: float) -> str:
    inside, total = large[larger.index], max(large.norm(), small.norm())
    if not math.isfinite(total):
        return "the gradient is not finite on noise"
    difference = float((small[place.index] - inside).norm() / total)
    rest = large.clone()
    rest[larger.index] = 0
    outside = float(rest.norm() / total)
    if outside > tolerance:
        return f"{outside:.1%} of the gradient lies outside the theoretical field"
    if difference > tolerance:
        return f"the gradient depends on the size of the input or on where the unit is in it, by {difference:.1%}"
    return ""


def _tolerance(live: Live) -> float:
    return 0.02 if live.dtype is torch.float32 and live.device.type == "cuda" else TOLERANCE[live.dtype]
