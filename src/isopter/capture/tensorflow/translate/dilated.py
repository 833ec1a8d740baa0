"""Dilated windows that TensorFlow writes as plain ones: every b-th position to one item of the batch, a window, and back.

Taken as they stand these moves are exact, but the axes of the map end in them. Told again, they are the window that they stand for.
"""

from __future__ import annotations

from collections.abc import Sequence

from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.graph import Op


def as_dilated(rec: Builder, op: int, block: Sequence[int]) -> int | None:
    """The dilated window that stands between a SpaceToBatch and the BatchToSpace, by the same `block`, that `op` goes into.

    Of length L + (1 - kernel) * block, as BatchToSpace would give it before its crops. None where something else stands there.
    """
    squeezed = rec.ops[op].source == "squeeze"
    window = rec.ops[rec.ops[op].inputs[0] if squeezed else op]
    p = window.params
    if window.kind not in ("conv", "pool") or len(window.inputs) != 1:
        return None
    if {*p.get("stride", (2,)), *p.get("dilation", (2,))} != {1} or any(p.get("pad", (1,))):
        return None
    into = window.inputs[0]
    added = _added(rec.ops[into]) if squeezed else None
    if squeezed:
        if added is None:
            return None
        into = rec.ops[into].inputs[0]
    source = _undone(rec, into, block)
    if source is None:
        return None
    op = source if added is None else moves.unsqueeze(rec, source, added)
    rank = len(window.shape)
    axes = tuple(p.get("layout", range(rank)))[2:]
    dilation = tuple(_block_of(axis, added, block) for axis in axes)
    shape = list(window.shape)
    shape[0] = rec.shape(op)[0]
    for axis, d, k in zip(axes, dilation, p["kernel"], strict=True):
        shape[axis] = rec.shape(op)[axis] - d * (k - 1)
    made = rec.emit(window.kind, tuple(shape), [op], {**p, "dilation": dilation}, window.source)
    return made if added is None else moves.squeeze(rec, made, [added])


def _added(op: Op) -> int | None:
    """The axis that an op adds, which is of length 1; None where it does something else."""
    if op.source != "unsqueeze":
        return None
    kept = {new for new, _ in op.params["pairs"]}
    return next(a for a in range(len(op.shape)) if a not in kept)


def _block_of(axis: int, added: int | None, block: Sequence[int]) -> int:
    if axis == added:
        return 1
    at = axis - (added is not None and axis > added) - 1
    return block[at] if at < len(block) else 1


def _undone(rec: Builder, op: int, block: Sequence[int]) -> int | None:
    """What SpaceToBatch was given, once padded, if `op` is its result: a reshape that splits, a transpose, a reshape that merges."""
    steps = [op]
    for kind in ("reshape", "transpose", "reshape"):
        if rec.ops[steps[-1]].kind != kind:
            return None
        steps.append(rec.ops[steps[-1]].inputs[0])
    _, moved, split, source = steps
    n, *rest = rec.shape(source)
    m = len(block)
    if m > len(rest) or any(size % b for size, b in zip(rest, block, strict=False)):
        return None
    parts = [k for size, b in zip(rest[:m], block, strict=True) for k in (size // b, b)]
    order = (*range(2, 2 * m + 1, 2), 0, *range(1, 2 * m, 2), *range(2 * m + 1, 2 * m + 1 + len(rest) - m))
    fits = rec.shape(split) == (n, *parts, *rest[m:]) and tuple(rec.ops[moved].params["perm"]) == order
    return source if fits else None
