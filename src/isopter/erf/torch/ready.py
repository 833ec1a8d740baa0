"""A model made ready to be differentiated: the user's own where that is possible, else a copy."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from isopter.capture.torch.belongings import Belongings, twin
from isopter.capture.torch.capture import initialised
from isopter.capture.torch.double import widened
from isopter.capture.torch.inputs import example_inputs
from isopter.capture.torch.values import has_values
from isopter.errors import UsageError

PREFIX = "_orig_mod."

DTYPES = {"float64": torch.float64, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def uncompiled(model: nn.Module, layers: Any) -> tuple[nn.Module, Any]:
    """The module inside of one that `torch.compile` returned, and the layers by its names: nothing is compiled where gradients are taken.

    Without it every name would begin with ``_orig_mod.``; names that do are understood.
    """
    compiled = sys.modules.get("torch._dynamo")
    if compiled is None or not isinstance(model, compiled.OptimizedModule):
        return model, layers
    if isinstance(layers, Sequence) and not isinstance(layers, str):
        return uncompiled(model._orig_mod, [_bare(key) for key in layers])
    return uncompiled(model._orig_mod, _bare(layers))


def _bare(key: Any) -> Any:
    return key.removeprefix(PREFIX) if isinstance(key, str) else key


def ready(model: nn.Module, shape: tuple[int, ...], dtype: Any, device: Any) -> tuple[nn.Module, torch.dtype, torch.device]:
    """The model to run, and the precision and device of its input.

    It is `model` itself unless it must change: to another precision or device, or because it was loaded in inference mode, or has
    lazy modules. Raises UsageError where it has no weights to differentiate.
    """
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        raise UsageError(f"The model is wrapped in {type(model).__name__}, which spreads batches over devices. Pass model.module instead.")
    owned = initialised(model, example_inputs(model, shape, None))
    tensors = Belongings(owned).tensors
    if any(not has_values(t) and not is_lazy(t) for t in tensors):
        raise UsageError(f"{type(model).__name__} has weights on the meta device, that is none. Load its weights first.")
    wanted, place = _precision(dtype), _device(device)
    now = next((t.dtype for t in tensors if t.is_floating_point()), torch.get_default_dtype())
    home = next((t.device for t in tensors), torch.device("cpu"))
    moved = place is not None and (place.type != home.type or place.index not in (None, home.index))
    if wanted not in (None, now) or moved or any(t.is_inference() for t in tensors):
        owned = owned if owned is not model else twin(model, "it must change to be measured (precision, device, or inference mode)")[0]
        _convert(owned, wanted, place)
    return owned, wanted or now, place or home


def _convert(model: nn.Module, dtype: torch.dtype | None, device: torch.device | None) -> None:
    def change(tensor: Tensor) -> Tensor:
        tensor = tensor if device is None else tensor.to(device)
        if dtype is torch.float64:
            return widened(tensor)
        return tensor if dtype is None or not tensor.is_floating_point() else tensor.to(dtype)

    for module in Belongings(model).modules:
        module._apply(change)


def _precision(dtype: Any) -> torch.dtype | None:
    found = DTYPES.get(str(dtype).removeprefix("torch."))
    if found is None and dtype is not None:
        raise UsageError(f"dtype={dtype!r} must be one of {', '.join(DTYPES)}, or None for that of the model.")
    return found


def _device(device: Any) -> torch.device | None:
    if device is None:
        return None
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, TypeError, AssertionError, ValueError) as error:
        raise UsageError(
            f"device={device!r} cannot be used: {str(error).splitlines()[0][:200]} Leave it out to stay where the model is."
        ) from error
    return found
