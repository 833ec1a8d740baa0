"""The small emitters that every translation shares: ops that only move positions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from isopter.graph import Shape


class Emits(Protocol):
    """What holds the ops of a capture so far."""

    def emit(self, kind: str, shape: Shape, inputs: Sequence[int], params: Mapping[str, Any], source: str) -> int:
        """Append an op and return its index."""
        ...

    def shape(self, op: int) -> Shape:
        """Shape of an op's result."""
        ...


def reshape(rec: Emits, op: int, shape: Sequence[int], source: str = "reshape") -> int:
    """`op` under another shape; nothing is emitted if it has it already."""
    shape = tuple(shape)
    return op if rec.shape(op) == shape else rec.emit("reshape", shape, [op], {}, source)


def unsqueeze(rec: Emits, op: int, axis: int, source: str = "unsqueeze") -> int:
    """A new axis of length 1 before `axis`. Which axis is the new one is said: among axes of length 1 it could not be told."""
    shape = rec.shape(op)
    pairs = tuple((a + (a >= axis), a) for a in range(len(shape)))
    return rec.emit("reshape", (*shape[:axis], 1, *shape[axis:]), [op], {"pairs": pairs}, source)


def squeeze(rec: Emits, op: int, axes: Collection[int], source: str = "squeeze") -> int:
    """Without these axes of length 1."""
    shape = rec.shape(op)
    kept = [a for a in range(len(shape)) if a not in axes]
    if len(kept) == len(shape):
        return op
    return rec.emit("reshape", tuple(shape[a] for a in kept), [op], {"pairs": tuple(enumerate(kept))}, source)


def transpose(rec: Emits, op: int, order: Sequence[int], source: str = "transpose") -> int:
    """`op` with its axes in another order: axis a of the result is axis ``order[a]``."""
    order = list(order)
    if order == list(range(len(order))):
        return op
    return rec.emit("transpose", tuple(rec.shape(op)[a] for a in order), [op], {"perm": tuple(order)}, source)


def slice_axis(rec: Emits, op: int, axis: int, start: int, step: int, count: int, source: str = "slice") -> int:
    """``start + step * i`` for i < count along one axis; a negative step runs backwards."""
    sizes = rec.shape(op)
    if (start, step, count) == (0, 1, sizes[axis]):
        return op
    shape = tuple(count if a == axis else n for a, n in enumerate(sizes))
    return rec.emit("slice", shape, [op], {"axis": axis, "start": start, "step": step}, source)


def flip(rec: Emits, op: int, axis: int, source: str = "flip") -> int:
    """Backwards along one axis."""
    n = rec.shape(op)[axis]
    return slice_axis(rec, op, axis, n - 1, -1, n, source) if n > 1 else op


def take(rec: Emits, op: int, axis: int, index: np.ndarray, source: str = "index", **pattern: object) -> int:
    """Positions ``index`` (shape (n,) or (n, taps); -1 reads nothing) along one axis."""
    rows = np.asarray(index, np.int64)
    rows = rows.reshape(len(rows), -1) if rows.size else rows.reshape(len(rows), 1)
    shape = tuple(len(rows) if a == axis else n for a, n in enumerate(rec.shape(op)))
    return rec.emit("take", shape, [op], {"axis": axis, "index": rows, **pattern}, source)


def gather(rec: Emits, op: int, rows: np.ndarray, shape: Sequence[int], source: str = "index") -> int:
    """Any index map over the whole tensor: output position i (row-major) reads positions ``rows[i]``."""
    params = {"outs": tuple(range(len(shape))), "ins": tuple(range(len(rec.shape(op)))), "rows": rows, "pairs": ()}
    return rec.emit("gather", tuple(shape), [op], params, source)


def expand(rec: Emits, op: int, shape: Sequence[int], source: str = "expand") -> int:
    """`op` broadcast to `shape`."""
    return op if rec.shape(op) == tuple(shape) else rec.emit("pointwise", tuple(shape), [op], {}, source)


def pad(rec: Emits, op: int, before: Sequence[int], after: Sequence[int], mode: str = "constant", source: str = "pad") -> int:
    """New positions around (negative: cropped); `mode` as for the kind ``pad``."""
    if not any(before) and not any(after):
        return op
    shape = tuple(n + b + a for n, b, a in zip(rec.shape(op), before, after, strict=True))
    return rec.emit("pad", shape, [op], {"before": tuple(before), "mode": mode}, source)
