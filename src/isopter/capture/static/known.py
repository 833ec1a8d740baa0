"""Entries of data that are known whatever the input: what a mask hides. Arithmetic with NaN for "unknown".

The rules are those of the capture of PyTorch: -inf added to a score, or a factor of 0, settles it; a finite -50 or less added to some of
the scores of a row is taken for a mask, and said to be (`Builder.issue`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from isopter.capture.static import moves
from isopter.capture.static.activations import named
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Array, Const, Data, Value, Weight
from isopter.graph import Shape

HIDES = -50.0
"""A constant this low among attention scores is a mask: e^-50 is lost in double precision beside any other weight."""

LIFTS = 25.0
"""A constant this large takes back what a mask hid: e^-25 is seen in double precision."""

FOLLOWED = 16_000_000
"""Scores under a mask differ one by one, and every analysis would hold a dozen numbers for each: more than this is too much memory."""

_UNKNOWN = np.float64(np.nan)

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "relu": lambda x: np.maximum(x, 0),
    "neg": np.negative,
    "exp": np.exp,
    "isnan": lambda x: np.where(np.isnan(x), np.nan, 0.0),
}
"""Functions through which known entries are followed, by the source names of pointwise ops."""

_SETTLES: dict[str, Callable[[Any], Any]] = {"add": np.isinf, "sub": np.isinf, "mul": lambda x: x == 0}


def entries(value: Value | None) -> Array | None:
    """What is known of an operand, in float64 with NaN for the unknown; None if nothing is."""
    if isinstance(value, Data):
        return value.fixed
    if not isinstance(value, Const) or math.prod(value.shape) > FOLLOWED:
        return None
    known = value.load()
    return None if known is None or known.dtype.kind not in "fiub" else known.astype(np.float64)


def pointwise(rec: Builder, source: str, operands: Sequence[Value], shape: Shape, params: Mapping[str, Any] | None = None) -> Data:
    """Emit a pointwise op of these operands, and follow the entries that constants among them settle."""
    fixed, faint = _fixed(source, operands), _faint(source, operands)
    found: dict[str, Any] = {**_numbers(source, operands, shape), **(params or {})}
    if source == "sub" and not isinstance(operands[0], Data):
        found["negative"] = True
    if fixed is not None:
        found["unread"] = ~np.isnan(fixed)
        if faint is not None:
            faint = faint & (fixed == 0) if source not in ("add", "sub") else faint
            found["faint"] = True
    elif source not in ("add", "sub"):
        faint = None
    inputs = list(dict.fromkeys(v.op for v in operands if isinstance(v, Data)))
    return Data(rec.emit("pointwise", shape, inputs, found, source), fixed, faint if faint is not None and faint.any() else None)


def called(rec: Builder, made: Data, source: str, operands: Sequence[Value]) -> Data:
    """What was made, the function `source` of these operands, or the activation (SiLU, GELU) of which it turns out to be the last part."""
    found = named(rec.chains, made.op, source, operands)
    return made if found is None else Data(rec.emit("pointwise", rec.shape(made.op), [found[1]], {}, found[0]))


def _numbers(source: str, operands: Sequence[Value], shape: Shape) -> dict[str, Any]:
    """What constants among the operands tell: the squared factor of a product with one number, and their sizes together otherwise."""
    constants = [v for v in operands if isinstance(v, Const | Weight) and v.shape is not None]
    if not constants:
        return {}
    if source in ("mul", "div") and len(operands) == 2 and isinstance(operands[0], Data) | (source == "mul") and len(constants) == 1:
        factor = entries(constants[0]) if math.prod(constants[0].shape or ()) == 1 else None
        if factor is not None and np.isfinite(factor).all() and factor.all():
            return {"slopes": (float(factor.reshape(-1)[0]) ** (2 if source == "mul" else -2),)}
    shapes = [v.shape or () for v in constants]
    fitting = [s for s in shapes if len(s) <= len(shape) and all(n in (1, m) for n, m in zip(reversed(s), reversed(shape), strict=False))]
    together = fitting[0] if len(fitting) == 1 else np.broadcast_shapes(*fitting)
    return {"constant": tuple(together)} if math.prod(together) > 1 else {}


def _fixed(source: str, operands: Sequence[Value]) -> Array | None:
    function = ARITHMETIC.get(source)
    if function is None or len(operands) > 2:
        return None
    if not any(_knows(source, v) for v in operands):
        return None
    known = [entries(v) for v in operands]
    settles = _SETTLES.get(source)
    settled = [settles is not None and k is not None and bool(settles(k).any()) for k in known]
    if not any(settled) and any(k is None for k in known):
        return None
    values = [_UNKNOWN if k is None else k for k in known]
    with np.errstate(all="ignore"):
        result = np.asarray(function(*values), np.float64)
    if settles is not None:
        for position, value in enumerate(values):
            decided = -value if source == "sub" and position == 1 else value
            result = np.where(settles(value), decided, result)
    return None if np.isnan(result).all() else result


def _knows(source: str, value: Value) -> bool:
    """Whether some entries of the result may be known by this operand; a quick look, without a copy of the numbers."""
    if isinstance(value, Data):
        return value.fixed is not None
    settles = _SETTLES.get(source)
    if settles is None or not isinstance(value, Const) or math.prod(value.shape) > FOLLOWED:
        return False
    known = value.load()
    return known is not None and known.dtype.kind in "fiub" and bool(settles(known).any())


def _faint(source: str, operands: Sequence[Value]) -> np.ndarray | None:
    found: list[np.ndarray] = []
    for position, value in enumerate(operands):
        if source == "sub" and position == 1:
            continue  # what is subtracted is pushed up
        if isinstance(value, Data) and value.faint is not None and source in ARITHMETIC:
            found.append(np.asarray(value.faint, np.bool_))
        elif source == "add" and isinstance(value, Const):
            low = entries(value)
            if low is not None and bool(((low <= HIDES) & np.isfinite(low)).any()):
                found.append((low <= HIDES) & np.isfinite(low))
    if not found:
        return None
    faint = found[0] if len(found) == 1 else found[0] | found[1]
    return faint & ~_lifted(source, operands) if source in ("add", "sub") else faint


def _lifted(source: str, operands: Sequence[Value]) -> np.ndarray:
    """Scores that a constant raises again."""
    raised = np.zeros((), np.bool_)
    for position, value in enumerate(operands):
        known = entries(value) if isinstance(value, Const) and math.prod(value.shape) > 1 else None  # a shift of all scores shows none
        if known is not None:
            raised = raised | ((-known if source == "sub" and position == 1 else known) >= LIFTS)
    return np.asarray(raised)


def where(rec: Builder, condition: Value, yes: Value, no: Value, shape: Shape) -> Data:
    """With a constant condition each position reads one side only; with one that is data, all three."""
    chosen = condition.load() if isinstance(condition, Const) and math.prod(condition.shape) <= FOLLOWED else None
    sides = [_UNKNOWN if (known := entries(side)) is None else known for side in (yes, no)]
    if chosen is None:
        inputs = list(dict.fromkeys(v.op for v in (condition, yes, no) if isinstance(v, Data)))
        of = condition.fixed if isinstance(condition, Data) else None
        fixed = None if of is None else np.where(of == 0, sides[1], np.where(np.isnan(of), np.nan, sides[0]))
        fixed = None if fixed is None or np.isnan(fixed).all() else fixed
        faint = next((v.faint for v in (yes, no) if isinstance(v, Data) and v.faint is not None), None) if fixed is not None else None
        params: dict[str, Any] = {} if fixed is None else {"unread": ~np.isnan(fixed)}
        return Data(rec.emit("pointwise", shape, inputs, params | ({"faint": True} if faint is not None else {}), "where"), fixed, faint)
    chosen = chosen.astype(np.bool_)
    fixed = np.where(chosen, *sides)
    fixed = None if np.isnan(fixed).all() else fixed
    if not isinstance(no, Data):
        assert isinstance(yes, Data)
        return Data(rec.emit("pointwise", shape, [yes.op], {"unread": ~chosen}, "where"), fixed)
    both = [moves.expand(rec, v.op, shape) for v in (no, yes) if isinstance(v, Data)]
    params = {"covered": chosen, "base": True, "value": isinstance(yes, Data)}
    return Data(rec.emit("overlay", shape, both, params, "where"), fixed)


def softmax(rec: Builder, value: Data, axes: tuple[int, ...], source: str) -> Data:
    """Whole along its axes; a hidden score is a weight of 0: it neither reads nor is read."""
    shape = rec.shape(value.op)
    hidden, faint = _hidden(value, tuple(a - len(shape) for a in axes))
    if (hidden is not None or faint is not None) and math.prod(shape) > FOLLOWED:
        rec.issue(f"An attention mask of more than {FOLLOWED:,} entries is not followed: bounded as if it hid nothing")
        return Data(rec.emit("softmax", shape, [value.op], {"axes": axes, "bound": True}, source))
    params: dict[str, Any] = {"axes": axes}
    op, fixed = value.op, None
    if hidden is not None:
        fixed = np.where(hidden, -np.inf if "log" in source else 0.0, np.nan)
        params["unread"] = hidden
    if faint is not None:
        params["faint"] = True
        op = rec.emit("pointwise", shape, [op], {"unread": faint, "faint": True}, "mask")
        rec.issue("A finite attention mask is taken as -inf: what it hides has a weight of less than e^-50")
    return Data(rec.emit("softmax", shape, [op], params, source), fixed, faint)


def _hidden(value: Data, axes: Shape) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Which scores get no weight, and which of these only because a finite mask pushes them below the others."""
    if value.fixed is None and value.faint is None:
        return None, None
    fixed = np.asarray(np.nan) if value.fixed is None else np.asarray(value.fixed, np.float64)
    hidden = np.asarray(fixed == -np.inf)
    faint = ((False if value.faint is None else value.faint) | (fixed <= HIDES)) & ~hidden
    if faint.any():
        rows = faint | hidden
        inside = tuple(a for a in axes if rows.ndim >= -a)
        faint = faint & ~(rows.all(axis=inside, keepdims=True) if inside else rows)  # a shift of all scores hides none
    both = hidden | faint
    return (both if both.any() else None), (faint if faint.any() else None)


def nonzero(value: Value, shape: Shape, largest: int) -> np.ndarray | None:
    """Where a factor of a product may be non-zero, if somewhere it is not: of constants of at most `largest` entries, and of data."""
    if isinstance(value, Data):
        if value.fixed is None:
            return None
        pattern = np.broadcast_to(value.fixed != 0, shape)
    else:
        known = value.load() if isinstance(value, Const) and math.prod(value.shape) <= largest else None
        if known is None:
            return None
        pattern = known != 0
    return None if pattern.all() else np.asarray(pattern)
