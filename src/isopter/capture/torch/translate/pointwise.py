"""Pointwise calls, and constants inside them that switch positions off."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from isopter.capture.static import moves
from isopter.capture.torch.translate import Translated, aten, data_inputs, opaque, shape_of, source_op
from isopter.capture.torch.translate.indexing import constant
from isopter.capture.torch.values import Const, Data, Value

if TYPE_CHECKING:
    from isopter.capture.torch.tape import Call, Tape


@aten("pointwise _prelu_kernel prelu rrelu rrelu_with_noise native_dropout alpha_dropout dropout feature_dropout polar complex "
      "fake_quantize_per_tensor_affine fake_quantize_per_channel_affine quantize_per_tensor normal bernoulli "
      "fake_quantize_per_tensor_affine_cachemask log_sigmoid_forward hardswish floor_divide")  # fmt: skip
def pointwise(rec: Tape, call: Call) -> Value:
    """Each position by itself; broadcasting aligned at the last axis."""
    inputs = data_inputs(rec, call)
    fixed = _fixed(rec, call)
    faint = rec.real(lambda: _faint(rec, call, fixed))
    out = shape_of(call)
    source = call.func._schema.name.removeprefix("aten::").removesuffix("_")
    if source == "elu" and call.get("scale", 1) != 1:
        source = "selu"
    params: dict[str, Any] = {} if fixed is None else {"unread": _unread(fixed)}
    if fixed is not None and faint is not None:
        params["faint"] = True
    if call.name == "leaky_relu":
        params["leak"] = float(call.get("negative_slope", 0.01))
    if call.name == "hardtanh":  # ReLU6, too
        params["between"] = (float(call.get("min_val", -1)), float(call.get("max_val", 1)))
    scale = _scale(call)
    if scale is not None:
        params["slopes"] = scale
    if constant_shape := _constant_shape(rec, call):
        params["constant"] = constant_shape
    return Data(rec.emit("pointwise", out, list(dict.fromkeys(inputs)), params, source), fixed, faint)


def _constant_shape(rec: Tape, call: Call) -> tuple[int, ...]:
    """The sizes of the tensors among the operands that do not depend on the input, together; () where they are but numbers."""
    out = shape_of(call)
    constants = [v for v in call.arguments.values() if isinstance(v, Tensor) and not isinstance(rec.value(v), Data)]
    shapes = [tuple(v.shape) for v in constants if v.ndim <= len(out)]
    fitting = [s for s in shapes if all(n in (1, m) for n, m in zip(s[::-1], out[::-1], strict=False))]  # others are no operands
    together = np.broadcast_shapes(*fitting)
    return together if math.prod(together) > 1 else ()


def _scale(call: Call) -> tuple[float] | None:
    """The squared factor of a product with a number."""
    other = call.arguments.get("other")
    if call.name not in ("mul", "div") or not isinstance(other, int | float) or not other:
        return None
    return (float(other) ** (2 if call.name == "mul" else -2),)


HIDES = -50.0
"""A constant this low among attention scores is a mask (-100, -1e4, -1e9): e^-50 is lost in double precision beside any other
weight."""

LIFTS = 25.0
"""A constant this large takes back what a mask hid: e^-25 is seen in double precision."""


def _faint(rec: Tape, call: Call, fixed: Tensor | None) -> Tensor | None:
    """Scores that a finite constant pushes down, and weights of 0 that such scores have become."""
    found: list[Tensor] = []
    turned = call.name == "sub" or call.get("alpha", 1) != 1  # what is subtracted is pushed up
    for key in ("self",) if turned else ("self", "other"):
        operand = call.arguments.get(key)
        value = rec.value(operand) if isinstance(operand, Tensor) else None
        if isinstance(value, Data) and value.faint is not None:
            found.append(value.faint if call.name in ("add", "sub") or fixed is None else value.faint & (fixed == 0))
        elif call.name == "add" and isinstance(value, Const) and not turned:
            low = _entries(rec, operand)
            if low is not None and bool(((low <= HIDES) & torch.isfinite(low)).any()):
                found.append((low <= HIDES) & torch.isfinite(low))
    if not found or (fixed is None and call.name not in ("add", "sub")):
        return None
    faint = found[0] if len(found) == 1 else found[0] | found[1]
    lifted = _lifted(rec, call)
    faint = faint if lifted is None else faint & ~lifted
    return faint if bool(faint.any()) else None


def _lifted(rec: Tape, call: Call) -> Tensor | None:
    """Scores that a constant raises again. (A number raises all scores alike, which shows none.)"""
    other, alpha = call.arguments.get("other"), call.get("alpha", 1)
    if call.name not in ("add", "sub") or not isinstance(other, Tensor) or other.numel() < 2 or not isinstance(rec.value(other), Const):
        return None
    known = _entries(rec, other)
    raised = None if known is None else known * (alpha if call.name == "add" else -alpha) >= LIFTS
    return raised if raised is not None and bool(raised.any()) else None


def _unread(fixed: Tensor) -> np.ndarray:
    return np.asarray((~torch.isnan(fixed)).numpy())


def _fixed(rec: Tape, call: Call) -> Tensor | None:
    """Entries of the result that are known whatever the input: -inf under a mask of -inf, 0 under a factor of 0.

    Arithmetic with NaN for "unknown" finds the rest, where every operand has known entries.
    """
    function = _ARITHMETIC.get(call.name)
    if function is None or call.get("alpha", 1) != 1:
        return None
    operands = [_entries(rec, call[k]) for k in ("self", "other") if k in call.arguments]
    return rec.real(lambda: _combine(call.name, function, operands)) if any(o is not None for o in operands) else None


def _combine(name: str, function: Any, operands: list[Tensor | None]) -> Tensor | None:
    unknown = torch.tensor(torch.nan, dtype=torch.float64)
    settles: Callable[[Tensor], Tensor] | None = {"add": torch.isinf, "sub": torch.isinf, "mul": _is_zero}.get(name)
    settled = [settles is not None and o is not None and bool(settles(o).any()) for o in operands]
    if not any(settled) and any(o is None for o in operands):
        return None
    values = [unknown if o is None else o for o in operands]
    result: Tensor = function(*values)
    if settles is not None:
        for position, value in enumerate(values):
            decided = -value if name == "sub" and position == 1 else value
            result = torch.where(settles(value), decided, result)
    return None if torch.isnan(result).all() else result


def _is_zero(tensor: Tensor) -> Tensor:
    return tensor == 0


def _entries(rec: Tape, operand: object) -> Tensor | None:
    """What is known of an operand, in float64 with NaN for the unknown; None if nothing is."""
    if isinstance(operand, int | float):
        return torch.tensor(float(operand), dtype=torch.float64)
    value = rec.value(operand) if isinstance(operand, Tensor) else None
    if isinstance(value, Data):
        return value.fixed
    known = constant(rec, operand)
    return None if known is None or known.dtype.kind not in "fiub" else torch.from_numpy(np.ascontiguousarray(known)).double()


_ARITHMETIC: dict[str, Any] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "relu": torch.relu,
    "neg": torch.neg,
    "exp": torch.exp,
}


@aten("bucketize searchsorted")
def bins(rec: Tape, call: Call) -> Translated:
    """Where each value falls among constant boundaries; boundaries that are data are read whole, at most."""
    queries = call["self"]
    if data_inputs(rec, call) != [rec.op_of(queries) if isinstance(queries, Tensor) else None]:
        return opaque(rec, call)
    return rec.emit("pointwise", shape_of(call), [source_op(rec, call)], {}, call.name)


@aten("masked_fill")
def masked_fill(rec: Tape, call: Call) -> Value:
    """Positions under a constant mask hold a constant."""
    mask, out = constant(rec, call["mask"]), shape_of(call)
    inputs = list(dict.fromkeys(data_inputs(rec, call)))
    if mask is None:
        return Data(rec.emit("pointwise", out, inputs, {}, "masked_fill"))
    fill = call["value"]
    if isinstance(fill, Tensor):
        known = constant(rec, fill)
        if known is None:
            return Data(rec.emit("pointwise", out, inputs, {}, "masked_fill"))
        fill = float(known)
    fixed = torch.where(torch.from_numpy(np.ascontiguousarray(mask)), float(fill), torch.nan).double()
    value = rec.value(call["self"])
    if isinstance(value, Data) and value.fixed is not None:
        before = value.fixed
        fixed = rec.real(lambda: torch.where(torch.isnan(fixed), before, fixed))
    return Data(rec.emit("pointwise", out, inputs, {"unread": _unread(fixed)}, "masked_fill"), fixed)


@aten("where")
def where(rec: Tape, call: Call) -> Value:
    """With a constant condition each position reads one side only."""
    condition, out = constant(rec, call["condition"]), shape_of(call)
    inputs = list(dict.fromkeys(data_inputs(rec, call)))
    if condition is None or "self" not in call.arguments:
        return Data(rec.emit("pointwise", out, inputs, {}, "where"))
    yes, no = ((rec.op_of(t) if isinstance(t, Tensor) else None) for t in (call["self"], call["other"]))
    sides = [moves.expand(rec, op, out) for op in (no, yes) if op is not None]
    params = {"covered": condition.astype(np.bool_), "base": no is not None, "value": yes is not None}
    if no is None:  # only the chosen side is data: elsewhere a constant
        params = {"unread": ~condition.astype(np.bool_)}
        op = rec.emit("pointwise", out, sides, params, "where")
    else:
        op = rec.emit("overlay", out, sides, params, "where")
    return Data(op, _where_fixed(rec, call, condition))


def _where_fixed(rec: Tape, call: Call, condition: np.ndarray) -> Tensor | None:
    sides = [_entries(rec, call[k]) for k in ("self", "other")]
    if all(s is None for s in sides):
        return None
    both = [torch.tensor(torch.nan, dtype=torch.float64) if s is None else s for s in sides]
    return rec.real(lambda: torch.where(torch.from_numpy(np.ascontiguousarray(condition)), *both))


@aten("tril triu")
def triangle(rec: Tape, call: Call) -> Value:
    """Zero above or below a diagonal."""
    rows, columns = call["self"].shape[-2:]
    kept = getattr(np, call.name)(np.ones((rows, columns), np.bool_), int(call.get("diagonal", 0)))
    fixed = torch.where(torch.from_numpy(kept), torch.nan, 0.0).double()
    return Data(rec.emit("pointwise", shape_of(call), [source_op(rec, call)], {"unread": ~kept}, call.name), fixed)


@aten("copy")
def copy(rec: Tape, call: Call) -> Value:
    """``self.copy_(src)``: self now holds src, broadcast."""
    value = rec.value(call["src"])
    if isinstance(value, Data):
        return Data(moves.expand(rec, value.op, shape_of(call), "copy"))
    return value


@aten("zero fill uniform normal_ random exponential cauchy log_normal geometric bernoulli_ set_")
def overwrite(rec: Tape, call: Call) -> Value:
    """The tensor forgets what it held."""
    shape = shape_of(call)
    filled = call.arguments.get("value", 0.0)
    if isinstance(filled, Tensor):
        value = rec.value(filled)
        if isinstance(value, Data):
            return Data(moves.expand(rec, value.op, shape, "fill"))
        filled = 0.0
    return Const(rec.real(lambda: torch.full(shape, float(filled))))


@aten("addcmul addcdiv lerp")
def blend(rec: Tape, call: Call) -> Value:
    return Data(rec.emit("pointwise", shape_of(call), list(dict.fromkeys(data_inputs(rec, call))), {}, call.name))


@aten("glu")
def glu(rec: Tape, call: Call) -> int:
    """Half the channels gate the other half."""
    op, axis = source_op(rec, call), call["dim"] % call["self"].dim()
    half = shape_of(call)[axis]
    parts = [moves.slice_axis(rec, op, axis, start, 1, half, "glu") for start in (0, half)]
    return rec.emit("pointwise", shape_of(call), parts, {}, "glu")
