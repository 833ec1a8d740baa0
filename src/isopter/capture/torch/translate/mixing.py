"""Reductions, norms, scans, whole-axis mixing and matrix products."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from isopter.capture.static import moves
from isopter.capture.torch.translate import aten, data_inputs, opaque, shape_of, source_op
from isopter.capture.torch.translate.indexing import constant
from isopter.capture.torch.translate.pointwise import HIDES
from isopter.capture.torch.values import Data, Value

if TYPE_CHECKING:
    from isopter.capture.torch.tape import Call, Tape


def _axes(call: Call, key: str, ndim: int) -> tuple[int, ...]:
    dims = call.get(key)
    if dims is None or dims == []:
        return tuple(range(ndim))
    return tuple(sorted({int(d) % max(ndim, 1) for d in ([dims] if isinstance(dims, int) else dims)})) if ndim else ()


@aten("mean sum amax amin aminmax max min prod var std var_mean std_mean logsumexp linalg_vector_norm norm any all argmax argmin median "
      "nanmedian mode nansum nanmean count_nonzero kthvalue")  # fmt: skip
def reduce(rec: Tape, call: Call) -> int | list[Value] | Value:
    source = call["self"]
    if "other" in call.arguments:  # max(a, b)
        return Data(rec.emit("pointwise", shape_of(call), list(dict.fromkeys(data_inputs(rec, call))), {}, call.name))
    axes = _axes(call, "dim", source.dim())
    params = {"axes": axes, "keepdim": bool(call.get("keepdim", False)) and len(shape_of(call)) == source.dim()}
    op = source_op(rec, call)
    return op if not axes else rec.emit("reduce", shape_of(call), [op], params, call.name.removeprefix("linalg_"))


@aten("cumsum cumprod cummax cummin logcumsumexp")
def scan(rec: Tape, call: Call) -> int:
    op = source_op(rec, call)
    if not rec.shape(op):
        return op
    return rec.emit("scan", shape_of(call), [op], {"axis": call["dim"] % len(rec.shape(op))}, call.name)


@aten("_softmax _log_softmax softmax log_softmax _safe_softmax")
def softmax(rec: Tape, call: Call) -> Value:
    """Whole along its axis; a score of -inf, or one a mask such as -100 pushes down, is a weight of 0: it neither reads nor is
    read."""
    op = source_op(rec, call)
    if not rec.shape(op):
        return Data(op)
    axis = call["dim"] % len(rec.shape(op))
    hidden, faint = rec.real(lambda: _hidden(rec.value(call["self"]), axis - len(rec.shape(op))))
    params: dict[str, Any] = {"axes": (axis,)}
    fixed = None
    if faint is not None and math.prod(rec.shape(op)) > FOLLOWED:
        rec.issue(f"An attention mask of more than {FOLLOWED:,} entries is not followed: bounded as if it hid nothing")
        return Data(rec.emit("softmax", shape_of(call), [op], params | {"bound": True}, call.name.lstrip("_")))
    if hidden is not None:
        fixed = torch.where(hidden, -torch.inf if "log" in call.name else 0.0, torch.nan)
        params["unread"] = hidden.numpy()
    if faint is not None:
        params["faint"] = True
        op = rec.emit("pointwise", shape_of(call), [op], {"unread": faint.numpy(), "faint": True}, "mask")
        rec.issue("A finite attention mask is taken as -inf: what it hides has a weight of less than e^-50")
    return Data(rec.emit("softmax", shape_of(call), [op], params, call.name.lstrip("_")), fixed, faint)


FOLLOWED = 16_000_000
"""Scores under a mask differ one by one, and every analysis would hold a dozen numbers for each: more than this is too much memory."""


def _hidden(value: Value, axis: int) -> tuple[Tensor | None, Tensor | None]:
    """Which scores get no weight along `axis`, and which of these only because a finite mask pushes them below the others."""
    if not isinstance(value, Data) or (value.fixed is None and value.faint is None):
        return None, None
    none = torch.tensor(False)
    fixed = torch.tensor(torch.nan) if value.fixed is None else value.fixed
    hidden = fixed == -torch.inf
    faint = ((none if value.faint is None else value.faint) | (fixed <= HIDES)) & ~hidden
    if faint.any():
        rows = faint | hidden
        faint = faint & ~(rows.all(dim=axis, keepdim=True) if rows.dim() >= -axis else rows)  # a shift of all scores hides none
    return (hidden | faint if (hidden | faint).any() else None), (faint if faint.any() else None)


@aten("sort topk msort argsort")
def sort(rec: Tape, call: Call) -> list[Value]:
    op = source_op(rec, call)
    axis = int(call.get("dim", -1)) % max(len(rec.shape(op)), 1)
    return [Data(rec.emit("sort", tuple(out.shape), [op], {"axes": (axis,)}, call.name)) for out in call.outs]


@aten("_fft_r2c _fft_c2r _fft_c2c")
def fourier(rec: Tape, call: Call) -> int:
    n = call["self"].dim()
    return rec.emit("fourier", shape_of(call), [source_op(rec, call)], {"axes": tuple(d % n for d in call["dim"])}, call.name.strip("_"))


# ---- norms ------------------------------------------------------------------------------------------------------------


@aten("native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_with_update _batch_norm_no_update "
      "_native_batch_norm_legit_functional cudnn_batch_norm batch_norm miopen_batch_norm _batch_norm_impl_index")  # fmt: skip
def batch_norm(rec: Tape, call: Call) -> list[Value]:
    """In evaluation a scale per channel; in training the statistics of the whole map and batch."""
    op = source_op(rec, call, "input")
    shape = rec.shape(op)
    training = bool(call.get("training", call.get("train", "no_training" not in call.name and "no_update" not in call.name)))
    others = tuple(a for a in range(len(shape)) if a != 1)
    if training:
        first = rec.emit("norm", shape, [op], {"axes": others}, "batch_norm")
    else:
        first = rec.emit("pointwise", shape, [op], {}, "batch_norm")
    return [Data(first), *_statistics(rec, op, call.outs[1:])]


def _statistics(rec: Tape, op: int, outs: list[Tensor]) -> list[Value]:
    """Saved statistics: rarely read; bounded by the whole input, per batch item where the shape shows it."""
    return [Data(rec.emit("opaque", tuple(out.shape), [op], {}, "statistics")) for out in outs]


@aten("native_group_norm")
def group_norm(rec: Tape, call: Call) -> list[Value]:
    op = source_op(rec, call, "input")
    shape, groups = rec.shape(op), int(call["group"])
    axes = tuple(range(2, len(shape))) + (() if groups > 1 else (1,))
    first = rec.emit("norm", shape, [op], {"axes": axes, "groups": groups}, "group_norm")
    return [Data(first), *_statistics(rec, op, call.outs[1:])]


@aten("native_layer_norm _fused_rms_norm rms_norm")
def layer_norm(rec: Tape, call: Call) -> list[Value]:
    op = source_op(rec, call, "input")
    shape, count = rec.shape(op), len(call["normalized_shape"])
    axes = tuple(range(len(shape) - count, len(shape)))
    first = rec.emit("norm", shape, [op], {"axes": axes}, "layer_norm" if "layer" in call.name else "rms_norm")
    return [Data(first), *_statistics(rec, op, call.outs[1:])]


@aten("renorm _weight_norm_interface")
def bounded(rec: Tape, call: Call) -> list[Value]:
    return opaque(rec, call)


# ---- products ---------------------------------------------------------------------------------------------------------


_FACTORS = (
    ("mat1", "mat2"),
    ("batch1", "batch2"),
    ("self", "mat2"),
    ("self", "vec"),
    ("mat", "vec"),
    ("self", "tensor"),
    ("self", "other"),
    ("input", "weight"),
)
"""What the two factors of a product are called, call by call."""


@aten("mm bmm addmm baddbmm mv dot addmv linalg_matmul matmul addbmm vdot linear")
def matmul(rec: Tape, call: Call) -> int | Value | list[Value]:
    """(.., i, k) @ (.., k, j), with vectors as matrices of one column or row. A bias that is data is added after; one that is a mask of
    -inf settles what it masks."""
    names = next(pair for pair in _FACTORS if all(n in call.arguments for n in pair))
    left, right = (call[n] for n in names)
    if call.name in ("addbmm", "linear"):
        return opaque(rec, call)
    out = shape_of(call)
    two = out + (1,) * max(0, 2 - len(out)) if right.dim() == 1 else out
    inputs, operands = [], []
    for side, tensor in (("left", left), ("right", right)):
        op = rec.op_of(tensor)
        if op is not None:
            if tensor.dim() == 1:
                op = moves.reshape(rec, op, (1, tensor.shape[0]) if side == "left" else (tensor.shape[0], 1))
            inputs.append(op)
            operands.append(side)
    params: dict[str, Any] = {"operands": tuple(operands)}
    for side, tensor in (("left", left), ("right", right)):
        pattern = _nonzero(rec, tensor)
        if pattern is not None and tensor.dim() > 1:
            params[f"{side}_pattern"] = pattern
            value = rec.value(tensor)
            if isinstance(value, Data) and value.faint is not None:
                params["faint"] = True
    results: list[int] = []
    if inputs:
        shape = two if not (left.dim() == right.dim() == 1) else (1, 1)
        op = moves.reshape(rec, rec.emit("matmul", shape, inputs, params, call.name), out)
        results.append(op)
    bias = call["self"] if call.name in ("addmm", "baddbmm", "addmv") else None
    added = rec.op_of(bias) if bias is not None else None
    if added is None:
        known = constant(rec, bias) if bias is not None and call.get("beta", 1) == 1 else None
        masked = None if known is None else np.broadcast_to(np.isinf(known), out)
        if masked is None or known is None or not masked.any():
            return results[0]
        fixed = torch.from_numpy(np.where(masked, np.broadcast_to(known, out), np.nan))
        return Data(rec.emit("pointwise", out, results, {"unread": masked}, call.name), fixed)
    return rec.emit("pointwise", out, [*results, added], {}, call.name)


def _nonzero(rec: Tape, tensor: Tensor) -> np.ndarray | None:
    """Where a factor may be non-zero: known of constants, and of data with entries that are 0 whatever the input."""
    value = rec.value(tensor)
    if isinstance(value, Data):
        if value.fixed is None:
            return None
        fixed = value.fixed
        pattern = rec.real(lambda: (fixed != 0).expand(tensor.shape).numpy())
    else:
        known = constant(rec, tensor)
        if known is None:
            return None
        pattern = known != 0
    return None if pattern.all() else np.asarray(pattern)


@aten("_cdist_forward cdist _euclidean_dist")
def cdist(rec: Tape, call: Call) -> int | list[Value]:
    """Distances between rows: output (i, j) reads row i of the first and row j of the second."""
    pairs = [(side, call[k]) for side, k in (("left", "x1"), ("right", "x2"))]
    inputs, operands = [], []
    for side, tensor in pairs:
        op = rec.op_of(tensor)
        if op is not None:
            n = tensor.dim()
            inputs.append(op if side == "left" else moves.transpose(rec, op, [*range(n - 2), n - 1, n - 2]))
            operands.append(side)
    return rec.emit("matmul", shape_of(call), inputs, {"operands": tuple(operands)}, "cdist")
