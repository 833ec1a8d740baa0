"""Regions: for every unit of every op at this input size, the clipped interval it reads along each space axis.

One fold forward over the graph. Per op and space axis two integer arrays (lo, hi), lazily broadcast over the op's shape; a
position that reads nothing holds lo = EMPTY, hi = -EMPTY, the identities of min and max.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isopter.fields.plan import Plan
from isopter.reads.axis import Ints
from isopter.reads.gather import collapse, gather

EMPTY = np.int64(2) ** 60


@dataclass(frozen=True, eq=False, slots=True)
class Boxes:
    """Per space axis, the lowest and highest + 1 position read, lazily broadcast over the op's shape."""

    lo: tuple[Ints, ...]
    hi: tuple[Ints, ...]


def regions(plan: Plan, context: bool) -> list[Boxes | None]:
    """The boxes of every op; None where the op does not depend on the input. Linear in the number of ops."""
    ops = plan.graph.ops
    boxes: list[Boxes | None] = [None] * len(ops)
    boxes[plan.origin] = identity(plan)
    for target, op in enumerate(ops):
        for edge in plan.incoming(target, context):
            before = boxes[edge.source]
            assert before is not None
            shape_in = ops[edge.source].shape
            read = (
                before
                if edge.plain
                else Boxes(
                    tuple(gather(edge.relation, a, shape_in, op.shape, np.minimum, EMPTY) for a in before.lo),
                    tuple(gather(edge.relation, a, shape_in, op.shape, np.maximum, -EMPTY) for a in before.hi),
                )
            )
            boxes[target] = _union(boxes[target], read)
    return boxes


def identity(plan: Plan) -> Boxes:
    """Every input position reads itself."""
    shape = plan.graph.ops[plan.origin].shape
    lo = []
    for axis in plan.axes:
        sizes = [n if a == axis else 1 for a, n in enumerate(shape)]
        lo.append(np.arange(shape[axis], dtype=np.int64).reshape(sizes))
    return Boxes(tuple(lo), tuple(a + 1 for a in lo))


def _union(a: Boxes | None, b: Boxes) -> Boxes:
    if a is None:
        return b
    return Boxes(
        tuple(_join(np.minimum, x, y) for x, y in zip(a.lo, b.lo, strict=True)),
        tuple(_join(np.maximum, x, y) for x, y in zip(a.hi, b.hi, strict=True)),
    )


def _join(reduce: np.ufunc, x: Ints, y: Ints) -> Ints:
    """Position by position; where one side does not vary along an axis it may outweigh the other (a token that reads all)."""
    if x is y:
        return x
    joined: Ints = reduce(x, y)
    return collapse(joined, tuple(a for a, (n, m) in enumerate(zip(x.shape, y.shape, strict=True)) if n != m))
