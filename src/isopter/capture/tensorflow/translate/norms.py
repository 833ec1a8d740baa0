"""Norms that are one op: batch norm, and the response of a channel among its neighbours."""

from __future__ import annotations

import numpy as np

from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Data, Value
from isopter.capture.tensorflow.node import Node
from isopter.capture.tensorflow.translate import Translated, opaque, tf_op
from isopter.capture.tensorflow.translate.windows import order_of


@tf_op("FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 _FusedBatchNormEx")
def batch_norm(rec: Builder, node: Node) -> Translated:
    """At rest a scale per channel; in training the statistics of the whole map and batch. An activation and a sum may be fused to it."""
    if any(node.data(k) is not None for k in range(1, 5)):
        return opaque(rec, node)
    op, order = node.source(), order_of(node, len(node.out))
    others = tuple(sorted(a for a in range(len(order)) if a != order[1]))
    if node.attr("is_training", True):
        made = rec.emit("norm", node.out, [op], {"axes": others}, "batch_norm")
        rest: list[Value] = [Data(rec.emit("reduce", o or (), [op], _over(others, o), "mean")) for o in node.outs[1:]]
    else:
        made = rec.emit("pointwise", node.out, [op], {}, "batch_norm")
        rest = [node.inputs[k] if k < 5 else node.inputs[3] for k in range(3, 2 + len(node.outs))]
    added = node.data(5)
    if added is not None:
        made = rec.emit("pointwise", node.out, [made, added], {}, "add")
    if node.attr("activation_mode", "Identity") == "Relu":
        made = rec.emit("pointwise", node.out, [made], {}, "relu")
    return [Data(made), *rest]


def _over(axes: tuple[int, ...], out: object) -> dict[str, object]:
    return {"axes": axes if out is not None else tuple(range(len(axes) + 1)), "keepdim": False}


@tf_op("LRN")
def local_response(rec: Builder, node: Node) -> int:
    """Each channel (the last axis) over the sum of squares of ``2 * depth_radius + 1`` channels around it."""
    channels = node.out[3]
    radius = min(int(node.attr("depth_radius", 5)), channels)
    index = np.arange(channels)[:, None] + np.arange(-radius, radius + 1)
    return moves.take(rec, node.source(), 3, np.where((index >= 0) & (index < channels), index, -1), "lrn")
