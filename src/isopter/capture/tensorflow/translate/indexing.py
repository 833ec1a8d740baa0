"""Indexing: exact by a constant index, bounded by one that values decide."""

from __future__ import annotations

import math

import numpy as np

from isopter.capture.static import indexing, moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.indices import gather_nd, scatter_nd
from isopter.capture.static.known import FOLLOWED
from isopter.capture.static.values import Const
from isopter.capture.tensorflow.node import Node
from isopter.capture.tensorflow.translate import Translated, opaque, tf_op


@tf_op("Gather GatherV2")
def gather(rec: Builder, node: Node) -> Translated:
    """``out[.., i.., ..] = x[.., index[i..], ..]``; a table of weights looked up by data reads its own position of the index."""
    axis = node.axis(2) if node.op == "GatherV2" else 0
    batch = int(node.attr("batch_dims", 0) or 0)
    batch += len(node.shape(1)) if batch < 0 else 0
    if node.data(0) is None:
        found = indexing.looked_up(rec, node.source(1), axis, node.out, batch)
        return opaque(rec, node) if found is None else found
    index = node.inputs[1].load() if isinstance(node.inputs[1], Const) else None
    if index is None:
        return indexing.chosen(rec, node, axis)
    if index.size and not 0 <= index.min() <= index.max() < node.shape(0)[axis]:
        return opaque(rec, node)
    if batch:
        return _batched(rec, node, index.astype(np.int64), axis, batch)
    return indexing.gather(rec, node.carried(), axis, index.astype(np.int64), node.out)


def _batched(rec: Builder, node: Node, index: np.ndarray, axis: int, batch: int) -> Translated:
    """Each item of the first axes by an index of its own."""
    items = math.prod(index.shape[:batch])

    def taken(x: np.ndarray) -> np.ndarray:
        flat, indices = x.reshape(items, *x.shape[batch:]), index.reshape(items, *index.shape[batch:])
        return np.stack([flat[k].take(indices[k], axis=axis - batch) for k in range(items)]).reshape(node.out)

    found = indexing.traced(rec, node.source(), node.out, taken) if items else None
    return opaque(rec, node) if found is None else found


@tf_op("GatherNd")
def gather_by_rows(rec: Builder, node: Node) -> Translated:
    """Run on positions, which shows who goes where."""
    op, index = node.source(), node.const(1).astype(np.int64)
    found = indexing.traced(rec, op, node.out, lambda x: gather_nd(x, index))
    return opaque(rec, node) if found is None else found


@tf_op("TensorScatterUpdate")
def scatter_update(rec: Builder, node: Node) -> Translated:
    """Writing at constant positions."""
    index = node.const(1).astype(np.int64)
    found = indexing.overwritten(rec, node, lambda x, new: scatter_nd(x, index, new))
    return opaque(rec, node) if found is None else found


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
        rows = indexing.met(targets, np.arange(len(targets)), math.prod(shape))
        if rows is None:
            return opaque(rec, node)
        inputs.append(moves.gather(rec, node.source(new), rows, shape, "scatter"))
    return inputs[0] if len(inputs) == 1 else rec.emit("pointwise", shape, inputs, {}, "add")


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
