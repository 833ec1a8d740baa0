"""Pointwise ops: rows of a table, and the few that have parameters of their own."""

from __future__ import annotations

import numpy as np

from isopter.capture.onnx.node import Node
from isopter.capture.onnx.translate import Translated, onnx_op, opaque
from isopter.capture.static import known, moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Const, Data, Value
from isopter.graph import Shape

POINTWISE = {
    "Abs": "abs", "Acos": "acos", "Acosh": "acosh", "Add": "add", "And": "logical_and", "Asin": "asin", "Asinh": "asinh",
    "Atan": "atan", "Atanh": "atanh", "BitCast": "bitcast", "BitShift": "bitwise_shift", "BitwiseAnd": "bitwise_and",
    "BitwiseNot": "bitwise_not", "BitwiseOr": "bitwise_or", "BitwiseXor": "bitwise_xor", "Ceil": "ceil", "Celu": "celu",
    "Cos": "cos", "Cosh": "cosh", "DequantizeLinear": "identity", "Div": "div", "Elu": "elu", "Equal": "eq", "Erf": "erf",
    "Exp": "exp", "Floor": "floor", "Gelu": "gelu", "Greater": "gt", "GreaterOrEqual": "ge", "HardSigmoid": "hardsigmoid",
    "HardSwish": "hardswish", "IsInf": "isinf", "IsNaN": "isnan", "Less": "lt", "LessOrEqual": "le", "Log": "log", "Max": "maximum",
    "Mean": "mean", "Min": "minimum", "Mish": "mish", "Mod": "remainder", "Mul": "mul", "Neg": "neg", "Not": "logical_not",
    "Or": "logical_or", "PRelu": "prelu", "Pow": "pow", "QuantizeLinear": "identity", "Reciprocal": "reciprocal", "Relu": "relu",
    "Round": "round", "Selu": "selu", "Shrink": "shrink", "Sigmoid": "sigmoid", "Sign": "sign", "Sin": "sin", "Sinh": "sinh",
    "Softplus": "softplus", "Softsign": "softsign", "Sqrt": "sqrt", "Sub": "sub", "Sum": "add", "Swish": "silu", "Tan": "tan",
    "Tanh": "tanh", "ThresholdedRelu": "threshold", "Xor": "logical_xor",
}  # fmt: skip
"""ONNX ops by the names of pointwise functions that `isopter.reads.slopes` knows. Scales and zero points of quantisation are constants of
the channel; rounding is a read."""


@onnx_op(" ".join(POINTWISE))
def pointwise(rec: Builder, node: Node) -> Translated:
    """Each position by itself; broadcasting aligned at the last axis. (Scales of quantisation that are data may not be aligned so.)"""
    operands = [v for v in node.inputs if v is not None]
    if any(isinstance(v, Data) and not _fits(rec.shape(v.op), node.out) for v in operands):
        return opaque(rec, node)
    if len(operands) == 1 and node.op in ("Sum", "Max", "Min", "Mean"):
        return operands[0]
    return known.called(rec, known.pointwise(rec, POINTWISE[node.op], operands, node.out), POINTWISE[node.op], operands)


def _fits(shape: Shape, to: Shape) -> bool:
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(reversed(shape), reversed(to), strict=False))


@onnx_op("LeakyRelu")
def leaky_relu(rec: Builder, node: Node) -> Value:
    return known.pointwise(rec, "leaky_relu", [v for v in node.inputs if v], node.out, {"leak": float(node.attr("alpha", 0.01))})


@onnx_op("Clip")
def clip(rec: Builder, node: Node) -> Value:
    """Between constants; bounds that are data are read everywhere."""
    low, high = (node.attr(name) if node.version < 11 else node.const(k) for k, name in ((1, "min"), (2, "max")))
    between = [np.asarray(v).item() if v is not None and np.asarray(v).size == 1 else d for v, d in ((low, -np.inf), (high, np.inf))]
    params = {"between": tuple(float(v) for v in between)} if any(map(np.isfinite, between)) else {}
    if between[0] == 0 and not np.isfinite(between[1]):
        params = {}
    data = [v for v in node.inputs if isinstance(v, Data)]
    made = known.pointwise(rec, "hardtanh" if params else "relu", data, node.out, params)
    return known.called(rec, made, "clip", [*data, *(Const.of(np.asarray(v)) for v in between)])


@onnx_op("Cast CastLike Identity Dropout")
def identity(rec: Builder, node: Node) -> Translated:
    """The same values, and no op at all; the second output of a dropout at rest is a constant mask."""
    value = node.inputs[0]
    if not isinstance(value, Data):
        return value if value is not None else []
    if node.op in ("Cast", "CastLike") and (value.fixed is not None or value.faint is not None) and not _to_float(node):
        value = Data(value.op)
    return [value, *[Data(rec.emit("pointwise", o or (), [value.op], {"unread": np.ones(1, np.bool_)}, "mask")) for o in node.outs[1:]]]


def _to_float(node: Node) -> bool:
    return int(node.attr("to", 1)) in (1, 10, 11, 16)


@onnx_op("Where")
def where(rec: Builder, node: Node) -> Value:
    condition, yes, no = (v for v in node.inputs if v is not None)
    if not any(isinstance(v, Data) for v in (yes, no)):
        return Data(rec.emit("pointwise", node.out, node.all_data(), {}, "where"))
    return known.called(rec, known.where(rec, condition, yes, no, node.out), "where", [condition, yes, no])


@onnx_op("Trilu")
def triangle(rec: Builder, node: Node) -> Translated:
    """Zero above or below a diagonal."""
    shift = node.ints("k", 1)
    kept = (np.triu if node.attr("upper", 1) else np.tril)(np.ones(node.out[-2:], np.bool_), 0 if shift is None else shift[0])
    value = node.inputs[0]
    assert isinstance(value, Data)
    before = np.nan if value.fixed is None else value.fixed
    fixed = np.where(kept, before, 0.0)
    name = "triu" if node.attr("upper", 1) else "tril"
    return Data(rec.emit("pointwise", node.out, [value.op], {"unread": ~np.isnan(fixed)}, name), fixed)


@onnx_op("OneHot")
def one_hot(rec: Builder, node: Node) -> Translated:
    """A new axis, along which each position reads its own index."""
    op = node.data(0)
    if op is None or len(node.all_data()) != 1:
        return []
    axis = int(node.attr("axis", -1)) % len(node.out)
    return moves.expand(rec, moves.unsqueeze(rec, op, axis), node.out, "one_hot")


@onnx_op("DynamicQuantizeLinear")
def quantize(rec: Builder, node: Node) -> Translated:
    """Scale and zero point are statistics of the whole tensor."""
    op = node.data(0)
    assert op is not None
    axes = tuple(range(len(rec.shape(op))))
    first = rec.emit("norm", node.out, [op], {"axes": axes}, "quantize")
    return [Data(first), *[Data(rec.emit("reduce", (), [op], {"axes": axes, "keepdim": False}, "amax")) for _ in node.outs[1:]]]


@onnx_op("Optional OptionalGetElement")
def optional(rec: Builder, node: Node) -> Translated:
    return node.inputs[0] if node.inputs and node.inputs[0] is not None else []
