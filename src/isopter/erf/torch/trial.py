"""Trying a canvas before it is used: the real gradient must not notice that the rest of the image is gone."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from isopter.erf.canvas import Place, grown
from isopter.erf.layers import Layer
from isopter.erf.torch.asks import Ask, generator
from isopter.erf.torch.live import Live
from isopter.errors import CaptureError, UsageError

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
"""Largest relative difference (of norms) that rounding makes, in another order of the same sums. On GPUs float32 may be TF32."""


def ask(layer: Layer, place: Place) -> Ask:
    """The layer's unit at its place."""
    return Ask(layer.name, layer.call, layer.output, layer.field.shape, layer.field.unit_axes, place.at)


def noticed(live: Live, layer: Layer, place: Place, lead: tuple[int, ...], *, beyond: bool, draws: int) -> str:
    """What a canvas changes, "" if nothing: whether the gradient is another on a larger canvas, where the unit is elsewhere.

    `lead`: the input's axes before space; `draws`: on how much noise to try. It finds what no analysis of reads can: embeddings
    of positions, weights that depend on the size, models of one fixed size; and whether all the gradient is within the field.
    """
    larger = grown(layer.field, place, beyond=beyond)
    for number in range(draws):
        noise = torch.from_numpy(generator(live.seed, number, f"trial {layer.name}").standard_normal((*lead, *larger.size)))
        part = replace(larger, box=place.canvas).index
        try:
            (small,) = live.gradients(noise[part], [ask(layer, place)], (number,))
            (large,) = live.gradients(noise, [ask(layer, larger)], (number,))
        except (CaptureError, UsageError) as error:
            return str(error)
        if (small.any() or large.any()) and (why := _compared(small.double(), large.double(), place, larger, _tolerance(live))):
            return why
    return ""


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
