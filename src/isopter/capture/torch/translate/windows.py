"""Convolution, pooling, interpolation, padding."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from isopter.capture.static import moves
from isopter.capture.static.windows import squares_of
from isopter.capture.torch.translate import aten, data_inputs, opaque, shape_of, source_op
from isopter.capture.torch.translate.indexing import constant
from isopter.capture.torch.values import Data, Value

if TYPE_CHECKING:
    from isopter.capture.torch.tape import Call, Tape


def _tuple(value: int | list[int], n: int) -> tuple[int, ...]:
    items = [value] if isinstance(value, int) else list(value)
    return tuple(int(v) for v in (items * n if len(items) == 1 else items))


@aten("convolution _convolution convolution_overrideable")
def convolution(rec: Tape, call: Call) -> int | list[Value]:
    weight, bias = call["weight"], call.get("bias")
    computed, added = rec.op_of(weight), rec.op_of(bias) if bias is not None else None
    if rec.op_of(call["input"]) is None:
        return opaque(rec, call)  # computed filters slid over a constant
    n = weight.dim() - 2
    params = {
        "kernel": tuple(weight.shape[2:]),
        "stride": _tuple(call["stride"], n),
        "dilation": _tuple(call["dilation"], n),
        "pad": _tuple(call["padding"], n),
        "groups": int(call["groups"]),
    }
    if not call["transposed"]:
        params |= _taps(rec, weight)
    kind = "conv_transpose" if call["transposed"] else "conv"
    inputs = [source_op(rec, call, "input"), *([] if computed is None else [computed])]
    op = rec.emit(kind, shape_of(call), inputs, params, "convolution")
    if added is None:
        return op
    per_channel = moves.reshape(rec, added, (*rec.shape(added), *(1,) * n))
    return rec.emit("pointwise", shape_of(call), [op, per_channel], {}, "convolution")


def _taps(rec: Tape, weight: Tensor) -> dict[str, object]:
    """Which taps of a constant filter are not zero, if some are; filters that differ between channels are bounded by all of
    them. More than 64 taps are taken as dense: their holes would cost more than they tell."""
    known = constant(rec, weight)
    if known is None:
        return {}
    nonzero = (known != 0).reshape(-1, *known.shape[2:])
    used = nonzero.any(axis=0)
    if used.all() or not used.any() or used.sum() > 64:
        return squares_of(known)
    return {"taps": tuple(tuple(int(i) for i in t) for t in np.argwhere(used)), "same_taps": bool((nonzero == used).all())}


@aten("max_pool2d_with_indices max_pool3d_with_indices max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d "
      "mkldnn_max_pool2d mkldnn_max_pool3d quantized_max_pool2d")  # fmt: skip
def pool(rec: Tape, call: Call) -> int:
    n = int(call.name[call.name.index("pool") + 4])
    kernel = _tuple(call["kernel_size"], n)
    params: dict[str, object] = {
        "mode": "max" if "max" in call.name else "avg",
        "kernel": kernel,
        "stride": _tuple(call["stride"], n) if call.get("stride") else kernel,
        "dilation": _tuple(call.get("dilation", 1), n),
        "pad": _tuple(call.get("padding", 0), n),
    }
    if params["mode"] == "avg":
        params |= {"counts_pad": bool(call.get("count_include_pad", True)), "divisor": call.get("divisor_override")}
    if call.get("ceil_mode"):
        params["ceil"] = True
    return rec.emit("pool", shape_of(call), [source_op(rec, call)], params, call.name.removesuffix("_with_indices"))


@aten("_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
      "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d")  # fmt: skip
def adaptive_pool(rec: Tape, call: Call) -> int:
    name = call.name.removeprefix("_")
    return rec.emit("adaptive_pool", shape_of(call), [source_op(rec, call)], {"axes": int(name[-2])}, name)


@aten("upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d "
      "_upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d "
      "_upsample_bilinear2d_aa _upsample_bicubic2d_aa")  # fmt: skip
def resample(rec: Tape, call: Call) -> int:
    name = call.name.removeprefix("_").removeprefix("upsample_")
    mode = next(
        m
        for key, m in (("nearest_exact", "nearest-exact"), ("nearest", "nearest"), ("cubic", "cubic"), ("linear", "linear"))
        if key in name
    )
    factors = call.get("scale_factors") or [call.get(k) for k in ("scales_d", "scales_h", "scales", "scales_w") if k in call.arguments]
    n = len(shape_of(call)) - 2
    factors = list(factors) if len(factors) == n else [None] * n
    params = {
        "mode": mode,
        "align_corners": bool(call.get("align_corners", False)),
        "antialias": name.endswith("_aa"),
        "steps": tuple(None if not f else float(1 / Fraction(f).limit_denominator(10_000)) for f in factors),
    }
    return rec.emit("resample", shape_of(call), [source_op(rec, call)], params, call.name.removeprefix("_"))


@aten("constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d")
def pad(rec: Tape, call: Call) -> int:
    pads = call.get("pad") or call["padding"]
    before = [0] * len(shape_of(call))
    for k in range(len(pads) // 2):
        before[-1 - k] = int(pads[2 * k])
    mode = {"c": "constant", "re": "reflect", "rp": "replicate"}[
        "c" if call.name[0] == "c" else "re" if "reflection" in call.name else "rp"
    ]
    return rec.emit("pad", shape_of(call), [source_op(rec, call)], {"before": tuple(before), "mode": mode}, "pad")


@aten("im2col")
def unfold(rec: Tape, call: Call) -> int:
    """F.unfold: take every window along each axis, then bring the window's axes to the channels."""
    op = source_op(rec, call)
    batched = len(rec.shape(op)) == 4
    op = op if batched else moves.reshape(rec, op, (1, *rec.shape(op)))
    counts = []
    numbers = zip(call["kernel_size"], call["stride"], call["padding"], call["dilation"], strict=True)
    for axis, (kernel, stride, pad_, dilation) in enumerate(numbers, start=2):
        n = rec.shape(op)[axis]
        count = (n + 2 * pad_ - dilation * (kernel - 1) - 1) // stride + 1
        op = windows(rec, op, axis, count, kernel, stride, dilation, pad_)
        counts.append(count)
    (b, c), (h, w), (kh, kw) = rec.shape(op)[:2], counts, call["kernel_size"]
    op = moves.reshape(rec, op, (b, c, h, kh, w, kw))
    op = moves.transpose(rec, op, [0, 1, 3, 5, 2, 4])
    return moves.reshape(rec, op, shape_of(call))


def windows(rec: Tape, op: int, axis: int, count: int, kernel: int, stride: int, dilation: int, pad: int) -> int:
    """All windows of an axis, end to end: position ``i * kernel + t`` reads ``i * stride - pad + dilation * t``."""
    pattern = (np.arange(kernel) * dilation - pad)[:, None]
    at = (np.arange(count)[:, None] * stride + pattern.T).ravel()
    index = np.where((at >= 0) & (at < rec.shape(op)[axis]), at, -1)
    return moves.take(rec, op, axis, index, "unfold", jump=stride, pattern=pattern)


@aten("unfold")
def tensor_unfold(rec: Tape, call: Call) -> int:
    """``x.unfold(axis, size, step)``: the windows become a new last axis."""
    op = source_op(rec, call)
    ndim = len(rec.shape(op))
    if ndim == 0:
        return moves.reshape(rec, op, shape_of(call))
    axis, size, step = call["dimension"] % ndim, call["size"], call["step"]
    out = shape_of(call)
    op = windows(rec, op, axis, out[axis], size, step, 1, 0)
    op = moves.reshape(rec, op, (*out[: axis + 1], size, *out[axis + 1 : -1]))
    order = [a for a in range(ndim + 1) if a != axis + 1]
    return moves.transpose(rec, op, [*order, axis + 1])


@aten("col2im")
def fold(rec: Tape, call: Call) -> int:
    """F.fold: bring the window axes beside the positions, then each output adds the window entries that lie on it."""
    op = source_op(rec, call)
    shape = rec.shape(op)
    op = op if len(shape) == 3 else moves.reshape(rec, op, (1, *shape))
    b = rec.shape(op)[0]
    (kh, kw), sizes = call["kernel_size"], [int(n) for n in call["output_size"]]
    numbers = list(zip(sizes, call["kernel_size"], call["stride"], call["padding"], call["dilation"], strict=True))
    counts = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in numbers]
    c = rec.shape(op)[1] // (kh * kw)
    op = moves.reshape(rec, op, (b, c, kh, kw, *counts))
    op = moves.transpose(rec, op, [0, 1, 4, 2, 5, 3])
    op = moves.reshape(rec, op, (b, c, counts[0] * kh, counts[1] * kw))
    for axis, ((n, k, s, p, d), count) in enumerate(zip(numbers, counts, strict=True), start=2):
        entries: list[list[int]] = [[] for _ in range(n)]
        for i in range(count):
            for t in range(k):
                if 0 <= i * s + t * d - p < n:
                    entries[i * s + t * d - p].append(i * k + t)
        width = max(map(len, entries)) or 1
        index = np.array([e + [-1] * (width - len(e)) for e in entries], np.int64)
        op = moves.take(rec, op, axis, index, "fold")
    return moves.reshape(rec, op, shape_of(call))


@aten("max_unpool2d max_unpool3d fractional_max_pool2d fractional_max_pool3d grid_sampler_2d grid_sampler_3d")
def chosen_in_space(rec: Tape, call: Call) -> list[Value]:
    """Values decide which positions are read: all of space bounds it."""
    name = "input" if "input" in call.arguments else "self"
    if rec.op_of(call[name]) is None:
        return opaque(rec, call)
    rec.issue(f"aten.{call.name} reads positions chosen by values: bounded by all of space")
    first = source_op(rec, call, name)
    rest = [op for op in data_inputs(rec, call) if op != first]
    space = tuple(range(len(rec.shape(first)) - int(call.name.removesuffix("d")[-1]), len(rec.shape(first))))
    return [Data(rec.emit("chosen", tuple(o.shape), [first, *rest], {"axes": space}, call.name)) for o in call.outs]
