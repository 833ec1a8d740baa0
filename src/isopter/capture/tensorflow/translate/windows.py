"""Convolution and pooling. Channels are last in most graphs: params say where (`layout`), and no transpose is emitted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Const, Data
from isopter.capture.static.windows import checked, same_pads, taps
from isopter.capture.tensorflow.node import Node
from isopter.capture.tensorflow.translate import Translated, opaque, tf_op
from isopter.errors import CaptureError
from isopter.graph import Shape

Sizes = tuple[int, ...]

SMALL = 2**18
"""Entries of filters that are looked through for zeros: a fixed filter (Sobel, a blur) has few, learned ones have none."""


def order_of(node: Node, rank: int) -> Sizes:
    """Where batch, channels and space are, by the attribute ``data_format``: (0, 3, 1, 2) with channels last."""
    given = str(node.attr("data_format", "NHWC"))
    if given in ("NCHW", "NCDHW", "CHANNELS_FIRST"):
        return tuple(range(rank))
    if given in ("NHWC", "NDHWC", "CHANNELS_LAST"):
        return (0, rank - 1, *range(1, rank - 1))
    raise CaptureError(f"{node.label}: {node.op} of tensors in the order {given!r}, which isopter does not read.")


def with_layout(order: Sizes) -> dict[str, Any]:
    """The param ``layout``, where channels are not at axis 1."""
    return {} if order == tuple(range(len(order))) else {"layout": order}


def canonical(shape: Shape, order: Sizes) -> Shape:
    """A shape as (batch, channels, *space)."""
    return tuple(shape[a] for a in order)


def _spatial(node: Node, given: Sequence[int] | None, order: Sizes) -> Sizes:
    """Numbers of an attribute for the space axes; those for batch and channels must be 1."""
    if not given:
        return (1,) * (len(order) - 2)
    if len(given) == 1:
        given = [given[0] if a in order[2:] else 1 for a in range(len(order))]
    if len(given) != len(order) or given[order[0]] != 1 or given[order[1]] != 1:
        raise CaptureError(f"{node.label}: {node.op} with {list(given)} along its {len(order)} axes, and batch and channels take 1.")
    return tuple(int(given[a]) for a in order[2:])


def _pads(node: Node, space: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes, order: Sizes) -> Sizes:
    """What is padded before each space axis."""
    match node.attr("padding"):
        case "VALID":
            return (0,) * len(kernel)
        case "SAME":
            return tuple(same_pads(*four)[0] for four in zip(space, kernel, stride, dilation, strict=True))
        case _:
            given = node.attr("explicit_paddings") or []
            if len(given) != 2 * len(order):
                raise CaptureError(f"{node.label}: {len(given)} explicit paddings for {len(order)} axes.")
            return tuple(int(given[2 * a]) for a in order[2:])


def _window(node: Node, space: Sizes, out: Sizes, kernel: Sizes, order: Sizes, dilation: Sizes | None = None) -> dict[str, Any]:
    """Params of a window, checked. `space` is what the forward window slides over, `out` the result's space."""
    stride = _spatial(node, node.attr("strides"), order)
    dilation = dilation or _spatial(node, node.attr("dilations"), order)
    if min((*stride, *kernel, *dilation), default=1) < 1 or len(kernel) != len(space):
        raise CaptureError(f"{node.label}: kernel {kernel}, strides {stride} and dilations {dilation} do not fit {space}.")
    pad = _pads(node, space, kernel, stride, dilation, order)
    checked(node.label, out, kernel, stride, dilation, pad)
    return {"kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad}


# ---- convolution ----------------------------------------------------------------------------------------------------------


@tf_op("Conv2D Conv3D Conv DepthwiseConv2dNative")
def conv(rec: Builder, node: Node) -> Translated:
    """Filters are (*kernel, C_in / groups, C_out); of a depthwise convolution (*kernel, C, multiplier)."""
    if node.data(0) is None:
        return opaque(rec, node)  # computed filters slid over a constant
    filters, shape = node.shape(1), node.shape(0)
    order = order_of(node, len(shape))
    kernel, depthwise = filters[:-2], node.op == "DepthwiseConv2dNative"
    channels, space = shape[order[1]], canonical(shape, order)[2:]
    if int(node.attr("batch_dims", 1) or 1) != 1 or len(kernel) != len(space):
        return opaque(rec, node)
    groups = channels if depthwise else channels // max(filters[-2], 1)
    if not groups or channels % groups or node.out[order[1]] % groups:
        raise CaptureError(f"{node.label}: {channels} channels and filters {filters} do not make groups.")
    params = _window(node, space, canonical(node.out, order)[2:], kernel, order) | {"groups": groups} | with_layout(order)
    inputs = [node.source()]
    computed = node.data(1)
    if computed is not None:
        inputs.append(_filters_first(rec, computed, depthwise))
    elif math.prod(filters) <= SMALL and isinstance(node.inputs[1], Const):
        params |= taps(_as_first(node.inputs[1].load(), depthwise))
    return rec.emit("conv", node.out, inputs, params, "convolution")


def _filters_first(rec: Builder, op: int, depthwise: bool) -> int:
    """Computed filters as (C_out, C_in / groups, *kernel)."""
    rank = len(rec.shape(op))
    space = list(range(rank - 2))
    if not depthwise:
        return moves.transpose(rec, op, [rank - 1, rank - 2, *space])
    op = moves.transpose(rec, op, [rank - 2, rank - 1, *space])
    c, m, *kernel = rec.shape(op)
    return moves.reshape(rec, op, (c * m, 1, *kernel))


def _as_first(filters: np.ndarray | None, depthwise: bool) -> np.ndarray | None:
    if filters is None:
        return None
    rank = filters.ndim
    if not depthwise:
        return filters.transpose(rank - 1, rank - 2, *range(rank - 2))
    moved = filters.transpose(rank - 2, rank - 1, *range(rank - 2))
    return moved.reshape(-1, 1, *moved.shape[2:])


@tf_op("Conv2DBackpropInput Conv2DBackpropInputV2 Conv3DBackpropInput Conv3DBackpropInputV2 DepthwiseConv2dNativeBackpropInput")
def conv_transpose(rec: Builder, node: Node) -> Translated:
    """A transposed convolution: the convolution that it turns around slides over the result, and SAME is of that one's sizes."""
    if node.data(2) is None or node.data(0) is not None:
        return opaque(rec, node)
    shape, filters = node.shape(2), node.shape(1)
    order = order_of(node, len(shape))
    kernel, depthwise = filters[:-2], node.op.startswith("Depthwise")
    large, small = canonical(node.out, order), canonical(shape, order)
    if len(kernel) != len(large) - 2:
        return opaque(rec, node)
    groups = large[1] if depthwise else large[1] // max(filters[-2], 1)
    params = _window(node, large[2:], large[2:], kernel, order) | {"groups": groups} | with_layout(order)
    inputs = [node.source(2)]
    computed = node.data(1)
    if computed is not None:
        rank = len(filters)
        if depthwise:
            return opaque(rec, node)
        inputs.append(moves.transpose(rec, computed, [rank - 1, rank - 2, *range(rank - 2)]))
    if groups < 1 or small[1] % groups:
        raise CaptureError(f"{node.label}: {small[1]} channels and filters {filters} do not make groups.")
    return rec.emit("conv_transpose", node.out, inputs, params, "convolution")


# ---- pooling --------------------------------------------------------------------------------------------------------------


@tf_op("MaxPool MaxPoolV2 MaxPool3D AvgPool AvgPool3D MaxPoolWithArgmax")
def pool(rec: Builder, node: Node) -> Translated:
    """Averages are of what is inside the map: padding does not count. The indices of a max pool are of the same windows."""
    shape = node.shape(0)
    order = order_of(node, len(shape))
    given, strides = (node.ints(1), node.ints(2)) if node.op == "MaxPoolV2" else (node.attr("ksize"), node.attr("strides"))
    space, out = canonical(shape, order)[2:], canonical(node.out, order)[2:]
    kernel, stride = _spatial(node, given, order), _spatial(node, strides, order)
    dilation = (1,) * len(kernel)
    if min((*kernel, *stride)) < 1:
        raise CaptureError(f"{node.label}: a window of {kernel} with strides {stride}.")
    pad = _pads(node, space, kernel, stride, dilation, order)
    checked(node.label, out, kernel, stride, dilation, pad)
    most = node.op.startswith("Max")
    params: dict[str, Any] = {"mode": "max" if most else "avg", "kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad}
    if not most:
        params |= {"counts_pad": False, "divisor": None}
    source = f"{'max' if most else 'avg'}_pool{len(kernel)}d"
    return rec.emit("pool", node.out, [node.source()], params | with_layout(order), source)


@tf_op("Dilation2D")
def dilation(rec: Builder, node: Node) -> Translated:
    """Greyscale morphology: the largest of a window, each position with a weight added."""
    filters, shape = node.shape(1), node.shape(0)
    order = (0, 3, 1, 2)
    rates, strides = _spatial(node, node.attr("rates"), order), _spatial(node, node.attr("strides"), order)
    kernel = filters[:2]
    space, out = canonical(shape, order)[2:], canonical(node.out, order)[2:]
    pad = _pads(node, space, kernel, strides, rates, order)
    checked(node.label, out, kernel, strides, rates, pad)
    params = {"mode": "max", "kernel": kernel, "stride": strides, "dilation": rates, "pad": pad, **with_layout(order)}
    return rec.emit("pool", node.out, [node.source()], params, "max_pool2d")


@tf_op("ExtractImagePatches ExtractVolumePatches")
def patches(rec: Builder, node: Node) -> Translated:
    """Windows side by side in the channels, which are (*kernel, C): rows are taken axis by axis, then moved behind."""
    shape = node.shape(0)
    order = (0, len(shape) - 1, *range(1, len(shape) - 1))
    kernel = _spatial(node, node.attr("ksizes"), order)
    stride, rates = _spatial(node, node.attr("strides"), order), _spatial(node, node.attr("rates"), order)
    space, out = shape[1:-1], node.out[1:-1]
    pad = _pads(node, space, kernel, stride, rates, order)
    checked(node.label, out, kernel, stride, rates, pad)
    op = node.source()
    for axis, (n, m, k, s, r, p) in enumerate(zip(space, out, kernel, stride, rates, pad, strict=True), start=1):
        at = (np.arange(m)[:, None] * s - p + r * np.arange(k)).reshape(-1)
        op = moves.take(rec, op, axis, np.where((at >= 0) & (at < n), at, -1), "im2col")
    both = [n for pair in zip(out, kernel, strict=True) for n in pair]
    op = moves.reshape(rec, op, (shape[0], *both, shape[-1]))
    axes = len(space)
    op = moves.transpose(rec, op, [0, *range(1, 2 * axes + 1, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1])
    return moves.reshape(rec, op, node.out)


@tf_op("CropAndResize")
def crop_and_resize(rec: Builder, node: Node) -> Translated:
    """Values decide which positions are read: all of the image bounds it."""
    rec.issue("CropAndResize reads positions chosen by values: bounded by all of space")
    return Data(rec.emit("opaque", node.out, node.all_data(), {}, "crop_and_resize"))
