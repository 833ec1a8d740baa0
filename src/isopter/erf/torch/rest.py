"""A model at rest: what one forward pass writes to it must not reach the next."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from isopter.capture.torch.belongings import Belongings


class Rest:
    """The buffers and attributes of a model as they are now.

    Values are written back even where a tensor's version is the same: a batch norm in training mode updates its statistics unseen.
    """

    def __init__(self, model: nn.Module) -> None:
        owned = Belongings(model)
        self._tensors = [(t, t.detach().clone()) for t in owned.tensors if not isinstance(t, nn.Parameter) and _own_memory(t)]
        self._attributes = [(m, dict(vars(m)), _state(vars(m))) for m in owned.modules]

    def put_back(self) -> None:
        """Undo all writes since."""
        with torch.no_grad():
            for tensor, values in self._tensors:
                tensor.copy_(values)
        for module, before, state in self._attributes:
            if _state(vars(module)) != state:
                vars(module).clear()
                vars(module).update(before)


def _own_memory(tensor: Tensor) -> bool:
    """Whether each number has a place of its own: an expanded tensor cannot be written to."""
    return tensor.layout is torch.strided and all(step for step, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1)


def _state(attributes: dict[str, Any]) -> tuple[list[str], list[int]]:
    """Names and identities; what is put back stays alive, so that no identity is used again."""
    return list(attributes), list(map(id, attributes.values()))
