"""Coverage: how many of the objects to be found fit inside what each layer sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isopter.design.objects import Objects
from isopter.design.rules.effect import expected_of
from isopter.design.rules.size import plain
from isopter.design.subject import Subject, pixels, subject
from isopter.errors import LayerNotFound, UsageError

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.design.subject import Effects
    from isopter.erf.maps.field import EffectiveField


@dataclass(frozen=True)
class LayerCoverage:
    """What one layer sees of the objects.

    `size`: its theoretical field, (height, width) in pixels, inf where unbounded; `theoretical`: the share of objects whose box is
    no larger, on both sides. `side`: that of the square that holds 95 % of its effective field; `effective`: the share of objects
    that fit inside that. `how`: "measured", "expected", or "" where no effective field is known (then both are None).
    """

    layer: str
    size: tuple[int | float, ...]
    theoretical: float
    side: float | None = None
    effective: float | None = None
    how: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an unbounded size is "inf"."""
        return {
            "layer": self.layer,
            "size": plain(self.size),
            "theoretical": self.theoretical,
            "side": self.side,
            "effective": self.effective,
            "how": self.how,
        }


@dataclass(frozen=True, eq=False, repr=False)
class Coverage:
    """What share of `objects` each layer can see whole. Printing it shows a table."""

    objects: Objects
    layers: tuple[LayerCoverage, ...]

    def __getitem__(self, layer: str) -> LayerCoverage:
        found = {own.layer: own for own in self.layers}
        if layer not in found:
            raise LayerNotFound(layer, found)
        return found[layer]

    def __repr__(self) -> str:
        head = ("layer", "field", "objects inside", "95 % side", "objects inside")
        rows = [head, *(_row(own) for own in self.layers)]
        if all(own.side is None for own in self.layers):
            rows = [row[:3] for row in rows]
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = ["  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))) for row in rows]
        return "\n".join([repr(self.objects), "", lines[0], "\u2500" * len(lines[0]), *lines[1:]])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the objects' histogram, and a dict per layer."""
        return {"objects": self.objects.to_dict(), "layers": [own.to_dict() for own in self.layers]}


def _row(own: LayerCoverage) -> tuple[str, ...]:
    side = "" if own.side is None else f"{own.side:.4g} px ({own.how})"
    return own.layer, pixels(own.size), f"{own.theoretical:.1%}", side, "" if own.effective is None else f"{own.effective:.1%}"


def coverage(
    analysis: Analysis,
    objects: Objects,
    layers: Sequence[str] | str | None = None,
    effective: Effects | None = None,
    *,
    input: str | None = None,
) -> Coverage:
    """See `Analysis.coverage`."""
    if not isinstance(objects, Objects):
        raise UsageError(f"objects is a {type(objects).__name__}; expected isopter.objects.from_coco(path).")
    if not len(objects):
        raise UsageError("There are no objects to cover.")
    about = subject(analysis, input=input, effective=effective)
    if len(about.axes) != 2:
        raise UsageError(f"Boxes have a height and a width, but the input has {len(about.axes)} space axes. Expected two.")
    given = {analysis.find(name): field for name, field in about.effective.items()}
    chosen = _chosen(about, layers, set(given))
    expecting = set(chosen.values()) if layers is not None else set(about.heads)
    return Coverage(objects, tuple(_covered(about, objects, name, op, given.get(op), op in expecting) for name, op in chosen.items()))


def _chosen(about: Subject, layers: Sequence[str] | str | None, given: set[int]) -> dict[str, int]:
    """Names and ops: those asked for, else every op that is a map and sees something else than its inputs do."""
    analysis = about.analysis
    if layers is not None:
        asked = [layers] if isinstance(layers, str) else list(layers)
        found = {name: analysis.find(name) for pattern in asked for name in (analysis.match(pattern) or (pattern,))}
        for name, op in found.items():
            if not about.plan.depends(op):
                raise UsageError(f"{name} does not depend on the input {about.name(about.origin)!r}, so it sees no object in it.")
        return found
    heads = set(about.heads) | given
    chosen = [i for i in about.seen if about.is_map(i) and (i in heads or not all(e.plain for e in about.plan.incoming(i, False)))]
    return {about.name(i): i for i in chosen}


def _covered(
    about: Subject, objects: Objects, name: str, op: int, effect: EffectiveField | None, expecting: bool
) -> LayerCoverage:
    field = about.field(op)
    inside = float((objects.sizes <= [float(n) for n in field.size]).all(axis=1).mean())
    if effect is None and expecting and about.steps(op) is not None and all(n > 0 for n in field.size):
        effect = expected_of(field)
    side = float(effect.side(0.95)) if effect is not None else math.nan
    if effect is None or not math.isfinite(side):
        return LayerCoverage(name, field.size, inside)
    return LayerCoverage(name, field.size, inside, side, float((objects.sizes <= side).all(axis=1).mean()), effect.how)
