"""What a node of a graph is to its translator, whatever the framework: values in, shapes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from isopter.capture.static.values import Array, Data, Value
from isopter.errors import CaptureError
from isopter.graph import Shape


class Unknown(Exception):
    """A translator needs numbers that only a run would give; the message says which."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """`op` is the framework's own name, `label` what the user calls the node. `inputs` hold None where an optional one is left out,
    `shapes` (of the inputs) and `outs` None where a shape is not known."""

    op: str
    label: str
    inputs: tuple[Value | None, ...]
    shapes: tuple[Shape | None, ...]
    outs: tuple[Shape | None, ...]

    @property
    def out(self) -> Shape:
        """Shape of the first output."""
        shape = self.outs[0]
        assert shape is not None, f"{self.label}: translators see nodes of known shapes"
        return shape

    def data(self, position: int) -> int | None:
        """The op of an input, or None where it is no data."""
        value = self.inputs[position] if position < len(self.inputs) else None
        return value.op if isinstance(value, Data) else None

    def source(self, position: int = 0) -> int:
        """The op of an input that must be data; else the translator gives up, and the node is bounded."""
        return self.carried(position).op

    def carried(self, position: int = 0) -> Data:
        """An input that must be data; else the translator gives up, and the node is bounded."""
        value = self.inputs[position] if position < len(self.inputs) else None
        if not isinstance(value, Data):
            raise Unknown("an operand")
        return value

    def moved(self, op: int, move: Callable[[Array], Array], position: int = 0) -> Data:
        """The data that op `op` is now: the known entries of an input moved alike."""
        return self.carried(position).moved(op, self.shape(position), move)

    def shape(self, position: int) -> Shape:
        """Shape of an input. Raises CaptureError where it is missing, or not known."""
        shape = self.shapes[position] if position < len(self.shapes) else None
        if shape is None:
            raise CaptureError(f"{self.label}: {self.op} needs an input {position} of a known shape.")
        return shape

    def all_data(self) -> list[int]:
        """The ops of all data inputs, in order, each once."""
        return list(dict.fromkeys(v.op for v in self.inputs if isinstance(v, Data)))
