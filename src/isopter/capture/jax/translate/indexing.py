"""Gather and scatter: exact by constant indices, bounded by those that values decide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isopter.capture.jax.node import Node, Tape
from isopter.capture.jax.translate import Translated, opaque, primitive
from isopter.capture.jax.translate.along import interpolated, nearest_mode
from isopter.capture.jax.translate.shapes import moved_axes, turned
from isopter.capture.static import moves
from isopter.capture.static.indexing import evenly, met, select
from isopter.capture.static.known import FOLLOWED
from isopter.capture.static.node import Unknown
from isopter.graph import Shape


@dataclass(frozen=True, slots=True)
class Places:
    """Where a gather reads (or a scatter writes): `coords[d]` are positions along axis d of the operand, broadcastable to the shape of
    the gathered array; `inside` where they are in the operand. `full`: axes of the operand that are read whole, with the axis of the
    gathered array each one is."""

    coords: list[np.ndarray]
    inside: np.ndarray
    full: dict[int, int]


def places(index: np.ndarray, numbers: Any, operand: Shape, sizes: Shape, gathered: Shape, clip: bool) -> Places:
    """As XLA defines it: https://openxla.org/xla/operation_semantics#gather."""
    offset_dims = [int(a) for a in numbers.offset_dims]
    batch_dims = [a for a in range(len(gathered)) if a not in offset_dims]
    collapsed = {int(a) for a in numbers.collapsed_slice_dims}
    batching = [int(a) for a in getattr(numbers, "operand_batching_dims", ())]
    indexed = [int(a) for a in getattr(numbers, "start_indices_batching_dims", ())]
    start_map = [int(a) for a in numbers.start_index_map]
    offset_of = dict(zip([d for d in range(len(operand)) if d not in collapsed and d not in batching], offset_dims, strict=True))
    grid = np.ones(len(gathered), np.int64)
    coords, full = [], {}
    inside = np.ones([1] * len(gathered), np.bool_)
    for d, n in enumerate(operand):
        at: np.ndarray = np.zeros(grid, np.int64)
        if d in start_map:
            start = index[..., start_map.index(d)].astype(np.int64)
            placed = start.reshape([gathered[a] if a in batch_dims else 1 for a in range(len(gathered))])
            if clip:
                placed = placed.clip(0, n - sizes[d])
            else:
                inside = inside & (placed >= 0) & (placed <= n - sizes[d])
            at = at + placed
        if d in batching:
            axis = batch_dims[indexed[batching.index(d)]]
            at = at + _along(np.arange(gathered[axis]), axis, len(gathered))
        if d in offset_of:
            axis = offset_of[d]
            at = at + _along(np.arange(sizes[d]), axis, len(gathered))
            if d not in start_map and sizes[d] == n:
                full[d] = axis
        coords.append(at)
    return Places(coords, inside, full)


def _along(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    return values.reshape([-1 if a == axis else 1 for a in range(rank)])


@primitive("gather")
def gather(rec: Tape, node: Node) -> Translated:
    """By a constant index exact; a table of weights looked up by data reads its own position of the index."""
    p = node.params
    numbers, sizes = p["dimension_numbers"], tuple(int(n) for n in p["slice_sizes"])
    if node.data(0) is None:
        return _looked_up(rec, node, numbers)
    index = node.const(1)
    if index is None:
        return _chosen(rec, node, numbers, sizes)
    if 0 in node.out:
        return opaque(rec, node)
    value = node.carried()
    where = places(index, numbers, node.shapes[0], sizes, node.out, "CLIP" in str(p["mode"]) or "PROMISE" in str(p["mode"]))
    op = _gathered(rec, value.op, where, node.shapes[0], node.out)
    if value.fixed is None and value.faint is None:
        return op
    if not where.inside.all():
        return op
    at = tuple(np.broadcast_to(c, node.out) for c in where.coords)
    return value.moved(op, node.shapes[0], lambda x: x[at])


def _gathered(rec: Tape, op: int, where: Places, shape: Shape, out: Shape) -> int:
    """Emit what these places read: axis by axis where each is by itself, else as one list of positions."""
    loose = [d for d in range(len(shape)) if d not in where.full]
    if where.inside.all():
        apart = _apart(rec, op, where, shape, out, loose)
        if apart is not None:
            return apart
    ins = tuple(loose)
    outs = tuple(a for a in range(len(out)) if a not in where.full.values())
    here = [out[a] for a in outs]
    if math.prod(here) > FOLLOWED:
        raise Unknown("more positions than are followed")
    keep = tuple(where.full.values())
    flat = np.zeros(here, np.int64)
    for d in ins:
        flat = flat * shape[d] + np.broadcast_to(np.squeeze(where.coords[d], keep), here)
    flat = np.where(np.broadcast_to(np.squeeze(where.inside, keep), here), flat, -1)
    params = {"outs": outs, "ins": ins, "rows": flat.reshape(-1, 1), "pairs": tuple((o, i) for i, o in where.full.items())}
    return rec.emit("gather", out, [op], params, "index")


def _apart(rec: Tape, op: int, where: Places, shape: Shape, out: Shape, loose: list[int]) -> int | None:
    """Each indexed axis by an axis of its own; None where two go together, or one by several."""
    of: dict[int, int | None] = {}
    for d in loose:
        long = [a for a, n in enumerate(where.coords[d].shape) if n > 1]
        if len(long) > 1:
            return None
        of[d] = long[0] if long else None
    used = [a for a in of.values() if a is not None]
    if len(set(used)) < len(used):
        return None
    for d in loose:
        op = _at(rec, op, d, where.coords[d].reshape(-1))
    to = {d: a for d, a in {**where.full, **of}.items() if a is not None}
    free = [a for a in range(len(out)) if a not in to.values() and out[a] == 1]
    for d in loose:  # an axis of one position may stay as an axis of length 1
        if of[d] is None and free:
            to[d] = free.pop(0)
    if any(a not in to.values() and out[a] != 1 for a in range(len(out))):
        return None
    kept = sorted(to)
    op = moved_axes(rec, op, tuple(rec.ops[op].shape[d] for d in kept), list(enumerate(kept)))
    order = sorted(range(len(kept)), key=lambda k: to[kept[k]])
    op = turned(rec, op, order)
    places_ = sorted(to.values())
    return moved_axes(rec, op, out, [(a, k) for k, a in enumerate(places_)])


def _at(rec: Tape, op: int, axis: int, at: np.ndarray) -> int:
    """Positions along an axis; those at equal steps are a slice, which the analyses can extend over the plane."""
    mode = None if evenly(at) else nearest_mode(at, rec.ops[op].shape[axis])
    return select(rec, op, axis, at) if mode is None else interpolated(rec, op, axis, len(at), mode, False)


def _chosen(rec: Tape, node: Node, numbers: Any, sizes: Shape) -> Translated:
    """The index is computed: the indexed axes are read whole, at most."""
    rec.issue("A gather by an index computed from the input: bounded by the whole indexed axes")
    first = node.source()
    rest = [op for op in node.all_data() if op != first]
    axes = tuple(sorted(int(a) for a in numbers.start_index_map))
    shape = node.shapes[0]
    others = [a for a in range(len(shape)) if a not in axes]
    batch = [a for a in range(len(node.out)) if a not in set(map(int, numbers.offset_dims))]
    alone = len(axes) == len(batch) == 1 and set(map(int, numbers.collapsed_slice_dims)) == set(axes)
    if alone and all(sizes[a] == shape[a] for a in others) and all(math.prod(rec.shape(op)) == node.out[batch[0]] for op in rest):
        axis, count = axes[0], node.out[batch[0]]
        between = tuple(count if a == axis else n for a, n in enumerate(shape))
        thin = [count if a == axis else 1 for a in range(len(shape))]
        spread = [moves.expand(rec, moves.reshape(rec, op, thin), between) for op in rest]
        made = rec.emit("chosen", between, [first, *spread], {"axes": axes}, "gather")
        left = iter(others)
        return turned(rec, made, [axis if a == batch[0] else next(left) for a in range(len(between))])
    return rec.emit("chosen", node.out, [first, *rest], {"axes": axes}, "gather")


def _looked_up(rec: Tape, node: Node, numbers: Any) -> Translated:
    """A table of weights looked up by data: each position reads its own of the index."""
    op, shape = node.source(1), node.shapes[1]
    batch = [a for a in range(len(node.out)) if a not in {int(a) for a in numbers.offset_dims}]
    rank = len(shape) - 1
    if shape[-1] == 1:
        op = moved_axes(rec, op, shape[:-1], [(a, a) for a in range(rank)])
    else:
        op = rec.emit("reduce", shape[:-1], [op], {"axes": (rank,), "keepdim": False}, "index")
    thin = [1] * len(node.out)
    for a, axis in enumerate(batch):
        thin[axis] = shape[a]
    op = moved_axes(rec, op, tuple(thin), [(axis, a) for a, axis in enumerate(batch)])
    return moves.expand(rec, op, node.out, "embedding")


SCATTERS = "scatter scatter-add scatter-sub scatter-mul scatter-min scatter-max scatter_add scatter_sub scatter_mul scatter_min scatter_max"


@primitive(SCATTERS)
def scatter(rec: Tape, node: Node) -> Translated:
    """Written at constant positions: over what is there, or combined with it."""
    shape, updates, index = node.shapes[0], node.shapes[2], node.const(1)
    if index is None:
        raise Unknown("positions")
    if max(math.prod(shape), math.prod(updates)) > FOLLOWED:
        return opaque(rec, node)
    numbers = _as_gather(node.params["dimension_numbers"])
    sizes = _window(node.params["dimension_numbers"], shape, updates)
    where = places(index, numbers, shape, sizes, updates, "CLIP" in str(node.params["mode"]))
    flat = np.zeros(updates, np.int64)
    for d, n in enumerate(shape):
        flat = flat * n + np.broadcast_to(where.coords[d], updates)
    inside = np.broadcast_to(where.inside, updates).reshape(-1)
    to, source = flat.reshape(-1)[inside], np.arange(math.prod(updates))[inside]
    base, new = node.data(0), node.data(2)
    covered = np.zeros(math.prod(shape), np.bool_)
    covered[to] = True
    covered = covered.reshape(shape)
    applied = node.op == "scatter" and node.params.get("update_jaxpr") is not None  # a function of what is there (`scatter_apply`)
    if node.op == "scatter" and not applied:
        last = np.full((math.prod(shape), 1), -1, np.int64)
        last[to, 0] = source
        inputs = [] if base is None else [base]
        if new is not None:
            inputs.append(moves.gather(rec, new, last, shape, "scatter"))
        params = {"covered": _thin(covered), "base": base is not None, "value": new is not None}
        return rec.emit("overlay", shape, inputs, params, "scatter")
    inputs = [] if base is None else [base]
    if new is not None:
        rows = met(to, source, math.prod(shape))
        if rows is None:
            return opaque(rec, node)
        inputs.append(moves.gather(rec, new, rows, shape, "scatter"))
    return rec.emit("pointwise", shape, inputs, {}, "add" if node.op in ("scatter-add", "scatter_add") else "scatter")


def _thin(mask: np.ndarray) -> np.ndarray:
    """The mask with length 1 along axes on which it does not change."""
    for axis in range(mask.ndim):
        first = mask.take([0], axis=axis) if mask.shape[axis] else mask
        if mask.shape[axis] and bool((mask == first).all()):
            mask = first
    return mask


@dataclass(frozen=True, slots=True)
class _Numbers:
    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...]
    start_indices_batching_dims: tuple[int, ...]


def _as_gather(numbers: Any) -> _Numbers:
    return _Numbers(
        tuple(numbers.update_window_dims),
        tuple(numbers.inserted_window_dims),
        tuple(numbers.scatter_dims_to_operand_dims),
        tuple(getattr(numbers, "operand_batching_dims", ())),
        tuple(getattr(numbers, "scatter_indices_batching_dims", ())),
    )


def _window(numbers: Any, shape: Shape, updates: Shape) -> Shape:
    """The size of the window that is written, along each axis of the operand."""
    gone = {*map(int, numbers.inserted_window_dims), *map(int, getattr(numbers, "operand_batching_dims", ()))}
    left = iter(int(a) for a in numbers.update_window_dims)
    return tuple(1 if d in gone else updates[next(left)] for d in range(len(shape)))
