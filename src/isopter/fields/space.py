"""Which axes of an input are space, where nobody says."""

from __future__ import annotations

from collections.abc import Sequence

from isopter.graph import Graph, Op, Shape
from isopter.reads.axis import AxisMap
from isopter.reads.layout import layout_of
from isopter.reads.registry import reads
from isopter.reads.relation import Regroup, Relation

SLIDES = frozenset(("conv", "conv_transpose", "pool", "resample"))
"""Kinds whose windows say what is space."""


def space_axes(shape: Shape) -> tuple[int, ...]:
    """All after batch and channels, or the last of a small tensor."""
    return tuple(range(2, len(shape))) if len(shape) > 2 else tuple(range(len(shape)))[-1:]


def slid_axes(graph: Graph, origin: int) -> tuple[int, ...]:
    """The axes along which the first convolution, pooling or interpolation slides, as axes of the input. Where there is none, or where it
    slides along fewer, those of `space_axes`; with channels last, all after batch and before channels.

    Example: channels last, (1, 224, 224, 3) into a convolution, gives (1, 2); one image without a batch, (3, 224, 224), too.
    """
    usual = space_axes(graph.ops[origin].shape)
    op, of = _first(graph, origin)
    if op is None:
        return usual
    layout = layout_of(op.params) or tuple(range(len(op.shape)))
    found = _axes(op, graph.ops[op.inputs[0]].shape, layout, of)
    if len(layout) > 1 and layout[1] > 1 and (channels := of.get(layout[1])) is not None:
        usual = tuple(axis for axis in range(1, len(graph.ops[origin].shape)) if axis != channels)
    return usual if set(found) <= set(usual) else found


def _first(graph: Graph, origin: int) -> tuple[Op | None, dict[int, int]]:
    """The first op that slides, and which axis of the input each axis of what it reads is."""
    of: dict[int, dict[int, int]] = {origin: {axis: axis for axis in range(len(graph.ops[origin].shape))}}
    for index, op in enumerate(graph.ops):
        source = next((i for i in op.inputs if i in of), None)
        if source is None:
            continue
        if op.kind in SLIDES:
            return (op, of[source]) if op.inputs[0] == source else (None, {})
        of[index] = _followed(reads(graph, op)[op.inputs.index(source)], of[source])
    return None, {}


def _followed(relations: Sequence[Relation], of: dict[int, int]) -> dict[int, int]:
    """Which axis of the input each axis of an op is, if it is one; the outer part of an axis split into blocks goes on being it."""
    links = relations[0].links if relations else ()
    single = ((link.outs[0], link.ins[0]) for link in links if len(link.ins) == 1 and isinstance(link.map, AxisMap | Regroup))
    return {out: of[into] for out, into in single if into in of}


def _axes(op: Op, shape: Shape, layout: Shape, of: dict[int, int]) -> tuple[int, ...]:
    """The axes of the input along which an op slides, whose own input has this shape. New axes of length 1 are no matter: some frameworks
    give sequences one for height."""
    count = len(op.params["steps"] if op.kind == "resample" else op.params["kernel"])
    slid = layout[len(layout) - count :]
    known = all(axis in of or shape[axis] == 1 for axis in slid)
    return tuple(sorted(of[axis] for axis in slid if axis in of)) if known else ()
