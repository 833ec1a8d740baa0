"""Tiles: how much of the image around a tile is needed for the output of its core to be exactly that of the whole image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from isopter.design.subject import Subject, subject
from isopter.fields.extent import EMPTY, NoPlane, Progression

if TYPE_CHECKING:
    from isopter.analysis import Analysis


@dataclass(frozen=True)
class Halo:
    """The exact halo of one layer, per space axis in input pixels, or (`why` is not "") why there is none.

    Cut the image into cores that start at multiples of `step` and have a length that is one; run each with `before` more pixels in
    front of it and `after` behind, as far as the image goes; keep the output of the core. Then the outputs put together equal the output
    of the whole image. `reach_before` and `reach_after` are what the fields need, before they are rounded up to `step`.
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

    A U-Net of depth 4: step 16, reach 94, halo 96. There is none where fields are unbounded, where layers normalise over space or read
    through a summary, where the grid of units depends on the image's size, and where the image's ends are joined. Not looked at are
    weights that depend on position, such as learned position embeddings: a model with those gives no equal tiles.
    Raises LayerNotFound.
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
    return Halo(name, _up(before, step), _up(after, step), step, before, after)


def joined(halos: list[Halo]) -> Halo:
    """One halo that serves all these layers: the least common step, the largest reaches. The first that has none decides."""
    without = next((h for h in halos if not h.exists), None)
    if without is not None:
        return without
    step = tuple(math.lcm(*steps) for steps in zip(*(h.step for h in halos), strict=True))
    before = tuple(max(reach) for reach in zip(*(h.reach_before for h in halos), strict=True))
    after = tuple(max(reach) for reach in zip(*(h.reach_after for h in halos), strict=True))
    return replace(halos[0], before=_up(before, step), after=_up(after, step), step=step, reach_before=before, reach_after=after)


def _reach(step: Progression) -> tuple[int, int]:
    lo, hi = step.by_phase()
    read = lo < hi
    low, high = lo[read].min(initial=EMPTY), hi[read].max(initial=-EMPTY)
    return max(0, -int(low)), max(0, int(high) - step.jump)


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
        if kind == "adaptive_pool":
            return f"{about.name(source)} fits its windows to the size of the image"
        if kind == "roll" or (kind == "pad" and params["mode"] == "circular"):
            return f"{about.name(source)} joins the ends of the image"
    return ""
