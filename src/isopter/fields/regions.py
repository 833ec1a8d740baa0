"""Regions: for every unit of every op at this input size, the clipped interval it reads along each space axis.

One fold forward over the graph. Per op and space axis two integer bounds (lo, hi), lazily broadcast over the op's shape; a
position that reads nothing holds lo = EMPTY, hi = -EMPTY, the identities of min and max. Half-width integers do: no axis of an image
has a billion pixels.

A bound is kept as the terms whose minimum (maximum) it is: attention scores (i, j) read what i and what j read, two terms of
length n instead of one of n * n. Terms are joined where that makes nothing larger, and when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from isopter.errors import UsageError
from isopter.fields.plan import Edge, Plan
from isopter.graph import Shape
from isopter.reads.gather import collapse, gather

EMPTY = 2**30

Pixels = npt.NDArray[np.int32]
Terms = tuple[Pixels, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Boxes:
    """Per space axis, the lowest and highest + 1 position read, each as terms lazily broadcast over the op's shape."""

    lo_terms: tuple[Terms, ...]
    hi_terms: tuple[Terms, ...]

    def over(self, others: tuple[int, ...]) -> tuple[list[Pixels], list[Pixels]]:
        """Per space axis lo and hi, taken together along the axes `others`, which are dropped."""
        return (
            [reduce(np.minimum, (term.min(axis=others) for term in terms)) for terms in self.lo_terms],
            [reduce(np.maximum, (term.max(axis=others) for term in terms)) for terms in self.hi_terms],
        )

    def at(self, index: Mapping[int, int]) -> tuple[list[int], list[int]]:
        """Per space axis lo and hi of the positions with these indices along these axes."""

        def part(term: Pixels) -> Pixels:
            return term[tuple(index[a] if a in index and n > 1 else slice(None) for a, n in enumerate(term.shape))]

        return (
            [min(int(part(term).min()) for term in terms) for terms in self.lo_terms],
            [max(int(part(term).max()) for term in terms) for terms in self.hi_terms],
        )

    @property
    def empty(self) -> bool:
        """Whether nothing is read anywhere."""
        return all((term >= EMPTY).all() for terms in self.lo_terms for term in terms)


def regions(plan: Plan, context: bool) -> list[Boxes | None]:
    """The boxes of every op; None where the op does not depend on the input. Linear in the number of ops."""
    ops = plan.graph.ops
    boxes: list[Boxes | None] = [None] * len(ops)
    boxes[plan.origin] = identity(plan)
    for target, op in enumerate(ops):
        for edge in plan.incoming(target, context):
            before = boxes[edge.source]
            assert before is not None
            read = before if edge.plain else _through(edge, before, ops[edge.source].shape, op.shape)
            boxes[target] = _union(boxes[target], read)
    return boxes


def identity(plan: Plan) -> Boxes:
    """Every input position reads itself."""
    shape = plan.graph.ops[plan.origin].shape
    lo = []
    for axis in plan.axes:
        sizes = [n if a == axis else 1 for a, n in enumerate(shape)]
        if shape[axis] >= EMPTY:
            raise UsageError(f"The input has {shape[axis]:,} positions along axis {axis}; regions are kept for fewer than {EMPTY:,}.")
        lo.append(np.arange(shape[axis], dtype=np.int32).reshape(sizes))
    return Boxes(tuple((a,) for a in lo), tuple((a + 1,) for a in lo))


def _through(edge: Edge, before: Boxes, shape_in: Shape, shape_out: Shape) -> Boxes:
    """What the edge's target reads through it. The lowest over what is read is the lowest of each term's lowest."""

    def gathered(terms: Terms, pick: np.ufunc, fill: object) -> Terms:
        first, *others = (gather(edge.relation, term, shape_in, shape_out, pick, fill) for term in terms)
        return _joined(pick, (first,), tuple(others))

    return Boxes(
        tuple(gathered(terms, np.minimum, EMPTY) for terms in before.lo_terms),
        tuple(gathered(terms, np.maximum, -EMPTY) for terms in before.hi_terms),
    )


def _union(a: Boxes | None, b: Boxes) -> Boxes:
    if a is None:
        return b
    return Boxes(
        tuple(_joined(np.minimum, x, y) for x, y in zip(a.lo_terms, b.lo_terms, strict=True)),
        tuple(_joined(np.maximum, x, y) for x, y in zip(a.hi_terms, b.hi_terms, strict=True)),
    )


def _joined(pick: Callable[[Pixels, Pixels], Pixels], a: Terms, b: Terms) -> Terms:
    """All terms, joined where the result is no larger than the larger of two."""
    terms = list(a)
    for new in b:
        for at, old in enumerate(terms):
            if new is old:
                break
            size = np.broadcast_shapes(old.shape, new.shape)
            if size in (old.shape, new.shape):
                differing = tuple(axis for axis, (n, m) in enumerate(zip(old.shape, new.shape, strict=True)) if n != m)
                terms[at] = collapse(pick(old, new), differing)  # a token that reads all outweighs the others
                break
        else:
            terms.append(new)
    return tuple(terms)
