"""The unit's channels picked out of a tensor, and differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isopter.erf.asks import Ask, NotSeparable, Target, signs
from isopter.erf.torch.activations import activation_of, bypassed
from isopter.errors import UsageError


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
