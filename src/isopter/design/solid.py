"""Which fields have no holes, shown layer by layer and without pulling a single unit back.

A window over maps whose fields are filled boxes reads a filled box if the boxes of neighbouring taps touch; a merge of filled boxes
is filled if one of them holds the others. What cannot be shown so is not said to have holes: then the set itself must be looked at.
Residual and encoder-decoder networks are shown whole, so that only layers in doubt cost a pull.
"""

from __future__ import annotations

import numpy as np

from isopter.design.subject import Subject
from isopter.fields.extent import Progression, repeated, through
from isopter.fields.plan import Edge
from isopter.reads.axis import NOTHING, Periodic, Same
from isopter.reads.relation import Listed, Regroup

Steps = tuple[Progression, ...]


def solid(subject: Subject) -> list[bool]:
    """For every op whether each of its units, in every channel, is shown to read a filled box on the plane."""
    shown = [False] * len(subject.ops)
    shown[subject.origin] = True
    for target in subject.seen:
        edges = list(subject.plan.incoming(target, False))
        if not edges or subject.steps(target) is None:
            continue
        fills = [shown[edge.source] and _fills(subject, edge) for edge in edges]
        if len(edges) == 1:
            shown[target] = fills[0]
            continue
        branches = [through_edge(subject, edge) for edge in edges]
        # a sum is the largest branch in every channel, if no branch differs by channel; a concatenation hands on each part by itself
        summed = subject.ops[target].kind == "pointwise" and not any(edge.relation.unread is not None for edge in edges)
        if (summed and not any(b is None or _by_channel(b) for b in branches)) or (all(fills) and subject.ops[target].kind == "concat"):
            largest = _largest(branches)
            shown[target] = largest is not None and fills[largest]
    return shown


def _fills(subject: Subject, edge: Edge) -> bool:
    """Whether filled boxes stay filled through one edge."""
    if edge.plain:
        return True
    steps = subject.steps(edge.source)
    if steps is None:
        return False
    carriers = {step.carrier for step in steps}
    for link in edge.relation.links:
        if isinstance(link.map, Same):
            continue
        if not carriers & set(link.ins):
            if any(_varies(step, axis) for step in steps for axis in link.ins):  # some channels are left out, maybe the filled ones
                return False
        elif isinstance(link.map, Regroup | Listed) or len(link.ins) > 1:
            return False
        else:
            plane = link.map.plane
            if plane is None or not all(_touch(step, plane) for step in steps if step.carrier == link.ins[0]):
                return False
    return all(edge.relation.link_in(carrier) is not None for carrier in carriers)


def _by_channel(steps: Steps) -> bool:
    return any(_varies(step, axis) for step in steps for axis in range(step.lo.ndim) if axis != step.carrier)


def _varies(step: Progression, axis: int) -> bool:
    return bool(step.lo.shape[axis] > 1 or step.hi.shape[axis] > 1)


def _touch(step: Progression, plane: Periodic) -> bool:
    """Whether the fields of the taps that one output reads leave no gap between them, for every output of a period."""
    lo, hi = step.by_phase()
    period = len(lo)
    turns = period // np.gcd(period, abs(plane.jump))
    for taps in plane.taps(np.arange(turns * plane.period)):
        whole, phase = np.divmod(taps[taps != NOTHING], period)
        first, last = lo[phase] + whole * step.jump, hi[phase] + whole * step.jump
        read = first < last
        order = np.argsort(first[read], kind="stable")
        gaps = first[read][order][1:] > np.maximum.accumulate(last[read][order])[:-1]
        if gaps.any():
            return False
    return True


def through_edge(subject: Subject, edge: Edge) -> Steps | None:
    """What the edge's target reads through it, per space axis; None where that is unbounded or has no plane."""
    found = tuple(through(value, edge, subject.plan) for value in subject.walks.extent(edge.source))
    steps = tuple(e for e in found if isinstance(e, Progression))
    return steps if len(steps) == len(found) else None


def _largest(branches: list[Steps | None]) -> int | None:
    """Which branch's boxes hold those of all others, along every axis and in every phase."""
    for at, one in enumerate(branches):
        if one is not None and all(other is not None and _holds(one, other) for other in branches):
            return at
    return None


def _holds(one: Steps, other: Steps) -> bool:
    for a, b in zip(one, other, strict=True):
        if a is b:
            continue
        if a.carrier != b.carrier or a.stride != b.stride:
            return False
        period = np.lcm(a.period, b.period)
        (lo, hi), (low, high) = repeated(a, int(period)).by_phase(), repeated(b, int(period)).by_phase()
        if ((low < lo) | (high > hi)).any():
            return False
    return True
