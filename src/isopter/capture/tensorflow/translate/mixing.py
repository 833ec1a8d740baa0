"""Reductions, scans, whole-axis mixing and matrix products."""

from __future__ import annotations

import math

import numpy as np

from isopter.capture.static import known, moves, products
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Data, Value
from isopter.capture.tensorflow.node import Node
from isopter.capture.tensorflow.translate import Translated, opaque, tf_op

REDUCED = {
    "Mean": "mean", "Sum": "sum", "Max": "amax", "Min": "amin", "Prod": "prod", "All": "all", "Any": "any", "EuclideanNorm": "norm",
}  # fmt: skip


@tf_op(" ".join(REDUCED))
def reduce(rec: Builder, node: Node) -> int:
    """Over the axes of a constant input."""
    op = node.source()
    axes = tuple(sorted(set(node.axes(1))))
    if not axes:
        return op
    return rec.emit("reduce", node.out, [op], {"axes": axes, "keepdim": bool(node.attr("keep_dims", False))}, REDUCED[node.op])


@tf_op("L2Loss")
def square_sum(rec: Builder, node: Node) -> int:
    """One number of the whole tensor."""
    return rec.emit("reduce", (), [node.source()], {"axes": tuple(range(len(node.shape(0)))), "keepdim": False}, "sum")


@tf_op("ArgMax ArgMin")
def arg_reduce(rec: Builder, node: Node) -> int:
    """The position of the largest or smallest."""
    return rec.emit("reduce", node.out, [node.source()], {"axes": node.axes(1), "keepdim": False}, node.op.lower())


@tf_op("Softmax LogSoftmax")
def softmax(rec: Builder, node: Node) -> Value:
    """Over the last axis; masks are followed."""
    value = node.inputs[0]
    assert isinstance(value, Data)
    return known.softmax(rec, value, (len(node.out) - 1,), "softmax" if node.op == "Softmax" else "log_softmax")


@tf_op("TopK TopKV2 NthElement")
def sort(rec: Builder, node: Node) -> Translated:
    """Values and their positions."""
    op, last = node.source(), len(node.shape(0)) - 1
    if any(node.data(k) is not None for k in range(1, len(node.inputs))):
        return opaque(rec, node)
    if node.op == "NthElement":
        return rec.emit("reduce", node.out, [op], {"axes": (last,), "keepdim": False}, "kthvalue")
    return rec.emit("sort", node.out, [op], {"axes": (last,)}, "topk")


@tf_op("Cumsum Cumprod CumulativeLogsumexp")
def scan(rec: Builder, node: Node) -> int:
    """``exclusive`` leaves the own position out: all others move by one."""
    op, rank = node.source(), len(node.out)
    axis, reverse = node.axis(1), bool(node.attr("reverse", False))
    name = node.op.lower()
    if not node.attr("exclusive", False):
        return rec.emit("scan", node.out, [op], {"axis": axis, "reverse": reverse}, name)
    n = node.out[axis]
    op = moves.slice_axis(rec, op, axis, int(reverse), 1, max(n - 1, 0), name)
    op = rec.emit("scan", rec.shape(op), [op], {"axis": axis, "reverse": reverse}, name)
    around = [int(a == axis) if n else 0 for a in range(rank)], [0] * rank
    return moves.pad(rec, op, *(reversed(around) if reverse else around))


FOURIER = {"FFT": 1, "IFFT": 1, "RFFT": 1, "IRFFT": 1, "FFT2D": 2, "IFFT2D": 2, "RFFT2D": 2, "IRFFT2D": 2}
FOURIER |= {"FFT3D": 3, "IFFT3D": 3, "RFFT3D": 3, "IRFFT3D": 3}


@tf_op(" ".join(FOURIER))
def fourier(rec: Builder, node: Node) -> int:
    """Along the last axes every output reads all inputs. (Cut or filled up to another length, it may read fewer: a bound.)"""
    rank, count = len(node.out), FOURIER[node.op]
    params: dict[str, object] = {"axes": tuple(range(rank - count, rank))}
    if len(node.inputs) > 1:
        given, shape = node.ints(1), node.shape(0)[rank - count :]
        full = given if not node.op.startswith("IR") else (*given[:-1], given[-1] // 2 + 1)
        params |= {} if tuple(full) == shape else {"bound": True}
    return rec.emit("fourier", node.out, [node.source()], params, "fft")


# ---- products --------------------------------------------------------------------------------------------------------------


@tf_op("MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3")
def matmul(rec: Builder, node: Node) -> Translated:
    """A fully connected layer is the product with a weight of two axes."""
    plain = node.op == "MatMul"
    turned = tuple(bool(node.attr(n, False)) for n in (("transpose_a", "transpose_b") if plain else ("adj_x", "adj_y")))
    left, right = node.inputs
    source = "addmm" if plain and not isinstance(right, Data) else "matmul"
    op = products.matmul(rec, left, right, (node.shape(0), node.shape(1)), node.out, (turned[0], turned[1]), source)
    return op


@tf_op("Einsum XlaEinsum")
def einsum(rec: Builder, node: Node) -> Translated:
    """Of one or two operands without repeated letters: sums, a transpose and a product."""
    shapes = [node.shape(k) for k in range(len(node.inputs))]
    made = products.einsum(rec, str(node.attr("equation")), node.inputs, shapes)
    return opaque(rec, node) if made is None else made


@tf_op("Cross")
def cross(rec: Builder, node: Node) -> int:
    """Vectors of three numbers along the last axis."""
    ops = [rec.emit("softmax", rec.shape(op), [op], {"axes": (len(node.out) - 1,), "bound": True}, "cross") for op in node.all_data()]
    return rec.emit("pointwise", node.out, ops, {}, "mul")


@tf_op("MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3")
def diagonal(rec: Builder, node: Node) -> Translated:
    """The main diagonal of the last two axes."""
    shape = node.shape(0)
    n = min(shape[-2:])
    if node.op != "MatrixDiagPart" and any(node.ints(1)):
        return opaque(rec, node)
    if node.out != (*shape[:-2], n):
        return opaque(rec, node)
    marks = np.arange(math.prod(shape)).reshape(shape)
    return moves.gather(rec, node.source(), np.diagonal(marks, axis1=-2, axis2=-1).reshape(-1, 1), node.out)
