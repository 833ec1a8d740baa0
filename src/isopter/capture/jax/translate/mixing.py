"""Reductions, scans, whole-axis mixing and products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isopter.capture.jax.node import Node, Tape, holes_of
from isopter.capture.jax.translate import Translated, opaque, patterns, primitive
from isopter.capture.jax.translate.along import interpolated, mode_of
from isopter.capture.jax.translate.shapes import turned
from isopter.capture.static import known, moves
from isopter.capture.static.values import Data, Value

REDUCED = {
    "reduce_sum": "sum", "reduce_max": "amax", "reduce_min": "amin", "reduce_prod": "prod", "reduce_and": "all", "reduce_or": "any",
    "reduce_xor": "xor", "argmax": "argmax", "argmin": "argmin",
}  # fmt: skip


@primitive(" ".join(REDUCED))
def reduce(rec: Tape, node: Node) -> Translated:
    """Over some axes."""
    op = node.source()
    axes = tuple(sorted(int(a) for a in node.params["axes"]))
    if not axes:
        return op
    made = rec.emit("reduce", node.out, [op], {"axes": axes, "keepdim": False}, REDUCED[node.op])
    return patterns.reduced(rec, made, REDUCED[node.op], op, axes)


@primitive("reduce")
def reduce_by(rec: Tape, node: Node) -> Translated:
    """By a function of the user's, of one operand."""
    if len(node.outs) != 1 or node.data(0) is None or any(node.data(k) is not None for k in range(1, len(node.inputs))):
        return opaque(rec, node)
    axes = tuple(sorted(int(a) for a in node.params["dimensions"]))
    return rec.emit("reduce", node.out, [node.source()], {"axes": axes, "keepdim": False}, "reduce")


@primitive("cumsum cumprod cummax cummin cumlogsumexp")
def scan(rec: Tape, node: Node) -> Translated:
    """Running sums and the like, forwards or in reverse."""
    params = {"axis": int(node.params["axis"]), "reverse": bool(node.params["reverse"])}
    return rec.emit("scan", node.out, [node.source()], params, node.op)


@primitive("sort")
def sort(rec: Tape, node: Node) -> list[Value]:
    """Every result reads the keys and its own operand, whole along the axis."""
    count = int(node.params["num_keys"])
    keys = [v.op for v in node.inputs[:count] if isinstance(v, Data)]
    axis: dict[str, Any] = {"axes": (int(node.params["dimension"]),)}
    if not isinstance(node.inputs[0], Data):
        rec.issue("A sort by known keys is not followed: bounded by the whole axis")
        axis["bound"] = True
    sorted_: dict[int, int] = {op: rec.emit("sort", node.out, [op], axis, "sort") for op in node.all_data()}
    found: list[Value] = []
    for value in node.inputs:
        read = list(dict.fromkeys(sorted_[op] for op in ([value.op] if isinstance(value, Data) else []) + keys))
        found.append(Data(read[0] if len(read) == 1 else rec.emit("pointwise", node.out, read, {}, "sort")))
    return found


@primitive("top_k approx_top_k")
def top_k(rec: Tape, node: Node) -> list[Value]:
    """The largest along an axis, which is read whole."""
    op = node.source()
    axis = int(node.params.get("axis", node.params.get("reduction_dimension", -1))) % len(node.shapes[0])
    return [Data(rec.emit("sort", out, [op], {"axes": (axis,)}, "topk")) for out in node.outs]


@primitive("fft")
def fourier(rec: Tape, node: Node) -> Translated:
    """Over the last axes, whole."""
    rank, count = len(node.out), len(node.params["fft_lengths"])
    return rec.emit("fourier", node.out, [node.source()], {"axes": tuple(range(rank - count, rank))}, "fft")


# ---- products --------------------------------------------------------------------------------------------------------------

SMALL = 2**22
"""Entries of a constant factor that are looked through for zeros: a fixed matrix (interpolation, a transform) has some."""


@primitive("dot_general")
def dot(rec: Tape, node: Node) -> Translated:
    """The result has the batch axes, then the free ones of the left, then those of the right."""
    (inner_left, inner_right), (batch_left, batch_right) = _plain(node.params["dimension_numbers"])
    if isinstance(node.inputs[0], Data) and isinstance(node.inputs[1], Data):
        return _of_data(rec, node, inner_left, inner_right, batch_left, batch_right)
    if isinstance(node.inputs[0], Data):
        return _with_weights(rec, node, 0, inner_left, batch_left, inner_right, batch_right)
    return _with_weights(rec, node, 1, inner_right, batch_right, inner_left, batch_left)


def _plain(numbers: Any) -> tuple[tuple[list[int], list[int]], tuple[list[int], list[int]]]:
    (a, b), (c, d) = numbers
    return ([int(x) for x in a], [int(x) for x in b]), ([int(x) for x in c], [int(x) for x in d])


def _with_weights(
    rec: Tape, node: Node, side: int, inner: list[int], batch: list[int], inner_weight: list[int], batch_weight: list[int]
) -> Translated:
    """Data times weights, as (*batch, *free, k) @ (*batch, k, j), whichever side the data is on."""
    value, shape, weight_shape = node.inputs[side], node.shapes[side], node.shapes[1 - side]
    assert isinstance(value, Data)
    free = [a for a in range(len(shape)) if a not in inner and a not in batch]
    free_weight = [a for a in range(len(weight_shape)) if a not in inner_weight and a not in batch_weight]
    pattern = _pattern(node.inputs[1 - side], weight_shape, (batch_weight, inner_weight, free_weight))
    if pattern is not None and not batch and len(inner) == 1 and len(free_weight) == 1:
        resized = _resized(rec, node, side, value, inner[0])
        if resized is not None:
            return _to_place(rec, resized, [*free, inner[0]], side, len(batch), len(free), 1)
    k, j = math.prod(shape[a] for a in inner), math.prod(weight_shape[a] for a in free_weight)
    rows = free if not batch else free[:1] if len(free) == 1 else free
    op = turned(rec, value.op, [*batch, *free, *inner])
    lead = [shape[a] for a in batch]
    if (batch and len(free) != 1) or (not batch and not free):
        op = moves.reshape(rec, op, (*lead, math.prod(shape[a] for a in rows), k))
        lead.append(math.prod(shape[a] for a in rows))
    else:
        op = moves.reshape(rec, op, (*lead, *(shape[a] for a in free), k))
        lead += [shape[a] for a in free]
    params: dict[str, Any] = {"operands": ("left",)}
    if pattern is not None and pattern.any():
        params["right_pattern"] = pattern
    op = rec.emit("matmul", (*lead, j), [op], params, "matmul")
    sizes = [*(shape[a] for a in batch), *(shape[a] for a in free), *(weight_shape[a] for a in free_weight)]
    op = moves.reshape(rec, op, sizes)
    return _to_place(rec, op, list(range(len(sizes))), side, len(batch), len(free), len(free_weight))


def _to_place(rec: Tape, op: int, order: list[int], side: int, batch: int, free: int, weights: int) -> int:
    """`order`: the axes of op as (batch, free of the data, free of the weights). To the order of the result, where the left comes first."""
    if side == 1:
        order = [*order[:batch], *order[batch + free :], *order[batch : batch + free]]
    return turned(rec, op, order)


def _pattern(value: Value, shape: tuple[int, ...], groups: tuple[list[int], list[int], list[int]]) -> np.ndarray | None:
    """Where a constant factor is not zero, if somewhere it is, as (*batch, k, j)."""
    numbers = holes_of(value) if math.prod(shape) <= SMALL else None
    if numbers is None or numbers.ndim < 2 or numbers.dtype.kind not in "fiubc":
        return None
    if numbers.all():
        return None
    batch, inner, free = groups
    numbers = numbers.transpose([*batch, *inner, *free])
    sizes = [shape[a] for a in batch]
    return np.asarray(numbers.reshape(*sizes, math.prod(shape[a] for a in inner), math.prod(shape[a] for a in free)) != 0)


def _resized(rec: Tape, node: Node, side: int, value: Data, axis: int) -> int | None:
    """Interpolation along one axis by a matrix of weights."""
    numbers = node.const(1 - side)
    inner = _plain(node.params["dimension_numbers"])[0][1 - side][0]
    if numbers is None or value.fixed is not None or value.faint is not None:
        return None
    weights = numbers if inner == 0 else numbers.T
    mode = mode_of(weights)
    return None if mode is None else interpolated(rec, value.op, axis, weights.shape[1], *mode)


def _of_data(
    rec: Tape, node: Node, inner_left: list[int], inner_right: list[int], batch_left: list[int], batch_right: list[int]
) -> Translated:
    """(*batch, i, k) @ (*batch, k, j) of two computed factors, as attention has them."""
    left, right = node.shapes
    rows = [a for a in range(len(left)) if a not in inner_left and a not in batch_left]
    columns = [a for a in range(len(right)) if a not in inner_right and a not in batch_right]
    sizes = [left[a] for a in batch_left]
    i, k, j = (math.prod(s[a] for a in axes) for s, axes in ((left, rows), (left, inner_left), (right, columns)))
    orders = ([*batch_left, *rows, *inner_left], [*batch_right, *inner_right, *columns])
    inputs: list[int] = []
    params: dict[str, Any] = {"operands": ("left", "right")}
    for position, (order, shape) in enumerate(zip(orders, ((*sizes, i, k), (*sizes, k, j)), strict=True)):
        value = node.inputs[position]
        assert isinstance(value, Data)
        inputs.append(moves.reshape(rec, turned(rec, value.op, order), shape))
        pattern = known.nonzero(value, node.shapes[position], SMALL)
        if pattern is not None and pattern.any():
            params[("left_pattern", "right_pattern")[position]] = pattern.transpose(order).reshape(shape)
            if value.faint is not None:
                params["faint"] = True
    op = rec.emit("matmul", (*sizes, i, j), inputs, params, "matmul")
    return moves.reshape(rec, op, node.out)
