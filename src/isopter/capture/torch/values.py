"""What the recorder knows of a tensor: it is data (made by an op of the graph), a weight, or a constant."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.parameter import is_lazy


@dataclass(frozen=True, slots=True)
class Data:
    """Depends on an input: the result of op `op`.

    `fixed`, if given, holds entries that are known whatever the input (NaN: unknown), broadcastable to the tensor: scores
    of -inf, weights of 0. They read nothing, and what multiplies them is not read. `faint`, if given, marks entries that a
    finite mask (-100, -1e9) hides: scores it pushes down, then weights of less than e^-50 that count as 0.
    """

    op: int
    fixed: Tensor | None = None
    faint: Tensor | None = None

    def moved(self, op: int, shape: tuple[int, ...], move: Callable[[Tensor], Tensor]) -> Data:
        """The data of op `op`, whose entries are this tensor's (of shape `shape`) moved."""
        return Data(op, *(None if known is None else move(known.expand(shape)) for known in (self.fixed, self.faint)))


@dataclass(frozen=True, slots=True)
class Weight:
    """Depends on parameters alone: never read, its values unknown (it may live on the meta device)."""


@dataclass(frozen=True, slots=True)
class Const:
    """Depends on nothing: its value is known for real."""

    real: Tensor


Value = Data | Weight | Const


@dataclass(slots=True)
class State:
    """A tensor's place among its aliases: the value it holds, and the view by which it was derived from `parent`.

    `version` counts writes to the memory at the root of the views; a state that is behind is derived anew when read.
    """

    tensor: Tensor
    value: Value
    parent: State | None = None
    view: Callable[[Tensor], Tensor] | None = None
    version: int = 0

    @property
    def root(self) -> State:
        state = self
        while state.parent is not None:
            state = state.parent
        return state


def has_values(tensor: Tensor) -> bool:
    """Whether a tensor holds numbers: not if it is on the meta device, fake, or not initialised yet."""
    return not (is_lazy(tensor) or isinstance(tensor, FakeTensor) or tensor.device.type == "meta")


def tensors_in(items: object) -> list[Tensor]:
    """Every tensor in nested tuples, lists, dicts, dataclasses and objects with attributes, in order."""
    found: list[Tensor] = []
    _collect(items, found, 0)
    return found


def _collect(item: object, found: list[Tensor], depth: int) -> None:
    if isinstance(item, Tensor):
        found.append(item)
    elif depth > 8 or isinstance(item, str | bytes | int | float | torch.nn.Module | type(None)):
        return
    elif isinstance(item, dict):
        for value in item.values():
            _collect(value, found, depth + 1)
    elif isinstance(item, list | tuple | set | frozenset):
        for value in item:
            _collect(value, found, depth + 1)
    elif dataclasses.is_dataclass(item) and not isinstance(item, type):
        for field in dataclasses.fields(item):
            _collect(getattr(item, field.name), found, depth + 1)
    elif hasattr(item, "__dict__"):
        for value in vars(item).values():
            _collect(value, found, depth + 1)
