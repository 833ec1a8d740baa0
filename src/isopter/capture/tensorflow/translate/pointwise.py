"""Pointwise ops: rows of a table, and the few that have parameters of their own."""

from __future__ import annotations

import math

import numpy as np

from isopter.capture.static import known, moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Const, Data, Value
from isopter.capture.tensorflow.node import Node
from isopter.capture.tensorflow.translate import Translated, opaque, tf_op
from isopter.graph import Shape

POINTWISE = {
    "Abs": "abs", "Acos": "acos", "Acosh": "acosh", "Add": "add", "AddN": "add", "AddV2": "add", "Angle": "angle",
    "ApproximateEqual": "eq", "Asin": "asin", "Asinh": "asinh", "Atan": "atan", "Atan2": "atan2", "Atanh": "atanh",
    "BesselI0e": "i0e", "BesselI1e": "i1e", "Betainc": "betainc", "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor", "Bucketize": "bucketize", "Ceil": "ceil", "Complex": "complex", "ComplexAbs": "abs", "Conj": "conj",
    "Cos": "cos", "Cosh": "cosh", "Digamma": "digamma", "Div": "div", "DivNoNan": "div", "Elu": "elu", "EluGrad": "elu_grad",
    "Equal": "eq", "Erf": "erf", "Erfc": "erfc", "Erfinv": "erfinv", "Exp": "exp", "Expm1": "expm1",
    "FakeQuantWithMinMaxArgs": "identity", "FakeQuantWithMinMaxVars": "identity", "FakeQuantWithMinMaxVarsPerChannel": "identity",
    "Floor": "floor", "FloorDiv": "floor_divide", "FloorMod": "remainder", "Greater": "gt", "GreaterEqual": "ge", "Igamma": "igamma",
    "Imag": "imag", "Inv": "reciprocal", "Invert": "bitwise_not", "IsFinite": "isfinite", "IsInf": "isinf", "IsNan": "isnan",
    "LeftShift": "bitwise_shift", "Less": "lt", "LessEqual": "le", "Lgamma": "lgamma", "Log": "log", "Log1p": "log1p",
    "LogicalAnd": "logical_and", "LogicalNot": "logical_not", "LogicalOr": "logical_or", "Maximum": "maximum", "Minimum": "minimum",
    "Mod": "remainder", "Mul": "mul", "MulNoNan": "mul", "Ndtri": "ndtri", "Neg": "neg", "NextAfter": "nextafter", "NotEqual": "ne",
    "PopulationCount": "popcount", "Pow": "pow", "QuantizeAndDequantizeV4": "identity", "Real": "real", "RealDiv": "div",
    "Reciprocal": "reciprocal", "ReluGrad": "relu_grad", "Relu": "relu", "Relu6": "relu6", "Relu6Grad": "relu_grad",
    "RightShift": "bitwise_shift", "Rint": "round", "Round": "round", "Rsqrt": "rsqrt", "RsqrtGrad": "rsqrt_grad", "Selu": "selu",
    "Sigmoid": "sigmoid", "SigmoidGrad": "sigmoid_grad", "Sign": "sign", "Sin": "sin", "Sinh": "sinh", "Softplus": "softplus",
    "Softsign": "softsign", "Sqrt": "sqrt", "SqrtGrad": "sqrt_grad", "Square": "pow", "SquaredDifference": "squared_difference",
    "Sub": "sub", "Tan": "tan", "Tanh": "tanh", "TanhGrad": "tanh_grad", "TruncateDiv": "trunc", "TruncateMod": "fmod",
    "Xdivy": "div", "Xlog1py": "xlog1py", "Xlogy": "xlogy", "Zeta": "zeta", "Polygamma": "polygamma",
}  # fmt: skip
"""TensorFlow's ops by the names of pointwise functions that `isopter.reads.slopes` knows. Rounding is a read."""


@tf_op(" ".join(n for n in POINTWISE if not n.startswith("Quantize")))
def pointwise(rec: Builder, node: Node) -> Translated:
    """Each position by itself; broadcasting aligned at the last axis. (Bounds of quantisation that are data may not be aligned so.)"""
    if any(isinstance(v, Data) and not _fits(rec.shape(v.op), node.out) for v in node.inputs):
        return opaque(rec, node)
    if len(node.inputs) == 1 and node.op == "AddN":
        return node.inputs[0]
    made = known.pointwise(rec, POINTWISE[node.op], node.inputs, node.out)
    operands = [*node.inputs, Const.of(np.array(2.0))] if node.op == "Square" else node.inputs
    return known.called(rec, made, POINTWISE[node.op], operands)


def _fits(shape: Shape, to: Shape) -> bool:
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(reversed(shape), reversed(to), strict=False))


@tf_op("BiasAdd BiasAddV1")
def bias_add(rec: Builder, node: Node) -> Translated:
    """Data with a number per channel, the last axis or axis 1."""
    operands = list(node.inputs)
    bias = node.data(1)
    if bias is not None and node.attr("data_format", "NHWC") == "NCHW":
        operands[1] = Data(moves.reshape(rec, bias, (*rec.shape(bias), *(1,) * (len(node.out) - 2))))
    if not isinstance(operands[0], Data) or node.attr("data_format", "NHWC") == "NCHW":
        operands = [v for v in operands if isinstance(v, Data)]
    return known.pointwise(rec, "add", operands, node.out)


@tf_op("LeakyRelu")
def leaky_relu(rec: Builder, node: Node) -> Value:
    """A slope of its own below zero."""
    return known.pointwise(rec, "leaky_relu", node.inputs, node.out, {"leak": float(node.attr("alpha", 0.2))})


@tf_op("ClipByValue")
def clip(rec: Builder, node: Node) -> Translated:
    """Between constants; bounds that are data are read everywhere they apply."""
    bounds = [v.load() if isinstance(v, Const) and not math.prod(v.shape) > 1 else None for v in node.inputs[1:3]]
    if any(isinstance(v, Data) and not _fits(rec.shape(v.op), node.out) for v in node.inputs):
        return opaque(rec, node)
    params = {}
    if all(b is not None for b in bounds):
        params = {"between": tuple(float(np.asarray(b).reshape(-1)[0]) for b in bounds)}
    return known.pointwise(rec, "hardtanh" if params else "clamp", [v for v in node.inputs if isinstance(v, Data)], node.out, params)


@tf_op(
    "Identity IdentityN StopGradient PreventGradient CheckNumerics CheckNumericsV2 Snapshot PlaceholderWithDefault EnsureShape "
    "DebugIdentity DebugIdentityV2 DebugIdentityV3 Copy CopyHost XlaSharding OptimizationBarrier XlaOptimizationBarrier"
)
def identity(rec: Builder, node: Node) -> Translated:
    """The same values, and no op at all."""
    return list(node.inputs[: len(node.outs)])


@tf_op("Cast Bitcast QuantizeV2 Dequantize")
def cast(rec: Builder, node: Node) -> Translated:
    """The same values in another type; what is known of them holds where it is a float's."""
    value = node.inputs[0]
    if node.op == "Bitcast" and node.shape(0) != node.out:
        return opaque(rec, node)
    if node.op in ("QuantizeV2", "Dequantize") and (len(node.all_data()) > 1 or node.outs[0] != node.shape(0)):
        return opaque(rec, node)
    if node.op in ("QuantizeV2", "Dequantize"):
        op = rec.emit("pointwise", node.out, [node.source()], {}, "identity")
        return [Data(op), *[Data(rec.emit("reduce", o or (), [op], _all(node), "amax")) for o in node.outs[1:]]]
    if isinstance(value, Data) and (value.fixed is not None or value.faint is not None) and not node.attr("DstT").is_floating:
        return Data(value.op)
    return value


def _all(node: Node) -> dict[str, object]:
    return {"axes": tuple(range(len(node.shape(0)))), "keepdim": False}


@tf_op("QuantizeAndDequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4")
def quantized(rec: Builder, node: Node) -> Translated:
    """Rounded between given bounds, or between the least and largest number of the whole tensor (of each slice along `axis`)."""
    if node.attr("range_given", False):
        return pointwise(rec, node) if node.op.endswith("V4") else rec.emit("pointwise", node.out, node.all_data(), {}, "identity")
    axis = int(node.attr("axis", -1))
    axes = tuple(a for a in range(len(node.out)) if axis < 0 or a != axis)
    return rec.emit("norm", node.out, [node.source()], {"axes": axes}, "quantize")


@tf_op("Select SelectV2")
def where(rec: Builder, node: Node) -> Translated:
    """Select's condition may be a number per item of the first axis; SelectV2 broadcasts."""
    condition, yes, no = node.inputs
    shape = node.shape(0)
    if node.op == "Select" and len(shape) == 1 and len(node.out) > 1:
        wide = (*shape, *(1,) * (len(node.out) - 1))
        if isinstance(condition, Data):
            condition = Data(moves.reshape(rec, condition.op, wide))
        elif isinstance(condition, Const):
            load = condition.load
            condition = Const(wide, lambda: None if (found := load()) is None else found.reshape(wide))
    if not any(isinstance(v, Data) for v in (yes, no)):
        return Data(rec.emit("pointwise", node.out, node.all_data(), {}, "where"))
    return known.where(rec, condition, yes, no, node.out)


@tf_op("MatrixBandPart")
def band(rec: Builder, node: Node) -> Translated:
    """Zero but for `lower` diagonals below the middle one and `upper` above; a negative number keeps all."""
    value = node.inputs[0]
    lower, upper = node.ints(1)[0], node.ints(2)[0]
    if not isinstance(value, Data):
        return opaque(rec, node)
    apart = np.arange(node.out[-2])[:, None] - np.arange(node.out[-1])
    kept = ((lower < 0) | (apart <= lower)) & ((upper < 0) | (-apart <= upper))
    fixed = np.where(kept, np.nan if value.fixed is None else value.fixed, 0.0)
    return Data(rec.emit("pointwise", node.out, [value.op], {"unread": ~np.isnan(fixed)}, "tril"), fixed)


@tf_op("OneHot")
def one_hot(rec: Builder, node: Node) -> Translated:
    """A new axis, along which each position reads its own index."""
    op = node.data(0)
    if op is None or len(node.all_data()) != 1:
        return []
    axis = int(node.attr("axis", -1)) % len(node.out)
    return moves.expand(rec, moves.unsqueeze(rec, op, axis), node.out, "one_hot")
