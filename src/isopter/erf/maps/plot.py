"""Drawing an effective field with matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from isopter.erf.maps.measured import Measured
from isopter.erf.maps.metrics import Floats
from isopter.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from isopter.erf.maps.field import EffectiveField

_DECADES = 6
"""How far down a logarithmic scale goes: below a millionth of the maximum the figure would show rounding."""


def plot(field: EffectiveField, ax: Axes | None, *, scale: Literal["linear", "log"], cmap: str) -> Axes:
    """The map as an image (one axis: as a line with its standard error), the theoretical field as a box around it.

    Coordinates are input pixels, whole numbers at pixel centres. Of a volume the slice through the theoretical centre is shown; the title
    says which. Draws into `ax`, or into a new figure; returns the Axes and shows nothing. Raises MissingExtra without matplotlib.
    """
    if scale not in ("linear", "log"):
        raise UsageError(f"scale={scale!r} is unknown. Choose 'linear' or 'log'.")
    ax = axes(ax)
    if field.map.ndim == 1:
        _line(field, ax, scale)
    else:
        _image(field, ax, scale, cmap)
    return ax


def axes(ax: Axes | None) -> Axes:
    """The given Axes, or those of a new figure. Raises MissingExtra without matplotlib."""
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise MissingExtra("matplotlib", "plot", "plot") from None
    return plt.subplots()[1] if ax is None else ax


def figure(fields: Sequence[EffectiveField]) -> Figure:
    """All fields side by side, at most four in a row, as a new figure that nobody shows. Raises MissingExtra without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise MissingExtra("matplotlib", "plot", "A picture") from None
    columns = min(len(fields), 4)
    rows = -(-len(fields) // columns)
    made = Figure(figsize=(4.6 * columns, 4.2 * rows), layout="constrained")
    for at, field in enumerate(fields, start=1):
        plot(field, made.add_subplot(rows, columns, at), scale="linear", cmap="viridis")
    return made


def _line(field: EffectiveField, ax: Axes, scale: str) -> None:
    at = field.origin[0] + np.arange(field.map.size)
    (line,) = ax.plot(at, field.map)
    if isinstance(field, Measured) and field.samples > 1:
        ax.fill_between(at, field.map - field.stderr, field.map + field.stderr, color=line.get_color(), alpha=0.3, linewidth=0)
    if math.isfinite(field.size[0]):
        ax.axvspan(*_box(field, 0), fill=False, linestyle="--", edgecolor="tab:red")
    if scale == "log" and field.map.any():
        ax.set_yscale("log")
        ax.set_ylim(bottom=_floor(field.map))
    ax.set(title=f"{field.layer} ({field.statistic})", xlabel="input pixel")


def _image(field: EffectiveField, ax: Axes, scale: str, cmap: str) -> None:
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    values, said = _slice(field)
    extent = tuple(o + edge - 0.5 for o, n in reversed(list(zip(field.origin[-2:], values.shape, strict=True))) for edge in (0, n))
    x, y = extent[:2], extent[:1:-1]
    norm = LogNorm(_floor(values), values.max(), clip=True) if scale == "log" and values.any() else None
    ax.imshow(values, cmap=cmap, norm=norm, extent=(*x, *y), interpolation="nearest")
    if all(map(math.isfinite, field.size[-2:])):
        (top, bottom), (left, right) = _box(field, -2), _box(field, -1)
        ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, linestyle="--", edgecolor="tab:red"))
        ax.set_xlim(min(x[0], left) - 1, max(x[1], right) + 1)
        ax.set_ylim(max(y[0], bottom) + 1, min(y[1], top) - 1)
    ax.set(title=f"{field.layer} ({field.statistic}){said}", xlabel="input pixel", ylabel="input pixel")


def _slice(field: EffectiveField) -> tuple[Floats, str]:
    """The map's last two axes, at the theoretical centre of the others; what the title says of that."""
    others = field.map.ndim - 2
    at = [min(max(math.floor(c - o), 0), n - 1) for c, o, n in zip(field.center, field.origin, field.map.shape, strict=True)][:others]
    said = ", ".join(f"axis {axis}: pixel {field.origin[axis] + index}" for axis, index in enumerate(at))
    return field.map[tuple(at)], f", slice at {said}" if said else ""


def _box(field: EffectiveField, axis: int) -> tuple[float, float]:
    """Edges of the theoretical field along one axis."""
    return field.center[axis] - field.size[axis] / 2, field.center[axis] + field.size[axis] / 2


def _floor(values: Floats) -> float:
    return float(max(values[values > 0].min(), values.max() * 10.0**-_DECADES))
