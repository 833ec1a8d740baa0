"""How the routes through a network spread over field sizes, drawn: `PathDistribution.plot` and `EnergyPaths.plot`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from isopter.errors import UsageError
from isopter.report.figures import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isopter.fields.paths import EnergyPaths, PathDistribution

MOST_BARS = 120
"""Neighbouring sizes share a bar beyond that: thinner ones would not be seen."""


DEEP = 10**6
"""On the logarithmic scale bars stand on a ground so many decades down, out of sight. The axis is of logarithms: floats end at 1e308."""


@dataclass(frozen=True)
class Bars:
    """Middles of the bars in pixels, their common width, and the logarithm to base 10 of the share that each holds (-inf for none)."""

    at: tuple[float, ...]
    width: float
    logs: tuple[float, ...]


def plot_counts(found: PathDistribution, ax: Any, scale: Literal["linear", "log"]) -> Axes:
    """See `PathDistribution.plot`."""
    facts = [f"{count(found.total)} path{'' if found.total == 1 else 's'}", *_spread(found)]
    if found.unbounded:
        facts.append(f"{count(found.unbounded)} of them read the whole axis")
    bars = binned(found.sizes, found.counts, found.total)
    return _draw(bars, found.mean, facts, ax, scale, look.THEORY, "paths, by number", "share of paths")


def plot_energy(found: EnergyPaths, ax: Any, scale: Literal["linear", "log"]) -> Axes:
    """See `EnergyPaths.plot`."""
    facts = ["weighted by gradient energy", *_spread(found)]
    if found.unbounded:
        facts.append(f"{found.unbounded:.1%} reads the whole axis")
    bars = binned(found.sizes, found.shares, 1)
    return _draw(bars, found.mean, facts, ax, scale, look.EFFECTIVE, "paths, by energy", "share of energy")


def binned(sizes: Sequence[int], weights: Sequence[int] | Sequence[float], total: int | float) -> Bars:
    """One bar per size, or per run of sizes. Weights are as exact as they come: counts may have any size."""
    if not sizes:
        return Bars((), 1.0, ())
    grid = math.gcd(*(b - a for a, b in pairwise(sizes))) or 1
    step = grid * -(-((sizes[-1] - sizes[0]) // grid + 1) // MOST_BARS)
    sums: dict[int, Any] = {}
    for size, weight in zip(sizes, weights, strict=True):
        bar = (size - sizes[0]) // step
        sums[bar] = sums.get(bar, 0) + weight
    logs = tuple(_log(weight) - _log(total) if weight > 0 else -math.inf for weight in sums.values())
    return Bars(tuple(sizes[0] + step * bar + (step - grid) / 2 for bar in sums), float(step), logs)


def _log(value: float | Fraction) -> float:
    """To base 10; of whole numbers of any size."""
    return math.log10(value)


def _draw(bars: Bars, mean: float, facts: Sequence[str], ax: Any, scale: str, color: str, label: str, what: str) -> Axes:
    if scale not in ("linear", "log"):
        raise UsageError(f"scale={scale!r} is unknown. Choose 'linear' or 'log'.")
    with look.drawing(ax, look.COLUMN, 2.3) as made:
        first = not made.patches
        if bars.at:
            (_bars if first else _steps)(made, bars, scale, color, label)
            _scale(made, bars, scale, first)
            made.axvline(mean, color=look.INK if first else color, linewidth=1, linestyle=(0, (4, 2)), label=f"mean {mean:.1f}")
            if first and len(bars.at) == 1:  # one bar as wide as the picture would look like many paths
                made.set_xlim(bars.at[0] - 10, bars.at[0] + 10)
        else:
            made.text(0.5, 0.5, "every path reads the whole axis", transform=made.transAxes, ha="center", fontsize=look.small(made))
        made.set(xlabel="field size of a path, input pixels", ylabel=what if first else "share")
        if first:
            look.title(made, facts[0], facts[1:])
        else:  # two titles would be one too many: the legend takes their place
            made.set_title("", loc="left")
            look.below(made, made.get_legend_handles_labels()[0], columns=2)
    return made


def _heights(bars: Bars, scale: str) -> tuple[Any, Any]:
    """(Middles, heights): shares in percent, or their logarithms, where there are any."""
    at, logs = np.array(bars.at), np.array(bars.logs)
    return (at, 100 * 10.0**logs) if scale == "linear" else (at[np.isfinite(logs)], logs[np.isfinite(logs)])


def _bars(ax: Axes, bars: Bars, scale: str, color: str, label: str) -> None:
    at, heights = _heights(bars, scale)
    ground = 0 if scale == "linear" else -DEEP
    ax.bar(at, heights - ground, bottom=ground, width=bars.width * 0.86, color=color, alpha=0.9, linewidth=0, label=label)


def _steps(ax: Axes, bars: Bars, scale: str, color: str, label: str) -> None:
    """Over bars that are there already."""
    at, heights = _heights(bars, scale)
    ax.plot(at, heights, drawstyle="steps-mid", color=color, linewidth=1.3, label=label)


def _scale(ax: Axes, bars: Bars, scale: str, first: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    if scale == "linear":
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
        return
    floor = math.floor(min(v for v in bars.logs if math.isfinite(v)) - 0.05)
    ax.set_ylim(floor if first else min(floor, ax.get_ylim()[0]), 0)
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_formatter(lambda value, _: f"$10^{{{value:g}}}$")


def _spread(found: PathDistribution | EnergyPaths) -> list[str]:
    return [] if math.isnan(found.mean) else [f"mean {found.mean:.1f}, sd {found.sd:.1f} px"]


def count(n: int) -> str:
    """A whole number of any size, shortened where it is long."""
    if n < 10**9:
        return f"{n:,}"
    power = math.floor(math.log10(n))
    lead = Fraction(n, 10**power)
    return f"{float(lead):.3g}\u00b710^{power}"
