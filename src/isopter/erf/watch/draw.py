"""Drawing what a watch saw: sigma over training steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from isopter.erf.maps.plot import axes
from isopter.erf.watch.row import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot(rows: Sequence[Row], ax: Axes | None) -> Axes:
    """A line with error bars per layer and space axis. See `Watch.plot`."""
    ax = axes(ax)
    for layer in dict.fromkeys(row.layer for row in rows):
        own = [row for row in rows if row.layer == layer]
        for axis, values in enumerate(zip(*(row.sigma for row in own), strict=True)):
            label = layer if len(own[0].sigma) == 1 else f"{layer}, axis {axis}"
            steps, errors = [row.step for row in own], [value.stderr for value in values]
            ax.errorbar(steps, [float(value) for value in values], yerr=errors, capsize=2, label=label)
    if rows:
        ax.legend()
    ax.set(xlabel="training step", ylabel="sigma, input pixels")
    return ax
