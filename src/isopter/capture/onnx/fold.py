"""Nodes of nothing but constants: shape arithmetic, index tables, masks. They are evaluated by onnx's reference operators, in numpy."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from isopter.capture.onnx.infer import TOLD
from isopter.capture.onnx.node import Node
from isopter.capture.onnx.tensors import LOADED
from isopter.capture.static.indices import gather_elements, gather_nd, scatter_elements, scatter_nd
from isopter.capture.static.values import Const, Value
from isopter.errors import CaptureError

FOLDED = frozenset(
    "Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil "
    "Clip Compress Concat ConstantOfShape Cos Cosh CumSum DepthToSpace DequantizeLinear Div Einsum Equal Erf Exp Expand EyeLike Flatten "
    "Floor Gather GatherElements GatherND Greater GreaterOrEqual Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log MatMul Max Mean Min "
    "Mod Mul Neg NonZero Not OneHot Or Pad Pow QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSum ReduceSumSquare Relu Reshape Round ScatterElements ScatterND Sigmoid Sign Sin Sinh Slice Softmax SpaceToDepth Split Sqrt "
    "Squeeze Sub Sum Tan Tanh Tile TopK Transpose Trilu Unique Unsqueeze Where Xor".split()
)
"""Ops whose constants are worth knowing, and whose time and memory are bounded by their inputs and outputs."""


def folded(node: Node) -> list[Value] | None:
    """The node's outputs as constants, or None where it is better not evaluated (they are weights then)."""
    if node.op not in FOLDED or node.proto.domain not in ("", "ai.onnx"):
        return None
    shapes = [s for s in (*node.shapes, *node.outs) if s is not None]
    if sum(math.prod(s) for s in shapes) > LOADED or (None in node.outs and node.op not in ("NonZero", "Compress", "Unique", "Range")):
        return None
    if node.op in ("MatMul", "Einsum") and (len(node.inputs) > 2 or math.prod(math.prod(s) for s in shapes[:2]) > 2**28):
        return None
    arrays = [None if v is None else v.load() if isinstance(v, Const) else None for v in node.inputs]
    if any(a is None and v is not None for a, v in zip(arrays, node.inputs, strict=True)):
        return None
    if node.op in _FILLS and len(node.outs) == 1 and node.outs[0] is not None and math.prod(node.outs[0]) > TOLD:
        return [Const(node.outs[0], functools.cache(lambda: _filled(node, arrays)))]
    if node.op.startswith("Scatter") and node.attr("reduction", "none") != "none":
        return None
    simple = _SIMPLE.get(node.op)
    with np.errstate(all="ignore"):
        results = None if simple is None or any(a is None for a in arrays) else [simple(node, *arrays)]
    if results is None or results[0] is None:
        results = evaluated(node.proto, [a for a in arrays if a is not None], node.version)
    return None if results is None else [Const.of(np.asarray(r)) for r in results]


_FILLS = frozenset("ConstantOfShape Expand".split())
"""Ops that make large tensors of small ones: evaluated when somebody asks. Often nobody does (weights in files without weights)."""


def _filled(node: Node, arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    made = evaluated(node.proto, [a for a in arrays if a is not None], node.version)
    return None if made is None else np.asarray(made[0])


def _unsqueezed(node: Node, x: np.ndarray, *axes: np.ndarray) -> np.ndarray | None:
    return x.reshape(node.outs[0]) if node.outs[0] is not None else None


def _cast(node: Node, x: np.ndarray) -> np.ndarray | None:
    to = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}.get(int(node.attr("to", 0)))
    return None if to is None or not np.isfinite(x).all() else x.astype(to)


def _gathered(node: Node, x: np.ndarray, index: np.ndarray) -> np.ndarray | None:
    axis = int(node.attr("axis", 0))
    fits = -x.ndim <= axis < x.ndim and (not index.size or -x.shape[axis] <= index.min() <= index.max() < x.shape[axis])
    return x.take(index, axis=axis) if fits else None


def _constant_of_shape(node: Node, shape: np.ndarray) -> np.ndarray | None:
    value = node.attr("value")
    return np.full(shape, np.float32(0) if value is None else numpy_helper.to_array(value).reshape(-1)[0])


def _range(node: Node, *ends: np.ndarray) -> np.ndarray:
    """Numbers in a row; one that is too long is an error here, not a lack of memory later."""
    start, limit, delta = (np.asarray(e).reshape(-1)[0] for e in ends)
    if not delta or not (float(limit) - float(start)) / float(delta) < LOADED:
        raise CaptureError(f"{node.label}: a Range from {start} to {limit} by {delta}.")
    return np.arange(start, limit, delta, dtype=np.asarray(start).dtype)


_SIMPLE: dict[str, Callable[..., np.ndarray | None]] = {
    "Add": lambda node, a, b: a + b,
    "Sub": lambda node, a, b: a - b,
    "Mul": lambda node, a, b: a * b,
    "Unsqueeze": _unsqueezed,
    "Squeeze": _unsqueezed,
    "Cast": _cast,
    "Gather": _gathered,
    "Concat": lambda node, *arrays: np.concatenate(arrays, axis=int(node.attr("axis", 0))),
    "ConstantOfShape": _constant_of_shape,
    "GatherElements": lambda node, x, index: gather_elements(x, index, int(node.attr("axis", 0))),
    "GatherND": lambda node, x, index: gather_nd(x, index, int(node.attr("batch_dims", 0))),
    "Range": _range,
    "ScatterElements": lambda node, x, index, updates: scatter_elements(x, index, updates, int(node.attr("axis", 0))),
    "ScatterND": lambda node, x, index, updates: scatter_nd(x, index, updates),
    "Identity": lambda node, x: x,
}
"""What shape arithmetic is made of; the reference operators take a millisecond each."""


def evaluated(proto: Any, arrays: Sequence[np.ndarray], version: int) -> list[Any] | None:
    """What the reference operator makes of these arrays, or None where it fails."""
    names = [n for n in proto.input if n]
    feeds = dict(zip(names, arrays, strict=False))
    outs = [n for n in proto.output if n]
    graph = GraphProto(name="fold", node=[proto])
    graph.input.extend(helper.make_value_info(n, helper.make_tensor_type_proto(0, None)) for n in feeds)
    graph.output.extend(helper.make_value_info(n, helper.make_tensor_type_proto(0, None)) for n in outs)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            made = dict(zip(outs, ReferenceEvaluator(graph, opsets={"": version}).run(None, feeds), strict=True))
    except Exception:  # whatever it cannot do leaves values unknown, which is always sound
        return None
    return [made.get(n, np.zeros(0)) for n in proto.output]
