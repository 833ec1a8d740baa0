"""Reductions, norms, scans, whole-axis mixing and matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from isopter.capture.onnx.node import Node
from isopter.capture.onnx.translate import Translated, onnx_op, opaque
from isopter.capture.static import known, moves, products
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Data, Value
from isopter.errors import CaptureError

REDUCED = {
    "ReduceL1": "norm", "ReduceL2": "norm", "ReduceLogSum": "sum", "ReduceLogSumExp": "logsumexp", "ReduceMax": "amax",
    "ReduceMean": "mean", "ReduceMin": "amin", "ReduceProd": "prod", "ReduceSum": "sum", "ReduceSumSquare": "sum",
}  # fmt: skip


@onnx_op(" ".join(REDUCED))
def reduce(rec: Builder, node: Node) -> int:
    op, rank = node.source(), len(node.shape(0))
    given = node.ints("axes", 1)
    if not given and node.attr("noop_with_empty_axes", 0):
        return rec.emit("pointwise", node.out, [op], {}, "identity")
    axes = tuple(sorted({a % rank for a in given})) if given else tuple(range(rank))
    params = {"axes": axes, "keepdim": len(node.out) == rank}
    return rec.emit("reduce", node.out, [op], params, REDUCED[node.op]) if axes else op


@onnx_op("ArgMax ArgMin")
def arg_reduce(rec: Builder, node: Node) -> int:
    params = {"axes": (node.axis(0),), "keepdim": len(node.out) == len(node.shape(0))}
    return rec.emit("reduce", node.out, [node.source()], params, node.op.lower())


@onnx_op("Softmax LogSoftmax")
def softmax(rec: Builder, node: Node) -> Value:
    """Before opset 13 over all axes from `axis` on, as if they were one."""
    value = node.inputs[0]
    assert isinstance(value, Data)
    if node.version >= 13:
        axes: tuple[int, ...] = (node.axis(-1),)
    else:
        axes = tuple(range(node.axis(1), len(node.out)))
    return known.softmax(rec, value, axes, "softmax" if node.op == "Softmax" else "log_softmax")


@onnx_op("Hardmax TopK")
def sort(rec: Builder, node: Node) -> Translated:
    if node.data(1) is not None:
        return opaque(rec, node)
    old = node.op == "Hardmax" and node.version < 13
    axes = tuple(range(node.axis(1), len(node.out))) if old else (node.axis(-1),)
    return rec.emit("sort", node.out, [node.source()], {"axes": axes}, node.op.lower())


@onnx_op("CumSum CumProd")
def scan(rec: Builder, node: Node) -> int:
    """``exclusive`` leaves the own position out: all others move by one."""
    op, rank = node.source(), len(node.out)
    given = node.ints("axis", 1) or (0,)
    axis, reverse = given[0] % rank, bool(node.attr("reverse", 0))
    if not node.attr("exclusive", 0):
        return rec.emit("scan", node.out, [op], {"axis": axis, "reverse": reverse}, node.op.lower())
    n = node.out[axis]
    op = moves.slice_axis(rec, op, axis, int(reverse), 1, max(n - 1, 0), "cumsum")
    op = rec.emit("scan", rec.shape(op), [op], {"axis": axis, "reverse": reverse}, node.op.lower())
    around = [int(a == axis) if n else 0 for a in range(rank)], [0] * rank
    return moves.pad(rec, op, *(reversed(around) if reverse else around))


@onnx_op("DFT")
def fourier(rec: Builder, node: Node) -> Translated:
    """Along its axis every output reads all inputs, and both parts of a complex number."""
    op, rank = node.source(), len(node.shape(0))
    given = node.ints("axis", 2) or ((1,) if node.version < 20 else (-2,))
    return rec.emit("fourier", node.out, [op], {"axes": tuple(sorted({given[0] % rank, rank - 1}))}, "dft")


# ---- norms ---------------------------------------------------------------------------------------------------------------


@onnx_op("BatchNormalization")
def batch_norm(rec: Builder, node: Node) -> Translated:
    """At rest a scale per channel; in training mode the statistics of the whole map and batch."""
    op, rank = node.source(), len(node.out)
    if not node.attr("training_mode", 0):
        return [Data(rec.emit("pointwise", node.out, [op], {}, "batch_norm"))] * len(node.outs)
    others = tuple(a for a in range(rank) if a != 1)
    statistics = [Data(rec.emit("reduce", o or (), [op], {"axes": others, "keepdim": False}, "mean")) for o in node.outs[1:]]
    return [Data(rec.emit("norm", node.out, [op], {"axes": others}, "batch_norm")), *statistics]


NORMS = {"InstanceNormalization": "instance_norm", "GroupNormalization": "group_norm", "LayerNormalization": "layer_norm"}


@onnx_op("InstanceNormalization GroupNormalization LayerNormalization RMSNormalization LpNormalization MeanVarianceNormalization")
def norm(rec: Builder, node: Node) -> Translated:
    """Each position and the statistics over some axes. Scales that are data are read at their own place, and bounded (`opaque`)."""
    rank = len(node.out)
    params: dict[str, Any]
    if node.op in ("InstanceNormalization", "GroupNormalization"):
        groups = int(node.attr("num_groups", 1))
        split = node.op == "GroupNormalization"
        params = {"axes": (*((1,) if split and groups == 1 else ()), *range(2, rank))}
        params |= {"groups": groups} if split and groups > 1 else {}
    elif node.op == "MeanVarianceNormalization":
        params = {"axes": tuple(a % rank for a in node.attr("axes", [0, 2, 3]))}
    elif node.op == "LpNormalization":
        params = {"axes": (node.axis(-1),)}
    else:
        params = {"axes": tuple(range(node.axis(-1), rank))}
    op = node.source()
    statistics = [Data(rec.emit("reduce", o or (), [op], {"axes": params["axes"], "keepdim": True}, "mean")) for o in node.outs[1:]]
    return [Data(rec.emit("norm", node.out, [op], params, NORMS.get(node.op, "norm"))), *statistics]


@onnx_op("LRN")
def local_response(rec: Builder, node: Node) -> int:
    """Each channel over the sum of squares of ``size`` channels around it."""
    size, channels = int(node.attr("size", 1)), node.out[1]
    if not size > 0:
        raise CaptureError(f"{node.label}: LRN over {size} channels.")
    reach = np.arange(min(size, 2 * channels + 1)) - min((size - 1) // 2, channels)
    index = np.arange(channels)[:, None] + reach
    return moves.take(rec, node.source(), 1, np.where((index >= 0) & (index < channels), index, -1), "lrn")


# ---- products --------------------------------------------------------------------------------------------------------------

SMALL = 2**18
"""Entries of a constant factor that are looked through for zeros: a fixed matrix (interpolation, a transform) has some."""


@onnx_op("MatMul MatMulInteger QLinearMatMul")
def matmul(rec: Builder, node: Node) -> Value:
    positions = (0, 3) if node.op == "QLinearMatMul" else (0, 1)
    return Data(product(rec, node, positions, node.out))


def product(rec: Builder, node: Node, positions: tuple[int, int], out: tuple[int, ...]) -> int:
    """(.., i, k) @ (.., k, j), with vectors as matrices of one row or column."""
    inputs: list[int] = []
    operands: list[str] = []
    params: dict[str, Any] = {}
    left, right = (node.shape(p) for p in positions)
    for side, position, shape in zip(("left", "right"), positions, (left, right), strict=True):
        value = node.value(position)
        if isinstance(value, Data):
            op = value.op
            if len(shape) == 1:
                op = moves.reshape(rec, op, (1, *shape) if side == "left" else (*shape, 1))
            inputs.append(op)
            operands.append(side)
        if value is not None and len(shape) > 1 and node.op == "MatMul":
            pattern = known.nonzero(value, shape, SMALL)
            if pattern is not None and pattern.any():
                params[f"{side}_pattern"] = pattern
                if isinstance(value, Data) and value.faint is not None:
                    params["faint"] = True
    two = out
    if len(left) == 1:
        two = (*two, 1) if len(right) == 1 else (*two[:-1], 1, two[-1])
    if len(right) == 1:
        two = (*two, 1)
    op = rec.emit("matmul", two, inputs, {"operands": tuple(operands), **params}, "matmul")
    return moves.reshape(rec, op, out)


@onnx_op("Gemm")
def gemm(rec: Builder, node: Node) -> Translated:
    inputs, operands = [], []
    for side, position, name in (("left", 0, "transA"), ("right", 1, "transB")):
        op = node.data(position)
        if op is not None:
            inputs.append(moves.transpose(rec, op, [1, 0]) if node.attr(name, 0) else op)
            operands.append(side)
    if not inputs:
        return rec.emit("pointwise", node.out, [node.source(2)], {}, "addmm")
    op = rec.emit("matmul", node.out, inputs, {"operands": tuple(operands)}, "addmm")
    added = node.data(2)
    return op if added is None else rec.emit("pointwise", node.out, [op, added], {}, "add")


@onnx_op("Einsum")
def einsum(rec: Builder, node: Node) -> Translated:
    """Of one or two operands without repeated letters: sums, a transpose and a product."""
    values = [v for v in node.inputs if v is not None]
    op = products.einsum(rec, str(node.attr("equation", "")), values, [node.shape(k) for k in range(len(values))])
    return opaque(rec, node) if op is None else op
