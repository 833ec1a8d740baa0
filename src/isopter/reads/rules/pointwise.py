"""Pointwise ops and broadcasting: a position reads its own position of every input."""

from __future__ import annotations

from isopter.graph import Shape
from isopter.reads.registry import Site, rule
from isopter.reads.relation import Reads, Relation, linked


@rule("pointwise")
def pointwise(site: Site) -> Reads:
    """Output i reads input i; axes of length 1 broadcast, aligned at the last axis. Exact.

    Activations, arithmetic, expand, normalisation in evaluation. `unread` (optional) marks outputs whose value is
    known whatever the input: a score of -inf, a position multiplied by zero.
    """
    return tuple((broadcast(shape, site.shape, site.params.get("unread")),) for shape in site.inputs)


def broadcast(shape: Shape, to: Shape, unread: object = None) -> Relation:
    """The relation of numpy broadcasting from `shape` to `to`."""
    lead = len(to) - len(shape)
    pairs = ((lead + axis, axis) for axis, n in enumerate(shape) if to[lead + axis] == n)
    return linked(pairs, unread=unread)
