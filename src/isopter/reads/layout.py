"""Layouts. Rules, gains and shapes speak of tensors (N, C, *space); an op whose tensors have their axes in another order says so.

``params["layout"]`` of an op: axis a of (N, C, *space) is axis ``layout[a]`` of its first input and of its result. Example, channels last
(NHWC): ``(0, 3, 1, 2)``. Other inputs (filters computed from the image) are in the order that the rule expects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from isopter.graph import Op, Shape
from isopter.reads.relation import Link, Reads, Relation

Entry = TypeVar("Entry")


def layout_of(params: Mapping[str, Any]) -> Shape | None:
    """The layout of an op with these numbers; None for (N, C, *space) itself."""
    return params.get("layout")


def ordered(shape: Sequence[Entry], layout: Shape) -> tuple[Entry, ...]:
    """A shape in the order of rules. Example: (1, 56, 48, 64) under (0, 3, 1, 2) is (1, 64, 56, 48)."""
    return tuple(shape[axis] for axis in layout)


def restored(shape: Sequence[Entry], layout: Shape) -> tuple[Entry, ...]:
    """A shape back in the op's own order."""
    return tuple(shape[layout.index(axis)] for axis in range(len(layout)))


def straightened(op: Op, shapes: tuple[Shape, ...]) -> tuple[Op, tuple[Shape, ...]]:
    """The op and the shapes of its inputs as if its tensors were (N, C, *space)."""
    layout = layout_of(op.params)
    if layout is None:
        return op, shapes
    params = {key: value for key, value in op.params.items() if key != "layout"}
    return replace(op, shape=ordered(op.shape, layout), params=params), (ordered(shapes[0], layout), *shapes[1:])


def turned(reads: Reads, layout: Shape) -> Reads:
    """What a rule says of (N, C, *space), said of the op's own axes."""
    first, *others = reads
    same = tuple(range(max((axis for group in others for r in group for link in r.links for axis in link.ins), default=-1) + 1))
    return (
        tuple(_turned(relation, layout, layout) for relation in first),
        *(tuple(_turned(relation, layout, same) for relation in group) for group in others),
    )


def _turned(relation: Relation, outs: Shape, ins: Shape) -> Relation:
    links = [Link(tuple(outs[a] for a in link.outs), tuple(ins[a] for a in link.ins), link.map) for link in relation.links]
    unread = relation.unread
    if unread is not None:
        unread = np.transpose(unread.reshape((1,) * (len(outs) - unread.ndim) + unread.shape), np.argsort(outs))
    return replace(relation, links=tuple(sorted(links, key=lambda link: link.outs)), unread=unread)
