"""Receptive field against accuracy: the figure of Araujo, Norris & Sim 2019, from their published table, with a network of yours in it."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from isopter.errors import UsageError
from isopter.report.figures import look
from isopter.report.rows import field_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isopter.analysis import Analysis

COLORS = {
    "alexnet": "#4d4d4d", "vgg": "#cc79a7", "mobilenet": "#56b4e9", "resnet": look.SECOND, "inception": "#009e73",
    "inception_resnet": "#8c6d31",
}  # fmt: skip
"""By family, told apart also by the colour-blind; none is that of the network marked."""


@dataclass(frozen=True)
class Network:
    """One published network: size of its field in input pixels, top-1 accuracy on ImageNet (a share), GFLOPs."""

    name: str
    size: int
    accuracy: float
    family: str
    gflops: float


@dataclass(frozen=True)
class Fit:
    """``accuracy = slope * ln(size) + intercept``, by least squares, and the part of the variance that it explains."""

    slope: float
    intercept: float
    r2: float


@cache
def published() -> tuple[Network, ...]:
    """The networks of the table that have an accuracy. Its head says where it comes from."""
    text = files("isopter.report.figures").joinpath("rf_vs_accuracy.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        Network(row["model"], int(row["rf_size"]), float(row["imagenet_top1"]), row["family"].removesuffix("_16"), float(row["gflops"]))
        for row in rows
        if row["imagenet_top1"]
    )


def fit(networks: Sequence[Network]) -> Fit:
    """The logarithmic fit of the figure, computed. Raises UsageError for fewer than two networks."""
    if len(networks) < 2:
        raise UsageError(f"A line through {len(networks)} networks is none. Give two or more.")
    x, y = np.log([n.size for n in networks]), np.array([n.accuracy for n in networks])
    slope, intercept = np.polyfit(x, y, 1)
    left = ((y - slope * x - intercept) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    return Fit(float(slope), float(intercept), float(1 - left))


def plot(analysis: Analysis | None = None, ax: Any = None) -> Axes:
    """Top-1 accuracy on ImageNet by the size of the receptive field, on a logarithmic axis, with the fit; areas are as the FLOPs.

    With an analysis, a line at the largest bounded field of that network: where it stands, which says nothing of how good it is. Returns
    the Axes and shows nothing. Raises UsageError where the network has no bounded field, MissingExtra without matplotlib.
    """
    networks, found = published(), fit(published())
    mark = largest(analysis) if analysis is not None else None
    with look.drawing(ax, look.COLUMN, 2.9) as made:
        made.set_xscale("log")
        for network in networks:
            color = COLORS.get(network.family, look.FAINT)
            made.scatter(network.size, 100 * network.accuracy, s=8 + 5 * network.gflops, color=color, alpha=0.75, linewidth=0, zorder=3)
        _names(made, networks)
        ends = [min(n.size for n in networks) * 0.8, max(n.size for n in networks) * 1.35]
        if analysis is not None and mark is not None:
            ends = [min(ends[0], mark * 0.9), max(ends[1], mark * 1.1)]
            made.axvline(mark, color=look.THEORY, linewidth=1.3, label=f"{look.label(str(analysis.name), 24)}: {mark:,}")
        x = np.geomspace(ends[0], ends[1], 100)
        label = f"{found.slope:.4f} ln r + {found.intercept:.3f}, R\u00b2 {found.r2:.2f}"
        made.plot(x, 100 * (found.slope * np.log(x) + found.intercept), color=look.FAINT, linewidth=1, linestyle=(0, (4, 2)), label=label)
        made.set(xlim=ends, ylim=(54, 84), xlabel="receptive field, input pixels", ylabel="top-1 accuracy on ImageNet, %")
        _ticks(made)
        made.legend(fontsize=look.small(made), frameon=False, loc="lower right", handlelength=1.6)
        look.title(made, "Araujo, Norris & Sim 2019", ["area of a circle: FLOPs"])
    return made


def largest(analysis: Analysis) -> int:
    """The largest bounded size of any op along any axis. Raises UsageError where there is none."""
    ops = [index for index in range(len(analysis.ops)) if index not in analysis.graph.inputs]
    sizes = [s for index in ops for s in field_of(analysis, index).size if math.isfinite(s)]
    if not sizes:
        raise UsageError(f"{analysis.name} has no bounded receptive field to mark: every layer reads the whole input.")
    return int(max(sizes))


SIDES = {
    "alexnet_v2": (6, -2, "left"), "vgg_16": (0, 9, "center"), "inception_v2": (3, -10, "left"), "resnet_v1_50": (-2, 6, "center"),
    "resnet_v1_101": (2, -11, "left"), "inception_v3": (-6, 2, "right"), "resnet_v1_152": (9, -3, "left"), "inception_v4": (0, 7, "center"),
    "inception_resnet_v2": (9, -13, "right"),
}  # fmt: skip
"""Where names stand that would run into another: points right and up of the circle's middle, and which end is there. Others: below."""


def _names(ax: Axes, networks: Sequence[Network]) -> None:
    for network in networks:
        right, up, align = SIDES.get(network.name, (0, -10, "center"))
        ax.annotate(
            network.name, (network.size, 100 * network.accuracy), (right, up), textcoords="offset points", ha=align,
            fontsize=0.85 * look.small(ax), color=look.INK, zorder=5,
        )  # fmt: skip


def _ticks(ax: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
