"""The expected squared gradient: a unit's energy pulled back to the input, and how much of it flows where.

The same pull as that of support, in numbers: each edge passes energy on by its gain. It is linear, so its transpose says how much
of what is at any position reaches the input, and from where to where. From the two together follow the flow through every edge
and what every op adds to the variance of the map, exactly (the variance is the sum of what each step leaves undecided).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isopter.fields import linear
from isopter.fields.linear import Block, Step
from isopter.fields.plan import Edge, Plan
from isopter.graph import Op
from isopter.reads.gains import Gain, NotCovered, draws, gains, mixes

Facts = Mapping[str, Mapping[str, Any]]
"""What was measured of ops, by name: params that replace an assumption (see `isopter.reads.gains`)."""

LARGE = 1e120


@dataclass(eq=False, slots=True)
class Pulled:
    """What a pull found: the energy on the input, what was assumed, and the record by which it is run the other way."""

    op: int
    energy: Block
    assumed: tuple[str, ...]
    passes: dict[int, list[tuple[Edge, Step]]] = field(default_factory=dict)
    blocks: dict[int, Block] = field(default_factory=dict)


def pull(plan: Plan, op: int, start: Block, *, context: bool, clip: bool, facts: Facts) -> Pulled | None:
    """Pull the energy `start` of `op` back to the input; None if nothing reaches it. Raises NotCovered."""
    ops = plan.graph.ops
    waiting: dict[int, list[Step]] = {op: []}
    found = Pulled(op, start, ())
    assumed: dict[str, None] = {}
    routes = _Routes(op)
    for target in range(op, plan.origin, -1):
        steps = waiting.pop(target, None)
        if steps is None:
            continue
        block = start if target == op else linear.merge([s.result for s in steps], ops[target].shape)
        top = float(block.values.max(initial=0))
        if top > 0 and not 1 / LARGE < top < LARGE:  # deep residual nets double it at every block
            for step in (s for several in waiting.values() for s in several):
                step.scale_by(1 / top)
            block = Block(block.values / top, block.origin, block.full)
        found.blocks[target], found.passes[target] = block, []
        for edge, gain in passing(plan, target, context, facts, assumed):
            shape = ops[edge.source].shape
            plane = () if clip else plan.units[target]
            made = linear.step(edge, gain, block, shape, ops[target].shape, plane)
            if made is not None:
                routes.take(ops[target], target, edge.source)
                found.passes[target].append((edge, made))
                waiting.setdefault(edge.source, []).append(made)
    if plan.origin not in waiting and op != plan.origin:
        return None
    reached = waiting.get(plan.origin, [])
    found.energy = linear.merge([s.result for s in reached], ops[plan.origin].shape) if reached else start
    found.blocks[plan.origin] = found.energy
    found.assumed = (*assumed, *((COHERENT,) if routes.coherent else ()))
    return found


COHERENT = "ways that meet with no random weights between them are added as if they were independent"


class _Routes:
    """Which op with random weights energy passed last, and whether its neighbours were added up since. Gradients that come the same way
    twice without such weights between are added before they are squared; the theory adds squares, and has to say so."""

    def __init__(self, start: int) -> None:
        self.last: dict[int, dict[int, bool]] = {start: {start: False}}
        self.coherent = False

    def take(self, op: Op, target: int, source: int) -> None:
        """Energy goes from op `target` to what it reads."""
        mixing = mixes(op)
        here = {target: False} if draws(op) else {at: mixed or mixing for at, mixed in self.last[target].items()}
        there = self.last.setdefault(source, {})
        again = any(at in there for at in here)
        self.coherent |= again or (mixing and any(self.last[target].values()))
        there |= here


def passing(plan: Plan, target: int, context: bool, facts: Facts, assumed: dict[str, None]) -> list[tuple[Edge, Gain]]:
    """The edges into `target` that pass energy, with their gains; what they assume is noted. Raises NotCovered, naming the op."""
    edges = list(plan.incoming(target, context))
    if not edges:
        return []
    op = plan.graph.ops[target]
    known = facts.get(op.name)
    told = op if known is None else Op(op.name, op.kind, op.shape, op.inputs, {**op.params, **known}, op.module, op.source)
    every = plan.edges[target] or ()
    slots = _slots(plan, target, every)
    counts = tuple(sum(1 for s, _ in slots.values() if s == k) for k in range(len(op.inputs)))
    gated = _gated(told, edges, slots)
    if gated is not None:
        assumed |= {"a gate is independent of what it gates": None}
        return gated
    try:
        passed = gains(told, plan.graph.input_shapes(op), counts)
    except NotCovered as reason:
        raise NotCovered(f"{reason} ({op.name})") from None
    if passed.assumed:
        assumed |= dict.fromkeys(passed.assumed.split("; "))
    found = []
    for edge in edges:
        slot, at = slots[id(edge)]
        gain = passed.gains[slot][at]
        if gain is not None:
            found.append((edge, gain))
    return found


def _gated(op: Op, edges: list[Edge], slots: dict[int, tuple[int, int]]) -> list[tuple[Edge, Gain]] | None:
    """A product with a summary of the image (a squeeze-excite gate) whose mean square was measured: only the other factor is followed."""
    slopes = op.params.get("slopes")
    if op.kind != "pointwise" or slopes is None or len(op.inputs) < 2 or op.source != "mul" or len(edges) != 1:
        return None
    return [(edges[0], Gain(slopes[slots[id(edges[0])][0]]))]


def _slots(plan: Plan, target: int, edges: tuple[Edge, ...]) -> dict[int, tuple[int, int]]:
    """Which input of the op, and which of its relations, each edge stands for. Edges come in that order."""
    slots: dict[int, tuple[int, int]] = {}
    left = list(edges)
    for slot, source in enumerate(plan.graph.ops[target].inputs):
        again = slot + 1 < len(plan.graph.ops[target].inputs) and plan.graph.ops[target].inputs[slot + 1] == source
        at = 0
        while left and left[0].source == source and not (again and at):
            slots[id(left.pop(0))] = (slot, at)
            at += 1
    return slots


@dataclass(frozen=True, eq=False, slots=True)
class Flows:
    """Where a unit's energy goes: shares through each op and edge (1 at the unit), and what each op adds to the variance.

    `through` maps an op to its share; `edges` an op to the probability of each edge into it; `variance` an op to its part of the
    map's variance, one number per space axis, in input pixels squared.
    """

    through: Mapping[int, float]
    edges: Mapping[int, tuple[tuple[Edge, float], ...]]
    variance: Mapping[int, tuple[float, ...]]


def flows(plan: Plan, found: Pulled, middle: tuple[float, ...]) -> Flows:
    """Run the pull the other way, and read the flows off where the two meet. `middle`: the origin of coordinates, for precision."""
    shapes = [op.shape for op in plan.graph.ops]
    moments = _Moments(found, shapes, plan.origin, plan.axes, middle)
    edges: dict[int, tuple[tuple[Edge, float], ...]] = {}
    spread: dict[int, tuple[float, ...]] = {}
    for target in sorted(found.passes):
        parts = [(edge, *moments.meet(edge.source, step)) for edge, step in found.passes[target]]
        moments.close(target, found.passes[target])
        whole, own = moments.at(target)
        total = sum(mass for _, mass, _ in parts)
        if total <= 0 or whole <= 0:
            edges[target], spread[target] = (), (0.0,) * len(plan.axes)
            continue
        edges[target] = tuple((edge, mass / total) for edge, mass, _ in parts)
        squares = np.sum([square for _, _, square in parts], axis=0)
        spread[target] = tuple(float(max(v, 0.0)) for v in squares / total - own / whole)
    through = {found.op: 1.0}
    for target in sorted(edges, reverse=True):
        for edge, share in edges[target]:
            through[edge.source] = through.get(edge.source, 0.0) + through.get(target, 0.0) * share
    variance = {op: tuple(v * through.get(op, 0.0) for v in parts) for op, parts in spread.items()}
    return Flows(through, edges, variance)


class _Moments:
    """For every position of every op on the way: what of its energy reaches the input, and the mean position where it arrives."""

    def __init__(self, found: Pulled, shapes: list[tuple[int, ...]], origin: int, axes: tuple[int, ...], middle: tuple[float, ...]) -> None:
        self.found, self.shapes = found, shapes
        block = found.blocks[origin]
        block = found.blocks[origin]
        for axis in axes:
            block = linear.expanded(block, axis, shapes[origin][axis])
        found.blocks[origin] = block
        first = [np.ones(block.values.shape)]
        for axis, mid in zip(axes, middle, strict=True):
            at = block.origin[axis] + np.arange(block.values.shape[axis]) - mid
            first.append(np.broadcast_to(at.reshape([-1 if a == axis else 1 for a in range(block.values.ndim)]), block.values.shape))
        self.known: dict[int, list[np.ndarray]] = {origin: first}
        """Per op: what of a unit of energy reaches the input, and that times its mean position there, per space axis."""

    def meet(self, source: int, step: Step) -> tuple[float, np.ndarray]:
        """Of the energy that `step` brought to `source`: what reaches the input, and its mean square position."""
        weight = linear.spread_over(step.result, self.found.blocks[source], self.shapes[source])
        return self._sums(source, weight / step.scale)

    def at(self, op: int) -> tuple[float, np.ndarray]:
        """The same of all energy that is at `op`."""
        return self._sums(op, linear.spread_over(self.found.blocks[op], self.found.blocks[op], self.shapes[op]))

    def _sums(self, op: int, weight: np.ndarray) -> tuple[float, np.ndarray]:
        reach, *where = self.known[op]
        means = [np.divide(w, reach, out=np.zeros_like(reach), where=reach > 0) for w in where]
        return float((weight * reach).sum()), np.array([float((weight * reach * mean**2).sum()) for mean in means])

    def close(self, target: int, passes: list[tuple[Edge, Step]]) -> None:
        """What `target`'s energy comes to, from what its sources' comes to."""
        sums = [np.zeros(self.found.blocks[target].values.shape) for _ in next(iter(self.known.values()))]
        for edge, step in passes:
            whole = self.found.blocks[edge.source]
            for total, values in zip(sums, self.known[edge.source], strict=True):
                total += step.back(linear.restricted(values, whole, step.result))
        top = float(sums[0].max(initial=0))
        if top > 0 and not 1 / LARGE < top < LARGE:
            self.known = {op: [k / top for k in several] for op, several in self.known.items()}
            sums = [s / top for s in sums]
        self.known[target] = sums
