"""Devices: a model written for a GPU runs where there is none, and data that live on the meta device say they live with the weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

if TYPE_CHECKING:
    from isopter.capture.torch.tape import Tape

_MOVES = (Tensor.cuda, Tensor.xpu)


def moved(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], Mapping[str, Any]] | None:
    """The arguments with devices this machine lacks replaced by the CPU; None for a call that then has nothing to do."""
    if func in _MOVES:
        return None if _missing(func.__name__) else (args, kwargs)
    if kwargs.get("device") is not None and _missing(kwargs["device"]):
        kwargs = {**kwargs, "device": "cpu"}
    if func is Tensor.to and len(args) > 1 and not isinstance(args[1], Tensor | torch.dtype) and _missing(args[1]):
        args = (args[0], "cpu", *args[2:])
    return args, kwargs


def _missing(device: Any) -> bool:
    """Whether `device` is an accelerator that is not there."""
    if isinstance(device, int) and not isinstance(device, bool):
        return not torch.cuda.is_available()
    name = device.type if isinstance(device, torch.device) else str(device).partition(":")[0]
    if name in ("cpu", "meta"):
        return False
    available = getattr(getattr(torch, name, None), "is_available", None)
    return available is not None and not available()


class OnThisMachine(TorchFunctionMode):
    """Calls that ask for a missing device stay on the CPU; hooks for gradients that nobody computes are not set."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        given = moved(func, args, kwargs or {})
        if given is None:
            return args[0]
        if func in NO_GRADIENT and not args[0].requires_grad:
            return RemovableHandle(OrderedDict())
        return func(*given[0], **given[1])


NO_GRADIENT = (Tensor.register_hook, Tensor.register_post_accumulate_grad_hook, Tensor.retain_grad)


def no_gradient(rec: Tape, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """A hook for a gradient that nobody computes."""
    return NotImplemented if args[0].requires_grad else RemovableHandle(OrderedDict())


def device(rec: Tape, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """``x.device``, ``x.is_cuda``: where the tensor would be in a run with numbers."""
    if not rec.meta or args[0].device.type != "meta":
        return NotImplemented
    kind = _ASKS[func]
    return rec.home if not kind else rec.home.type == kind


_ASKS: dict[Any, str] = {
    Tensor.device.__get__: "",
    Tensor.is_meta.__get__: "meta",  # type: ignore[attr-defined]
    Tensor.is_cuda.__get__: "cuda",  # type: ignore[attr-defined]
    Tensor.is_cpu.__get__: "cpu",  # type: ignore[attr-defined]
}

HANDLERS = {**dict.fromkeys(_ASKS, device), **dict.fromkeys(NO_GRADIENT, no_gradient)}
