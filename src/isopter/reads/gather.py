"""Folding an array through a relation: each output takes the minimum, maximum, or "any" over the positions it reads.

Arrays are *lazily broadcast*: an axis along which they do not vary has length 1, so a map with 2048 equal channels costs
one row. Positions that read nothing take the reduction's identity (`fill`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isopter.graph import Shape
from isopter.reads.axis import Array, AxisMap, Ints, Same, Span, Whole, blank_of, table_of
from isopter.reads.relation import Masked, Regroup, Relation, Table

Bools = npt.NDArray[np.bool_]

CHUNK = 2_000_000
"""Entries of a mask to write out at once."""


def gather(relation: Relation, values: Array, shape_in: Shape, shape_out: Shape, reduce: np.ufunc, fill: object) -> Array:
    """Reduce `values` (lazily broadcast over `shape_in`) over the reads of each output; lazily broadcast over `shape_out`."""
    values = _reduce_unlinked(relation, values, shape_in, reduce, fill)
    order = [axis for link in relation.links for axis in link.ins]
    rest = [axis for axis in range(len(shape_in)) if axis not in order]
    if order + rest != list(range(len(shape_in))):
        values = values.transpose(order + rest)
    values = values.reshape(values.shape[: len(order)])

    at = 0
    for link in relation.links:
        sizes_in = tuple(shape_in[a] for a in link.ins)
        sizes_out = tuple(shape_out[a] for a in link.outs)
        match link.map:
            case Regroup():
                values = _regroup(values, at, sizes_in, sizes_out)
            case Table(rows):
                values = _lookup(values, at, sizes_in, sizes_out, rows, reduce, fill)
            case Masked(pattern):
                values = _masked(values, at, sizes_in, sizes_out, pattern, reduce, fill)
            case axis_map:
                assert isinstance(axis_map, AxisMap)
                values = gather_axis(axis_map, values, at, sizes_out[0], sizes_in[0], reduce, fill)
        at += len(sizes_out)

    outs = [axis for link in relation.links for axis in link.outs]
    if outs != sorted(outs):
        values = values.transpose(np.argsort(outs))
    if len(outs) < len(shape_out):
        sizes = iter(values.shape)
        values = values.reshape([next(sizes) if axis in outs else 1 for axis in range(len(shape_out))])
    if relation.unread is not None:
        values = np.where(relation.unread, np.asarray(fill, values.dtype), values)
    return values


def gather_axis(axis_map: AxisMap, values: Array, axis: int, n_out: int, n_in: int, reduce: np.ufunc, fill: object) -> Array:
    """`gather` along one axis: ``values.shape[axis]`` is `n_in`, or 1 where values do not vary."""
    if isinstance(axis_map, Same):
        return values
    blank = blank_of(axis_map, n_out, n_in)
    if n_in == 0 or values.shape[axis] == 1:
        if n_in == 0:
            values = _constant(values, axis, fill)
        if blank is None:
            return values
        where = blank.reshape([-1 if a == axis else 1 for a in range(values.ndim)])
        return np.where(where, np.asarray(fill, values.dtype), values)
    if isinstance(axis_map, Whole):
        whole: Array = reduce.reduce(values, axis=axis, keepdims=True)
        return whole
    if isinstance(axis_map, Span):
        return _reduce_spans(axis_map, values, axis, n_in, reduce, fill)
    return _reduce_rows(table_of(axis_map, n_out, n_in), values, axis, reduce, fill)


def collapse(values: Array, axes: tuple[int, ...]) -> Array:
    """Give back length 1 to each of `axes` along which `values` turn out not to vary."""
    for axis in axes:
        if values.shape[axis] > 1:
            first = values[(slice(None),) * axis + (slice(0, 1),)]
            if (values == first).all():
                values = first
    return values


def _constant(values: Array, axis: int, fill: object) -> Array:
    shape = list(values.shape)
    shape[axis] = 1
    return np.full(shape, fill, values.dtype)


def _reduce_unlinked(relation: Relation, values: Array, shape_in: Shape, reduce: np.ufunc, fill: object) -> Array:
    named = {axis for link in relation.links for axis in link.ins}
    for axis, n in enumerate(shape_in):
        if axis not in named:
            if n == 0:
                values = _constant(values, axis, fill)
            elif values.shape[axis] > 1:
                values = reduce.reduce(values, axis=axis, keepdims=True)
    return values


def _reduce_rows(rows: Ints, values: Array, axis: int, reduce: np.ufunc, fill: object) -> Array:
    """Rows of positions, -1 for nothing: a position one past the end holds `fill`, and -1 finds it."""
    edge = _constant(values, axis, fill)
    padded = np.concatenate([values, edge], axis=axis)
    if rows.shape[1] == 1:
        return padded.take(rows[:, 0], axis=axis)
    reduced: Array = reduce.reduce(padded.take(rows, axis=axis), axis=axis + 1)
    return reduced


def _reduce_spans(spans: Span, values: Array, axis: int, n_in: int, reduce: np.ufunc, fill: object) -> Array:
    lo, hi = spans.lo, spans.hi
    if (lo == 0).all() and (np.diff(hi) >= 0).all():  # prefixes: one running reduction
        running = reduce.accumulate(values, axis=axis)
        return _reduce_rows((hi - 1)[:, None], running, axis, reduce, fill)
    padded = np.concatenate([values, _constant(values, axis, fill)], axis=axis)
    bounds = np.stack([lo, np.maximum(hi, lo)], axis=1).ravel()
    reduced = reduce.reduceat(padded, bounds, axis=axis).take(np.arange(0, 2 * len(lo), 2), axis=axis)
    empty = (hi <= lo).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    return np.where(empty, np.asarray(fill, values.dtype), reduced)


def _regroup(values: Array, at: int, sizes_in: Shape, sizes_out: Shape) -> Array:
    before, group, after = values.shape[:at], values.shape[at : at + len(sizes_in)], values.shape[at + len(sizes_in) :]
    if all(n == 1 for n in group):
        return values.reshape(before + (1,) * len(sizes_out) + after)
    full = np.broadcast_to(values, before + sizes_in + after).reshape(before + sizes_out + after)
    return collapse(full, tuple(range(at, at + len(sizes_out))))


def _lookup(values: Array, at: int, sizes_in: Shape, sizes_out: Shape, rows: Ints, reduce: np.ufunc, fill: object) -> Array:
    before, group, after = values.shape[:at], values.shape[at : at + len(sizes_in)], values.shape[at + len(sizes_in) :]
    if all(n == 1 for n in group) and not (rows < 0).all(axis=1).any():
        return values.reshape(before + (1,) * len(sizes_out) + after)
    flat = np.broadcast_to(values, before + sizes_in + after).reshape((*before, -1, *after))
    found = _reduce_rows(rows, flat, at, reduce, fill).reshape(before + sizes_out + after)
    return collapse(found, tuple(range(at, at + len(sizes_out))))


def _masked(values: Array, at: int, sizes_in: Shape, sizes_out: Shape, pattern: Bools, reduce: np.ufunc, fill: object) -> Array:
    """A few batch items at a time: with the mask written out, values would be as many as attention scores."""
    before, group, after = values.shape[:at], values.shape[at : at + len(sizes_in)], values.shape[at + len(sizes_in) :]
    reads = pattern.any(axis=-1)
    batch, count, width = pattern.shape
    if all(n == 1 for n in group) and reads.all():
        return values.reshape(before + (1,) * len(sizes_out) + after)
    flat = np.broadcast_to(values, before + sizes_in + after).reshape(*before, batch, width, *after)
    rows = np.moveaxis(flat, (at, at + 1), (-2, -1))
    found = np.empty((*rows.shape[:-2], batch, count), values.dtype)
    everything = pattern.all(axis=(1, 2))
    found[..., everything, :] = reduce.reduce(rows[..., everything, :], axis=-1, keepdims=True)
    others = np.flatnonzero(~everything)
    step = max(1, CHUNK // max(count * width * (rows.size // max(batch * width, 1)), 1))
    for start in range(0, len(others), step):
        some = others[start : start + step]
        found[..., some, :] = reduce.reduce(np.where(pattern[some], rows[..., some, None, :], np.asarray(fill, values.dtype)), axis=-1)
    found = np.moveaxis(found, (-2, -1), (at, at + 1)).reshape(before + sizes_out + after)
    return collapse(found, tuple(range(at, at + len(sizes_out))))
