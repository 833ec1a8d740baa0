"""Ops that only move positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from isopter.capture.static import indexing, moves, shapes
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Data, Value
from isopter.capture.tensorflow.node import Node
from isopter.capture.tensorflow.translate import Translated, opaque, tf_op
from isopter.capture.tensorflow.translate.dilated import as_dilated, cropped
from isopter.capture.tensorflow.translate.windows import order_of
from isopter.errors import CaptureError


@tf_op("Reshape")
def reshape(rec: Builder, node: Node) -> Value:
    """The same elements under another shape."""
    out = node.out
    if math.prod(out) != math.prod(node.shape(0)):
        raise CaptureError(f"{node.label}: {node.shape(0)} cannot have the shape {out}.")
    return node.moved(moves.reshape(rec, node.source(), out), lambda x: x.reshape(out))


@tf_op("Squeeze")
def squeeze(rec: Builder, node: Node) -> Value:
    """Without axes of length 1: those that are named, or all."""
    shape = node.shape(0)
    given = node.attr("squeeze_dims") or []
    axes = {a % len(shape) for a in given} if given else {a for a, n in enumerate(shape) if n == 1}
    return node.moved(moves.squeeze(rec, node.source(), axes), lambda x: x.reshape(node.out))


@tf_op("ExpandDims")
def expand_dims(rec: Builder, node: Node) -> Value:
    """A new axis of length 1."""
    axis = node.ints(1)[0] % len(node.out)
    return node.moved(moves.unsqueeze(rec, node.source(), axis), lambda x: x.reshape(node.out))


@tf_op("Transpose ConjugateTranspose")
def transpose(rec: Builder, node: Node) -> Value:
    """Axes in another order."""
    order = node.axes(1)
    return node.moved(moves.transpose(rec, node.source(), order), lambda x: x.transpose(order))


@tf_op("BroadcastTo")
def broadcast(rec: Builder, node: Node) -> Value:
    """Axes of length 1 repeated."""
    return node.moved(moves.expand(rec, node.source(), node.out), lambda x: np.broadcast_to(x, node.out))


@tf_op("Tile")
def tile(rec: Builder, node: Node) -> Value:
    """The whole, again and again."""
    return shapes.tile(rec, node.carried(), node.out)


@tf_op("ConcatV2 Concat")
def concat(rec: Builder, node: Node) -> Translated:
    """Side by side along an axis: the last input, of Concat the first."""
    last = node.op == "ConcatV2"
    count = len(node.inputs) - 1
    positions = range(count) if last else range(1, count + 1)
    axis = node.ints(-1 if last else 0)[0] % max(len(node.out), 1)
    made = shapes.concat(rec, [node.inputs[p] for p in positions], [node.shape(p) for p in positions], axis, node.out)
    return opaque(rec, node) if made is None else made


@tf_op("Pack")
def pack(rec: Builder, node: Node) -> Translated:
    """Tensors side by side along a new axis."""
    return shapes.stack(rec, node.inputs, int(node.attr("axis", 0)) % len(node.out), node.out)


@tf_op("Unpack")
def unpack(rec: Builder, node: Node) -> list[Value]:
    """The tensors along an axis, one by one."""
    axis = int(node.attr("axis", 0)) % len(node.shape(0))
    values: list[Value] = []
    for k, out in enumerate(node.outs):
        piece = moves.squeeze(rec, moves.slice_axis(rec, node.source(), axis, k, 1, 1, "select"), {axis}, "select")
        values.append(node.moved(piece, lambda x, k=k: x.take(k, axis=axis)) if out is not None else Data(piece))  # type: ignore[misc]
    return values


@tf_op("Split SplitV")
def split(rec: Builder, node: Node) -> list[Value]:
    """Pieces along an axis."""
    at, of = (0, 1) if node.op == "Split" else (2, 0)
    axis = node.axis(at, of)
    return shapes.split(rec, node.carried(of), axis, _sizes(node, axis, of))


def _sizes(node: Node, axis: int, of: int) -> list[int]:
    n = node.shape(of)[axis]
    if node.op == "Split":
        return [n // len(node.outs)] * len(node.outs)
    given = list(node.ints(1))
    return [n - sum(s for s in given if s >= 0) if s < 0 else s for s in given]


@tf_op("Slice")
def slice_(rec: Builder, node: Node) -> Value:
    """A start and a size per axis."""
    op, starts = node.source(), node.ints(1)
    for axis, (start, count) in enumerate(zip(starts, node.out, strict=True)):
        op = moves.slice_axis(rec, op, axis, start, 1, count)
    cut = tuple(slice(s, s + m) for s, m in zip(starts, node.out, strict=True))
    return node.moved(op, lambda x: x[cut])


@tf_op("StridedSlice")
def strided_slice(rec: Builder, node: Node) -> Translated:
    """Indexing as Python writes it: ``x[a:b:c, ..., None, k]``."""
    index = index_of(node)
    op, shape = node.source(), node.shape(0)
    wanted = np.arange(math.prod(shape)).reshape(shape)[index] if math.prod(shape) <= 64 else None
    dropped: list[int] = []
    for axis, item in enumerate(_without_ellipsis(index, len(shape))):
        if item is None:
            op = moves.unsqueeze(rec, op, axis)
        elif isinstance(item, int):
            op = moves.slice_axis(rec, op, axis, item % rec.shape(op)[axis], 1, 1, "select")
            dropped.append(axis)
        else:
            kept = range(rec.shape(op)[axis])[item]
            op = moves.slice_axis(rec, op, axis, kept.start, kept.step, len(kept))
    op = moves.squeeze(rec, op, set(dropped), "select")
    assert wanted is None or wanted.shape == rec.shape(op)
    return node.moved(op, lambda x: x[index])


Item = slice | int | None


def index_of(node: Node, first: int = 1) -> tuple[Any, ...]:
    """The index of a strided slice, whose begin, end and strides are constant inputs from `first` on."""
    begin, end, strides = (node.ints(first + k) for k in range(3))
    masks = {n: int(node.attr(f"{n}_mask", 0)) for n in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    index: list[Any] = []
    for k, (b, e, s) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << k
        if masks["ellipsis"] & bit:
            index.append(...)
        elif masks["new_axis"] & bit:
            index.append(None)
        elif masks["shrink_axis"] & bit:
            index.append(b)
        elif not s:
            raise CaptureError(f"{node.label}: a slice with steps of 0.")
        else:
            index.append(slice(None if masks["begin"] & bit else b, None if masks["end"] & bit else e, s))
    return tuple(index)


def _without_ellipsis(index: Sequence[Any], rank: int) -> list[Item]:
    """With the axes that an ellipsis, or nothing, stands for."""
    named = sum(1 for item in index if item is not None and item is not ...)
    whole: list[Item] = [slice(None)] * (rank - named)
    items: list[Item] = []
    for item in (*index, *([] if ... in index else [...])):
        if item is ...:
            items += whole
        else:
            items.append(item)
    return items


# ---- padding and turning ---------------------------------------------------------------------------------------------------


@tf_op("Pad PadV2")
def pad(rec: Builder, node: Node) -> Translated:
    """New positions of a constant. A value that is data is bounded."""
    if node.data(2) is not None:
        return opaque(rec, node)
    pads = node.const(1).astype(np.int64).reshape(-1, 2)
    return moves.pad(rec, node.source(), pads[:, 0].tolist(), pads[:, 1].tolist())


@tf_op("MirrorPad")
def mirror_pad(rec: Builder, node: Node) -> Translated:
    """REFLECT: -1 reads 1. SYMMETRIC: -1 reads 0."""
    pads = node.const(1).astype(np.int64).reshape(-1, 2)
    before, after = pads[:, 0].tolist(), pads[:, 1].tolist()
    if node.attr("mode") == "REFLECT":
        return moves.pad(rec, node.source(), before, after, "reflect")
    op = node.source()
    for axis, (b, a) in enumerate(zip(before, after, strict=True)):
        if not b and not a:
            continue
        n = rec.shape(op)[axis]
        at = (np.arange(n + b + a) - b) % (2 * n)
        op = moves.take(rec, op, axis, np.minimum(at, 2 * n - 1 - at), "pad", jump=1, pattern=np.array([[-b]]))
    return op


@tf_op("ReverseV2")
def reverse(rec: Builder, node: Node) -> Value:
    """Backwards along axes."""
    return shapes.flip(rec, node.carried(), node.axes(1))


@tf_op("Reverse")
def reverse_by_mask(rec: Builder, node: Node) -> Value:
    """Backwards along the axes for which a boolean says so."""
    return shapes.flip(rec, node.carried(), [int(a) for a in np.flatnonzero(node.const(1))])


@tf_op("Roll")
def roll(rec: Builder, node: Node) -> Value:
    """Around, along axes."""
    shifts: dict[int, int] = {}
    for shift, axis in zip(node.ints(1), node.axes(2), strict=True):
        shifts[axis] = shifts.get(axis, 0) + shift
    op = rec.emit("roll", node.out, [node.source()], {"shifts": shifts}, "roll")
    return node.moved(op, lambda x: np.roll(x, list(shifts.values()), list(shifts)))


@tf_op("ReverseSequence")
def reverse_sequence(rec: Builder, node: Node) -> Translated:
    """The first positions of each sequence turned around, by constant lengths."""
    lengths, batch, time = node.const(1), int(node.attr("batch_dim", 0)), int(node.attr("seq_dim"))
    turned = indexing.traced(rec, node.source(), node.out, lambda x: shapes.reverse_sequences(x, lengths, batch, time), "reverse")
    return opaque(rec, node) if turned is None else turned


# ---- space, channels and batch ---------------------------------------------------------------------------------------------


@tf_op("DepthToSpace")
def depth_to_space(rec: Builder, node: Node) -> Translated:
    """The block's position varies slowest in the channels."""
    return shapes.depth_to_space(rec, node.source(), int(node.attr("block_size")), node.out, last=order_of(node, 4)[1] == 3)


@tf_op("SpaceToDepth")
def space_to_depth(rec: Builder, node: Node) -> Translated:
    """The other way around."""
    return shapes.space_to_depth(rec, node.source(), int(node.attr("block_size")), node.out, last=order_of(node, 4)[1] == 3)


@tf_op("SpaceToBatchND SpaceToBatch")
def space_to_batch(rec: Builder, node: Node) -> Translated:
    """Every b-th position to one item of the batch: how a dilated convolution is written with a plain one."""
    block, pads = _block(node)
    rank, m = len(node.shape(0)), len(block)
    before = [0, *pads[:, 0].tolist(), *(0,) * (rank - m - 1)]
    after = [0, *pads[:, 1].tolist(), *(0,) * (rank - m - 1)]
    op = moves.pad(rec, node.source(), before, after)
    n, *rest = rec.shape(op)
    parts = [k for size, b in zip(rest[:m], block, strict=True) for k in (size // b, b)]
    op = moves.reshape(rec, op, (n, *parts, *rest[m:]))
    order = [*range(2, 2 * m + 1, 2), 0, *range(1, 2 * m, 2), *range(2 * m + 1, len(rec.shape(op)))]
    return moves.reshape(rec, moves.transpose(rec, op, order), node.out)


@tf_op("BatchToSpaceND BatchToSpace")
def batch_to_space(rec: Builder, node: Node) -> Translated:
    """Back, and the borders cut off."""
    block, crops = _block(node)
    n, *rest = node.shape(0)
    m = len(block)
    dilated = as_dilated(rec, node.source(), block, crops.tolist())
    if dilated is not None:
        return dilated
    op = moves.reshape(rec, node.source(), (*block, n // math.prod(block), *rest))
    order = [m, *(a for k in range(m) for a in (m + 1 + k, k)), *range(2 * m + 1, len(rec.shape(op)))]
    op = moves.transpose(rec, op, order)
    wide = [size * b for size, b in zip(rest[:m], block, strict=True)]
    return cropped(rec, moves.reshape(rec, op, (n // math.prod(block), *wide, *rest[m:])), crops.tolist())


def _block(node: Node) -> tuple[list[int], np.ndarray]:
    """Block sizes, and what is padded or cropped before and after, per space axis."""
    if node.op.endswith("ND"):
        return list(node.ints(1)), node.const(2).astype(np.int64).reshape(-1, 2)
    return [int(node.attr("block_size"))] * 2, node.const(1).astype(np.int64).reshape(-1, 2)
