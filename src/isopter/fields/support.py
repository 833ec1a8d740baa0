"""Support: the exact set of input positions a unit reads, holes included; and its transpose, the projective field."""

from __future__ import annotations

import numpy as np

from isopter.fields.plan import Plan
from isopter.reads.gather import gather
from isopter.reads.scatter import Bools, Patch, scatter, union


def pull(plan: Plan, op: int, start: Patch, *, context: bool, clip: bool = True) -> Patch | None:
    """Pull positions of `op` back to the input: one fold backward over the ops they depend on. None: nothing is read."""
    ops = plan.graph.ops
    waiting: dict[int, Patch] = {op: start}
    for target in range(op, plan.origin, -1):
        patch = waiting.pop(target, None)
        if patch is None:
            continue
        for edge in plan.incoming(target, context):
            shape = ops[edge.source].shape
            plane = () if clip else plan.units[target]
            pulled = patch if edge.plain else scatter(edge.relation, patch, shape, ops[target].shape, plane)
            if pulled is not None:
                known = waiting.get(edge.source)
                waiting[edge.source] = pulled if known is None else union(known, pulled, shape) or pulled
    return waiting.get(plan.origin)


def unit(plan: Plan, op: int, index: tuple[int, ...]) -> Patch:
    """The set holding one unit of `op`: an index along its unit axes, every position of the others (channels, batch)."""
    shape, axes = plan.graph.ops[op].shape, plan.units[op]
    at = dict(zip(axes, index, strict=True))
    return Patch(
        np.ones((1,) * len(shape), np.bool_),
        tuple(at.get(a, 0) for a in range(len(shape))),
        tuple(a not in at for a in range(len(shape))),
    )


def push(plan: Plan, pixel: tuple[int, ...], *, context: bool) -> list[Bools | None]:
    """For every op, the units that input position `pixel` (all channels) can reach: a mask over the op's unit axes."""
    ops = plan.graph.ops
    seen: list[Bools | None] = [None] * len(ops)
    shape = ops[plan.origin].shape
    at = dict(zip(plan.axes, pixel, strict=True))
    first = np.ones((1,) * len(shape), np.bool_)
    for axis, index in at.items():
        first = first & (np.arange(shape[axis]) == index).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    seen[plan.origin] = first
    for target, op in enumerate(ops):
        for edge in plan.incoming(target, context):
            before = seen[edge.source]
            assert before is not None
            read = before if edge.plain else gather(edge.relation, before, ops[edge.source].shape, op.shape, np.logical_or, False)
            so_far = seen[target]
            seen[target] = read if so_far is None else so_far | read
    return [None if mask is None else _over_units(plan, op, mask) for op, mask in enumerate(seen)]


def _over_units(plan: Plan, op: int, mask: Bools) -> Bools:
    axes = plan.units[op]
    shape = plan.graph.ops[op].shape
    any_other = mask.any(axis=tuple(a for a in range(len(shape)) if a not in axes))
    return np.broadcast_to(any_other, tuple(shape[a] for a in axes))
