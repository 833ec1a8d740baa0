"""Cells: what one step of a loop over time reads of the step's input and of the state before it, and whether that makes the loop one
recurrent op: step t sees all features of steps 0..t, each item of the batch by itself.

A cell is captured as a small graph of its own. For every op of it, and every one of its inputs, four things are folded through the
relations: whether a unit reads any of the input, whether it reads all of it, whether all units together do, and which items of the batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.graph import Graph, Op, Shape
from isopter.reads.axis import Same, Whole
from isopter.reads.gather import gather
from isopter.reads.registry import reads
from isopter.reads.relation import Regroup, Relation

STEPS = 10_000
"""A loop of more steps is not looked at as a recurrent net."""

FAR = 2**30
"""No item of a batch has this number."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One step, captured. `ops`: of its graph. `sequences`: inputs that are this step's of a sequence. `states`: inputs that hold what
    the step before made, with the op that makes them anew, or None where nothing does that reads an input. `outputs`: ops that are kept
    of every step."""

    ops: Sequence[Op]
    sequences: tuple[int, ...]
    states: tuple[tuple[int, int | None], ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the units of one op read of one input, lazily broadcast over them. `covered`: all of it, taken together."""

    some: npt.NDArray[Any]
    all: npt.NDArray[Any]
    lo: npt.NDArray[Any]
    hi: npt.NDArray[Any]
    covered: bool


def recurs(cell: Cell, steps: int) -> bool:
    """Whether every output of step t, and every state after it, reads all of steps 0..t of every sequence, in its own item of the batch.

    False where that is not so, or cannot be told: then the loop must be written out, or bounded.
    """
    made = [op for _, op in cell.states if op is not None]
    targets = dict.fromkeys((*cell.outputs, *made))
    sources = [*cell.sequences, *(state for state, _ in cell.states)]
    if not cell.sequences or not cell.outputs + tuple(made) or len({cell.ops[s].shape[:-1] for s in (*sources, *targets)}) != 1:
        return False
    if any(len(cell.ops[s].shape) not in (1, 2) or not all(cell.ops[s].shape) for s in (*sources, *targets)):
        return False
    seen: dict[int, dict[int, _Seen]] = {}
    for source in sources:
        found = _followed(cell.ops, source)
        if found is None:
            return False
        seen[source] = found
    if not all(_stays_in_item(seen[s].get(t)) for s in sources for t in targets):
        return False
    return all(_reaches_back(cell, seen, sequence, targets, steps) for sequence in cell.sequences)


def _reaches_back(cell: Cell, seen: Mapping[int, Mapping[int, _Seen]], sequence: int, targets: Mapping[int, None], steps: int) -> bool:
    """Whether all targets read all of the sequence at every lag: at once, or through a state that does at the lag before."""

    def through(target: int, full: frozenset[int]) -> bool:
        return any((at := seen[state].get(target)) is not None and bool(at.some.all()) for state in full)

    now = frozenset(t for t in targets if (at := seen[sequence].get(t)) is not None and bool(at.all.all()))
    for _ in range(steps):
        if len(now) < len(targets):
            return False
        full = frozenset(state for state, made in cell.states if made in now)
        before, now = now, frozenset(t for t in targets if through(t, full))
        if now == before:
            return True
    return True


def _stays_in_item(seen: _Seen | None) -> bool:
    if seen is None or seen.lo.ndim < 2:
        return True
    own = np.arange(max(seen.lo.shape[0], seen.hi.shape[0]))[:, None]
    return bool((((seen.lo == own) & (seen.hi == own)) | ~seen.some).all())


def _followed(ops: Sequence[Op], source: int) -> dict[int, _Seen] | None:
    """What every op reads of one input; None where a bound is on the way, of which nothing can be said."""
    graph = Graph(tuple(ops), (), {}, {}, {}, ())
    shape = ops[source].shape
    yes, no = np.ones((1,) * len(shape), np.bool_), np.zeros((1,) * len(shape), np.bool_)
    items = np.arange(shape[0]).reshape(-1, 1) if len(shape) == 2 else np.zeros((1,), np.int64)
    found = {source: _Seen(yes, yes if shape[-1] == 1 else no, items, items, True)}
    for at, op in enumerate(ops):
        if at == source or not any(i in found for i in op.inputs):
            continue
        parts: list[_Seen] = []
        for given, relations in zip(op.inputs, reads(graph, op), strict=True):
            for relation in relations if given in found else ():
                if relation.exactness != "exact":
                    return None
                parts.append(_read(relation, found[given], ops[given].shape, op.shape))
        if parts:
            found[at] = _together(parts)
    return found


def _read(relation: Relation, seen: _Seen, before: Shape, shape: Shape) -> _Seen:
    def fold(values: npt.NDArray[Any], reduce: np.ufunc, fill: object) -> npt.NDArray[Any]:
        return gather(relation, values, before, shape, reduce, fill)

    some, everything = fold(seen.some, np.logical_or, False), fold(seen.all, np.logical_or, False)
    if seen.covered and _is_whole(relation, before):
        everything = everything | some
    kept = seen.covered and _keeps_all(relation, before, shape)
    hi = fold(seen.hi, np.maximum, -FAR)
    return _Seen(some, everything, fold(seen.lo, np.minimum, FAR), hi, kept or bool(everything.all()))


def _together(parts: Sequence[_Seen]) -> _Seen:
    some, everything, lo, hi, covered = parts[0].some, parts[0].all, parts[0].lo, parts[0].hi, parts[0].covered
    for part in parts[1:]:
        some, everything, covered = some | part.some, everything | part.all, covered or part.covered
        lo, hi = np.minimum(lo, part.lo), np.maximum(hi, part.hi)
    return _Seen(some, everything, lo, hi, covered)


def _is_whole(relation: Relation, before: Shape) -> bool:
    """Whether a unit reads all of an input, or all of its own row (which its item of the batch is, or else items are mixed)."""
    for link in relation.links:
        mine = isinstance(link.map, Same) and link.ins == link.outs == (0,) and len(before) > 1
        if not mine and any(before[a] > 1 for a in link.ins) and not isinstance(link.map, Whole):
            return False
    return True


def _keeps_all(relation: Relation, before: Shape, shape: Shape) -> bool:
    """Whether every position of an input is read by some unit."""
    if relation.unread is not None or not all(isinstance(link.map, Same | Whole | Regroup) for link in relation.links):
        return False
    return all(not isinstance(k.map, Same) or shape[k.outs[0]] == before[k.ins[0]] for k in relation.links)


# ---- emitting -----------------------------------------------------------------------------------------------------------------


def emitted(rec: Builder, sequences: Sequence[tuple[int, Sequence[int]]], first: Sequence[int], width: int) -> int:
    """The recurrent op, of shape (steps, [batch,] width), in the order of its steps.

    `sequences`: ops of shape (positions, [batch,] features), with the position that each step reads. `first`: ops of the states before the
    first step, of shape ([batch,] features), as far as they are data.
    """
    rows = list(dict.fromkeys(ordered(rec, op, order) for op, order in dict.fromkeys((op, tuple(o)) for op, o in sequences)))
    op = rows[0] if len(rows) == 1 else _joined(rec, rows)
    states = [moves.unsqueeze(rec, state, 0) for state in dict.fromkeys(first)]
    shape = (*rec.shape(op)[:-1], width)
    return rec.emit("recurrent", shape, [op, *states], {"time": 0, "layers": 1, "bidirectional": False}, "recurrent")


def ordered(rec: Builder, op: int, order: Sequence[int]) -> int:
    """Rows of an op in this order (-1: a row that reads nothing)."""
    n, m = rec.shape(op)[0], len(order)
    steps = {b - a for a, b in itertools.pairwise(order)} or {1}
    if len(steps) == 1 and min(order) >= 0 and steps <= {1, -1}:
        return moves.slice_axis(rec, op, 0, order[0], steps.pop(), m, "flip" if m == n and order[0] else "slice")
    return moves.take(rec, op, 0, np.asarray(order, np.int64))


def _joined(rec: Builder, rows: Sequence[int]) -> int:
    widths = [rec.shape(op)[-1] for op in rows]
    params = {"axis": len(rec.shape(rows[0])) - 1, "offsets": tuple(int(n) for n in np.cumsum([0, *widths[:-1]]))}
    return rec.emit("concat", (*rec.shape(rows[0])[:-1], sum(widths)), list(rows), params, "cat")


def last(rec: Builder, op: int) -> int:
    """The last step of a recurrent op."""
    return moves.squeeze(rec, moves.slice_axis(rec, op, 0, rec.shape(op)[0] - 1, 1, 1), {0})
