"""The sum behind a field's size: what each op adds along the widest path."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isopter.fields.extent import Extent, Progression
from isopter.fields.walks import Walks
from isopter.reads.axis import Spread, Window
from isopter.reads.relation import Link


@dataclass(frozen=True)
class Term:
    """One op on the widest path: it adds `growth` pixels, reaching `size`.

    For windows growth = (kernel - 1) * dilation * jump, with `jump` the input pixels per step of what it reads.
    """

    layer: str
    kind: str
    kernel: int | None
    stride: int | None
    dilation: int | None
    jump: float | None
    growth: float
    size: float


@dataclass(frozen=True)
class Explanation:
    """``size = 1 + sum of growths``, term by term from the input (Araujo, Norris & Sim 2019, eq. 1)."""

    layer: str
    axis: int
    terms: tuple[Term, ...]

    @property
    def size(self) -> float:
        return self.terms[-1].size if self.terms else 1

    def __str__(self) -> str:
        grown = [t for t in self.terms if t.growth]
        sums = " + ".join(f"{t.growth:g}" for t in grown)
        lines = [f"{self.layer}, axis {self.axis}: size = 1{f' + {sums}' if sums else ''} = {self.size:g} pixels"]
        for t in grown:
            formula = f"({t.kernel} - 1) x {t.dilation} x {t.jump:g}" if t.kernel is not None and t.jump is not None else t.kind
            lines.append(f"  {t.layer}: {t.growth:+g} = {formula} -> {t.size:g}")
        return "\n".join(lines)


def explain(walks: Walks, op: int, axis: int) -> Explanation:
    """Walk back from `op` along the inputs with the largest fields; each step's growth is the difference of two sizes."""
    plan = walks.plan
    terms: list[Term] = []
    context = walks.whole(op, False)
    at = op
    while at != plan.origin:
        best = max(plan.incoming(at, context), key=lambda e: _size(walks.extent(e.source)[axis]))
        size, before = _size(walks.extent(at)[axis]), _size(walks.extent(best.source)[axis])
        growth = 0.0 if math.isinf(before) else size - before
        source = walks.extent(best.source)[axis]
        jump = source.stride if isinstance(source, Progression) else None
        link = best.relation.link_in(source.carrier) if isinstance(source, Progression) else None
        kernel, stride, dilation = _numbers(link)
        node = plan.graph.ops[at]
        terms.append(Term(node.name, node.kind, kernel, stride, dilation, float(jump) if jump is not None else None, growth, size))
        at = best.source
    return Explanation(plan.graph.ops[op].name, axis, tuple(reversed(terms)))


def _size(extent: Extent) -> float:
    if not isinstance(extent, Progression):
        return math.inf
    lo, hi = extent.by_phase()
    return float(max((h - low for low, h in zip(lo, hi, strict=True)), default=0))


def _numbers(link: Link | None) -> tuple[int | None, int | None, int | None]:
    match link.map if link is not None else None:
        case Window(size, stride, dilation):
            return size, stride, dilation
        case Spread(size, stride, dilation):
            return None, stride, dilation
        case _:
            return None, None, None
