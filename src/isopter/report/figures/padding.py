"""Exposure to padding, drawn: `Field.plot_padding`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from isopter.report.figures import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isopter.fields.field import Field

COLORS = "cividis"
"""Even in lightness, and the same to the colour-blind."""


def plot(field: Field, ax: Axes | None) -> Axes:
    """See `Field.plot_padding`. One axis is a line; a layer with a single unit one cell. The scale is always 0 to 100 %."""
    shares = field.padding_shares()
    facts = [f"padding: {_percent(shares.mean())} of the field on average" if shares.size else "no units"]
    if shares.size > 1:
        facts.append(f"from {_percent(shares.min())} to {_percent(shares.max())}")
    with look.drawing(ax, look.COLUMN, 2.0 if shares.ndim == 1 else 2.9) as made:
        if shares.ndim == 1:
            _line(made, shares)
        else:
            at = tuple(n // 2 for n in shares.shape[:-2])
            facts += [f"unit axis {axis} at {index}" for axis, index in enumerate(at)]
            _map(made, np.atleast_2d(shares[at] if shares.size else np.zeros((1, 0))))
        look.title(made, look.name(field.name), facts)
    return made


def _line(ax: Axes, shares: Any) -> None:
    ax.fill_between(np.arange(shares.size), 100 * shares, step="mid", color=look.RULE, linewidth=0)
    ax.step(np.arange(shares.size), 100 * shares, where="mid", color=look.INK, linewidth=1, marker="." if shares.size < 3 else "")
    ax.set(xlabel="unit", ylabel="padding, %", ylim=(0, 100), xlim=(-0.5, max(shares.size, 1) - 0.5))


def _map(ax: Axes, shares: Any) -> None:
    shown = ax.imshow(100 * shares, cmap=COLORS, vmin=0, vmax=100, interpolation="nearest")
    ax.set(xlabel="unit", ylabel="unit")
    figure: Any = ax.get_figure(root=True)
    bar = figure.colorbar(shown, ax=ax, shrink=0.85, pad=0.03)
    bar.set_label("padding in the field, %", fontsize=look.small(ax))
    bar.ax.tick_params(labelsize=look.small(ax), length=2)
    bar.outline.set_visible(False)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
