"""Ops of nothing but constants: shape arithmetic, index tables, masks. TensorFlow's own kernels evaluate them, small ones at once."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.static.values import Array, Const, Value, Weight
from isopter.capture.tensorflow import api
from isopter.graph import Shape

LOADED = 2**22
"""Entries of a constant that are loaded at most: shapes, indices, masks and filters are smaller, and weights are not asked for."""

SMALL = 2**10
"""Entries up to which an op is evaluated at once, so that no chain of them is deep when somebody asks."""

FOLDED = frozenset(
    "Abs Acos Add AddN AddV2 All Any ArgMax ArgMin Asin Atan Atan2 BatchMatMulV2 BiasAdd BitwiseAnd BitwiseOr BroadcastArgs "
    "BroadcastTo Cast Ceil ClipByValue Concat ConcatV2 Cos Cosh Cumprod Cumsum DepthToSpace Diag DiagPart Div DivNoNan Einsum Elu "
    "EnsureShape Equal Erf Exp ExpandDims Expm1 Fill Floor FloorDiv FloorMod Gather GatherNd GatherV2 Greater GreaterEqual "
    "Identity IdentityN InvertPermutation IsFinite IsInf IsNan L2Loss Less LessEqual LinSpace Log Log1p LogicalAnd LogicalNot "
    "LogicalOr MatMul MatrixBandPart MatrixDiag MatrixDiagV2 MatrixDiagV3 MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 Max "
    "Maximum Mean Min Minimum MirrorPad Mod Mul MulNoNan Neg NotEqual OneHot OnesLike Pack Pad PadV2 ParallelConcat "
    "PlaceholderWithDefault Pow PreventGradient Prod Range Rank RealDiv Reciprocal Relu Relu6 Reshape Reverse ReverseV2 Roll Round "
    "Rsqrt ScatterNd Select SelectV2 Shape ShapeN Sigmoid Sign Sin Sinh Size Slice Snapshot Softmax SpaceToDepth Split SplitV Sqrt "
    "Square SquaredDifference Squeeze Stack StopGradient StridedSlice Sub Sum Tan Tanh TensorScatterAdd TensorScatterUpdate Tile "
    "TopKV2 Transpose TruncateDiv TruncateMod Unique Unpack Where Xdivy ZerosLike".split()
)
"""Ops whose constants are worth knowing, and whose time and memory are bounded by their inputs and outputs. None reads a file."""


def constant(op: Any) -> Value:
    """The value of a Const: a weight where it is too large to be looked at, or holds text."""
    tensor = op.outputs[0]
    shape = tuple(tensor.shape.as_list())
    if math.prod(shape) > LOADED or tensor.dtype in (tf.string, tf.resource, tf.variant):
        return Weight(shape)
    return Const(shape, functools.cache(lambda: np.asarray(tf.make_ndarray(op.get_attr("value")))))


def folded(op: Any, values: Sequence[Value], outs: Sequence[Shape | None]) -> list[Value]:
    """The outputs of an op that reads no data: constants where its operands are and it is worth it, else weights."""
    if op.type not in FOLDED or not all(isinstance(v, Const) for v in values) or any(_is_no_number(t) for t in op.outputs):
        return [Weight(o) for o in outs]
    sizes = [math.prod(o) for o in outs if o is not None] + [math.prod(v.shape) for v in values if isinstance(v, Const)]
    if sum(sizes) > LOADED or (op.type in ("MatMul", "BatchMatMulV2", "Einsum") and math.prod(sizes[:2]) > 2**28):
        return [Weight(o) for o in outs]
    loads = [v.load for v in values if isinstance(v, Const)]
    once = functools.cache(lambda: _evaluated(op, loads))
    if None in outs and op.type not in ("Where", "Unique", "Range", "LinSpace", "StridedSlice", "Slice", "Fill", "Reshape"):
        return [Weight(o) for o in outs]
    if None in outs or sum(sizes) <= SMALL:
        if None in outs and op.type in ("Fill", "Range") and not _fits(op, loads):
            return [Weight(o) for o in outs]
        made = once()
        return [Weight(o) for o in outs] if made is None else [Const.of(m) for m in made]
    return [Const(o, functools.partial(_part, once, k)) for k, o in enumerate(outs) if o is not None]


def _part(once: Callable[[], list[np.ndarray] | None], position: int) -> Array | None:
    made = once()
    return None if made is None else made[position]


def _evaluated(op: Any, loads: Sequence[Callable[[], Array | None]]) -> list[np.ndarray] | None:
    arrays = [load() for load in loads]
    if any(a is None for a in arrays):
        return None
    try:
        return api.run_op(op, arrays)
    except Exception:  # what TensorFlow's kernel cannot do leaves values unknown, which is always sound
        return None


def _fits(op: Any, loads: Sequence[Callable[[], Array | None]]) -> bool:
    """Whether a tensor whose size its operands say is one that fits."""
    arrays = [load() for load in loads]
    if any(a is None for a in arrays):
        return False
    if op.type == "Fill":
        return 0 <= math.prod(int(n) for n in np.asarray(arrays[0]).reshape(-1)) <= LOADED
    start, limit, delta = (float(np.asarray(a).reshape(-1)[0]) for a in arrays)
    return delta != 0 and (limit - start) / delta <= LOADED


def _is_no_number(tensor: Any) -> bool:
    return tensor.dtype in (tf.string, tf.resource, tf.variant)
