"""A module from a function, for networks and cases that are one expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class Lambda(nn.Module):
    """``Lambda(lambda x, conv: conv(x) + x, conv=nn.Conv2d(3, 3, 1))``: `fn` of the input and of the named parts.

    Parts may be modules, parameters or tensors; tensors become buffers, so that they follow ``.double()`` and ``.to()``.
    """

    def __init__(self, fn: Callable[..., Any], **parts: nn.Module | torch.Tensor) -> None:
        super().__init__()
        self.fn = fn
        self.names = tuple(parts)
        for name, part in parts.items():
            if isinstance(part, nn.Module | nn.Parameter):
                setattr(self, name, part)
            else:
                self.register_buffer(name, part)

    def forward(self, *args: torch.Tensor) -> Any:
        """Apply the function."""
        return self.fn(*args, **{name: getattr(self, name) for name in self.names})
