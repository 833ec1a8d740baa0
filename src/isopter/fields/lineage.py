"""Which axes of a tensor carry space: lineage of axes through reshapes.

An axis is a list of factors, outermost first. Flattening H and W makes one axis with two space factors; splitting H into
(H/7, 7) leaves space on the outer factor and positions inside a window on the inner one; merging the two again gives H back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isopter.graph import Shape
from isopter.reads.axis import Whole
from isopter.reads.relation import Link, Regroup, Relation


@dataclass(frozen=True, eq=False, slots=True)
class Factor:
    """A part of an axis: its size, whether steps along it are steps in space, and the factor it was split from."""

    size: int
    space: bool
    parent: Factor | None = None
    outer: bool = False


Axis = tuple[Factor, ...]


def carries_space(axis: Axis) -> bool:
    """Whether stepping along an axis moves in space: a space factor has length, or leads (an upsampled map of one pixel)."""
    lead = next((f for f in axis if f.space or f.size > 1), None)
    return (lead is not None and lead.space) or any(f.space and f.size > 1 for f in axis)


def follow(relation: Relation, axes: Sequence[Axis], shape_in: Shape, shape_out: Shape) -> list[Axis]:
    """The axes of the output, for one relation of an op."""
    result: list[Axis] = [()] * len(shape_out)
    for link in relation.links:
        sizes = tuple(shape_out[o] for o in link.outs)
        for out, axis in zip(link.outs, _follow_link(link, axes, shape_in, sizes), strict=True):
            result[out] = axis
    return [axis or ((Factor(n, False),) if n > 1 else ()) for axis, n in zip(result, shape_out, strict=True)]


def collapses_space(relation: Relation, axes: Sequence[Axis], shape_in: Shape, shape_out: Shape) -> bool:
    """Whether a summary relation reads a space axis down to one position."""
    for axis, n in enumerate(shape_in):
        link = relation.link_in(axis)
        gone = link is None or (isinstance(link.map, Whole) and all(shape_out[o] == 1 for o in link.outs))
        pooled = link is not None and n > 1 and all(shape_out[o] == 1 for o in link.outs)
        if (gone or pooled) and carries_space(axes[axis]):
            return True
    return False


def _follow_link(link: Link, axes: Sequence[Axis], shape_in: Shape, sizes: Shape) -> list[Axis]:
    sources = [axes[i] for i in link.ins]
    if isinstance(link.map, Regroup):
        return split(join([f for axis in sources for f in axis]), sizes)
    if len(sources) == len(sizes) and all(shape_in[i] == n for i, n in zip(link.ins, sizes, strict=True)):
        return sources
    space = any(carries_space(axes[i]) for i in link.ins)
    return [(Factor(n, space),) for n in sizes]


def join(factors: list[Factor]) -> list[Factor]:
    """Neighbours that were split from one factor become that factor again."""
    joined: list[Factor] = []
    for factor in factors:
        while joined and _siblings(joined[-1], factor):
            assert factor.parent is not None
            joined.pop()
            factor = factor.parent
        joined.append(factor)
    return joined


def _siblings(a: Factor, b: Factor) -> bool:
    return a.parent is not None and a.parent is b.parent and a.outer and not b.outer


def split(factors: list[Factor], sizes: Shape) -> list[Axis]:
    """Deal `factors` out to axes of these sizes, splitting a factor where a boundary falls inside it."""
    if 0 in sizes:  # nothing is in the tensor, so no boundary falls inside a factor: the empty axes carry its space
        return [(Factor(n, n == 0 and any(f.space for f in factors)),) for n in sizes]
    left = list(reversed(factors))
    result: list[Axis] = []
    for size in sizes:
        axis: list[Factor] = []
        room = size
        while left and (room > 1 or left[-1].size == 1):
            factor = left.pop()
            if room % factor.size == 0 and factor.size <= room:
                axis.append(factor)
                room //= factor.size
                if size == 1:
                    break
            elif factor.size % room == 0:
                axis.append(Factor(room, factor.space, factor, outer=True))
                left.append(Factor(factor.size // room, False, factor, outer=False))
                room = 1
                break
            else:  # boundaries that do not nest: all of these axes carry what the factors carried
                space = any(f.space for f in factors)
                return [(Factor(n, space),) for n in sizes]
        result.append(tuple(axis))
    return result
