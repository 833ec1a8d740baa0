"""Blocks of numbers, and one step of a linear pull through a relation, with its transpose.

A `Block` is like a `Patch` of numbers: values at an origin, zero elsewhere; along a `full` axis it has length 1 and stands for the
same value at every position. A `Step` carries a block from an op to what it reads; `Step.back` is the transposed map, from
numbers over the result to numbers over the block (over full axes: their mean).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from isopter.fields.plan import Edge
from isopter.graph import Shape
from isopter.reads.axis import NOTHING, AxisMap, Ints, Same, Whole, Window, table_of
from isopter.reads.gains import Gain, Taps
from isopter.reads.relation import Link, Listed, Regroup
from isopter.reads.scatter import flat_positions, join_rows

Floats = npt.NDArray[np.float64]
Back = Callable[[Floats], Floats]


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Numbers over a part of a tensor; see the module."""

    values: Floats
    origin: tuple[int, ...]
    full: tuple[bool, ...]


@dataclass(eq=False, slots=True)
class Step:
    """A block carried through one relation, and the way back. `scale` is what `result` was multiplied by since."""

    result: Block
    back: Back
    scale: float = 1.0

    def scale_by(self, factor: float) -> None:
        """Multiply the result, to keep numbers in range; the way back stays as it is."""
        self.result = Block(self.result.values * factor, self.result.origin, self.result.full)
        self.scale *= factor


def expanded(block: Block, axis: int, n: int) -> Block:
    """The same numbers with a full axis written out as [0, n)."""
    if not block.full[axis]:
        return block
    sizes = [n if a == axis else k for a, k in enumerate(block.values.shape)]
    return Block(np.broadcast_to(block.values, sizes), block.origin, tuple(f and a != axis for a, f in enumerate(block.full)))


def merge(blocks: Sequence[Block], shape: Shape) -> Block:
    """The sum of blocks of one tensor."""
    if len(blocks) == 1:
        return blocks[0]
    full = tuple(all(b.full[a] for b in blocks) for a in range(len(shape)))
    for axis, n in enumerate(shape):
        if not full[axis]:
            blocks = [expanded(b, axis, n) for b in blocks]
    lo = tuple(min(b.origin[a] for b in blocks) for a in range(len(shape)))
    hi = [max(b.origin[a] + b.values.shape[a] for b in blocks) for a in range(len(shape))]
    values = np.zeros([h - low for h, low in zip(hi, lo, strict=True)])
    for b in blocks:
        values[_place(b, lo)] += b.values
    return Block(values, lo, full)


def _place(block: Block, origin: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(o - at, o - at + n) for o, at, n in zip(block.origin, origin, block.values.shape, strict=True))


def spread_over(part: Block, whole: Block, shape: Shape) -> Floats:
    """The total of `part` at each place of `whole`, which holds it: a full axis of both counts for all its positions."""
    for axis, n in enumerate(shape):
        if not whole.full[axis]:
            part = expanded(part, axis, n)
    count = math.prod(n for n, f in zip(shape, whole.full, strict=True) if f)
    if part.values.shape == whole.values.shape:
        return part.values * count
    values = np.zeros(whole.values.shape)
    values[_place(part, whole.origin)] = part.values * count
    return values


def restricted(values: Floats, whole: Block, part: Block) -> Floats:
    """Numbers over `whole` as numbers over its `part`."""
    averaged = tuple(a for a, f in enumerate(part.full) if f and not whole.full[a])
    if averaged:
        values = values.mean(axis=averaged, keepdims=True)
    where = tuple(
        slice(None) if full else slice(o - at, o - at + n)
        for o, at, n, full in zip(part.origin, whole.origin, part.values.shape, part.full, strict=True)
    )
    return values[where]


def step(edge: Edge, gain: Gain, block: Block, shape_in: Shape, shape_out: Shape, plane: Collection[int]) -> Step | None:
    """Carry `block` of an op's output to what it reads by `edge`, each position getting its gain; None if nothing arrives.

    Inside the tensor; but along the output axes in `plane` borders do not exist.
    """
    scale = gain.scale
    if edge.plain and not gain.taps:
        return Step(Block(block.values * scale, block.origin, block.full), lambda b: b * scale)
    way = _Way(block, shape_out)
    relation = edge.relation
    if relation.unread is not None:
        way.without(relation.unread)
    links = relation.links
    way.keep([axis for link in links for axis in link.outs])
    at = 0
    for link in links:
        taps = gain.taps.get(link.ins[0]) if len(link.ins) == 1 else None
        sizes = tuple(shape_out[a] for a in link.outs), tuple(shape_in[a] for a in link.ins)
        if not way.follow(link, taps, at, *sizes, clip=link.outs[0] not in plane):
            return None
        at += len(link.ins)
    way.settle([axis for link in links for axis in link.ins], shape_in)
    if not way.values.any():
        return None
    backs = way.backs
    values = way.values * scale

    def back(b: Floats) -> Floats:
        b = b * scale
        for one in reversed(backs):
            b = one(b)
        return b

    return Step(Block(values, tuple(way.origin), tuple(way.full)), back)


class _Way:
    """A block on its way through a relation. Each method changes it by a linear map and keeps the transpose of that in `backs`."""

    def __init__(self, block: Block, shape: Shape) -> None:
        self.values, self.origin, self.full, self.shape = block.values, list(block.origin), list(block.full), shape
        self.backs: list[Back] = []

    def expand(self, axis: int, n: int) -> None:
        if self.full[axis]:
            self.values = np.broadcast_to(self.values, [n if a == axis else k for a, k in enumerate(self.values.shape)])
            self.full[axis], self.origin[axis] = False, 0
            self.backs.append(lambda b: b.mean(axis=axis, keepdims=True))

    def without(self, unread: npt.NDArray[np.bool_]) -> None:
        """Nothing at the positions that are unread."""
        keep = ~unread.reshape((1,) * (len(self.shape) - unread.ndim) + unread.shape)
        for axis, n in enumerate(keep.shape):
            if n > 1:
                self.expand(axis, n)
                at = np.arange(self.origin[axis], self.origin[axis] + self.values.shape[axis]).clip(0, n - 1)
                keep = keep.take(at, axis=axis)
        self.values = self.values * keep
        self.backs.append(lambda b: b * keep)

    def keep(self, order: list[int]) -> None:
        """Sum over all axes but these, and bring these in order."""
        gone = tuple(a for a in range(len(self.shape)) if a not in order)
        before, count = self.values.shape, math.prod(self.shape[a] for a in gone if self.full[a])
        kept = sorted(order)
        turn = [kept.index(a) for a in order]
        self.values = (self.values.sum(axis=gone) * count if gone else self.values).transpose(turn)
        self.origin, self.full = [self.origin[a] for a in order], [self.full[a] for a in order]
        undo = np.argsort(turn)
        self.backs.append(lambda b: np.broadcast_to(np.expand_dims(b.transpose(undo), gone), before))

    def settle(self, order: list[int], shape_in: Shape) -> None:
        """Bring the axes of the input in order; those that no link names are full."""
        where = {a: i for i, a in enumerate(order)}
        turn = sorted(range(len(order)), key=order.__getitem__)
        missing = tuple(a for a in range(len(shape_in)) if a not in where)
        count = math.prod(shape_in[a] for a in missing)
        self.values = np.expand_dims(self.values.transpose(turn), missing)
        self.origin = [self.origin[where[a]] if a in where else 0 for a in range(len(shape_in))]
        self.full = [self.full[where[a]] if a in where else True for a in range(len(shape_in))]
        undo = np.argsort(turn) if turn else turn
        self.backs.append(lambda b: b.squeeze(missing).transpose(undo) * count)

    def follow(self, link: Link, taps: Taps | None, at: int, sizes_out: Shape, sizes_in: Shape, clip: bool) -> bool:
        """One link: its output axes, which start at `at`, become its input axes. False if nothing is read."""
        if isinstance(link.map, Same):
            return True
        if isinstance(link.map, Regroup | Listed):
            return self._regroup(link.map, at, sizes_out, sizes_in)
        n_out, n_in = sizes_out[0], sizes_in[0]
        if n_in == 0 or n_out == 0:
            return False
        if isinstance(link.map, Whole):
            return self._whole(at, n_out, n_in)
        if self.full[at]:
            if self._evenly(link.map, taps, at, n_out, n_in):
                return True
            self.expand(at, n_out)
        clip = clip or link.map.plane is None
        if isinstance(link.map, Window) and link.map.stride > 0:
            return self._slide(link.map, taps, at, n_in, clip)
        return self._rows(link.map, taps, at, n_out, n_in, clip)

    def _whole(self, at: int, n_out: int, n_in: int) -> bool:
        length, full = self.values.shape[at], self.full[at]
        self.values = self.values.sum(axis=at, keepdims=True) * (n_out if full else 1)
        self.origin[at], self.full[at] = 0, True
        self.backs.append(lambda b: np.repeat(b, length, axis=at) * n_in)
        return True

    def _evenly(self, axis_map: AxisMap, taps: Taps | None, at: int, n_out: int, n_in: int) -> bool:
        """A full axis stays full if all of its positions are read with the same weight in all."""
        weight = _even_weight(axis_map, taps, n_out, n_in)
        if weight is None:
            return False
        self.values = self.values * weight
        self.backs.append(lambda b: b * (weight * n_in / n_out))
        return True

    def _slide(self, window: Window, taps: Taps | None, at: int, n_in: int, clip: bool) -> bool:
        """A window of stride > 0, tap by tap, as slices."""
        n, lo = self.values.shape[at], self.origin[at] * window.stride - window.pad
        lead = (slice(None),) * at
        factors = _factors(taps, np.arange(self.origin[at], self.origin[at] + n), clip, window.size, self.values.ndim, at)
        span = (n - 1) * window.stride + 1
        places = [(*lead, slice(t * window.dilation, t * window.dilation + span, window.stride)) for t in range(window.size)]
        length = span + window.dilation * (window.size - 1)
        result = np.zeros((*self.values.shape[:at], length, *self.values.shape[at + 1 :]))
        for t, place in enumerate(places):
            result[place] += self.values if factors is None else self.values * factors[t]
        first, last = (max(lo, 0), min(lo + length, n_in)) if clip else (lo, lo + length)
        if first >= last:
            return False
        inside = (*lead, slice(first - lo, last - lo))
        self.values, self.origin[at] = result[inside], first

        def back(b: Floats) -> Floats:
            padded = np.zeros((*b.shape[:at], length, *b.shape[at + 1 :]))
            padded[inside] = b
            parts = (padded[p] if factors is None else padded[p] * factors[t] for t, p in enumerate(places))
            total: Floats = sum(parts, np.zeros(()))
            return total

        self.backs.append(back)
        return True

    def _rows(self, axis_map: AxisMap, taps: Taps | None, at: int, n_out: int, n_in: int, clip: bool) -> bool:
        """Any other map, by its table."""
        positions = np.arange(self.origin[at], self.origin[at] + self.values.shape[at], dtype=np.int64)
        if clip:
            rows = table_of(axis_map, n_out, n_in)[positions]
            rows = np.where(rows < 0, NOTHING, rows)
        else:
            assert axis_map.plane is not None
            rows = axis_map.plane.taps(positions)
        weights = _weights(taps, positions, clip, rows.shape)
        used = rows[rows != NOTHING]
        if not used.size:
            return False
        self._land(rows, weights, at, int(used.min()), int(used.max()) + 1)
        return True

    def _land(self, rows: Ints, weights: Floats | None, at: int, lo: int, hi: int) -> None:
        """Row i of axis `at` is added to the positions ``rows[i]``, of [lo, hi)."""
        front = np.moveaxis(self.values, at, 0)
        result = np.zeros((hi - lo, *front.shape[1:]))
        columns = []
        for t in range(rows.shape[1]):
            valid = rows[:, t] != NOTHING
            factor = None if weights is None else weights[valid, t].reshape(-1, *(1,) * (front.ndim - 1))
            columns.append((valid, rows[valid, t] - lo, factor))
            join_rows(result, columns[-1][1], front[valid] if factor is None else front[valid] * factor, np.add)
        n = len(rows)
        self.values, self.origin[at] = np.moveaxis(result, 0, at), lo

        def back(b: Floats) -> Floats:
            moved = np.moveaxis(b, at, 0)
            total = np.zeros((n, *moved.shape[1:]))
            for valid, index, factor in columns:
                total[valid] += moved[index] if factor is None else moved[index] * factor
            return np.moveaxis(total, 0, at)

        self.backs.append(back)

    def _regroup(self, how: Regroup | Listed, at: int, sizes_out: Shape, sizes_in: Shape) -> bool:
        """Positions of a group of axes, row-major, one by one."""
        k = len(sizes_out)
        if isinstance(how, Regroup) and all(self.full[at : at + k]):
            self._reshape(at, k, (1,) * len(sizes_in))
            self.origin[at : at + k], self.full[at : at + k] = [0] * len(sizes_in), [True] * len(sizes_in)
            return True
        for offset, n in enumerate(sizes_out):
            self.expand(at + offset, n)
        shape = self.values.shape
        cells = flat_positions(tuple(self.origin[at : at + k]), shape[at : at + k], sizes_out)
        self._reshape(at, k, (-1,))
        rows = cells[:, None] if isinstance(how, Regroup) else how.at(cells)
        rows = np.where(rows < 0, NOTHING, rows)
        self.origin[at : at + k], self.full[at : at + k] = [0], [False]
        used = rows[rows != NOTHING]
        if not used.size:
            return False
        lo, sizes, rows = _box(rows, used, sizes_in)
        self._land(rows, None, at, 0, math.prod(sizes))
        self._reshape(at, 1, tuple(sizes))
        self.origin[at : at + 1], self.full[at : at + 1] = lo, [False] * len(lo)
        return True

    def _reshape(self, at: int, k: int, sizes: tuple[int, ...]) -> None:
        before = self.values.shape
        self.values = self.values.reshape(before[:at] + sizes + before[at + k :])
        self.backs.append(lambda b: b.reshape(before))


def _box(rows: Ints, used: Ints, sizes: Shape) -> tuple[list[int], list[int], Ints]:
    """Row-major positions in a tensor of these sizes, counted in the smallest box that holds those used: its origin, sizes, rows."""
    lo, shape = [], []
    index = np.zeros(rows.shape, np.int64)
    for c_all, c in zip(np.unravel_index(np.where(rows == NOTHING, used[0], rows), sizes), np.unravel_index(used, sizes), strict=True):
        lo.append(int(c.min()))
        shape.append(int(c.max()) + 1 - lo[-1])
        index = index * shape[-1] + (c_all - lo[-1])
    return lo, shape, np.where(rows == NOTHING, NOTHING, index)


def _weights(taps: Taps | None, positions: Ints, clip: bool, shape: tuple[int, ...]) -> Floats | None:
    """A factor per row and tap."""
    if taps is None:
        return None
    table = taps.inside if clip else taps.plane
    rows = table if len(table) == 1 else table[positions if clip else positions % len(table)]
    return np.broadcast_to(rows, shape)


def _factors(taps: Taps | None, positions: Ints, clip: bool, count: int, ndim: int, at: int) -> list[Floats] | None:
    """The same for a window of `count` taps, tap by tap, ready to multiply along axis `at`."""
    weights = _weights(taps, positions, clip, (len(positions), count))
    return None if weights is None else [w.reshape([-1 if a == at else 1 for a in range(ndim)]) for w in weights.T]


@lru_cache(maxsize=1024)
def _even_weight(axis_map: AxisMap, taps: Taps | None, n_out: int, n_in: int) -> float | None:
    """The weight with which all outputs together read each input, or None where inputs differ."""
    table = table_of(axis_map, n_out, n_in)
    weights = _weights(taps, np.arange(n_out), True, table.shape)
    read = table >= 0
    totals = np.bincount(table[read], None if weights is None else weights[read], n_in)
    return float(totals[0]) if np.ptp(totals) <= 1e-12 * totals.max(initial=0) else None
