"""Ops that move positions, for values of any framework: what is known of entries moves with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Array, Data, Value
from isopter.graph import Shape

Fold = Callable[[Sequence[int], Sequence[int]], int | None]
"""Says what pieces (their ops and where each begins) are together, if they are anything but pieces."""


def concat(
    rec: Builder, values: Sequence[Value | None], shapes: Sequence[Shape], axis: int, out: Shape, fold: Fold | None = None
) -> Data | None:
    """Side by side along an axis; None where no piece with any positions is data."""
    pieces: list[Data] = []
    offsets, at = [], 0
    for value, shape in zip(values, shapes, strict=True):
        if isinstance(value, Data) and shape[axis]:
            pieces.append(value)
            offsets.append(at)
        at += shape[axis]
    if not pieces:
        return None
    if len(pieces) == 1 and rec.shape(pieces[0].op) == out:
        return pieces[0]
    inputs = [piece.op for piece in pieces]
    folded = None if fold is None else fold(inputs, offsets)
    if folded is not None:
        return Data(folded)
    op = rec.emit("concat", out, inputs, {"axis": axis, "offsets": tuple(offsets)}, "cat")
    fixed = _joined([v.fixed if isinstance(v, Data) else None for v in values], shapes, axis, np.nan)
    return Data(op, fixed, _joined([v.faint if isinstance(v, Data) else None for v in values], shapes, axis, False))


def _joined(parts: Sequence[Array | None], shapes: Sequence[Shape], axis: int, blank: float | bool) -> Array | None:
    """Known entries side by side, `blank` where nothing is known."""
    if all(part is None for part in parts):
        return None
    return np.concatenate([np.broadcast_to(blank if p is None else p, s) for p, s in zip(parts, shapes, strict=True)], axis=axis)


def stack(rec: Builder, values: Sequence[Value | None], axis: int, out: Shape) -> int:
    """Side by side along a new axis."""
    found = {k: moves.unsqueeze(rec, v.op, axis, "stack") for k, v in enumerate(values) if isinstance(v, Data)}
    if len(values) == 1:
        return found[0]
    return rec.emit("concat", out, list(found.values()), {"axis": axis, "offsets": tuple(found)}, "stack")


def split(rec: Builder, value: Data, axis: int, sizes: Sequence[int]) -> list[Value]:
    """Pieces of these lengths, one after the other along an axis."""
    found: list[Value] = []
    start, shape = 0, rec.shape(value.op)
    for size in sizes:
        cut = (slice(None),) * axis + (slice(start, start + size),)
        piece = moves.slice_axis(rec, value.op, axis, start, 1, size, "split")
        found.append(value.moved(piece, shape, lambda x, cut=cut: x[cut]))  # type: ignore[misc]
        start += size
    return found


def tile(rec: Builder, value: Data, out: Shape) -> Data:
    """The whole, again and again, up to the shape `out`."""
    op, shape = value.op, rec.shape(value.op)
    for axis, (n, m) in enumerate(zip(shape, out, strict=True)):
        if n not in (1, m):
            op = moves.take(rec, op, axis, np.arange(m) % n, "repeat")
    times = [m // n if n else 1 for n, m in zip(shape, out, strict=True)]
    return value.moved(moves.expand(rec, op, out, "repeat"), shape, lambda x: np.tile(x, times))


def flip(rec: Builder, value: Data, axes: Sequence[int]) -> Data:
    """Backwards along axes."""
    op = value.op
    for axis in axes:
        op = moves.flip(rec, op, axis)
    return value.moved(op, rec.shape(value.op), lambda x: np.flip(x, tuple(axes)))


def reverse_sequences(x: np.ndarray, lengths: np.ndarray, batch: int, time: int) -> np.ndarray:
    """A copy of x with the first ``lengths[k]`` positions along axis `time` of item k of axis `batch` turned around."""
    out = x.copy()
    rows, turned = (np.moveaxis(a, (batch, time), (0, 1)) for a in (x, out))
    for k, n in enumerate(lengths.reshape(-1).astype(int)):
        turned[k][:n] = rows[k][:n][::-1]
    return out


def depth_to_space(rec: Builder, op: int, r: int, out: Shape, last: bool = False, slowest: bool = True) -> int:
    """Blocks of r x r channels to positions. `last`: channels are last; `slowest`: the block's position varies slowest among them, else
    fastest (pixel shuffle)."""
    n, *rest = rec.shape(op)
    if last:
        h, w, c = rest
        parts, order = (n, h, w, r, r, c // r**2), [0, 1, 3, 2, 4, 5]
    elif slowest:
        c, h, w = rest
        parts, order = (n, r, r, c // r**2, h, w), [0, 3, 4, 1, 5, 2]
    else:
        c, h, w = rest
        parts, order = (n, c // r**2, r, r, h, w), [0, 1, 4, 2, 5, 3]
    return moves.reshape(rec, moves.transpose(rec, moves.reshape(rec, op, parts), order), out, "pixel_shuffle")


def space_to_depth(rec: Builder, op: int, r: int, out: Shape, last: bool = False) -> int:
    """The way back, with the block's position slowest."""
    n, *rest = rec.shape(op)
    if last:
        h, w, c = rest
        parts, order = (n, h // r, r, w // r, r, c), [0, 1, 3, 2, 4, 5]
    else:
        c, h, w = rest
        parts, order = (n, c, h // r, r, w // r, r), [0, 3, 5, 1, 2, 4]
    return moves.reshape(rec, moves.transpose(rec, moves.reshape(rec, op, parts), order), out, "pixel_unshuffle")
