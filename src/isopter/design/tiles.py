"""Tiles: how much of the image around a tile is needed for the output of its core to be exactly that of the whole image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from isopter.design.subject import Subject, subject
from isopter.fields.extent import EMPTY, NoPlane, Progression
from isopter.fields.plan import Edge
from isopter.reads.axis import NOTHING
from isopter.reads.relation import Listed, Regroup

if TYPE_CHECKING:
    from isopter.analysis import Analysis


@dataclass(frozen=True)
class Halo:
    """The exact halo of one layer, per space axis in input pixels, or (`why` is not "") why there is none.

    Cut the image into cores that start at multiples of `step` and have a length that is one; run each with `before` more pixels in
    front of it and `after` behind, as far as the image goes; keep the output of the core. Then the outputs put together equal the output
    of the whole image. `reach_before` and `reach_after` are how far the fields of a core's units reach beyond it; what is needed is that,
    or more where layers crop, rounded up to `step`.
    """

    layer: str
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    step: tuple[int, ...] = ()
    reach_before: tuple[int, ...] = ()
    reach_after: tuple[int, ...] = ()
    why: str = ""

    @property
    def exists(self) -> bool:
        """Whether there is a finite exact halo."""
        return not self.why

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "layer": self.layer,
            "before": list(self.before),
            "after": list(self.after),
            "step": list(self.step),
            "reach_before": list(self.reach_before),
            "reach_after": list(self.reach_after),
            "why": self.why,
        }


def halo(analysis: Analysis, layer: object, *, input: str | None = None) -> Halo:
    """The exact halo of a layer, by name or index, over one of the model's inputs.

    With P output units every J pixels, unit i reading [lo(i), hi(i)) on the plane: the step is J, a multiple of the stride of every layer
    on the way, so that all of them fall on the same grid in a tile as in the image. The core of units 0..P-1 starts at pixel 0 and ends
    at J: reach_before = max(0, max of -lo(i)), reach_after = max(0, max of hi(i) - J), both rounded up to J.

    Besides, every position that is read of a layer on the way must be there in the tile. With stride s, position k of a layer is there
    from pixel k s on and until the tile ends at (k + 1 - e) s, where e is how many positions the layer has beyond (pixels / s): below 0
    where it crops. This asks for more than the fields only where a crop comes before a padding. At image sizes that are no multiple of
    the step, e may be rounded down to one step less.

    A U-Net of depth 4: step 16, reach 94, halo 96. There is none where fields are unbounded, where layers normalise over space or read
    through a summary, where the grid of units depends on the image's size, and where the image's ends are joined. Not looked at are
    weights that depend on position, such as learned position embeddings: a model with those gives no equal tiles. An interpolation to
    a size, not by a factor, is taken to follow an earlier map of that size. Raises LayerNotFound.
    """
    return halo_of(subject(analysis, input=input), analysis.find(layer))


def halo_of(about: Subject, op: int) -> Halo:
    """See `halo`."""
    name = about.name(op)
    if not about.plan.depends(op) or 0 in about.ops[op].shape or 0 in about.image:
        return Halo(name, why="it reads nothing of the image")
    why = _hindrance(about, op)
    if why:
        return Halo(name, why=why)
    steps = about.steps(op)
    assert steps is not None
    reaches = [_reach(step) for step in steps]
    step = tuple(s.jump for s in steps)
    before, after = tuple(r[0] for r in reaches), tuple(r[1] for r in reaches)
    there = [_there(about, op, axis) for axis in about.axes]
    least = tuple(max(r, t[0]) for r, t in zip(before, there, strict=True)), tuple(max(r, t[1]) for r, t in zip(after, there, strict=True))
    return Halo(name, _up(least[0], step), _up(least[1], step), step, before, after)


def joined(halos: list[Halo]) -> Halo:
    """One halo that serves all these layers: the least common step, the largest reaches. The first that has none decides."""
    without = next((h for h in halos if not h.exists), None)
    if without is not None:
        return without
    step = tuple(math.lcm(*steps) for steps in zip(*(h.step for h in halos), strict=True))

    def most(key: str) -> tuple[int, ...]:
        return tuple(max(pixels) for pixels in zip(*(getattr(h, key) for h in halos), strict=True))

    before, after = _up(most("before"), step), _up(most("after"), step)
    return replace(halos[0], before=before, after=after, step=step, reach_before=most("reach_before"), reach_after=most("reach_after"))


def _to_a_size_of_its_own(about: Subject, op: int) -> bool:
    """Whether an interpolation was given a size, not a factor, and one that follows no other map by a whole factor."""
    target = about.ops[op]
    source, rank, count = about.ops[target.inputs[0]], len(target.shape), len(target.params["steps"])
    axes = tuple(target.params.get("layout", range(rank)))[rank - count :]
    before, after = tuple(source.shape[a] for a in axes), tuple(target.shape[a] for a in axes)
    if before == after or None not in target.params["steps"]:
        return False
    whole = all(n and m and (m % n == 0 or n % m == 0) for n, m in zip(before, after, strict=True))
    same = (other for other in about.ops[:op] if len(other.shape) == rank)
    return not whole or not any(tuple(other.shape[a] for a in axes) == after for other in same)


def _reach(step: Progression) -> tuple[int, int]:
    lo, hi = step.by_phase()
    read = lo < hi
    low, high = lo[read].min(initial=EMPTY), hi[read].max(initial=-EMPTY)
    return max(0, -int(low)), max(0, int(high) - step.jump)


def _there(about: Subject, op: int, axis: int) -> tuple[int, int]:
    """How many pixels before and after a core a tile needs for every position that is read on the way to be in it."""
    steps = about.steps(op)
    assert steps is not None
    end = steps[axis].jump
    before, after = Fraction(0), Fraction(0)
    image, tiles = about.image[axis], about.image[axis] // end * end
    for source, (first, last) in _positions(about, op, axis).items():
        found = about.walks.extent(source)[axis]
        assert isinstance(found, Progression)
        count = about.ops[source].shape[found.carrier]
        spare = count - image / found.stride if image == tiles else count - (tiles + end) / found.stride
        before = max(before, -first * found.stride)
        after = max(after, (last - spare) * found.stride - end)
    return math.ceil(before), math.ceil(after)


def _positions(about: Subject, op: int, axis: int) -> dict[int, tuple[int, int]]:
    """By op, the first and last + 1 position read on the plane, along the axis that steps through space, by one core of `op`."""
    start = about.walks.extent(op)[axis]
    assert isinstance(start, Progression)
    found = {op: (0, start.period)}
    for target in range(op, about.origin, -1):
        if target not in found:
            continue
        for edge in about.plan.incoming(target, False):
            source = about.walks.extent(edge.source)[axis]
            assert isinstance(source, Progression)
            read = found[target] if edge.plain else _read(about, edge, source.carrier, *found[target])
            if read is not None:
                known = found.get(edge.source, read)
                found[edge.source] = min(known[0], read[0]), max(known[1], read[1])
    return found


def _read(about: Subject, edge: Edge, carrier: int, first: int, last: int) -> tuple[int, int] | None:
    """The first and last + 1 position of `carrier` that the positions [first, last) read through one edge; None if they read nothing."""
    link = edge.relation.link_in(carrier)
    assert link is not None and not isinstance(link.map, Listed)
    if isinstance(link.map, Regroup):
        outs = [about.ops[edge.target].shape[a] for a in link.outs]
        inner_out = math.prod(outs[next((k for k, n in enumerate(outs) if n > 1), 0) + 1 :])
        inner_in = math.prod(about.ops[edge.source].shape[a] for a in link.ins[link.ins.index(carrier) + 1 :])
        return first * inner_out // inner_in, -(-last * inner_out // inner_in)
    plane = link.map.plane
    assert plane is not None
    taps = plane.taps(np.arange(first, last))
    read = taps[taps != NOTHING]
    return (int(read.min()), int(read.max()) + 1) if read.size else None


def _up(reach: tuple[int, ...], step: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-(-r // s) * s for r, s in zip(reach, step, strict=True))


def _hindrance(about: Subject, op: int) -> str:
    """Why tiles of the image cannot give the same output, or ""."""
    plan = about.plan
    if plan.context[op]:
        return "it also reads the whole image through a summary, such as a gate or a norm's statistics"
    if plan.exactness[op] != "exact":
        return "its field is only bounded"
    extents = about.walks.extent(op)
    if any(isinstance(e, NoPlane) for e in extents):
        return next(e.why for e in extents if isinstance(e, NoPlane))
    steps = about.steps(op)
    if steps is None:
        return "its field is unbounded: it reads a whole axis"
    if any(s.jump <= 0 for s in steps):
        return "it turns the image around"
    for source in sorted(about.above((op,), context=False)):
        kind, params = about.ops[source].kind, about.ops[source].params
        if kind == "adaptive_pool" or (kind == "resample" and _to_a_size_of_its_own(about, source)):
            return f"{about.name(source)} fits its steps to the size of the image"
        if kind == "roll" or (kind == "pad" and params["mode"] == "circular"):
            return f"{about.name(source)} joins the ends of the image"
    return ""
