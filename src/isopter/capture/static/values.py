"""What a static graph's value is known to be: data, a weight, a constant, or lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isopter.graph import Shape

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, slots=True)
class Data:
    """Depends on an input: the result of op `op`.

    `fixed`, if given, holds entries that are known whatever the input (float64, NaN: unknown), broadcastable to the tensor: scores of
    -inf, weights of 0. `faint`, if given, marks entries that a finite mask (-100, -1e9) hides. The same words, and the same meaning, as
    in the capture of PyTorch (`isopter.capture.torch.values`).
    """

    op: int
    fixed: Array | None = None
    faint: Array | None = None

    def moved(self, op: int, shape: Shape, move: Callable[[Array], Array]) -> Data:
        """The data of op `op`, whose entries are this tensor's (of shape `shape`) moved by `move`."""
        return Data(op, *(None if known is None else move(np.broadcast_to(known, shape)) for known in (self.fixed, self.faint)))


@dataclass(frozen=True, slots=True)
class Weight:
    """Depends on no input, and its values are not known, or not asked for: never read. `shape` None: not known either."""

    shape: Shape | None


@dataclass(frozen=True, eq=False, slots=True)
class Const:
    """Depends on no input. `load` gives its values (once: it remembers them), or None where they cannot be had; `first`, where that is
    cheaper, so many of them in a row."""

    shape: Shape
    load: Callable[[], Array | None]
    first: Callable[[int], Array | None] | None = None

    @classmethod
    def of(cls, array: Array) -> Const:
        """A constant whose values are at hand."""
        return cls(array.shape, lambda: array)


@dataclass(frozen=True, slots=True)
class Lost:
    """Depends on the ops `ops`, under a shape that their values decide, or as no tensor at all (a sequence): not followed."""

    ops: tuple[int, ...]


Value = Data | Weight | Const | Lost
