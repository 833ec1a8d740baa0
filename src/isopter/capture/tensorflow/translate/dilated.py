"""Dilated windows that TensorFlow writes as plain ones: every b-th position to one item of the batch, a window, and back.

Taken as they stand these moves are exact, but the axes of the map end in them. Told again, they are the window that they stand for.
"""

from __future__ import annotations

from collections.abc import Sequence

from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.graph import Op

Crops = Sequence[Sequence[int]]
"""What is cut off before and after, per axis behind the batch."""


def as_dilated(rec: Builder, op: int, block: Sequence[int], crops: Crops) -> int | None:
    """The dilated window that stands between a SpaceToBatch and the BatchToSpace, by the same `block`, that `op` goes into, with its crops.

    Of length L + (1 - kernel) * block less the crops. Zeros that SpaceToBatch pads a convolution's input with are the convolution's own
    padding. None where something else stands there.
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
    padded = _undone(rec, into, block)
    if padded is None:
        return None
    lead = _lead(rec, padded, rec.labels[into], crops) if window.kind == "conv" else None
    source = padded if lead is None else rec.ops[padded].inputs[0]
    op = source if added is None else moves.unsqueeze(rec, source, added)
    sizes = list(rec.shape(padded))
    if added is not None:
        sizes.insert(added, 1)
    axes = tuple(p.get("layout", range(len(sizes))))[2:]
    at = [_place(axis, added) for axis in axes]
    dilation = tuple(1 if k is None or k >= len(block) else block[k] for k in at)
    pad = tuple(0 if k is None or lead is None or k >= len(lead) else lead[k] for k in at)
    shape = list(window.shape)
    shape[0] = sizes[0]
    for axis, k, d, taps in zip(axes, at, dilation, p["kernel"], strict=True):
        cut = sum(crops[k]) if lead is not None and k is not None and k < len(crops) else 0
        shape[axis] = sizes[axis] - d * (taps - 1) - cut
    made = rec.emit(window.kind, tuple(shape), [op], {**p, "dilation": dilation, "pad": pad}, window.source)
    made = made if added is None else moves.squeeze(rec, made, [added])
    return made if lead is not None else cropped(rec, made, crops)


def cropped(rec: Builder, op: int, crops: Crops) -> int:
    """`op` without its borders."""
    for axis, (first, last) in enumerate(crops, start=1):
        op = moves.slice_axis(rec, op, axis, first, 1, rec.shape(op)[axis] - first - last)
    return op


def _lead(rec: Builder, op: int, label: str, crops: Crops) -> list[int] | None:
    """What a convolution pads before each axis behind the batch, if `op` is the padding of the SpaceToBatch called `label`: of a layer that
    pads, it is that layer's. None where it is none, or where more is cropped than was padded."""
    given = rec.ops[op]
    if given.kind != "pad" or given.params["mode"] != "constant" or rec.labels[op] != label or given.params["before"][0]:
        return None
    before = list(given.params["before"][1:])
    for k, (first, _) in enumerate(crops):
        before[k] -= first
    return before if min(before) >= 0 else None


def _added(op: Op) -> int | None:
    """The axis that an op adds, which is of length 1; None where it does something else."""
    if op.source != "unsqueeze":
        return None
    kept = {new for new, _ in op.params["pairs"]}
    return next(a for a in range(len(op.shape)) if a not in kept)


def _place(axis: int, added: int | None) -> int | None:
    """The number of an axis behind the batch, as SpaceToBatch counts them; None for the one that was added."""
    return None if axis == added else axis - (added is not None and axis > added) - 1


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
