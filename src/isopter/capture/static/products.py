"""Matrix products and sums of products, from values of any framework."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from isopter.capture.static import known, moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Data, Value, Weight
from isopter.graph import Shape

SMALL = 2**18
"""Entries of a constant factor that are looked through for zeros: a fixed matrix (interpolation, a transform) has some."""


def matmul(rec: Builder, left: Value, right: Value, shapes: tuple[Shape, Shape], out: Shape, turned: tuple[bool, bool], source: str) -> int:
    """``left @ right`` for tensors of two axes and more, `shapes` theirs; `turned`: the last two axes of a side come the other way around.

    Zeros of constants and masks are not read. At least one side is data.
    """
    inputs: list[int] = []
    operands: list[str] = []
    params: dict[str, Any] = {}
    for side, value, shape, turn in zip(("left", "right"), (left, right), shapes, turned, strict=True):
        order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2] if turn else list(range(len(shape)))
        if isinstance(value, Data):
            inputs.append(moves.transpose(rec, value.op, order))
            operands.append(side)
        pattern = known.nonzero(value, shape, SMALL)
        if pattern is not None and pattern.any():
            params[f"{side}_pattern"] = pattern.transpose(order)
            if isinstance(value, Data) and value.faint is not None:
                params["faint"] = True
    return rec.emit("matmul", out, inputs, {"operands": tuple(operands), **params}, source)


def einsum(rec: Builder, text: str, values: Sequence[Value], shapes: Sequence[Shape]) -> int | None:
    """The sum of products that `text` says (``"bhwc,cd->bhwd"``), of one or two operands; None where it is of another form.

    An ellipsis stands for axes in common; repeated letters and operands that broadcast are not followed.
    """
    equation = _spelled(text.replace(" ", ""), shapes)
    if equation is None:
        return None
    terms, out = equation
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        if len(term) != len(shape) or len(set(term)) != len(term):
            return None
        for letter, n in zip(term, shape, strict=True):
            if sizes.setdefault(letter, n) != n:
                return None
    if len(set(out)) != len(out) or any(a not in sizes for a in out):
        return None
    if len(terms) == 1:
        assert isinstance(values[0], Data)
        op, letters = _summed(rec, values[0].op, terms[0], set(out))
        return moves.transpose(rec, op, [letters.index(a) for a in out])
    return _product(rec, terms, out, values, sizes)


def _product(rec: Builder, terms: Sequence[str], out: str, values: Sequence[Value], sizes: dict[str, int]) -> int:
    left, right = terms
    batch = [a for a in out if a in left and a in right]
    inner = [a for a in left if a in right and a not in out]
    rows, columns = ([a for a in out if a in term and a not in batch] for term in terms)
    made: list[Value] = []
    shapes: list[Shape] = []
    for value, letters, order in zip(values, terms, ((batch, rows, inner), (batch, inner, columns)), strict=True):
        shape = tuple(math.prod(sizes[a] for a in group) for group in order)
        kept = "".join(a for a in letters if a in {*out, *inner})
        turn = [kept.index(a) for group in order for a in group]
        if isinstance(value, Data):
            op, _ = _summed(rec, value.op, letters, set(kept))
            whole = tuple(sizes[a] for a in letters)
            moved = moves.reshape(rec, moves.transpose(rec, op, turn), shape)
            if kept == letters:
                value = value.moved(moved, whole, lambda x, turn=turn, shape=shape: x.transpose(turn).reshape(shape))  # type: ignore[misc]
            else:
                value = Data(moved)
        else:
            value = Weight(shape)
        made.append(value)
        shapes.append(shape)
    result = tuple(math.prod(sizes[a] for a in group) for group in (batch, rows, columns))
    op = matmul(rec, made[0], made[1], (shapes[0], shapes[1]), result, (False, False), "einsum")
    letters_made = [*batch, *rows, *columns]
    op = moves.reshape(rec, op, [sizes[a] for a in letters_made])
    return moves.transpose(rec, op, [letters_made.index(a) for a in out])


def _summed(rec: Builder, op: int, letters: str, kept: set[str]) -> tuple[int, str]:
    """Without the axes whose letter nobody else has."""
    axes = tuple(k for k, a in enumerate(letters) if a not in kept)
    if not axes:
        return op, letters
    shape = tuple(n for k, n in enumerate(rec.shape(op)) if k not in axes)
    op = rec.emit("reduce", shape, [op], {"axes": axes, "keepdim": False}, "sum")
    return op, "".join(a for a in letters if a in kept)


def _spelled(text: str, shapes: Sequence[Shape]) -> tuple[list[str], str] | None:
    """Terms and result, with letters for an ellipsis."""
    given, arrow, out = text.partition("->")
    terms = given.split(",")
    if not 1 <= len(terms) <= 2 or len(terms) != len(shapes):
        return None
    spare = [a for a in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if a not in text]
    wide = max((len(s) - len(t.replace("...", "")) for t, s in zip(terms, shapes, strict=True) if "..." in t), default=0)
    if not 0 <= wide <= len(spare):
        return None
    letters = "".join(spare[:wide])
    spelled = []
    for term, shape in zip(terms, shapes, strict=True):
        mine = len(shape) - len(term.replace("...", "")) if "..." in term else 0
        if mine < 0:
            return None
        spelled.append(term.replace("...", letters[len(letters) - mine :]))
    if not arrow:
        own = given.replace(",", "").replace("...", "")
        out = letters + "".join(sorted(a for a in set(own) if own.count(a) == 1))
    return spelled, out.replace("...", letters)
