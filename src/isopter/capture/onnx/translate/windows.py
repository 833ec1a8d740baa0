"""Convolution and pooling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isopter.capture.onnx.node import Node
from isopter.capture.onnx.translate import Translated, onnx_op, opaque
from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Const, Data
from isopter.capture.static.windows import checked, same_pads, taps, taps_of
from isopter.errors import CaptureError

Sizes = tuple[int, ...]

SMALL = 2**18
"""Entries of filters that are looked through for zeros: a fixed filter (Sobel, a blur) has few, learned ones have none."""


def _numbers(node: Node, name: str, n: int, default: int = 1) -> Sizes:
    found = node.ints(name)
    return (default,) * n if found is None else found


def _pads(node: Node, space: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Sizes:
    """What is padded before each axis."""
    auto = node.attr("auto_pad", "NOTSET")
    n = len(space)
    if auto == "VALID":
        return (0,) * n
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        numbers = zip(space, kernel, stride, dilation, strict=True)
        return tuple(same_pads(*four, lower=auto == "SAME_LOWER")[0] for four in numbers)
    return _numbers(node, "pads", 2 * n, 0)[:n]


def _windows(node: Node, kernel: Sizes) -> dict[str, object]:
    """Params of a window over the last axes of input 0, checked."""
    n = len(kernel)
    space = node.shape(0)[2:]
    stride, dilation = _numbers(node, "strides", n), _numbers(node, "dilations", n)
    if not len(space) == len(stride) == len(dilation) == n or min((*stride, *kernel, *dilation), default=1) < 1:
        raise CaptureError(f"{node.label}: kernel {kernel}, strides {stride} and dilations {dilation} do not fit {node.shape(0)}.")
    pad = _pads(node, space, kernel, stride, dilation)
    checked(node.label, node.out[2:], kernel, stride, dilation, pad)
    return {"kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad}


WEIGHTS = {"QLinearConv": 3}
"""At which position the filters are, where not at 1."""


@onnx_op("Conv ConvInteger QLinearConv")
@onnx_op("FusedConv", "com.microsoft")
def conv(rec: Builder, node: Node) -> Translated:
    at = WEIGHTS.get(node.op, 1)
    filters = node.shape(at)
    if node.data(0) is None:
        return opaque(rec, node)  # computed filters slid over a constant
    params = _windows(node, filters[2:]) | {"groups": _groups(node, filters[0])}
    computed = node.data(at)
    if computed is None and node.op != "ConvInteger" and math.prod(filters) <= SMALL:
        params |= _taps(node, at)
    inputs = [node.source(), *([] if computed is None else [computed])]
    return _biased(rec, node, rec.emit("conv", node.out, inputs, params, "convolution"), 2 if node.op != "QLinearConv" else 8)


def _taps(node: Node, at: int) -> dict[str, Any]:
    value = node.value(at)
    if node.op != "QLinearConv":
        return taps_of(value) if isinstance(value, Const) else {}
    known, zero = node.const(at), node.const(at + 2)  # a stored number equal to the zero point is a weight of zero
    if known is None or zero is None:
        return {}
    return taps(known.astype(np.int64) - zero.astype(np.int64).reshape(-1, *(1,) * (known.ndim - 1)))


def _biased(rec: Builder, node: Node, op: int, at: int) -> int:
    """A bias that is data is added after; so is what a fused convolution adds."""
    for position in range(at, len(node.inputs)):
        added = node.data(position)
        if added is not None:
            if len(rec.shape(added)) == 1:
                added = moves.reshape(rec, added, (*rec.shape(added), *(1,) * (len(node.out) - 2)))
            op = rec.emit("pointwise", node.out, [op, added], {}, "add")
    return op


def _groups(node: Node, filters: int) -> int:
    groups = int(node.attr("group", 1))
    channels = node.shape(0)[1]
    if groups < 1 or channels % groups or (node.op != "ConvTranspose" and filters % groups):
        raise CaptureError(f"{node.label}: {channels} channels and {filters} filters do not make {groups} groups.")
    return groups


@onnx_op("ConvTranspose")
def conv_transpose(rec: Builder, node: Node) -> Translated:
    """``out = stride * (in - 1) + output_padding + dilation * (kernel - 1) + 1 - pads``; the pads follow where only `out` is given."""
    filters = node.shape(1)
    kernel, space = filters[2:], node.shape(0)[2:]
    n = len(kernel)
    if node.data(0) is None or len(space) != n or len(node.out) != n + 2:
        return opaque(rec, node)
    stride, dilation = _numbers(node, "strides", n), _numbers(node, "dilations", n)
    extra, pad = _numbers(node, "output_padding", n, 0), _numbers(node, "pads", 2 * n, 0)[:n]
    auto = node.attr("auto_pad", "NOTSET")
    if node.attr("output_shape") is not None or auto.startswith("SAME"):
        numbers = zip(space, node.out[2:], kernel, stride, dilation, extra, strict=True)
        totals = [max(s * (m - 1) + e + d * (k - 1) + 1 - out, 0) for m, out, k, s, d, e in numbers]
        pad = tuple(t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in totals)
    elif auto == "VALID":
        pad = (0,) * n
    checked(node.label, node.out[2:], kernel, stride, dilation, pad)
    params = {"kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad, "groups": _groups(node, filters[0])}
    computed = node.data(1)
    op = rec.emit("conv_transpose", node.out, [node.source(), *([] if computed is None else [computed])], params, "convolution")
    return _biased(rec, node, op, 2)


@onnx_op("MaxPool AveragePool LpPool")
def pool(rec: Builder, node: Node) -> Translated:
    """ceil_mode only changes the output's size; the indices of a max pool are of the same windows."""
    kernel = node.ints("kernel_shape")
    if kernel is None:
        raise CaptureError(f"{node.label}: {node.op} has no kernel_shape.")
    name = {"MaxPool": "max_pool", "AveragePool": "avg_pool", "LpPool": "lp_pool"}[node.op]
    params: dict[str, object] = {"mode": "max" if node.op == "MaxPool" else "avg", **_windows(node, kernel)}
    if params["mode"] == "avg":
        params |= {"counts_pad": bool(node.attr("count_include_pad", 0)), "divisor": None}
    if node.attr("ceil_mode", 0):
        params["ceil"] = True
    return rec.emit("pool", node.out, [node.source()], params, f"{name}{len(kernel)}d")


@onnx_op("GlobalMaxPool GlobalAveragePool GlobalLpPool")
def global_pool(rec: Builder, node: Node) -> Translated:
    axes = len(node.out) - 2
    name = "adaptive_max_pool" if node.op == "GlobalMaxPool" else "adaptive_avg_pool"
    return rec.emit("adaptive_pool", node.out, [node.source()], {"axes": axes}, f"{name}{axes}d") if axes else node.source()


@onnx_op("QLinearAveragePool QLinearGlobalAveragePool", "com.microsoft")
def quantised_pool(rec: Builder, node: Node) -> Translated:
    if node.attr("channels_last", 0):
        return opaque(rec, node)
    if node.op == "QLinearGlobalAveragePool":
        axes = len(node.out) - 2
        return rec.emit("adaptive_pool", node.out, [node.source()], {"axes": axes}, f"adaptive_avg_pool{axes}d")
    kernel = node.ints("kernel_shape") or ()
    params = {"mode": "avg", **_windows(node, kernel), "counts_pad": bool(node.attr("count_include_pad", 0)), "divisor": None}
    return rec.emit("pool", node.out, [node.source()], params, f"avg_pool{len(kernel)}d")


@onnx_op("MaxUnpool GridSample RoiAlign MaxRoiPool DeformConv")
def chosen_in_space(rec: Builder, node: Node) -> Translated:
    """Values decide which positions are read: all of space bounds it."""
    first = node.data(0)
    if first is None:
        return opaque(rec, node)
    rec.issue(f"{node.op} reads positions chosen by values: bounded by all of space")
    if node.op in ("RoiAlign", "MaxRoiPool", "DeformConv") or len(rec.shape(first)) != len(node.out):
        reads = [op for op in node.all_data() if op != first]
        bound = rec.emit("opaque", node.out, [first, *reads], {}, node.op)
        return [Data(bound)] * len(node.outs)
    space = tuple(range(2, len(rec.shape(first))))
    rest = [op for op in node.all_data() if op != first]
    return rec.emit("chosen", node.out, [first, *rest], {"axes": space}, node.op)
