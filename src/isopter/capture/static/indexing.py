"""Indexing values of any framework: exact by a constant index, bounded by one that values decide."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.known import FOLLOWED
from isopter.capture.static.node import Node
from isopter.capture.static.values import Data
from isopter.graph import Shape


def select(rec: Builder, op: int, axis: int, at: np.ndarray) -> int:
    """Positions along an axis; those at equal steps are a slice, which the analyses can extend over the plane."""
    start_step = evenly(at)
    if start_step is None:
        return moves.take(rec, op, axis, at)
    return moves.slice_axis(rec, op, axis, *start_step, len(at), "select")


def evenly(at: np.ndarray) -> tuple[int, int] | None:
    """(first, step) of positions at equal steps, of which there is one at least; None for others."""
    steps = np.unique(np.diff(at))
    if not len(at) or len(steps) > 1 or (len(steps) and steps[0] == 0):
        return None
    return int(at[0]), int(steps[0]) if len(steps) else 1


def gather(rec: Builder, value: Data, axis: int, at: np.ndarray, out: Shape) -> Data:
    """``out[.., i.., ..] = x[.., at[i..], ..]``, each of `at` a position from the front."""
    op = select(rec, value.op, axis, at.reshape(-1))
    op = moves.squeeze(rec, op, {axis}, "select") if at.ndim == 0 else moves.reshape(rec, op, out)
    return value.moved(op, rec.shape(value.op), lambda x: x.take(at, axis=axis))


def looked_up(rec: Builder, op: int, axis: int, out: Shape, batch: int = 0) -> int | None:
    """A table of weights looked up by the data `op`: each position reads its own of the index. `axis`: of the table, which has `batch`
    axes in common with the index. None where these do not fit."""
    index = rec.shape(op)
    rest = len(out) - axis - (len(index) - batch)
    if rest < 0 or axis < batch:
        return None
    op = moves.reshape(rec, op, (*index[:batch], *(1,) * (axis - batch), *index[batch:], *(1,) * rest))
    return moves.expand(rec, op, out, "embedding")


def chosen(rec: Builder, node: Node, axis: int) -> int:
    """The index depends on the input, or is not known: the indexed axis is read whole, at most."""
    rec.issue(f"{node.op} by an index computed from the input: bounded by the whole indexed axis")
    first = node.source()
    rest = [op for op in node.all_data() if op != first]
    return rec.emit("chosen", node.out, [first, *rest], {"axes": (axis,)}, node.op)


def traced(rec: Builder, op: int, out: Shape, move: Callable[[np.ndarray], np.ndarray], source: str = "index") -> int | None:
    """`op` moved by `move`, which is run on its positions and so shows who goes where; None where there are too many to follow, or where
    the result is not of the shape `out`."""
    shape = rec.shape(op)
    if max(math.prod(shape), math.prod(out)) > FOLLOWED:
        return None
    rows = move(np.arange(math.prod(shape)).reshape(shape))
    return moves.gather(rec, op, rows.reshape(-1, 1), out, source) if rows.shape == out else None


def overwritten(rec: Builder, node: Node, write: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> int | None:
    """Input 0 with input 2 written over it, as ``write(base, updates)`` does, which is run on marks: of the base below zero, of the updates
    from zero up. None where there are too many to follow."""
    shape, updates = node.shape(0), node.shape(2)
    if max(math.prod(shape), math.prod(updates)) > FOLLOWED:
        return None
    found = write(-np.arange(1, math.prod(shape) + 1).reshape(shape), np.arange(math.prod(updates)).reshape(updates))
    base, new = node.data(0), node.data(2)
    inputs = [] if base is None else [base]
    if new is not None:
        inputs.append(moves.gather(rec, new, np.where(found < 0, -1, found).reshape(-1, 1), shape, "scatter"))
    return rec.emit("overlay", shape, inputs, {"covered": found >= 0, "base": base is not None, "value": new is not None}, "scatter")


def met(to: np.ndarray, source: np.ndarray, count: int) -> np.ndarray | None:
    """For each of `count` positions the `source` of all that is written `to` it, filled up with -1; None where too many meet at one."""
    order = np.argsort(to, kind="stable")
    to, source = to[order], source[order]
    counts = np.bincount(to, minlength=count)
    width = max(int(counts.max(initial=0)), 1)
    if width * count > FOLLOWED:
        return None
    rows = np.full((count, width), -1, np.int64)
    rows[to, np.arange(len(to)) - np.repeat(np.cumsum(counts) - counts, counts)] = source
    return rows
