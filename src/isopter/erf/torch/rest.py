"""A model at rest: what one forward pass writes to it must not reach the next."""

from __future__ import annotations

import operator

import torch
from torch import Tensor, nn

from isopter.capture.torch.belongings import Belongings


class Rest:
    """The buffers and attributes of a model as they are now.

    Values are written back even where a tensor's version is the same: a batch norm in training mode updates its statistics unseen.
    """

    def __init__(self, model: nn.Module) -> None:
        owned = Belongings(model)
        kept = [(t, t.detach().clone()) for t in owned.tensors if not isinstance(t, nn.Parameter) and _own_memory(t)]
        self._plain = [pair for pair in kept if type(pair[0]) is Tensor]
        self._others = [pair for pair in kept if type(pair[0]) is not Tensor]
        self._attributes = [(m, dict(vars(m))) for m in owned.modules]

    def put_back(self) -> None:
        """Undo all writes since."""
        with torch.no_grad():
            if self._plain:
                torch._foreach_copy_([t for t, _ in self._plain], [values for _, values in self._plain])
            for tensor, values in self._others:
                tensor.copy_(values)
        for module, before in self._attributes:
            now = vars(module)
            if not (len(now) == len(before) and all(map(operator.is_, now.values(), before.values())) and list(now) == list(before)):
                now.clear()
                now.update(before)


def _own_memory(tensor: Tensor) -> bool:
    """Whether each number has a place of its own: an expanded tensor cannot be written to."""
    return tensor.layout is torch.strided and all(step for step, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1)
