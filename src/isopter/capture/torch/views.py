"""Index maps: views, and writes through views, as neutral ops.

A view of a contiguous tensor is an offset and a stride per axis. Where those are steps along single axes it becomes slices and
a transpose, which the analyses can extend over the plane; otherwise it is *executed* on an array of positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from isopter.capture.static.moves import gather, reshape, slice_axis, transpose
from isopter.capture.torch.values import Const, Data, State, Value, Weight
from isopter.reads.axis import NOTHING

if TYPE_CHECKING:
    from isopter.capture.torch.tape import Tape

Shape = tuple[int, ...]
View = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Slices:
    """A view that takes ``start + step * i``, i < count, of each axis of its parent; out axis o is parent axis ``order[o]``
    (None: a new axis of length 1)."""

    start: Shape
    step: Shape
    count: Shape
    order: tuple[int | None, ...]


def slices_of(view: View, shape: Shape) -> Slices | None:
    """The view as slices of a tensor of this shape, or None if it is no such thing."""
    base = torch.empty(shape, device="meta")
    made = view(base)
    if made.numel() == 0 or made.untyped_storage()._cdata != base.untyped_storage()._cdata:
        return None
    strides = base.stride()
    offset, start = made.storage_offset(), []
    for n, stride in zip(shape, strides, strict=True):
        at = min(offset // stride, n - 1)
        start.append(at)
        offset -= at * stride
    if offset:
        return None
    step, count = [1] * len(shape), [1] * len(shape)
    order: list[int | None] = []
    for n, stride in zip(made.shape, made.stride(), strict=True):
        if n == 1:
            order.append(None)
            continue
        fits = [
            a for a in range(len(shape))
            if a not in order and stride and stride % strides[a] == 0 and start[a] + (n - 1) * (stride // strides[a]) < shape[a]
        ]  # fmt: skip
        if not fits:
            return None
        axis = max(fits, key=lambda a: (strides[a], shape[a]))
        order.append(axis)
        step[axis], count[axis] = stride // strides[axis], n
    return Slices(tuple(start), tuple(step), tuple(count), tuple(order))


def by_execution(rec: Tape, op: int, shape: Shape, view: View, out: Shape, source: str) -> int:
    """Emit the view of `op` (whose tensor has shape `shape`)."""
    found = rec.real(lambda: slices_of(view, shape))
    if found is None:
        if rec.real(lambda: _is_reshape(view, shape)):
            return reshape(rec, op, out, source)
        rows = rec.real(lambda: view(torch.arange(math.prod(shape)).reshape(shape)).reshape(-1, 1).numpy())
        return gather(rec, op, rows, out, source)
    for axis, (start, step, count) in enumerate(zip(found.start, found.step, found.count, strict=True)):
        op = slice_axis(rec, op, axis, start, step, count, source)
    used = [a for a in found.order if a is not None]
    rest = [a for a in range(len(shape)) if a not in used]
    return reshape(rec, transpose(rec, op, used + rest, source), out, source)


def overlay(rec: Tape, parent: State, view: View, value: Value) -> Value:
    """The parent's value once `value` has been written through `view`."""
    shape, before = tuple(parent.tensor.shape), parent.value
    found = rec.real(lambda: slices_of(view, shape))
    if found is None and rec.real(lambda: _is_reshape(view, shape)):
        covered = np.ones((1,) * len(shape), np.bool_)
        placed = reshape(rec, value.op, shape, "copy") if isinstance(value, Data) else None
    elif found is not None:
        covered = np.ones((1,) * len(shape), np.bool_)
        for axis, (start, step, count) in enumerate(zip(found.start, found.step, found.count, strict=True)):
            if (start, step, count) != (0, 1, shape[axis]):
                hit = np.zeros(shape[axis], np.bool_)
                hit[start : start + step * count : step] = True
                covered = covered & hit.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        placed = _place(rec, value.op, found, shape) if isinstance(value, Data) else None
    else:
        positions = rec.real(lambda: view(torch.arange(math.prod(shape)).reshape(shape)).reshape(-1).numpy())
        rows = np.full((math.prod(shape), 1), -1, np.int64)
        rows[positions, 0] = np.arange(len(positions))
        covered = (rows[:, 0] >= 0).reshape(shape)
        placed = gather(rec, value.op, rows, shape, "copy") if isinstance(value, Data) else None

    if covered.all() and not isinstance(value, Data):
        return value
    inputs = [before.op] if isinstance(before, Data) and not covered.all() else []
    if placed is not None:
        if not inputs:
            return Data(placed)
        inputs.append(placed)
    if not inputs:
        return before if isinstance(before, Const | Weight) else value
    params = {"covered": covered, "base": isinstance(before, Data), "value": placed is not None}
    return Data(rec.emit("overlay", shape, inputs, params, "setitem"))


def _place(rec: Tape, op: int, found: Slices, shape: Shape) -> int:
    """A written value back at its place in the parent: axes in the parent's order, then spread over the slices."""
    used = [a for a in found.order if a is not None]
    keep = [o for o, a in enumerate(found.order) if a is not None]
    order = [keep[used.index(a)] for a in sorted(used)]
    ones = [o for o, a in enumerate(found.order) if a is None]
    op = transpose(rec, op, order + ones, "copy")
    op = reshape(rec, op, found.count, "copy")
    for axis, (start, step, n) in enumerate(zip(found.start, found.step, shape, strict=True)):
        if rec.shape(op)[axis] == n:
            continue
        at = np.arange(n, dtype=np.int64) - start
        index = np.where((at >= 0) & (at % step == 0) & (at // step < found.count[axis]), at // step, -1)
        phase = np.arange(step, dtype=np.int64) - start
        pattern = np.where(phase % step == 0, phase // step, NOTHING)[:, None]
        sizes = tuple(n if a == axis else k for a, k in enumerate(rec.shape(op)))
        op = rec.emit("take", sizes, [op], {"axis": axis, "index": index[:, None], "jump": 1, "pattern": pattern}, "copy")
    return op


def _is_reshape(view: View, shape: Shape) -> bool:
    base = torch.empty(shape, device="meta")
    made = view(base)
    return made.numel() == base.numel() and made.is_contiguous() and made.storage_offset() == 0
