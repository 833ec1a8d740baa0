"""Ops that only move positions."""

from __future__ import annotations

import math

import numpy as np

from isopter.capture.onnx.node import Node
from isopter.capture.onnx.translate import Translated, onnx_op, opaque
from isopter.capture.static import indexing, moves, shapes
from isopter.capture.static.builder import Builder
from isopter.capture.static.node import Unknown
from isopter.capture.static.values import Array, Const, Value
from isopter.errors import CaptureError


@onnx_op("Reshape Flatten")
def reshape(rec: Builder, node: Node) -> Value:
    out = node.out
    if math.prod(out) != math.prod(node.shape(0)):
        raise CaptureError(f"{node.label}: {node.shape(0)} cannot have the shape {out}.")
    return node.moved(moves.reshape(rec, node.source(), out), lambda x: x.reshape(out))


@onnx_op("Squeeze")
def squeeze(rec: Builder, node: Node) -> Value:
    shape = node.shape(0)
    given = node.ints("axes", 1)
    axes = {a for a, n in enumerate(shape) if n == 1} if given is None else {a % max(len(shape), 1) for a in given}
    return node.moved(moves.squeeze(rec, node.source(), axes), lambda x: x.reshape(node.out))


@onnx_op("Unsqueeze")
def unsqueeze(rec: Builder, node: Node) -> Value:
    rank = len(node.out)
    op = node.source()
    for axis in sorted(a % rank for a in node.ints("axes", 1) or ()):
        op = moves.unsqueeze(rec, op, axis)
    return node.moved(op, lambda x: x.reshape(node.out))


@onnx_op("Transpose")
def transpose(rec: Builder, node: Node) -> Value:
    rank = len(node.shape(0))
    order = node.ints("perm") or tuple(reversed(range(rank)))
    return node.moved(moves.transpose(rec, node.source(), order), lambda x: x.transpose(order))


@onnx_op("Expand")
def expand(rec: Builder, node: Node) -> Value:
    return node.moved(moves.expand(rec, node.source(), node.out), lambda x: np.broadcast_to(x, node.out))


@onnx_op("Tile")
def tile(rec: Builder, node: Node) -> Value:
    return shapes.tile(rec, node.carried(), node.out)


@onnx_op("Concat")
def concat(rec: Builder, node: Node) -> Translated:
    axis = int(node.attr("axis", 0)) % max(len(node.out), 1)
    made = shapes.concat(rec, node.inputs, [node.shape(k) for k in range(len(node.inputs))], axis, node.out)
    return opaque(rec, node) if made is None else made


@onnx_op("Split")
def split(rec: Builder, node: Node) -> list[Value]:
    axis = node.axis(0)
    return shapes.split(rec, node.carried(), axis, [out[axis] for out in node.outs if out is not None])


@onnx_op("Slice")
def slice_(rec: Builder, node: Node) -> Value:
    shape = node.shape(0)
    starts, ends = node.ints("starts", 1), node.ints("ends", 2)
    if starts is None or ends is None:
        raise CaptureError(f"{node.label}: Slice has no starts or no ends.")
    axes = node.ints("axes", 3) or tuple(range(len(starts)))
    steps = node.ints("steps", 4) or (1,) * len(starts)
    op, cuts = node.source(), []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not step or not -len(shape) <= axis < len(shape):
            raise CaptureError(f"{node.label}: Slice by steps of {step} along axis {axis} of {len(shape)}.")
        kept = range(shape[axis])[start:end:step]
        op = moves.slice_axis(rec, op, axis % len(shape), kept.start, step, len(kept))
        cuts.append((axis, kept))
    return node.moved(op, lambda x: _cut(x, cuts))


def _cut(known: Array, cuts: list[tuple[int, range]]) -> Array:
    for axis, kept in cuts:
        known = known.take(np.asarray(kept, np.int64), axis=axis)
    return known


PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


@onnx_op("Pad")
def pad(rec: Builder, node: Node) -> Translated:
    """In opset 10 and older the paddings are an attribute; in 18 and newer they may name their axes. A value that is data is bounded."""
    pads, rank = node.ints("pads", 1), len(node.out)
    mode = PAD_MODES.get(node.attr("mode", "constant"))
    if pads is None or mode is None or node.data(2) is not None:
        return opaque(rec, node)
    axes = node.ints("axes", 3) if node.version >= 18 else None
    axes = tuple(range(rank)) if axes is None else tuple(a % rank for a in axes)
    if len(pads) != 2 * len(axes):
        raise CaptureError(f"{node.label}: {len(pads)} paddings for {len(axes)} axes.")
    before, after = [0] * rank, [0] * rank
    for k, axis in enumerate(axes):
        before[axis], after[axis] = pads[k], pads[k + len(axes)]
    if mode != "constant" and any(n == 0 for n in node.shape(0)):
        return opaque(rec, node)
    return moves.pad(rec, node.source(), before, after, mode)


@onnx_op("CenterCropPad")
def center_crop_pad(rec: Builder, node: Node) -> Translated:
    shape = node.shape(0)
    before = [-((n - m) // 2) if n > m else (m - n) // 2 for n, m in zip(shape, node.out, strict=True)]
    return moves.pad(rec, node.source(), before, [m - n - b for n, m, b in zip(shape, node.out, before, strict=True)])


@onnx_op("DepthToSpace")
def depth_to_space(rec: Builder, node: Node) -> Translated:
    """DCR: the block's position varies slowest in the channels; CRD (pixel shuffle): fastest."""
    slowest = node.attr("mode", "DCR") == "DCR"
    return shapes.depth_to_space(rec, node.source(), int(node.attr("blocksize")), node.out, slowest=slowest)


@onnx_op("SpaceToDepth")
def space_to_depth(rec: Builder, node: Node) -> Translated:
    return shapes.space_to_depth(rec, node.source(), int(node.attr("blocksize")), node.out)


@onnx_op("ReverseSequence")
def reverse_sequence(rec: Builder, node: Node) -> Translated:
    """The first positions of each sequence turned around, by constant lengths."""
    lengths = node.const(1)
    if lengths is None:
        raise Unknown("lengths")
    batch, time = int(node.attr("batch_axis", 1)), int(node.attr("time_axis", 0))
    turned = indexing.traced(rec, node.source(), node.out, lambda x: shapes.reverse_sequences(x, lengths, batch, time), "reverse")
    return opaque(rec, node) if turned is None else turned


@onnx_op("Compress")
def compress(rec: Builder, node: Node) -> Translated:
    """The positions where a constant condition is true."""
    condition = node.value(1)
    kept = condition.load() if isinstance(condition, Const) else None
    if kept is None:
        raise Unknown("a condition")
    index = np.flatnonzero(kept)
    if len(index) and index[-1] >= (math.prod(node.shape(0)) if node.attr("axis") is None else node.shape(0)[node.axis(0)]):
        raise CaptureError(f"{node.label}: Compress keeps position {index[-1]} of {node.shape(0)}.")
    if node.attr("axis") is None:
        return moves.take(rec, moves.reshape(rec, node.source(), (math.prod(node.shape(0)),)), 0, index)
    return moves.take(rec, node.source(), node.axis(0), index)
