"""Indexing: exact by a constant index, bounded by one that values decide."""

from __future__ import annotations

import math

import numpy as np

from isopter.capture.onnx.node import Node
from isopter.capture.onnx.translate import Translated, onnx_op, opaque, source_op
from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.indices import gather_elements, gather_nd, scatter_elements, scatter_nd
from isopter.capture.static.known import FOLLOWED
from isopter.capture.static.values import Data


@onnx_op("Gather")
def gather(rec: Builder, node: Node) -> Translated:
    """``out[.., i.., ..] = x[.., index[i..], ..]``; a table of weights looked up by data reads its own position of the index."""
    axis = node.axis(0)
    if node.data(0) is None:
        op = source_op(node, 1)
        rest = len(node.out) - axis - len(rec.shape(op))
        op = moves.reshape(rec, op, (*(1,) * axis, *rec.shape(op), *(1,) * rest))
        return moves.expand(rec, op, node.out, "embedding")
    index = node.const(1)
    if index is None:
        return chosen(rec, node, axis)
    op, shape = source_op(node), node.shape(0)
    n = shape[axis]
    at = np.where(index < 0, index + n, index).astype(np.int64)
    if at.size and not (at.min() >= 0 and at.max() < n):
        return opaque(rec, node)
    op = _at(rec, op, axis, at.reshape(-1))
    if index.ndim == 0:
        op = moves.squeeze(rec, op, {axis}, "select")
    elif index.ndim > 1:
        op = moves.reshape(rec, op, node.out)
    value = node.inputs[0]
    assert isinstance(value, Data)
    return value.moved(op, shape, lambda x: x.take(at, axis=axis))


def _at(rec: Builder, op: int, axis: int, at: np.ndarray) -> int:
    """Positions along an axis; those at equal steps are a slice, which the analyses can extend over the plane."""
    steps = np.unique(np.diff(at))
    if len(at) and len(steps) <= 1 and (not len(steps) or steps[0] != 0):
        return moves.slice_axis(rec, op, axis, int(at[0]), int(steps[0]) if len(steps) else 1, len(at), "select")
    return moves.take(rec, op, axis, at)


def chosen(rec: Builder, node: Node, axis: int) -> Translated:
    """The index depends on the input, or is not known: the indexed axis is read whole, at most."""
    rec.issue(f"{node.op} by an index computed from the input: bounded by the whole indexed axis")
    first = source_op(node)
    rest = [op for op in node.all_data() if op != first]
    return rec.emit("chosen", node.out, [first, *rest], {"axes": (axis,)}, node.op)


@onnx_op("GatherElements GatherND")
def gather_by_elements(rec: Builder, node: Node) -> Translated:
    """Run on positions, which shows who goes where."""
    if node.data(0) is None:
        return opaque(rec, node)
    index, shape = node.const(1), node.shape(0)
    if index is None:
        if node.op == "GatherElements":
            return chosen(rec, node, node.axis(0))
        return opaque(rec, node, "GatherND by an index computed from the input: bounded by its whole input")
    if max(math.prod(shape), math.prod(node.out)) > FOLLOWED:
        return opaque(rec, node)
    marks = np.arange(math.prod(shape)).reshape(shape)
    if node.op == "GatherElements":
        rows = gather_elements(marks, index, node.axis(0))
    else:
        rows = gather_nd(marks, index, int(node.attr("batch_dims", 0)))
    return moves.gather(rec, source_op(node), rows.reshape(-1, 1), node.out) if rows.shape == node.out else opaque(rec, node)


@onnx_op("ScatterElements ScatterND Scatter")
def scatter(rec: Builder, node: Node) -> Translated:
    """Writing at constant positions. Run on marks: of the first input below zero, of the updates from zero up."""
    shape, index = node.shape(0), node.const(1)
    updates = node.shape(2)
    if index is None or max(math.prod(shape), math.prod(updates)) > FOLLOWED or node.attr("reduction", "none") != "none":
        return opaque(rec, node)
    marks, writes = -np.arange(1, math.prod(shape) + 1).reshape(shape), np.arange(math.prod(updates)).reshape(updates)
    found = scatter_nd(marks, index, writes) if node.op == "ScatterND" else scatter_elements(marks, index, writes, node.axis(0))
    base, new = node.data(0), node.data(2)
    inputs = [] if base is None else [base]
    if new is not None:
        inputs.append(moves.gather(rec, new, np.where(found < 0, -1, found).reshape(-1, 1), shape, "scatter"))
    return rec.emit("overlay", shape, inputs, {"covered": found >= 0, "base": base is not None, "value": new is not None}, "scatter")
