"""Where branches meet: whether they step alike, and look at the same place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from isopter.design.solid import Steps, through_edge
from isopter.design.subject import Subject
from isopter.fields.extent import Progression, repeated


@dataclass(frozen=True)
class Meeting:
    """Two branches that an op joins, by the ops they come from. `strides`: input pixels per step, of each, along the axis where they differ
    most. `shift`: how far the centres of what they read lie apart, in input pixels; nan where they step differently."""

    op: str
    branches: tuple[str, str]
    strides: tuple[Fraction, Fraction]
    shift: float


def misaligned(subject: Subject) -> list[Meeting]:
    """Every op that joins branches which step differently, or whose fields have different centres; of several, the worst pair."""
    found = []
    for op in subject.seen:
        steps = {edge.source: s for edge in subject.plan.incoming(op, False) if (s := through_edge(subject, edge)) is not None}
        meetings = [m for a, b in _pairs(steps) if (m := _meeting(subject, op, (a, steps[a]), (b, steps[b])))]
        found += sorted(meetings, key=lambda m: -m.shift if math.isfinite(m.shift) else -math.inf)[:1]
    return found


def _pairs(steps: Mapping[int, Steps]) -> list[tuple[int, int]]:
    """The pairs of branches to hold side by side: the first with every other, and along each axis those that lie furthest apart."""
    if len(steps) < 2:
        return []
    first, *others = steps
    pairs = [(first, other) for other in others]
    alike = [b for b in steps if all(p.carrier == q.carrier and p.stride == q.stride for p, q in zip(steps[first], steps[b], strict=True))]
    for axis in range(len(steps[first])):
        places = {b: _shift(steps[b][axis], steps[first][axis]) for b in alike}
        pairs.append((min(alike, key=places.__getitem__), max(alike, key=places.__getitem__)))
    return [(a, b) for a, b in dict.fromkeys(pairs) if a != b]


def _meeting(subject: Subject, op: int, one: tuple[int, Steps], other: tuple[int, Steps]) -> Meeting | None:
    pairs = list(zip(one[1], other[1], strict=True))
    if any(a.carrier != b.carrier for a, b in pairs):  # attention: rows meet columns
        return None
    names = subject.name(one[0]), subject.name(other[0])
    for a, b in pairs:
        if a.stride != b.stride:
            return Meeting(subject.name(op), names, (a.stride, b.stride), math.nan)
    shifts = [(_shift(a, b), a.stride) for a, b in pairs]
    shift, stride = max(shifts, key=lambda s: abs(s[0]))
    return Meeting(subject.name(op), names, (stride, stride), float(abs(shift))) if shift else None


def _shift(a: Progression, b: Progression) -> Fraction:
    """Mean over the phases of centre minus centre: upsampling moves each phase's centre, but not their mean."""
    period = math.lcm(a.period, b.period)
    doubled = []
    for one, other in zip(_centers(a, period), _centers(b, period), strict=True):
        if one is not None and other is not None:
            doubled.append(one - other)
    return Fraction(sum(doubled), 2 * len(doubled)) if doubled else Fraction(0)


def _centers(value: Progression, period: int) -> list[int | None]:
    """Twice the centre of each phase; None for one that reads nothing."""
    lo, hi = repeated(value, period).by_phase()
    return [int(low + high) if low < high else None for low, high in zip(lo, hi, strict=True)]
