"""Indexing: exact by a constant index, bounded by one that values decide."""

from __future__ import annotations

import numpy as np

from isopter.capture.onnx.node import Node
from isopter.capture.onnx.translate import Translated, onnx_op, opaque
from isopter.capture.static import indexing
from isopter.capture.static.builder import Builder
from isopter.capture.static.indices import gather_elements, gather_nd, scatter_elements, scatter_nd


@onnx_op("Gather")
def gather(rec: Builder, node: Node) -> Translated:
    """``out[.., i.., ..] = x[.., index[i..], ..]``; a table of weights looked up by data reads its own position of the index."""
    axis = node.axis(0)
    if node.data(0) is None:
        found = indexing.looked_up(rec, node.source(1), axis, node.out)
        return opaque(rec, node) if found is None else found
    index = node.const(1)
    if index is None:
        return indexing.chosen(rec, node, axis)
    n = node.shape(0)[axis]
    at = np.where(index < 0, index + n, index).astype(np.int64)
    if at.size and not (at.min() >= 0 and at.max() < n):
        return opaque(rec, node)
    return indexing.gather(rec, node.carried(), axis, at, node.out)


@onnx_op("GatherElements GatherND")
def gather_by_elements(rec: Builder, node: Node) -> Translated:
    """Run on positions, which shows who goes where."""
    op, index = node.source(), node.const(1)
    if index is None:
        if node.op == "GatherElements":
            return indexing.chosen(rec, node, node.axis(0))
        return opaque(rec, node, "GatherND by an index computed from the input: bounded by its whole input")
    if node.op == "GatherElements":
        axis = node.axis(0)
        found = indexing.traced(rec, op, node.out, lambda x: gather_elements(x, index, axis))
    else:
        found = indexing.traced(rec, op, node.out, lambda x: gather_nd(x, index, int(node.attr("batch_dims", 0))))
    return opaque(rec, node) if found is None else found


@onnx_op("ScatterElements ScatterND Scatter")
def scatter(rec: Builder, node: Node) -> Translated:
    """Writing at constant positions."""
    index = node.const(1)
    if index is None or node.attr("reduction", "none") != "none":
        return opaque(rec, node)
    if node.op == "ScatterND":
        found = indexing.overwritten(rec, node, lambda x, new: scatter_nd(x, index, new))
    else:
        axis = node.axis(0)
        found = indexing.overwritten(rec, node, lambda x, new: scatter_elements(x, index, new, axis))
    return opaque(rec, node) if found is None else found
