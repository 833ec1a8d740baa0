"""Convolution and pooling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isopter.capture.jax.node import Node, Tape, held_in
from isopter.capture.jax.translate import Translated, opaque, primitive
from isopter.capture.jax.translate.shapes import dilated, turned
from isopter.capture.static.node import Unknown
from isopter.capture.static.values import Const
from isopter.capture.static.windows import checked, taps_of
from isopter.graph import Shape

SMALL = 2**18
"""Entries of filters that are looked through for zeros: a fixed filter (Sobel, a blur) has few, learned ones have none."""


@primitive("conv_general_dilated")
def conv(rec: Tape, node: Node) -> Translated:
    """Any order of axes: that of the operand is the op's layout, and one of the result that differs a transpose.

    A dilated operand is a transposed convolution: with strides of 1 output o reads ``(o - before + d t') / s``, t' < kernel, which is
    ``(o + pad - d t) / s`` for t = kernel - 1 - t' and ``pad = d (kernel - 1) - before``. With strides, holes are made first.
    """
    p = node.params
    numbers = p["dimension_numbers"]
    order, filters = tuple(map(int, numbers.lhs_spec)), tuple(map(int, numbers.rhs_spec))
    if node.data(0) is None or p["batch_group_count"] != 1:
        return opaque(rec, node)
    op, n = node.source(), len(order) - 2
    spread, stride = _ints(p["lhs_dilation"]), _ints(p["window_strides"])
    if any(s > 1 for s in spread) and any(s > 1 for s in stride):
        for axis, s in zip(order[2:], spread, strict=True):
            op = dilated(rec, op, axis, s) if s > 1 else op
        spread = (1,) * n
    kernel = tuple(node.shapes[1][a] for a in filters[2:])
    dilation, before = _ints(p["rhs_dilation"]), tuple(int(lo) for lo, _ in p["padding"])
    out = tuple(node.out[a] for a in map(int, numbers.out_spec))
    transposed = any(s > 1 for s in spread)
    if transposed:
        stride, before = spread, tuple(d * (k - 1) - b for d, k, b in zip(dilation, kernel, before, strict=True))
    checked(rec.label or node.op, out[2:], kernel, stride, dilation, before)
    params: dict[str, Any] = {"kernel": kernel, "stride": stride, "dilation": dilation, "pad": before}
    params["groups"] = int(p["feature_group_count"])
    inputs = [op]
    if (computed := node.data(1)) is not None:
        if transposed:
            return opaque(rec, node)
        inputs.append(turned(rec, computed, filters))
    elif not transposed and math.prod(node.shapes[1]) <= SMALL:
        params |= _taps(node, filters)
    if order != tuple(range(n + 2)):
        params["layout"] = order
    made = rec.emit("conv_transpose" if transposed else "conv", _shape(out, order), inputs, params, "conv")
    back = [order[list(map(int, numbers.out_spec)).index(a)] for a in range(n + 2)]
    return turned(rec, made, back)


def _taps(node: Node, filters: Shape) -> dict[str, Any]:
    """Which taps of constant filters are not zero. `filters`: where their axes (C_out, C_in, *kernel) are."""
    held = held_in(node.inputs[1])
    if held is None:
        return {}

    def turned_filters(count: int | None = None) -> np.ndarray | None:
        known = held.load()
        return None if known is None else known.transpose(filters)[:count]

    shape = tuple(held.shape[a] for a in filters)
    row = max(math.prod(shape[1:]), 1)
    return taps_of(Const(shape, turned_filters, lambda entries: turned_filters(entries // row)))


def _ints(numbers: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in numbers)


def _shape(canonical: Shape, order: Shape) -> Shape:
    """A shape (N, C, *space) with its axes where the operand has them."""
    return tuple(canonical[order.index(a)] for a in range(len(order)))


@primitive("reduce_window_max reduce_window_min reduce_window_sum reduce_window")
def pool(rec: Tape, node: Node) -> Translated:
    """Windows over the axes of which they are more than one position, or more than one step."""
    p = node.params
    if node.op == "reduce_window" and (len(node.outs) != 1 or any(node.data(k) is not None for k in range(1, len(node.inputs)))):
        return opaque(rec, node)  # several operands, or a start that is data
    op = node.source()
    kernel, stride, dilation = _ints(p["window_dimensions"]), _ints(p["window_strides"]), _ints(p["window_dilation"])
    for axis, s in enumerate(_ints(p["base_dilation"])):
        op = dilated(rec, op, axis, s) if s > 1 else op
    before = [int(lo) for lo, _ in p["padding"]]
    shape = rec.ops[op].shape
    slid = [a for a in range(len(shape)) if (kernel[a], stride[a], before[a]) != (1, 1, 0) or shape[a] != node.out[a]]
    if not slid:
        return op
    mode = "avg" if node.op == "reduce_window_sum" else "max"
    params: dict[str, Any] = {"mode": mode}
    for name, numbers in (("kernel", kernel), ("stride", stride), ("dilation", dilation), ("pad", before)):
        params[name] = tuple(numbers[a] for a in slid)
    checked(rec.label or node.op, tuple(node.out[a] for a in slid), params["kernel"], params["stride"], params["dilation"], params["pad"])
    layout = (*(a for a in range(len(shape)) if a not in slid), *slid)
    if layout != tuple(range(len(shape))):
        params["layout"] = layout
    if mode == "avg":
        params |= {"counts_pad": True, "divisor": 1.0}
    return rec.emit("pool", node.out, [op], params, "sum_pool" if mode == "avg" else f"max_pool{len(slid)}d")


@primitive("select_and_scatter_add select_and_gather_add select_and_scatter")
def chosen_in_windows(rec: Tape, node: Node) -> Translated:
    """The way back through a max pool: values decide which position of each window."""
    raise Unknown("positions")
