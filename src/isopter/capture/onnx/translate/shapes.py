"""Ops that only move positions."""

from __future__ import annotations

import math

import numpy as np

from isopter.capture.onnx.node import Node, Unknown
from isopter.capture.onnx.translate import Translated, onnx_op, opaque, source_op
from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Array, Const, Data, Value
from isopter.errors import CaptureError


def moved(node: Node, op: int, move: object, position: int = 0) -> Value:
    """The data that op `op` is now: its known entries moved alike."""
    value = node.inputs[position]
    assert isinstance(value, Data) and callable(move)
    return value.moved(op, node.shape(position), move)


@onnx_op("Reshape Flatten")
def reshape(rec: Builder, node: Node) -> Value:
    out = node.out
    if math.prod(out) != math.prod(node.shape(0)):
        raise CaptureError(f"{node.label}: {node.shape(0)} cannot have the shape {out}.")
    return moved(node, moves.reshape(rec, source_op(node), out), lambda x: x.reshape(out))


@onnx_op("Squeeze")
def squeeze(rec: Builder, node: Node) -> Value:
    shape = node.shape(0)
    given = node.ints("axes", 1)
    axes = {a for a, n in enumerate(shape) if n == 1} if given is None else {a % max(len(shape), 1) for a in given}
    return moved(node, moves.squeeze(rec, source_op(node), axes), lambda x: x.reshape(node.out))


@onnx_op("Unsqueeze")
def unsqueeze(rec: Builder, node: Node) -> Value:
    rank = len(node.out)
    op = source_op(node)
    for axis in sorted(a % rank for a in node.ints("axes", 1) or ()):
        op = moves.unsqueeze(rec, op, axis)
    return moved(node, op, lambda x: x.reshape(node.out))


@onnx_op("Transpose")
def transpose(rec: Builder, node: Node) -> Value:
    rank = len(node.shape(0))
    order = node.ints("perm") or tuple(reversed(range(rank)))
    return moved(node, moves.transpose(rec, source_op(node), order), lambda x: x.transpose(order))


@onnx_op("Expand")
def expand(rec: Builder, node: Node) -> Value:
    return moved(node, moves.expand(rec, source_op(node), node.out), lambda x: np.broadcast_to(x, node.out))


@onnx_op("Tile")
def tile(rec: Builder, node: Node) -> Value:
    op, shape = source_op(node), node.shape(0)
    for axis, (n, m) in enumerate(zip(shape, node.out, strict=True)):
        if n == 1 or n == m:
            continue
        op = moves.take(rec, op, axis, np.arange(m) % n, "repeat")
    return Data(moves.expand(rec, op, node.out, "repeat"))


@onnx_op("Concat")
def concat(rec: Builder, node: Node) -> Translated:
    axis = int(node.attr("axis", 0)) % max(len(node.out), 1)
    inputs, offsets, at = [], [], 0
    for position, value in enumerate(node.inputs):
        size = node.shape(position)[axis]
        if isinstance(value, Data) and size:
            inputs.append(value.op)
            offsets.append(at)
        at += size
    if not inputs:
        return opaque(rec, node)
    if len(inputs) == 1 and rec.shape(inputs[0]) == node.out:
        return next(v for v in node.inputs if isinstance(v, Data) and v.op == inputs[0])
    op = rec.emit("concat", node.out, inputs, {"axis": axis, "offsets": tuple(offsets)}, "cat")
    return Data(op, _joined(node, axis, "fixed"), _joined(node, axis, "faint"))


def _joined(node: Node, axis: int, what: str) -> Array | None:
    """Known entries side by side."""
    parts = [getattr(v, what) if isinstance(v, Data) else None for v in node.inputs]
    if all(part is None for part in parts):
        return None
    blank = np.nan if what == "fixed" else False
    sized = [np.broadcast_to(blank if p is None else p, node.shape(k)) for k, p in enumerate(parts)]
    return np.concatenate(sized, axis=axis)


@onnx_op("Split")
def split(rec: Builder, node: Node) -> list[Value]:
    axis = node.axis(0)
    values: list[Value] = []
    start = 0
    for out in node.outs:
        assert out is not None
        piece = moves.slice_axis(rec, source_op(node), axis, start, 1, out[axis], "split")
        cut = (slice(None),) * axis + (slice(start, start + out[axis]),)
        values.append(moved(node, piece, lambda x, cut=cut: x[cut]))
        start += out[axis]
    return values


@onnx_op("Slice")
def slice_(rec: Builder, node: Node) -> Value:
    shape = node.shape(0)
    starts, ends = node.ints("starts", 1), node.ints("ends", 2)
    if starts is None or ends is None:
        raise CaptureError(f"{node.label}: Slice has no starts or no ends.")
    axes = node.ints("axes", 3) or tuple(range(len(starts)))
    steps = node.ints("steps", 4) or (1,) * len(starts)
    op, cuts = source_op(node), []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not step or not -len(shape) <= axis < len(shape):
            raise CaptureError(f"{node.label}: Slice by steps of {step} along axis {axis} of {len(shape)}.")
        kept = range(shape[axis])[start:end:step]
        op = moves.slice_axis(rec, op, axis % len(shape), kept.start, step, len(kept))
        cuts.append((axis, kept))
    return moved(node, op, lambda x: _cut(x, cuts))


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
    return moves.pad(rec, source_op(node), before, after, mode)


@onnx_op("CenterCropPad")
def center_crop_pad(rec: Builder, node: Node) -> Translated:
    shape = node.shape(0)
    before = [-((n - m) // 2) if n > m else (m - n) // 2 for n, m in zip(shape, node.out, strict=True)]
    return moves.pad(rec, source_op(node), before, [m - n - b for n, m, b in zip(shape, node.out, before, strict=True)])


@onnx_op("DepthToSpace")
def depth_to_space(rec: Builder, node: Node) -> Translated:
    """DCR: the block's position varies slowest in the channels; CRD (pixel shuffle): fastest."""
    n, c, h, w = node.shape(0)
    r = int(node.attr("blocksize"))
    if node.attr("mode", "DCR") == "DCR":
        op = moves.reshape(rec, source_op(node), (n, r, r, c // r**2, h, w))
        op = moves.transpose(rec, op, [0, 3, 4, 1, 5, 2])
    else:
        op = moves.reshape(rec, source_op(node), (n, c // r**2, r, r, h, w))
        op = moves.transpose(rec, op, [0, 1, 4, 2, 5, 3])
    return moves.reshape(rec, op, node.out, "pixel_shuffle")


@onnx_op("SpaceToDepth")
def space_to_depth(rec: Builder, node: Node) -> Translated:
    n, c, h, w = node.shape(0)
    r = int(node.attr("blocksize"))
    op = moves.reshape(rec, source_op(node), (n, c, h // r, r, w // r, r))
    op = moves.transpose(rec, op, [0, 3, 5, 1, 2, 4])
    return moves.reshape(rec, op, node.out, "pixel_unshuffle")


@onnx_op("ReverseSequence")
def reverse_sequence(rec: Builder, node: Node) -> Translated:
    """The first positions of each sequence turned around, by constant lengths."""
    lengths = node.const(1)
    if lengths is None:
        raise Unknown("lengths")
    batch, time = int(node.attr("batch_axis", 1)), int(node.attr("time_axis", 0))
    shape = node.shape(0)
    at = np.arange(math.prod(shape)).reshape(shape)
    out = at.copy()
    for k, n in enumerate(lengths.reshape(-1).astype(int)):
        rows = np.moveaxis(at, (batch, time), (0, 1))[k]
        np.moveaxis(out, (batch, time), (0, 1))[k][:n] = rows[:n][::-1]
    return moves.gather(rec, source_op(node), out.reshape(-1, 1), shape, "reverse")


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
        return moves.take(rec, moves.reshape(rec, source_op(node), (math.prod(node.shape(0)),)), 0, index)
    return moves.take(rec, source_op(node), node.axis(0), index)
