"""What is differentiated: one unit of one layer, all its channels at once."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isopter.erf.torch.activations import activation_of, bypassed
from isopter.errors import UsageError

Target = Literal["random", "sum", "positive"]
"""How the unit's channels are made one number. ``random``: each times +1 or -1 drawn per sample, before the layer's activation: in the
mean the squared gradient is then the sum of those of all channels. ``sum``: their sum. ``positive``: the sum of those above zero."""


@dataclass(frozen=True)
class Ask:
    """Tensor number `output` that the module call `call` returns, at unit `at` along `axes`.

    `shape` is the tensor's for one sample, `layer` the name of all this.
    """

    layer: str
    call: str
    output: int
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    at: tuple[int, ...]


class NotSeparable(Exception):
    """The samples of a batch do not stay apart."""


@dataclass(frozen=True, eq=False)
class Picked:
    """The unit's channels, per sample a row, and the activation to bypass on the way back from them, if any."""

    values: Tensor
    activation: Any


def pick(tensor: Tensor, ask: Ask, rows: int, target: Target) -> Picked:
    """A copy of the unit's channels, made at once: the next module may write to the tensor.

    Raises UsageError where there is nothing to differentiate, or no such unit.
    """
    if not tensor.is_floating_point() or not tensor.requires_grad:
        real = tensor.is_floating_point()
        why = "it was detached, or made under torch.no_grad()" if real else f"its numbers are {tensor.dtype}, not real"
        raise UsageError(f"The output of {ask.layer} has no gradient: {why}. Choose a layer before it.")
    if rows > 1 and (tensor.dim() != len(ask.shape) or ask.shape[0] != 1 or tensor.shape[0] != rows or 0 in ask.axes):
        raise NotSeparable
    at: list[Any] = [slice(None)] * tensor.dim()
    for axis, index in zip(ask.axes, ask.at, strict=True):
        if axis >= tensor.dim() or not 0 <= index < tensor.shape[axis]:
            raise UsageError(f"{ask.layer} has shape {tuple(tensor.shape)} in this run, without unit {ask.at} along its axes {ask.axes}.")
        at[axis] = index
    values = tensor[tuple(at)].clone()
    return Picked(values, activation_of(tensor) if target == "random" else None)


def gradient(leaf: Tensor, ask: Ask, picked: Picked, target: Target, seed: int, numbers: Sequence[int], keep: bool) -> Tensor:
    """The gradient of the picked channels, made one number, with respect to `leaf`. `keep`: the graph is needed again."""
    match target:
        case "random":
            rows = np.stack([signs(picked.values.numel() // len(numbers), seed, number, ask.layer) for number in numbers])
            weights = torch.from_numpy(rows).reshape(picked.values.shape).to(picked.values)
        case "sum":
            weights = torch.ones_like(picked.values)
        case "positive":
            weights = (picked.values > 0).to(picked.values)
    with bypassed(picked.activation):
        (found,) = torch.autograd.grad(picked.values, leaf, weights, retain_graph=keep, allow_unused=True)
    if found is None:
        raise UsageError(f"No gradient leads from {ask.layer} back to the input. Choose another layer.")
    return found


def signs(count: int, seed: int, number: int, layer: str) -> npt.NDArray[np.floating]:
    """`count` draws of +1 or -1, by seed, sample number and layer: the same in any batch, order or process."""
    return generator(seed, number, layer).integers(0, 2, count) * 2.0 - 1.0


def generator(seed: int, number: int, layer: str) -> np.random.Generator:
    """A generator for one sample of one layer, apart from those that draw the samples."""
    return np.random.default_rng(np.random.SeedSequence((seed, *b"seeds"), spawn_key=(number, zlib.crc32(layer.encode()))))
