"""One op of a TensorFlow graph, as a translator sees it: values in, shapes out, attributes as plain Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isopter.capture.static.values import Const, Data, Value
from isopter.errors import CaptureError
from isopter.graph import Shape


class Unknown(Exception):
    """A translator needs numbers that only a run would give."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """`shapes` and `outs` hold None where a shape is not known; `label` is the op's name for the user."""

    made: Any
    op: str
    label: str
    inputs: tuple[Value, ...]
    shapes: tuple[Shape | None, ...]
    outs: tuple[Shape | None, ...]

    @property
    def out(self) -> Shape:
        """Shape of the first output."""
        shape = self.outs[0]
        assert shape is not None, f"{self.label}: translators see ops of known shapes"
        return shape

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

    def data(self, position: int) -> int | None:
        """The op of an input, or None where it is no data."""
        value = self.inputs[position] if position < len(self.inputs) else None
        return value.op if isinstance(value, Data) else None

    def source(self, position: int = 0) -> int:
        """The op of an input that must be data; else the translator gives up, and the op is bounded."""
        op = self.data(position)
        if op is None:
            raise Unknown("an operand")
        return op

    def shape(self, position: int) -> Shape:
        """Shape of an input. Raises CaptureError where it is not known."""
        shape = self.shapes[position]
        if shape is None:
            raise CaptureError(f"{self.label}: {self.op} needs an input {position} of a known shape.")
        return shape

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

    def all_data(self) -> list[int]:
        """The ops of all data inputs, in order, each once."""
        return list(dict.fromkeys(v.op for v in self.inputs if isinstance(v, Data)))
