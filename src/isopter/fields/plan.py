"""The plan of a walk: every edge of the graph with its relation, and which edges are local.

Strictly, a net with squeeze-excite gates or group norms sees the whole image at every unit. That truth must not drown the
local field, so each edge that collapses space to a summary raises its path's *level*; an op's local field is made of the
paths of the lowest level that reach it, the others are its context. (A classifier's head has only paths through a summary:
they are its lowest level.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from isopter.errors import UsageError
from isopter.fields.lineage import Axis, Factor, carries_space, collapses_space, follow
from isopter.fields.space import slid_axes
from isopter.graph import Graph
from isopter.reads.registry import reads
from isopter.reads.relation import ORDER, Exactness, Relation


@dataclass(frozen=True, eq=False, slots=True)
class Edge:
    """Op `target` reads op `source` by `relation`; `local` edges make the local field, `plain` ones change nothing."""

    source: int
    target: int
    relation: Relation
    local: bool = True
    plain: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """How the field over one input (op index `origin`, space axes `axes`) flows through `graph`.

    Per op: `edges` into it (None where nothing depends on the input), `units` (the axes that index its units), `context`
    (whether a context read lies on a path to it) and `exactness` (the worst on any path to it).
    """

    graph: Graph
    origin: int
    axes: tuple[int, ...]
    edges: tuple[tuple[Edge, ...] | None, ...]
    units: tuple[tuple[int, ...], ...]
    context: tuple[bool, ...]
    exactness: tuple[Exactness, ...]

    def incoming(self, op: int, context: bool) -> Iterator[Edge]:
        """Edges into `op` whose source depends on the input: the local ones, or all with `context`."""
        for edge in self.edges[op] or ():
            if context or edge.local:
                yield edge

    def depends(self, op: int) -> bool:
        """Whether `op` depends on the input at all."""
        return op == self.origin or bool(self.edges[op])


def make_plan(graph: Graph, origin: int, axes: tuple[int, ...] | None = None) -> Plan:
    """Apply every rule once and work out lineage, levels, context and exactness. Linear in the number of ops."""
    shape = graph.ops[origin].shape
    axes = slid_axes(graph, origin) if axes is None else axes
    if not axes or any(not -len(shape) <= a < len(shape) for a in axes) or len({a % len(shape) for a in axes}) < len(axes):
        raise UsageError(f"axes={axes} must name different axes of the input, whose shape is {shape} (0..{len(shape) - 1}).")
    axes = tuple(a % len(shape) for a in axes)

    count = len(graph.ops)
    lineage: list[list[Axis] | None] = [None] * count
    level = [0] * count
    edges: list[tuple[Edge, ...] | None] = [None] * count
    context = [False] * count
    exactness: list[Exactness] = ["exact"] * count
    lineage[origin] = [(Factor(n, a in axes),) for a, n in enumerate(shape)]

    for target, op in enumerate(graph.ops):
        if not any(lineage[i] is not None for i in op.inputs):
            continue
        found: list[tuple[Edge, int]] = []
        for source, relations in zip(op.inputs, reads(graph, op), strict=True):
            before = lineage[source]
            if before is None:
                continue
            for relation in relations:
                shape_in = graph.ops[source].shape
                summary = relation.summary and collapses_space(relation, before, shape_in, op.shape)
                plain = relation.is_identity(len(shape_in)) and shape_in == op.shape
                found.append((Edge(source, target, relation, plain=plain), level[source] + summary))
                after = before if plain else follow(relation, before, shape_in, op.shape)
                lineage[target] = _merge(lineage[target], after)
        if not found:
            continue
        level[target] = min(at for _, at in found)
        edges[target] = tuple(replace(e, local=at == level[target]) for e, at in found)
        context[target] = any(context[e.source] or not e.local for e in edges[target] or ())
        exactness[target] = max((worst for e, _ in found for worst in (exactness[e.source], e.relation.exactness)), key=ORDER.index)
        if op.params.get("leaked"):  # Python code read values before this op ran: see the tape's `leak`
            exactness[target] = max(exactness[target], "data_dependent", key=ORDER.index)

    units = tuple(
        tuple(a for a in range(len(op.shape)) if carried is not None and carries_space(carried[a]))
        for op, carried in zip(graph.ops, lineage, strict=True)
    )
    return Plan(graph, origin, axes, tuple(edges), units, tuple(context), tuple(exactness))


def _merge(a: list[Axis] | None, b: list[Axis]) -> list[Axis]:
    if a is None:
        return b
    return [y if any(f.space for f in y) and not any(f.space for f in x) else x for x, y in zip(a, b, strict=True)]
