"""Example inputs for a torch module: from a size, or as the user gave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from isopter.capture.torch.capture import name_inputs, signature
from isopter.capture.torch.values import tensors_in
from isopter.errors import UsageError


def example_inputs(model: nn.Module, size: tuple[int, ...] | None, inputs: Any) -> dict[str, Any]:
    """Arguments of `model` by name. A size makes one meta tensor of the dtype of the model's parameters."""
    if (size is None) == (inputs is None):
        raise UsageError("Give either input_size, such as (1, 3, 224, 224), or inputs, such as (tensor,) or {'image': tensor}.")
    if size is not None:
        return name_inputs(model, (torch.empty(size, dtype=_dtype(model), device="meta"),))
    if isinstance(inputs, Mapping):
        parameters = {p.name: p for p in signature(model)}
        wrong = [str(k) for k in inputs if k not in parameters]
        if wrong and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            raise UsageError(f"{type(model).__name__}.forward has no argument {', '.join(wrong)}. It takes: {', '.join(parameters)}.")
        named = dict(inputs)
    else:
        named = name_inputs(model, tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,))
    if not tensors_in(named):
        raise UsageError(f"inputs holds no tensor ({type(inputs).__name__}). Expected (tensor, ...) or a dict of tensors by argument name.")
    return named


def _dtype(model: nn.Module) -> torch.dtype:
    return next((p.dtype for p in model.parameters() if p.is_floating_point() or p.is_complex()), torch.get_default_dtype())
