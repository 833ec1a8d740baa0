"""Extents: size, stride and start of the field on the unbounded plane, where borders do not exist.

The value carried along one space axis is a `Progression`: the op axis that steps through space (`carrier`), a period of P
output steps, a jump of J input pixels per period, and for each phase the first and last + 1 pixel read. It maps to another
progression under every local op, in exact integers; a merge takes the least common period. The arrays are lazily broadcast
over the op's other axes, so branches joined along channels keep their own fields.

Where an op reads a whole axis the field is unbounded. Where there is no plane (two maps side by side along space, space cut
into windows, branches with different jumps) the reason is carried instead, and fields fall back to regions at this input size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from isopter.fields.plan import Edge, Plan
from isopter.graph import Shape
from isopter.reads.axis import NOTHING, AxisMap, Ints, Periodic, Same, Whole
from isopter.reads.gather import collapse, gather_axis
from isopter.reads.relation import Link, Listed, Regroup

EMPTY = np.int64(2) ** 60
"""lo of a position that reads nothing, whose hi is -EMPTY: the identities of min and max."""


@dataclass(frozen=True, eq=False, slots=True)
class Progression:
    """Unit i of axis `carrier` reads [lo[i % P] + (i // P) * jump, hi[i % P] + (i // P) * jump) on the plane."""

    carrier: int
    jump: int
    lo: Ints
    hi: Ints

    @property
    def period(self) -> int:
        return int(self.lo.shape[self.carrier])

    @property
    def stride(self) -> Fraction:
        """Input pixels per output step."""
        return Fraction(self.jump, self.period)

    def by_phase(self) -> tuple[Ints, Ints]:
        """lo and hi per phase, over all other positions of the op (channels). Nothing read: lo >= hi."""
        others = tuple(a for a in range(self.lo.ndim) if a != self.carrier)
        return self.lo.min(axis=others), self.hi.max(axis=others)


@dataclass(frozen=True, slots=True)
class Unbounded:
    """The whole axis is read, however long it is."""


@dataclass(frozen=True, slots=True)
class NoPlane:
    """No translation-invariant form; `why` says which op ended it."""

    why: str


Extent = Progression | Unbounded | NoPlane


def extents(plan: Plan, context: bool) -> list[tuple[Extent, ...] | None]:
    """The extent of every op along every space axis; None where the op does not depend on the input."""
    ops = plan.graph.ops
    result: list[tuple[Extent, ...] | None] = [None] * len(ops)
    shape = ops[plan.origin].shape
    zero = np.zeros((1,) * len(shape), np.int64)
    result[plan.origin] = tuple(Progression(a, 1, zero, zero + 1) for a in plan.axes)
    for target in range(len(ops)):
        for edge in plan.incoming(target, context):
            before = result[edge.source]
            assert before is not None
            read = before if edge.plain else tuple(through(value, edge, plan) for value in before)
            so_far = result[target]
            result[target] = read if so_far is None else tuple(_union(a, b, plan, edge) for a, b in zip(so_far, read, strict=True))
    return result


def through(value: Extent, edge: Edge, plan: Plan) -> Extent:
    """One value through one edge: the extent of what its target reads of its source."""
    if isinstance(value, NoPlane) and _reads_all_space(edge, plan):
        return Unbounded()
    if not isinstance(value, Progression):
        return value
    ops, relation = plan.graph.ops, edge.relation
    shape_in, shape_out = ops[edge.source].shape, ops[edge.target].shape
    name = ops[edge.target].name

    link = relation.link_in(value.carrier)
    if link is None:
        return Unbounded() if shape_in[value.carrier] > 1 or relation.summary else NoPlane(f"{name} broadcasts space")
    if isinstance(link.map, Whole):
        return Unbounded()
    if isinstance(link.map, Listed):
        return NoPlane(f"{name} gathers positions of space")
    plane = None if isinstance(link.map, Regroup) else link.map.plane
    if plane is None and not isinstance(link.map, Regroup):
        return NoPlane(f"{name} is not the same everywhere along space")
    unread = relation.unread
    carrier_out = _regrouped_carrier(link, shape_out) if isinstance(link.map, Regroup) else link.outs[0]
    if unread is not None and _varies(unread, carrier_out, len(shape_out)):
        return NoPlane(f"{name} treats some positions of space differently")

    both = []
    for values, reduce, fill in ((value.lo, np.minimum, EMPTY), (value.hi, np.maximum, -EMPTY)):
        both.append(_gather(values, value, edge, plan, plane, reduce, fill))
    (lo, jump), (hi, _) = both
    if lo is None or hi is None:
        return NoPlane(f"{name} folds space into another axis")
    if unread is not None:
        lo, hi = np.where(unread, EMPTY, lo), np.where(unread, -EMPTY, hi)
    return Progression(carrier_out, jump, lo, hi)


def _reads_all_space(edge: Edge, plan: Plan) -> bool:
    """Whether every output reads the whole of every axis that carries space: a fully connected layer on a flattened map."""
    space = plan.units[edge.source]
    links = [edge.relation.link_in(axis) for axis in space]
    return bool(space) and all(link is None or isinstance(link.map, Whole) for link in links)


def _varies(unread: np.ndarray, axis: int, ndim: int) -> bool:
    at = axis - (ndim - unread.ndim)
    return at >= 0 and unread.shape[at] > 1


def _gather(
    values: Ints, value: Progression, edge: Edge, plan: Plan, plane: Periodic | None, reduce: np.ufunc, fill: np.int64
) -> tuple[Ints | None, int]:
    """`reads.gather.gather`, with the carrier axis taken as a progression instead of a finite axis."""
    relation, carrier, jump = edge.relation, value.carrier, value.jump
    shape_in, shape_out = plan.graph.ops[edge.source].shape, plan.graph.ops[edge.target].shape
    named = {axis for link in relation.links for axis in link.ins}
    for axis in range(values.ndim):
        if axis not in named and values.shape[axis] > 1:
            values = reduce.reduce(values, axis=axis, keepdims=True)
    order = [axis for link in relation.links for axis in link.ins]
    rest = [axis for axis in range(values.ndim) if axis not in order]
    values = values.transpose(order + rest).reshape([values.shape[a] for a in order])

    at = 0
    for link in relation.links:
        sizes_in, sizes_out = tuple(shape_in[a] for a in link.ins), tuple(shape_out[a] for a in link.outs)
        if isinstance(link.map, Regroup):
            if carrier in link.ins:
                found = _regroup_carrier(values, at, link.ins.index(carrier), sizes_in, sizes_out, jump)
                if found is None:
                    return None, jump
                values, jump = found
            else:
                values = _regroup_static(values, at, sizes_in, sizes_out)
        elif isinstance(link.map, Listed):
            if any(values.shape[at + k] > 1 for k in range(len(sizes_in))):
                return None, jump
            values = values.reshape(values.shape[:at] + (1,) * len(sizes_out) + values.shape[at + len(sizes_in) :])
        elif carrier in link.ins:
            assert plane is not None
            values, jump = _step(values, at, plane, jump, reduce, fill, same=isinstance(link.map, Same))
        else:
            space = link.ins[0] in plan.units[edge.source]
            values = _static(link.map, values, at, sizes_out[0], sizes_in[0], space, reduce, fill)
        at += len(sizes_out)

    outs = [axis for link in relation.links for axis in link.outs]
    values = values.transpose(np.argsort(outs))
    sizes = iter(values.shape)
    return values.reshape([next(sizes) if axis in outs else 1 for axis in range(len(shape_out))]), jump


def _static(axis_map: AxisMap, values: Ints, axis: int, n_out: int, n_in: int, space: bool, reduce: np.ufunc, fill: np.int64) -> Ints:
    """Another axis than the carrier. If it is space too, its borders do not exist; else it is finite as it stands."""
    if space and values.shape[axis] == 1 and axis_map.plane is not None:
        return values
    return gather_axis(axis_map, values, axis, n_out, n_in, reduce, fill)


def _step(values: Ints, axis: int, plane: Periodic, jump: int, reduce: np.ufunc, fill: np.int64, same: bool) -> tuple[Ints, int]:
    """The carrier through a periodic map: output i reads positions plane.taps(i) of a progression."""
    if same:
        return values, jump
    period = values.shape[axis]
    turns = period // math.gcd(period, abs(plane.jump))  # output periods until the input phase repeats
    taps = plane.taps(np.arange(turns * plane.period, dtype=np.int64))
    nothing = taps == NOTHING
    whole, phase = np.divmod(np.where(nothing, 0, taps), period)
    shape = [1] * axis + list(taps.shape) + [1] * (values.ndim - axis - 1)
    read = values.take(phase, axis=axis) + (whole * jump).reshape(shape)
    if nothing.any():
        read = np.where(nothing.reshape(shape), fill, read)
    out = reduce.reduce(read, axis=axis + 1)
    return out, turns * plane.jump // period * jump


def _regrouped_carrier(link: Link, shape_out: Shape) -> int:
    return next((o for o in link.outs if shape_out[o] > 1), link.outs[0])


def _regroup_carrier(values: Ints, at: int, where: int, sizes_in: Shape, sizes_out: Shape, jump: int) -> tuple[Ints, int] | None:
    """Merge the group into one axis, then split it: unit (h, q) of a split by b is unit h * b + q."""
    if any(n > 1 for n in sizes_in[:where]) or 0 in (*sizes_in, *sizes_out):
        return None
    before, group, after = values.shape[:at], values.shape[at : at + len(sizes_in)], values.shape[at + len(sizes_in) :]
    period = group[where]
    inner = sizes_in[where + 1 :]
    full = np.broadcast_to(values, before + (1,) * where + (period, *inner) + after)
    merged_period = period * math.prod(inner)
    merged = full.reshape((*before, merged_period, *after))

    lead = next((k for k, n in enumerate(sizes_out) if n > 1), 0)
    split = math.prod(sizes_out[lead + 1 :])
    turns = merged_period // math.gcd(merged_period, split)
    whole, phase = np.divmod(np.arange(turns * split), merged_period)
    shift = (whole * jump).reshape([-1 if a == at else 1 for a in range(merged.ndim)])
    spread = (merged.take(phase, axis=at) + shift).reshape(before + (1,) * lead + (turns, *sizes_out[lead + 1 :]) + after)
    axes = tuple(range(at + lead + 1, at + len(sizes_out)))
    return collapse(spread, axes), turns * split * jump // merged_period


def _regroup_static(values: Ints, at: int, sizes_in: Shape, sizes_out: Shape) -> Ints:
    before, group, after = values.shape[:at], values.shape[at : at + len(sizes_in)], values.shape[at + len(sizes_in) :]
    if all(n == 1 for n in group):
        return values.reshape(before + (1,) * len(sizes_out) + after)
    return np.broadcast_to(values, before + sizes_in + after).reshape(before + sizes_out + after)


def _union(a: Extent, b: Extent, plan: Plan, edge: Edge) -> Extent:
    """Both reads of one op: the least common period, phase by phase."""
    for value in (a, b):
        if isinstance(value, NoPlane):
            return value
    if isinstance(a, Unbounded) or isinstance(b, Unbounded):
        return Unbounded()
    assert isinstance(a, Progression) and isinstance(b, Progression)
    ops = plan.graph.ops
    if a.carrier != b.carrier or a.stride != b.stride:
        return NoPlane(f"{ops[edge.target].name} joins branches that step {a.stride} and {b.stride} pixels (from {ops[edge.source].name})")
    period = math.lcm(a.period, b.period)
    a, b = repeated(a, period), repeated(b, period)
    return Progression(a.carrier, a.jump, np.minimum(a.lo, b.lo), np.maximum(a.hi, b.hi))


def repeated(value: Progression, period: int) -> Progression:
    """The same progression with a period that is a multiple of its own."""
    turns = period // value.period
    if turns == 1:
        return value
    whole, phase = np.divmod(np.arange(period), value.period)
    shift = (whole * value.jump).reshape([-1 if a == value.carrier else 1 for a in range(value.lo.ndim)])
    lo = value.lo.take(phase, axis=value.carrier) + shift
    hi = value.hi.take(phase, axis=value.carrier) + shift
    return replace(value, jump=value.jump * turns, lo=lo, hi=hi)
