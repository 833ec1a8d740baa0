"""Views and other calls that only move positions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from isopter.capture.static import moves
from isopter.capture.torch import views
from isopter.capture.torch.translate import aten, opaque, shape_of, source_op
from isopter.capture.torch.values import Const, Data, Value

if TYPE_CHECKING:
    from torch import Tensor

    from isopter.capture.torch.tape import Call, Tape


def moved(rec: Tape, call: Call, op: int, out: int = 0) -> Value:
    """The value of a call that only moves positions: its known entries move alike."""
    value = rec.value(call["self"])
    if not isinstance(value, Data) or (value.fixed is None and value.faint is None):
        return Data(op)
    arguments = {k: v for k, v in call.arguments.items() if k != "self"}

    def run(known: Tensor) -> Tensor:
        made = call.func(known.contiguous(), **arguments)
        return made if isinstance(made, torch.Tensor) else made[out]

    return rec.real(lambda: value.moved(op, tuple(call["self"].shape), run))


@aten("detach alias clone contiguous _to_copy lift_fresh lift positive view_as_real_copy _conj resolve_conj resolve_neg "
      "_fw_primal requires_grad native_alpha_dropout _autocast_to_reduced_precision _autocast_to_full_precision")  # fmt: skip
def identity(rec: Tape, call: Call) -> Value:
    """The same values: no op at all."""
    return rec.value(call["self"])


@aten("unsqueeze unsqueeze_copy")
def unsqueeze(rec: Tape, call: Call) -> Value:
    return moved(rec, call, moves.unsqueeze(rec, source_op(rec, call), call["dim"] % len(shape_of(call))))


@aten("squeeze squeeze_copy")
def squeeze(rec: Tape, call: Call) -> Value:
    shape = rec.shape(source_op(rec, call))
    dims = call.get("dim", range(len(shape)))
    axes = {d % max(len(shape), 1) for d in ([dims] if isinstance(dims, int) else dims)}
    return moved(rec, call, moves.squeeze(rec, source_op(rec, call), {a for a in axes if shape and shape[a] == 1}))


@aten("view _unsafe_view reshape _reshape_alias flatten unflatten reshape_copy view_copy")
def reshape(rec: Tape, call: Call) -> Value:
    source = call["self"]
    if call.outs[0].numel() != source.numel() or call.outs[0].dtype != source.dtype:
        return _execute(rec, call)
    return moved(rec, call, moves.reshape(rec, source_op(rec, call), shape_of(call), call.name.removeprefix("_")))


@aten("permute transpose t movedim swapaxes permute_copy transpose_copy t_copy")
def transpose(rec: Tape, call: Call) -> Value:
    n = call["self"].dim()
    order = list(range(n))
    if "dims" in call.arguments:
        order = [int(d) % n for d in call["dims"]]
    elif n > 1:
        a, b = (call["dim0"] % n, call["dim1"] % n) if "dim0" in call.arguments else (0, 1)
        order[a], order[b] = order[b], order[a]
    return moved(rec, call, moves.transpose(rec, source_op(rec, call), order, call.name))


@aten("expand expand_copy broadcast_to")
def expand(rec: Tape, call: Call) -> Value:
    return moved(rec, call, moves.expand(rec, source_op(rec, call), shape_of(call)))


@aten("slice slice_copy narrow narrow_copy")
def slice_(rec: Tape, call: Call) -> Value:
    axis = call["dim"] % call["self"].dim()
    n = call["self"].shape[axis]
    start = int(call.get("start", 0))
    start = max(0, min(start + n if start < 0 else start, n))
    step = int(call.get("step", 1))
    return moved(rec, call, moves.slice_axis(rec, source_op(rec, call), axis, start, step, shape_of(call)[axis]))


@aten("select select_copy")
def select(rec: Tape, call: Call) -> Value:
    axis = call["dim"] % call["self"].dim()
    index = int(call["index"]) % call["self"].shape[axis]
    op = moves.slice_axis(rec, source_op(rec, call), axis, index, 1, 1, "select")
    return moved(rec, call, moves.squeeze(rec, op, {axis}, "select"))


@aten("split split_with_sizes unsafe_split unsafe_split_with_sizes chunk tensor_split split_copy unbind unbind_copy unsafe_chunk")
def split(rec: Tape, call: Call) -> list[Value]:
    op, axis = source_op(rec, call), call.get("dim", 0) % call["self"].dim()
    values: list[Value] = []
    start = 0
    gone = call.name.startswith("unbind")
    for index, out in enumerate(call.outs):
        count = 1 if gone else out.shape[axis]
        piece = moves.slice_axis(rec, op, axis, start, 1, count, call.name)
        values.append(moved(rec, call, moves.squeeze(rec, piece, {axis}, call.name) if gone else piece, index))
        start += count
    return values


@aten("diagonal as_strided view_as_real view_as_complex real imag diagonal_copy as_strided_copy trace_copy")
def executed(rec: Tape, call: Call) -> Value:
    """A view of another kind: run it on positions. (Reinterpretations of bytes are bounded.)"""
    source = call["self"]
    if call.name.startswith("as_strided") and not (source.is_contiguous() and source.storage_offset() == 0):
        return opaque(rec, call)[0]  # strides of memory that is not in the order of positions
    return _execute(rec, call)


def _execute(rec: Tape, call: Call) -> Value:
    source = call["self"]
    arguments = {k: v for k, v in call.arguments.items() if k != "self"}
    if source.is_complex() or call.outs[0].is_complex() or call.outs[0].dtype != source.dtype:
        return Data(_complex(rec, call))
    if call.name.startswith("as_strided"):
        arguments["storage_offset"] = call.get("storage_offset", 0)
    shape = tuple(source.shape)
    op = views.by_execution(rec, source_op(rec, call), shape, lambda x: call.func(x, **arguments), shape_of(call), call.name)
    return Data(op)


def _complex(rec: Tape, call: Call) -> int:
    op, out = source_op(rec, call), shape_of(call)
    shape = rec.shape(op)
    if out == (*shape, 2):
        return moves.expand(rec, moves.reshape(rec, op, (*shape, 1)), out, call.name)
    if (*out, 2) == shape:
        return rec.emit("reduce", out, [op], {"axes": (len(shape) - 1,), "keepdim": False}, call.name)
    if out == shape:
        return op
    rec.issue(f"No rule for aten.{call.name} of these types: bounded by its whole input")
    return rec.emit("opaque", out, [op], {}, call.name)


@aten("flip")
def flip(rec: Tape, call: Call) -> Value:
    op = source_op(rec, call)
    for d in call["dims"]:
        axis = d % len(rec.shape(op))
        n = rec.shape(op)[axis]
        op = moves.slice_axis(rec, op, axis, n - 1, -1, n, "flip") if n > 1 else op
    return moved(rec, call, op)


@aten("rot90")
def rot90(rec: Tape, call: Call) -> int:
    """Quarter turns in a plane of two axes: a transpose and flips."""
    op, n = source_op(rec, call), call["self"].dim()
    a, b = (d % n for d in call["dims"])
    turns = int(call["k"]) % 4

    def flipped(op: int, axis: int) -> int:
        size = rec.shape(op)[axis]
        return moves.slice_axis(rec, op, axis, size - 1, -1, size, "rot90") if size > 1 else op

    if turns == 2:
        return flipped(flipped(op, a), b)
    if turns % 2:
        order = list(range(n))
        order[a], order[b] = b, a
        op = moves.transpose(rec, op, order, "rot90")
        op = flipped(op, a if turns == 1 else b)
    return op


@aten("roll")
def roll(rec: Tape, call: Call) -> Value:
    op = source_op(rec, call)
    shape = rec.shape(op)
    if not call["dims"]:  # rolled as if flat
        flat = moves.reshape(rec, op, (math.prod(shape),))
        flat = rec.emit("roll", rec.shape(flat), [flat], {"shifts": {0: int(call["shifts"][0])}}, "roll")
        return moved(rec, call, moves.reshape(rec, flat, shape))
    shifts: dict[int, int] = {}
    for d, s in zip(call["dims"], call["shifts"], strict=True):
        shifts[d % len(shape)] = shifts.get(d % len(shape), 0) + int(s)
    return moved(rec, call, rec.emit("roll", shape, [op], {"shifts": shifts}, "roll"))


@aten("repeat tile")
def repeat(rec: Tape, call: Call) -> Value:
    op, out = source_op(rec, call), shape_of(call)
    op = moves.reshape(rec, op, (1,) * (len(out) - len(rec.shape(op))) + rec.shape(op))
    for axis, n in enumerate(out):
        if rec.shape(op)[axis] == 1:
            continue
        if n != rec.shape(op)[axis]:
            op = moves.take(rec, op, axis, np.arange(n) % rec.shape(op)[axis], "repeat")
    return moved(rec, call, moves.expand(rec, op, out, "repeat"))


@aten("cat concat stack hstack vstack")
def cat(rec: Tape, call: Call) -> Value:
    tensors = [t for t in call["tensors"] if t.numel() or t.dim() > 1]
    out = shape_of(call)
    axis = call.get("dim", 0) % len(out)
    stacked = call.name == "stack"
    inputs, offsets, at = [], [], 0
    for tensor in tensors:
        op = rec.op_of(tensor)
        size = 1 if stacked else tensor.shape[axis]
        if op is not None and size:
            inputs.append(moves.unsqueeze(rec, op, axis, call.name) if stacked else op)
            offsets.append(at)
        at += size
    if inputs == [] or (len(inputs) == 1 and rec.shape(inputs[0]) == out):
        return Data(inputs[0]) if inputs else Const(rec.real(lambda: torch.zeros(out)))
    op = rec.emit("concat", out, inputs, {"axis": axis, "offsets": tuple(offsets)}, call.name)
    return Data(op)


@aten("pixel_shuffle")
def pixel_shuffle(rec: Tape, call: Call) -> int:
    op, r = source_op(rec, call), int(call["upscale_factor"])
    *lead, c, h, w = rec.shape(op)
    k = len(lead)
    op = moves.reshape(rec, op, (*lead, c // r**2, r, r, h, w), "pixel_shuffle")
    op = moves.transpose(rec, op, [*range(k), k, k + 3, k + 1, k + 4, k + 2], "pixel_shuffle")
    return moves.reshape(rec, op, shape_of(call), "pixel_shuffle")


@aten("pixel_unshuffle")
def pixel_unshuffle(rec: Tape, call: Call) -> int:
    op, r = source_op(rec, call), int(call["downscale_factor"])
    *lead, c, h, w = rec.shape(op)
    k = len(lead)
    op = moves.reshape(rec, op, (*lead, c, h // r, r, w // r, r), "pixel_unshuffle")
    op = moves.transpose(rec, op, [*range(k), k, k + 2, k + 4, k + 1, k + 3], "pixel_unshuffle")
    return moves.reshape(rec, op, shape_of(call), "pixel_unshuffle")


@aten("channel_shuffle native_channel_shuffle")
def channel_shuffle(rec: Tape, call: Call) -> int:
    op, groups = source_op(rec, call), int(call["groups"])
    n, c, *space = rec.shape(op)
    op = moves.reshape(rec, op, (n, groups, c // groups, *space), "channel_shuffle")
    op = moves.transpose(rec, op, [0, 2, 1, *range(3, 3 + len(space))], "channel_shuffle")
    return moves.reshape(rec, op, shape_of(call), "channel_shuffle")
