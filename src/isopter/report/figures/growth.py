"""How fields grow with depth, drawn: `Analysis.plot`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from isopter.design.effects import GIVE, checked
from isopter.errors import UsageError
from isopter.report.figures import look
from isopter.report.rows import field_of, select

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isopter.analysis import Analysis

SHARE = 0.95
"""Of an effective field's mass, whose square's side is drawn."""

BAND = 0.09
"""A module's name is written in the picture if it takes at least this part of its width."""


@dataclass(frozen=True)
class Point:
    """One op: its place in the order of the network, its name, the size of its field (largest axis, input pixels; inf where unbounded),
    and whether it lies on the way of the widest fields, from the input to the last output."""

    op: int
    name: str
    size: float
    main: bool


def plot(analysis: Analysis, ax: Any, effective: Any, layers: str | Sequence[str] | None) -> Axes:
    """See `Analysis.plot`."""
    found = points(analysis, layers)
    sides = _sides(analysis, effective)
    with look.drawing(ax, look.COLUMN, 2.6) as made:
        bounded = [p for p in found if 0 < p.size < math.inf]
        main, beside = [p for p in bounded if p.main], [p for p in bounded if not p.main]
        made.set_yscale("log")
        named = _bands(made, analysis, [p.op for p in found])
        if beside:
            made.plot(*_xy(beside), "o", color=look.THEORY, alpha=0.35, markersize=2.5, markeredgewidth=0, label="parallel branches")
        if main:
            made.plot(*_xy(main), "o-", color=look.THEORY, markersize=2.5, linewidth=1.3, label="theoretical field", zorder=3)
        if sides:
            made.plot(*zip(*sides, strict=True), "s-", color=look.EFFECTIVE, markersize=3, linewidth=1.3, label="effective, 95 %", zorder=4)
        _unbounded(made, [p for p in found if p.size == math.inf])
        _input(made, analysis, found)
        _ticks(made)
        made.set(xlabel="op, in the order they run", ylabel="size, input pixels")
        look.title(made, look.name(str(analysis.name), keep="start"), above=1.2 if named else 0)
        made.legend(fontsize=look.small(made), frameon=False, loc="best", handlelength=1.6)
    return made


def points(analysis: Analysis, layers: str | Sequence[str] | None = None) -> list[Point]:
    """The rows of the table as points: all, or those that the patterns match."""
    if layers is None:
        rows: Iterable[tuple[str, int]] = select(analysis).rows
    else:
        patterns = [layers] if isinstance(layers, str) else list(layers)
        chosen = {index: name for pattern in patterns for name, index in select(analysis, pattern=pattern).rows}
        rows = [(name, index) for index, name in sorted(chosen.items())]
    way = _way(analysis)
    return [Point(index, name, _size(analysis, index), index in way) for name, index in rows]


def _size(analysis: Analysis, index: int) -> float:
    return float(max(field_of(analysis, index).size, default=math.inf))


def _way(analysis: Analysis) -> set[int]:
    """From the last output back to the input, at every op by the source that sees most."""
    at = analysis.graph.outputs[-1]
    walks = field_of(analysis, at).walks
    way = {at}
    while at != walks.plan.origin:
        edges = list(walks.plan.incoming(at, walks.whole(at, False)))
        if not edges:
            break
        at = max(edges, key=lambda edge: _size(analysis, edge.source)).source
        way.add(at)
    return way


def _sides(analysis: Analysis, effective: Any) -> list[tuple[int, float]]:
    """(op, side) of every effective field, in order; what theory cannot say is passed over."""
    if effective is None:
        return []
    if not isinstance(effective, Iterable):
        raise UsageError(f"effective={type(effective).__name__} must be a mapping. {GIVE}.")
    fields = effective.items() if isinstance(effective, Mapping) else [(getattr(f, "layer", None), f) for f in effective]
    sides = []
    for name, field in fields:
        if not getattr(field, "applies", True):
            continue
        checked(analysis, {name: field})
        side = float(field.side(SHARE))
        sides += [(analysis.find(name), side)] if math.isfinite(side) else []
    return sorted(sides)


def _xy(found: Sequence[Point]) -> tuple[list[int], list[float]]:
    return [p.op for p in found], [p.size for p in found]


def _unbounded(ax: Axes, found: Sequence[Point]) -> None:
    """At the upper edge, wherever that is."""
    if found:
        at = [p.op for p in found]
        ax.plot(at, [0.985] * len(at), "^", color=look.THEORY, markersize=4, transform=ax.get_xaxis_transform(), label="the whole input")


def _input(ax: Axes, analysis: Analysis, found: Sequence[Point]) -> None:
    """The image's longest side: above it a field is more than the image."""
    if found:
        side = max(field_of(analysis, found[-1].op).input_shape, default=0)
        if side:
            ax.axhline(side, color=look.INK, linewidth=0.8, linestyle=(0, (4, 2)), label=f"input, {side}")


def _ticks(ax: Axes) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    ax.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _bands(ax: Axes, analysis: Analysis, shown: Sequence[int]) -> bool:
    """A faint band behind every second of the outermost modules, and above, where there is room, their names: whether there are any."""
    if not shown:
        return False
    named = False
    ax.set_xlim(min(shown) - 0.8, max(shown) + 0.8)
    modules = [op.module.partition(".")[0] for op in analysis.graph.ops]
    edges = [i for i, (a, b) in enumerate(pairwise(modules), start=1) if a != b]
    for turn, (start, end) in enumerate(pairwise([0, *edges, len(modules)])):
        lo, hi = max(start - 0.5, ax.get_xlim()[0]), min(end - 0.5, ax.get_xlim()[1])
        if hi <= lo or not modules[start]:
            continue
        if turn % 2:
            ax.axvspan(lo, hi, color="#f1f3f6", linewidth=0, zorder=0)
        if (hi - lo) / (ax.get_xlim()[1] - ax.get_xlim()[0]) >= BAND:
            ax.text(
                (lo + hi) / 2, 1.01, look.name(modules[start], 10), transform=ax.get_xaxis_transform(), ha="center", va="bottom",
                fontsize=0.9 * look.small(ax), color=look.FAINT, parse_math=False,
            )  # fmt: skip
            named = True
    return named
