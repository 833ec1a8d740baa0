"""A model in double precision throughout, whatever precision its forward asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from isopter.capture.torch import higher
from isopter.capture.torch.tape import map_tensors
from isopter.capture.torch.values import tensors_in

_WIDER = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex32: torch.complex128,
    torch.complex64: torch.complex128,
}


class InDouble(TorchDispatchMode):
    """Every call that asks for less gets float64: ``x.half()``, ``x.float()``, ``dtype=torch.bfloat16``. A tensor of lower precision
    (one that no module owns) is widened where it meets one of double precision."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        if not hasattr(func, "_schema"):  # a higher-order operator: what it runs comes by again
            return higher.run(self, func, args, kwargs or {})
        if func._schema.name != "aten::view":  # a view under another dtype reads the same bits
            args = tuple(_WIDER.get(a, a) if isinstance(a, torch.dtype) else a for a in args)
            kwargs = {k: _WIDER.get(v, v) if isinstance(v, torch.dtype) else v for k, v in (kwargs or {}).items()}
        kinds = {t.dtype for t in tensors_in((args, kwargs))}
        if len(kinds) > 1 and kinds & set(_WIDER.values()) and not func._schema.is_mutable:
            args, kwargs = (map_tensors(part, widened) for part in (args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def widened(tensor: Tensor) -> Tensor:
    """A tensor in double precision; whole numbers as they are."""
    return tensor.to(_WIDER[tensor.dtype]) if tensor.dtype in _WIDER else tensor
