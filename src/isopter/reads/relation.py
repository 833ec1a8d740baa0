"""Relations: how one op's output reads one of its inputs, as links between groups of axes.

A link ties output axes to input axes by a map. Input axes that no link names are read whole; output axes that no link
names make no difference (broadcasting). So a convolution on (N, C, H, W) is
``Link((0,), (0,), Same()), Link((2,), (2,), Window(...)), Link((3,), (3,), Window(...))``: channels are read whole.

Three maps tie groups of axes: `Regroup` (a reshape), `Table` (an explicit list of positions) and `Masked` (a mask per batch item).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from isopter.graph import Shape
from isopter.reads.axis import AxisMap, Ints, Same

Exactness = Literal["exact", "bound", "data_dependent"]
"""`exact`: reads just this; `bound`: reads at most this; `data_dependent`: values decide, and this is the bound."""

ORDER: tuple[Exactness, ...] = ("exact", "data_dependent", "bound")


@dataclass(frozen=True, slots=True)
class Regroup:
    """The same elements in row-major order under another shape."""


class Listed:
    """Output positions read listed input positions, both counted row-major over their axes."""

    __slots__ = ()

    def at(self, cells: Ints) -> Ints:
        """The input positions that each of these output positions reads, a row each; -1 reads nothing."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False, slots=True)
class Table(Listed):
    """Output position i reads the input positions in ``rows[i]``; -1 reads nothing."""

    rows: Ints

    def at(self, cells: Ints) -> Ints:
        return self.rows[cells]


@dataclass(frozen=True, eq=False, slots=True)
class Masked(Listed):
    """Output position (b, i) reads the input positions (b, k) for which ``pattern[b, i, k]``. The batch axes come first on either
    side, flattened in `pattern`; attention scores that a mask per window hides."""

    pattern: npt.NDArray[np.bool_]

    def at(self, cells: Ints) -> Ints:
        _, count, width = self.pattern.shape
        rows = rows_of(self.pattern.reshape(-1, width)[cells])
        return np.where(rows < 0, -1, rows + (cells // count * width)[:, None])


def rows_of(pattern: npt.NDArray[np.bool_]) -> Ints:
    """The true positions of each row of a boolean matrix, padded with -1 to the longest row."""
    width = max(int(pattern.sum(axis=1).max(initial=0)), 1)
    order = np.argsort(~pattern, axis=1, kind="stable")[:, :width].astype(np.int64)
    return np.where(np.take_along_axis(pattern, order, axis=1), order, -1)


@dataclass(frozen=True, slots=True)
class Link:
    """Output axes `outs` follow input axes `ins` by `map`; more than one on a side only for Regroup and Listed."""

    outs: tuple[int, ...]
    ins: tuple[int, ...]
    map: AxisMap | Regroup | Listed


@dataclass(frozen=True, eq=False, slots=True)
class Relation:
    """How an output reads one input.

    `summary` marks a read that collapses space to one number (pooling it away, a norm's statistics); walks use it to
    tell local reads from context. `unread` is a boolean array, broadcastable to the output: True where the output
    reads nothing at all (a position overwritten by a constant, a masked score).
    """

    links: tuple[Link, ...]
    exactness: Exactness = "exact"
    summary: bool = False
    unread: npt.NDArray[np.bool_] | None = None

    def is_identity(self, ndim_in: int) -> bool:
        """Whether every output position reads its own position of an input of the same rank, and nothing else."""
        return (
            self.unread is None
            and len(self.links) == ndim_in
            and all(isinstance(link.map, Same) and link.ins == link.outs == (axis,) for axis, link in enumerate(self.links))
        )

    def link_in(self, axis: int) -> Link | None:
        """The link that names input axis `axis`, or None if it is read whole."""
        return next((link for link in self.links if axis in link.ins), None)


Reads = tuple[tuple[Relation, ...], ...]
"""What a rule returns: for each input of the op, the relations whose union it reads."""


def along(ndim: int, maps: Mapping[int, AxisMap | None], **options: object) -> Relation:
    """A relation between tensors of equal rank: `Same` on every axis but those in `maps`, where None leaves the axis unlinked.

    ``along(4, {1: None, 2: Window(3, 1, 1, 1), 3: Window(3, 1, 1, 1)})`` is a padded 3x3 convolution.
    """
    chosen = ((axis, maps.get(axis, Same())) for axis in range(ndim))
    return Relation(tuple(Link((axis,), (axis,), m) for axis, m in chosen if m is not None), **options)  # type: ignore[arg-type]


def linked(pairs: Iterable[tuple[int, int]], **options: object) -> Relation:
    """A relation in which output axis o follows input axis i, for each pair (o, i); the rest is read whole."""
    return Relation(tuple(Link((o,), (i,), Same()) for o, i in pairs), **options)  # type: ignore[arg-type]


def regroup(inner: Shape, outer: Shape) -> Relation:
    """The reshape from `inner` (input) to `outer` (output), split into the smallest groups of axes that hold the same elements."""
    if math.prod(inner) == 0:
        return Relation((Link(tuple(range(len(outer))), tuple(range(len(inner))), Regroup()),))
    links: list[Link] = []
    i = o = 0
    while i < len(inner) and o < len(outer):
        ins, outs = [i], [o]
        size_in, size_out = inner[i], outer[o]
        i, o = i + 1, o + 1
        while size_in != size_out:
            if size_in < size_out:
                ins.append(i)
                size_in, i = size_in * inner[i], i + 1
            else:
                outs.append(o)
                size_out, o = size_out * outer[o], o + 1
        links.append(Link(tuple(outs), tuple(ins), Same() if len(ins) == len(outs) == 1 else Regroup()))
    return Relation(tuple(links))
