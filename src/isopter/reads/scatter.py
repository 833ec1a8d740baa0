"""Pulling a set of output positions back to the set of input positions it reads, holes included.

Sets are `Patch`es: a boolean block with an origin, so the cost is that of the field and not of the image. An axis may be
`full`: every position of it, in a block of length 1.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isopter.graph import Shape
from isopter.reads.axis import NOTHING, Array, AxisMap, Ints, Same, Span, Whole, table_of
from isopter.reads.relation import Link, Listed, Regroup, Relation

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Patch:
    """Positions of a tensor: `mask` is a block at `origin`; along `full` axes it has length 1 and stands for every position."""

    mask: Bools
    origin: tuple[int, ...]
    full: tuple[bool, ...]

    def expand(self, axis: int, n: int) -> Patch:
        """The same set with a full axis written out as [0, n)."""
        if not self.full[axis]:
            return self
        sizes = [n if a == axis else k for a, k in enumerate(self.mask.shape)]
        full = tuple(f and a != axis for a, f in enumerate(self.full))
        return Patch(np.broadcast_to(self.mask, sizes), self.origin, full)


def union(a: Patch | None, b: Patch | None, shape: Shape) -> Patch | None:
    """The union of two sets of positions of a tensor of this shape."""
    if a is None or b is None:
        return a or b
    for axis, n in enumerate(shape):
        if a.full[axis] != b.full[axis]:
            a, b = a.expand(axis, n), b.expand(axis, n)
    lo = tuple(min(p, q) for p, q in zip(a.origin, b.origin, strict=True))
    ends = zip(a.origin, a.mask.shape, b.origin, b.mask.shape, strict=True)
    sizes = tuple(max(p + n, q + m) - low for (p, n, q, m), low in zip(ends, lo, strict=True))
    mask = np.zeros(sizes, np.bool_)
    for patch in (a, b):
        mask[tuple(slice(o - low, o - low + n) for o, low, n in zip(patch.origin, lo, patch.mask.shape, strict=True))] |= patch.mask
    return Patch(mask, lo, a.full)


def scatter(relation: Relation, patch: Patch, shape_in: Shape, shape_out: Shape, plane: Collection[int] = ()) -> Patch | None:
    """The input positions read by `patch`; None if there are none.

    Inside the tensor; but along the output axes in `plane` borders do not exist (their links must have a plane form).
    """
    if relation.unread is not None:
        patch = _without(relation.unread, patch, shape_out)
    links = relation.links
    linked = [axis for link in links for axis in link.outs]
    mask: Bools = np.asarray(patch.mask.any(axis=tuple(a for a in range(len(shape_out)) if a not in linked)))
    kept = sorted(linked)
    mask = mask.transpose([kept.index(a) for a in linked])
    origin, full = [patch.origin[a] for a in linked], [patch.full[a] for a in linked]

    at = 0
    for link in links:
        k = len(link.outs)
        sizes_out, sizes_in = tuple(shape_out[a] for a in link.outs), tuple(shape_in[a] for a in link.ins)
        block = Patch(mask, tuple(origin), tuple(full))
        pulled = _pull(link, block, at, sizes_out, sizes_in, clip=link.outs[0] not in plane)
        if pulled is None:
            return None
        mask, new_origin, new_full = pulled
        origin[at : at + k], full[at : at + k] = new_origin, new_full
        at += len(sizes_in)
    if not mask.any():
        return None
    ins = [axis for link in links for axis in link.ins]
    mask = mask.transpose(np.argsort(ins))
    sizes = iter(mask.shape)
    mask = mask.reshape([next(sizes) if a in ins else 1 for a in range(len(shape_in))])
    where = {a: i for i, a in enumerate(ins)}
    return _trim(
        Patch(
            mask,
            tuple(origin[where[a]] if a in where else 0 for a in range(len(shape_in))),
            tuple(full[where[a]] if a in where else True for a in range(len(shape_in))),
        )
    )


Pulled = tuple[Bools, list[int], list[bool]] | None


def _pull(link: Link, block: Patch, at: int, sizes_out: Shape, sizes_in: Shape, clip: bool) -> Pulled:
    """One link: the block with its axes [at, at + outs) replaced by input axes, and their origins and fulls."""
    k = len(sizes_out)
    if isinstance(link.map, Regroup | Listed):
        if all(block.full[at : at + k]) and (isinstance(link.map, Regroup)):
            shape = block.mask.shape
            mask = block.mask.reshape(shape[:at] + (1,) * len(sizes_in) + shape[at + k :])
            return mask, [0] * len(sizes_in), [True] * len(sizes_in)
        for offset, n in enumerate(sizes_out):
            block = block.expand(at + offset, n)
        flat = np.moveaxis(block.mask.reshape((*block.mask.shape[:at], -1, *block.mask.shape[at + k :])), at, 0)
        cells = flat_positions(block.origin[at : at + k], block.mask.shape[at : at + k], sizes_out)
        rows = cells[:, None] if isinstance(link.map, Regroup) else link.map.at(cells)
        return _place(flat, rows, at, sizes_in)
    if isinstance(link.map, Same):
        return block.mask, [block.origin[at]], [block.full[at]]
    return _pull_axis(link.map, block, at, sizes_out[0], sizes_in[0], clip)


def _pull_axis(axis_map: AxisMap, block: Patch, axis: int, n_out: int, n_in: int, clip: bool) -> Pulled:
    if n_in == 0:
        return None
    if isinstance(axis_map, Whole):
        return np.asarray(block.mask.any(axis=axis, keepdims=True)), [0], [True]
    if block.full[axis]:
        if not clip and axis_map.plane is not None and not isinstance(axis_map, Span):
            return block.mask, [0], [True]
        table = table_of(axis_map, n_out, n_in)
        covered = np.unique(table[table >= 0])
        if len(covered) == n_in:
            return block.mask, [0], [True]
        block = block.expand(axis, n_out)
    at = np.arange(block.origin[axis], block.origin[axis] + block.mask.shape[axis], dtype=np.int64)
    if clip or axis_map.plane is None:
        inside = (at >= 0) & (at < n_out)
        rows = table_of(axis_map, n_out, n_in)[np.where(inside, at, 0)]
        rows = np.where(inside[:, None] & (rows >= 0), rows, NOTHING)
    else:
        rows = axis_map.plane.taps(at)
    if (rows == NOTHING).all():
        return None
    front = np.moveaxis(block.mask, axis, 0)
    lo, hi = int(rows[rows != NOTHING].min()), int(rows.max()) + 1
    result = np.zeros((hi - lo, *front.shape[1:]), np.bool_)
    for column in rows.T:
        valid = column != NOTHING
        join_rows(result, column[valid] - lo, front if valid.all() else front[valid], np.logical_or)
    return np.moveaxis(result, 0, axis), [lo], [False]


def join_rows(result: Array, index: Ints, rows: Array, join: np.ufunc) -> None:
    """``result[index[i]] = join(result[index[i]], rows[i])`` for every i, repeated indices included."""
    if not len(index):
        return
    steps = np.diff(index)
    if (steps > 0).all() or (steps < 0).all():
        result[index] = join(result[index], rows)
        return
    order = np.argsort(index, kind="stable")
    index = index[order]
    starts = np.flatnonzero(np.r_[True, np.diff(index) > 0])
    result[index[starts]] = join(result[index[starts]], join.reduceat(rows[order], starts, axis=0))


def flat_positions(origin: tuple[int, ...], shape: Shape, sizes: Shape) -> Ints:
    """Row-major positions of a block's cells in a tensor of these sizes (the first axis may run past its end)."""
    flat = np.zeros((1,) * len(sizes), np.int64)
    for axis, (start, n) in enumerate(zip(origin, shape, strict=True)):
        step = math.prod(sizes[axis + 1 :])
        flat = flat + (np.arange(start, start + n, dtype=np.int64) * step).reshape([-1 if a == axis else 1 for a in range(len(sizes))])
    return flat.ravel()


def _place(flat: Bools, rows: Ints, at: int, sizes_in: Shape) -> Pulled:
    """Put flattened cells (first axis) at the positions `rows` of the input group, as axes `at`.. of the result."""
    chosen = (rows != -1) & np.asarray(flat.reshape(len(flat), -1).any(axis=1))[:, None]
    used = rows[chosen]
    if not used.size:
        return None
    coordinates = []
    remaining = used
    for axis in range(len(sizes_in)):
        step = math.prod(sizes_in[axis + 1 :])
        coordinates.append(remaining // step)
        remaining = remaining % step
    lo = [int(c.min()) for c in coordinates]
    shape = [int(c.max()) + 1 - low for c, low in zip(coordinates, lo, strict=True)]
    result = np.zeros((math.prod(shape), *flat.shape[1:]), np.bool_)
    local = np.full(rows.shape, -1, np.int64)
    index = np.zeros(used.shape, np.int64)
    for c, low, n in zip(coordinates, lo, shape, strict=True):
        index = index * n + (c - low)
    local[chosen] = index
    for column in local.T:
        valid = column >= 0
        join_rows(result, column[valid], flat[valid], np.logical_or)
    moved = np.moveaxis(result.reshape(*shape, *flat.shape[1:]), range(len(shape)), range(at, at + len(shape)))
    return moved, lo, [False] * len(shape)


def _without(unread: Bools, patch: Patch, shape: Shape) -> Patch:
    unread = unread.reshape((1,) * (len(shape) - unread.ndim) + unread.shape)
    for axis, n in enumerate(unread.shape):
        if n > 1:
            patch = patch.expand(axis, shape[axis])
    keep = np.ones((1,) * len(shape), np.bool_)
    picked = ~unread
    for axis, n in enumerate(unread.shape):
        if n > 1:
            picked = picked.take(np.arange(patch.origin[axis], patch.origin[axis] + patch.mask.shape[axis]).clip(0, n - 1), axis=axis)
    return Patch(patch.mask & (keep & picked), patch.origin, patch.full)


def _trim(patch: Patch) -> Patch:
    """Cut the block to the positions it holds."""
    mask, origin = patch.mask, list(patch.origin)
    for axis, full in enumerate(patch.full):
        if not full:
            seen = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
            first, last = int(seen[0]), int(seen[-1]) + 1
            if (first, last) != (0, mask.shape[axis]):
                mask = mask[(slice(None),) * axis + (slice(first, last),)]
                origin[axis] += first
    return Patch(mask, tuple(origin), patch.full)
