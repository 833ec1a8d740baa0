"""One op of a TensorFlow graph, as a translator sees it: values in, shapes out, attributes as plain Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isopter.capture.static import node as static
from isopter.capture.static.node import Unknown
from isopter.capture.static.values import Const, Value
from isopter.errors import CaptureError


@dataclass(frozen=True, eq=False, slots=True)
class Node(static.Node):
    """`made` is TensorFlow's own op."""

    inputs: tuple[Value, ...]
    made: Any

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default` where the op has none of that name."""
        try:
            found = self.made.get_attr(name)
        except ValueError:
            return default
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else found

    def value(self, position: int) -> Value:
        """An input, counted from the back if negative."""
        return self.inputs[position]

    def const(self, position: int) -> np.ndarray:
        """The numbers of a constant input. Raises `Unknown` where values decide them."""
        value = self.inputs[position]
        known = value.load() if isinstance(value, Const) else None
        if known is None:
            raise Unknown(f"input {position}")
        return known

    def ints(self, position: int) -> tuple[int, ...]:
        """The whole numbers of a constant input. Raises `Unknown` where values decide them."""
        return tuple(int(v) for v in self.const(position).reshape(-1))

    def axis(self, position: int, of: int = 0) -> int:
        """An axis of input `of` that the constant input `position` names, counted from the front."""
        return self.axes(position, of)[0]

    def axes(self, position: int, of: int = 0) -> tuple[int, ...]:
        """Axes of input `of` that the constant input `position` names, counted from the front."""
        rank = len(self.shape(of))
        found = self.ints(position)
        if any(not -rank <= a < rank for a in found):
            raise CaptureError(f"{self.label}: axes {found} of a tensor of {rank} axes.")
        return tuple(a % rank for a in found)
