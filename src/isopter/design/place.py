"""An op among the shapes around it, before an edit and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from isopter.graph import Op, Shape

Edit = Mapping[str, tuple[int, ...]]
"""Some of kernel, stride, dilation, padding: a number per space axis."""


@dataclass(frozen=True, slots=True)
class Place:
    """An op as captured, the shapes it then read, those it reads now, and the names of its inputs. `units`: which axes of its first input
    carry space. `notes`: what was assumed of it, in plain sentences. `layout`: which of the op's own axes these are, if they were put in
    the order of rules."""

    op: Op
    before: tuple[Shape, ...]
    now: tuple[Shape, ...]
    names: tuple[str, ...]
    edit: Edit
    units: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list)
    layout: Shape | None = None

    def own(self, axis: int) -> int:
        """An axis as the op itself counts it."""
        return axis if self.layout is None else self.layout[axis]

    def follow(self, axis: int) -> int:
        """The new length of an axis that is as long as that of the first input."""
        return self.now[0][axis]

    def same(self, axis: int, source: int = 0) -> bool:
        """Whether an axis of an input is as long as it was."""
        return self.before[source][axis] == self.now[source][axis]


def show(shape: Sequence[int]) -> str:
    """(1, 64, 28, 28) as text: 1x64x28x28."""
    return "x".join(map(str, shape)) or "a number"
