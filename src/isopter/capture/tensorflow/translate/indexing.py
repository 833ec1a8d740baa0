"""Indexing: exact by a constant index, bounded by one that values decide."""

from __future__ import annotations

import math

import numpy as np

from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.indices import gather_nd, scatter_nd
from isopter.capture.static.known import FOLLOWED
from isopter.capture.static.values import Const, Data
from isopter.capture.tensorflow.node import Node
from isopter.capture.tensorflow.translate import Translated, opaque, tf_op


@tf_op("Gather GatherV2")
def gather(rec: Builder, node: Node) -> Translated:
    """``out[.., i.., ..] = x[.., index[i..], ..]``; a table of weights looked up by data reads its own position of the index."""
    axis = node.axis(2) if node.op == "GatherV2" else 0
    batch = int(node.attr("batch_dims", 0) or 0)
    if node.data(0) is None:
        return _looked_up(rec, node, axis, batch % max(len(node.shape(1)), 1) if batch < 0 else batch)
    index = node.inputs[1].load() if isinstance(node.inputs[1], Const) else None
    if index is None:
        return chosen(rec, node, axis)
    op, shape = node.source(), node.shape(0)
    n = shape[axis]
    if index.size and not 0 <= index.min() <= index.max() < n:
        return opaque(rec, node)
    if batch:
        return _batched(rec, node, index, axis, batch % max(index.ndim, 1))
    at = index.astype(np.int64)
    op = _at(rec, op, axis, at.reshape(-1))
    if index.ndim == 0:
        op = moves.squeeze(rec, op, {axis}, "select")
    elif index.ndim > 1:
        op = moves.reshape(rec, op, node.out)
    value = node.inputs[0]
    assert isinstance(value, Data)
    return value.moved(op, shape, lambda x: x.take(at, axis=axis))


def _looked_up(rec: Builder, node: Node, axis: int, batch: int) -> Translated:
    op = node.source(1)
    rest = len(node.out) - axis - (len(rec.shape(op)) - batch)
    index = rec.shape(op)
    if rest < 0 or axis < batch:
        return opaque(rec, node)
    op = moves.reshape(rec, op, (*index[:batch], *(1,) * (axis - batch), *index[batch:], *(1,) * rest))
    return moves.expand(rec, op, node.out, "embedding")


def _batched(rec: Builder, node: Node, index: np.ndarray, axis: int, batch: int) -> Translated:
    """Each item of the first axes by an index of its own: run on positions, which shows who goes where."""
    shape = node.shape(0)
    if max(math.prod(shape), math.prod(node.out)) > FOLLOWED:
        return opaque(rec, node)
    marks = np.arange(math.prod(shape)).reshape(shape)
    items = math.prod(shape[:batch])
    flat, indices = marks.reshape(items, *shape[batch:]), index.reshape(items, *index.shape[batch:]).astype(np.int64)
    rows = np.stack([flat[k].take(indices[k], axis=axis - batch) for k in range(items)])
    return moves.gather(rec, node.source(), rows.reshape(-1, 1), node.out)


def _at(rec: Builder, op: int, axis: int, at: np.ndarray) -> int:
    """Positions along an axis; those at equal steps are a slice, which the analyses can extend over the plane."""
    steps = np.unique(np.diff(at))
    if len(at) and len(steps) <= 1 and (not len(steps) or steps[0] != 0):
        return moves.slice_axis(rec, op, axis, int(at[0]), int(steps[0]) if len(steps) else 1, len(at), "select")
    return moves.take(rec, op, axis, at)


def chosen(rec: Builder, node: Node, axis: int) -> Translated:
    """The index depends on the input, or is not known: the indexed axis is read whole, at most."""
    rec.issue(f"{node.op} by an index computed from the input: bounded by the whole indexed axis")
    first = node.source()
    rest = [op for op in node.all_data() if op != first]
    return rec.emit("chosen", node.out, [first, *rest], {"axes": (axis,)}, node.op)


@tf_op("GatherNd")
def gather_by_rows(rec: Builder, node: Node) -> Translated:
    """Run on positions, which shows who goes where."""
    if node.data(0) is None:
        return opaque(rec, node)
    index, shape = node.const(1), node.shape(0)
    if max(math.prod(shape), math.prod(node.out)) > FOLLOWED:
        return opaque(rec, node)
    marks = np.arange(math.prod(shape)).reshape(shape)
    rows = gather_nd(marks, index.astype(np.int64))
    return moves.gather(rec, node.source(), rows.reshape(-1, 1), node.out)


@tf_op("TensorScatterUpdate")
def scatter_update(rec: Builder, node: Node) -> Translated:
    """Writing at constant positions. Run on marks: of the first input below zero, of the updates from zero up."""
    index, shape = node.const(1), node.shape(0)
    updates = node.shape(2)
    if max(math.prod(shape), math.prod(updates)) > FOLLOWED:
        return opaque(rec, node)
    marks, writes = -np.arange(1, math.prod(shape) + 1).reshape(shape), np.arange(math.prod(updates)).reshape(updates)
    found = scatter_nd(marks, index.astype(np.int64), writes)
    base, new = node.data(0), node.data(2)
    inputs = [] if base is None else [base]
    if new is not None:
        inputs.append(moves.gather(rec, new, np.where(found < 0, -1, found).reshape(-1, 1), shape, "scatter"))
    return rec.emit("overlay", shape, inputs, {"covered": found >= 0, "base": base is not None, "value": new is not None}, "scatter")


@tf_op("ScatterNd TensorScatterAdd TensorScatterSub TensorScatterMax TensorScatterMin")
def scatter_add(rec: Builder, node: Node) -> Translated:
    """Updates summed up at constant positions, on zeros or on a tensor."""
    at, new = (0, 1) if node.op == "ScatterNd" else (1, 2)
    index, updates, shape = node.const(at).astype(np.int64), node.shape(new), node.out
    if max(math.prod(shape), math.prod(updates)) > FOLLOWED:
        return opaque(rec, node)
    inputs = [] if node.op == "ScatterNd" or node.data(0) is None else [node.source(0)]
    if node.data(new) is not None:
        targets = gather_nd(np.arange(math.prod(shape)).reshape(shape), index).reshape(-1)
        rows = _sources(targets, math.prod(shape))
        if rows is None:
            return opaque(rec, node)
        inputs.append(moves.gather(rec, node.source(new), rows, shape, "scatter"))
    return inputs[0] if len(inputs) == 1 else rec.emit("pointwise", shape, inputs, {}, "add")


def _sources(targets: np.ndarray, count: int) -> np.ndarray | None:
    """For each of `count` positions, which writes go there, filled up with -1; None where too many meet at one."""
    order = np.argsort(targets, kind="stable")
    met = np.bincount(targets, minlength=count)
    width = int(met.max(initial=1)) or 1
    if width * count > FOLLOWED:
        return None
    rows = np.full((count, width), -1, np.int64)
    starts = np.cumsum(met) - met
    rank = np.arange(len(order)) - starts[targets[order]]
    rows[targets[order], rank] = order
    return rows


@tf_op("DynamicStitch ParallelDynamicStitch")
def stitch(rec: Builder, node: Node) -> Translated:
    """Rows of several tensors by constant positions; of two writes the later stays."""
    half = len(node.inputs) // 2
    indices = [node.const(k) for k in range(half)]
    rest = node.out[1:]
    owner = np.full((node.out[0], 2), -1, np.int64)
    for k, index in enumerate(indices):
        owner[index.reshape(-1).astype(np.int64)] = np.stack([np.full(index.size, k), np.arange(index.size)], axis=1)
    pieces = []
    for k in range(half):
        if node.data(half + k) is None:
            continue
        op = moves.reshape(rec, node.source(half + k), (indices[k].size, *rest))
        pieces.append(moves.take(rec, op, 0, np.where(owner[:, 0] == k, owner[:, 1], -1)))
    return pieces[0] if len(pieces) == 1 else rec.emit("pointwise", node.out, pieces, {}, "add")
