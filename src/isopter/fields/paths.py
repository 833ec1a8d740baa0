"""Paths: how many routes through the layer graph give each field size.

A polynomial per op, size to count, in exact big integers: shifted by (taps - 1) * jump at each window, added at merges
(Veit et al. 2016: n residual blocks give 2^n paths). Nothing is enumerated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from isopter.fields.extent import NoPlane, Progression, Unbounded
from isopter.fields.plan import Edge
from isopter.fields.walks import Walks
from isopter.reads.axis import NOTHING
from isopter.reads.relation import Listed, Regroup

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class PathDistribution:
    """Field sizes (input pixels, ascending) and how many paths have each (exact integers).

    `unbounded` counts the paths that read the whole axis, whose size is not a number of pixels. After upsampling a
    path's size is that of its widest phase.
    """

    sizes: tuple[int, ...]
    counts: tuple[int, ...]
    unbounded: int = 0

    @property
    def total(self) -> int:
        """All paths."""
        return sum(self.counts) + self.unbounded

    @property
    def mean(self) -> float:
        """Mean size over the bounded paths; nan if there are none."""
        paths = sum(self.counts)
        return float(Fraction(sum(s * c for s, c in zip(self.sizes, self.counts, strict=True)), paths)) if paths else math.nan

    @property
    def sd(self) -> float:
        """Standard deviation of the size over the bounded paths."""
        paths = sum(self.counts)
        if not paths:
            return math.nan
        mean = Fraction(sum(s * c for s, c in zip(self.sizes, self.counts, strict=True)), paths)
        square = sum((s - mean) ** 2 * c for s, c in zip(self.sizes, self.counts, strict=True)) / paths
        return math.sqrt(square)

    def plot(self, ax: Axes | None = None, *, scale: Literal["linear", "log"] = "linear") -> Axes:
        """The share of paths by field size, and their mean, which is where `sizes` without `unbounded` balance.

        Returns the Axes and shows nothing. "log" also shows sizes that few paths have, however few. Into Axes that hold the
        distribution by energy already (`EnergyPaths.plot`) it is drawn beside that. Raises MissingExtra without matplotlib.
        """
        from isopter.report.figures.paths import plot_counts

        return plot_counts(self, ax, scale)


_Polynomial = dict[Fraction, int]


def paths(walks: Walks, op: int, axis: int) -> PathDistribution:
    """The distribution for one op along one space axis. Context reads are no paths of the local field."""
    plan = walks.plan
    bounded: list[_Polynomial] = [{} for _ in range(op + 1)]
    whole = [0] * (op + 1)
    bounded[plan.origin] = {Fraction(1): 1}
    context = walks.whole(op, False)
    for target in range(op + 1):
        for edge in plan.incoming(target, context):
            growth = growth_of(walks, edge, axis)
            if growth is None:
                whole[target] += whole[edge.source] + sum(bounded[edge.source].values())
                continue
            whole[target] += whole[edge.source]
            for size, count in bounded[edge.source].items():
                bounded[target][size + growth] = bounded[target].get(size + growth, 0) + count
    merged: dict[int, int] = {}
    for size, count in sorted(bounded[op].items()):
        merged[math.ceil(size)] = merged.get(math.ceil(size), 0) + count
    return PathDistribution(tuple(merged), tuple(merged.values()), whole[op])


@dataclass(frozen=True)
class EnergyPaths:
    """Path sizes (input pixels, ascending) and the share of gradient energy that paths of each size carry; `unbounded` is the share
    of paths that read a whole axis. All shares sum up to 1."""

    sizes: tuple[int, ...]
    shares: tuple[float, ...]
    unbounded: float = 0.0

    @property
    def mean(self) -> float:
        """Mean size over the bounded paths; nan if there are none."""
        total = math.fsum(self.shares)
        return math.fsum(s * w for s, w in zip(self.sizes, self.shares, strict=True)) / total if total else math.nan

    @property
    def sd(self) -> float:
        """Standard deviation of the size over the bounded paths."""
        total, mean = math.fsum(self.shares), self.mean
        return (
            math.sqrt(math.fsum(w * (s - mean) ** 2 for s, w in zip(self.sizes, self.shares, strict=True)) / total) if total else math.nan
        )

    def plot(self, ax: Axes | None = None, *, scale: Literal["linear", "log"] = "linear") -> Axes:
        """The share of energy by field size, and the mean. As `PathDistribution.plot`; both fit into the same Axes."""
        from isopter.report.figures.paths import plot_energy

        return plot_energy(self, ax, scale)


def paths_by_energy(walks: Walks, op: int, axis: int, edges: Mapping[int, Sequence[tuple[Edge, float]]]) -> EnergyPaths:
    """The distribution for one op along one axis; `edges` says with which probability energy at an op came by which edge."""
    bounded: dict[int, dict[Fraction, float]] = {walks.plan.origin: {Fraction(1): 1.0}}
    whole = {walks.plan.origin: 0.0}
    for target in sorted(edges):
        sizes: dict[Fraction, float] = {}
        whole[target] = 0.0
        for edge, share in edges[target]:
            growth = growth_of(walks, edge, axis)
            whole[target] += share * whole[edge.source]
            if growth is None:
                whole[target] += share * sum(bounded[edge.source].values())
                continue
            for size, weight in bounded[edge.source].items():
                sizes[size + growth] = sizes.get(size + growth, 0.0) + weight * share
        bounded[target] = sizes
    merged: dict[int, float] = {}
    for size, weight in sorted(bounded[op].items()):
        merged[math.ceil(size)] = merged.get(math.ceil(size), 0.0) + weight
    return EnergyPaths(tuple(merged), tuple(merged.values()), whole[op])


def growth_of(walks: Walks, edge: Edge, axis: int) -> Fraction | None:
    """Pixels an edge adds to the size of a path: (widest reach of its taps) * jump; None if it reads the whole axis."""
    extent = walks.extent(edge.source)[axis]
    if not isinstance(extent, Progression):  # of a flattened map a fully connected layer reads all
        whole = isinstance(extent, NoPlane) and isinstance(walks.extent(edge.target)[axis], Unbounded)
        return None if whole else Fraction(0)
    link = edge.relation.link_in(extent.carrier)
    if link is None:
        return None
    if isinstance(link.map, Regroup | Listed):
        return Fraction(0)
    plane = link.map.plane
    if plane is None:
        table = link.map.table(walks.graph.ops[edge.target].shape[link.outs[0]], walks.graph.ops[edge.source].shape[link.ins[0]])
        if table.shape[1] == walks.graph.ops[edge.source].shape[link.ins[0]]:
            return None
        return Fraction(0)
    reach = max((int(row[row != NOTHING].max() - row[row != NOTHING].min()) for row in plane.pattern if (row != NOTHING).any()), default=0)
    return reach * abs(extent.stride)
