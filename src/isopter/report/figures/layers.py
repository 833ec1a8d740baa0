"""Painting of two axes of space: the picture, what is read of it, the field's box and the image's edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from isopter.report.figures import look
from isopter.report.figures.picture import Layers
from isopter.report.figures.scene import HOLE, NOWHERE, PADDING, READ, UNREAD, Codes, Span

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

PLAIN = {NOWHERE: "#ffffff00", UNREAD: "#d9dee6", READ: "#fbbf6b", HOLE: "#ffffff", PADDING: "#fdebd3"}
OVER = {NOWHERE: "#ffffff00", UNREAD: "#0b1220a0", READ: "#ffffff00", HOLE: "#ffffff", PADDING: "#fdebd3"}
"""Colours of what a pixel is, on paper and over a photograph, where what is not read is darkened."""

MOST_LINES = 48
"""Pixels along the longer side of a view up to which a grid parts them."""

MOST_DOTS = 1600
"""Pixels along the longer side of a view beyond which blocks of them are drawn: more dots than any print of a figure has."""


def paint(ax: Axes, shown: Layers) -> None:
    """Everything but words. From back to front: photograph, pixels, padding, image edge, box, effective square."""
    from matplotlib.ticker import MaxNLocator

    (top, bottom), (left, right) = shown.view
    if shown.photo is not None:
        _photo(ax, shown)
    _codes(ax, shown)
    if shown.box is not None:
        _padding(ax, shown.box, shown.image)
    _frame(ax, shown.image, edgecolor=look.INK, linewidth=0.9, zorder=3, label="image")
    if shown.box is not None:
        _frame(ax, shown.box, edgecolor=look.THEORY, linewidth=1.5, zorder=4, label="field")
    if shown.square is not None:
        _frame(ax, shown.square, edgecolor=look.EFFECTIVE, linewidth=1.5, linestyle=(0, (3, 1.5)), zorder=5, label="effective")
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    for axis in (ax.xaxis, ax.yaxis):  # a pixel is a whole number
        axis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    for spine in ax.spines.values():
        spine.set_visible(False)
    if shown.zoomed:
        _map(ax, shown)


def key(shown: Layers) -> list[Artist]:
    """The legend's entries: what is there, and nothing else."""
    from matplotlib.patches import Patch

    colors = OVER if shown.photo is not None else PLAIN
    there = {code for code in colors if (shown.codes == code).any()}
    entries: list[Artist] = []
    if READ in there and shown.photo is None:
        entries.append(Patch(facecolor=colors[READ], label="read"))
    if UNREAD in there:
        entries.append(Patch(facecolor="#5b6472" if shown.photo is not None else colors[UNREAD], label="not read"))
    if there & {PADDING, HOLE}:
        entries.append(Patch(facecolor=colors[PADDING], edgecolor=look.HATCH, hatch="/////", linewidth=0, label="padding"))
    if shown.box is not None:
        entries.append(Patch(fill=False, edgecolor=look.THEORY, linewidth=1.5, label="field"))
    if shown.square is not None:
        entries.append(Patch(fill=False, edgecolor=look.EFFECTIVE, linewidth=1.5, linestyle=(0, (3, 1.5)), label="effective, 95 %"))
    return entries


def _photo(ax: Axes, shown: Layers) -> None:
    (top, bottom), (left, right) = shown.image
    most = 255 if shown.photo.dtype.kind in "ui" else 1
    grey: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": most} if shown.photo.ndim == 2 else {}
    ax.imshow(shown.photo, extent=(left, right, bottom, top), zorder=0, **grey)


def _codes(ax: Axes, shown: Layers) -> None:
    """Mixed as colours where several pixels share a dot: the average of "read" and "padding" must not be "not read"."""
    from matplotlib.colors import ListedColormap

    (top, bottom), (left, right) = shown.view
    colors = OVER if shown.photo is not None else PLAIN
    size = max(shown.codes.shape)
    if size > MOST_DOTS:
        mixed, steps = blended(shown.codes, colors)
        height, width = (n * step for n, step in zip(mixed.shape, steps, strict=False))
        ax.imshow(mixed, extent=(left, left + width, top + height, top), zorder=1)
        return
    ax.imshow(
        shown.codes,
        cmap=ListedColormap([colors[code] for code in range(len(colors))]),
        vmin=-0.5,
        vmax=len(colors) - 0.5,
        extent=(left, right, bottom, top),
        interpolation="antialiased" if size > MOST_LINES else "nearest",
        interpolation_stage="rgba",
        zorder=1,
    )
    if size <= MOST_LINES:
        grid: dict[str, Any] = {"colors": "white", "linewidth": 0.3, "alpha": 1 if shown.photo is None else 0.3, "zorder": 1.5}
        ax.vlines(np.arange(left + 1, right), top, bottom, **grid)
        ax.hlines(np.arange(top + 1, bottom), left, right, **grid)


def blended(codes: Codes, colors: Mapping[int, str]) -> tuple[npt.NDArray[np.float32], tuple[int, int]]:
    """(Colours of blocks of pixels (RGBA), rows and columns of a block): the mean of its pixels, those beyond the edge clear."""
    from matplotlib.colors import to_rgba

    down, across = (-(-n // (MOST_DOTS // 2)) if n > MOST_DOTS else 1 for n in codes.shape)
    height, width = -(-codes.shape[0] // down), -(-codes.shape[1] // across)
    padded = np.full((height * down, width * across), NOWHERE, np.uint8)
    padded[: codes.shape[0], : codes.shape[1]] = codes
    mixed = np.zeros((height, width, 4), np.float32)
    for code, color in colors.items():
        share = (padded == code).reshape(height, down, width, across).mean((1, 3), dtype=np.float32)
        red, green, blue, alpha = to_rgba(color)
        mixed += share[..., None] * np.array((red * alpha, green * alpha, blue * alpha, alpha), np.float32)
    mixed[..., :3] /= np.maximum(mixed[..., 3:], 1e-6)
    return mixed.clip(0, 1), (down, across)


def _padding(ax: Axes, box: tuple[Span, Span], image: tuple[Span, Span]) -> None:
    """Hatch what of the box lies outside the image: the box with the image's part of it as a hole."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    inner = [(max(b[0], i[0]), min(b[1], i[1])) for b, i in zip(box, image, strict=True)]
    if all(a == b for a, b in zip(inner, box, strict=True)):
        return
    outline = Path(_corners(*box), closed=True)
    if all(hi > lo for lo, hi in inner):
        outline = Path.make_compound_path(outline, Path(_corners(*inner)[::-1], closed=True))
    ax.add_patch(PathPatch(outline, facecolor="none", edgecolor=look.HATCH, hatch="/////", linewidth=0, zorder=2, label="padding"))


def _corners(rows: Span, columns: Span) -> np.ndarray:
    (top, bottom), (left, right) = rows, columns
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])


def _frame(ax: Axes, spans: tuple[Span, Span], **how: Any) -> None:
    from matplotlib.patches import Rectangle

    (top, bottom), (left, right) = spans
    style: dict[str, Any] = {"fill": False, "joinstyle": "miter"} | how
    ax.add_patch(Rectangle((left, top), right - left, bottom - top, **style))


def _map(ax: Axes, shown: Layers) -> None:
    """Where in the image a view of a part of it is: beside the Axes, where it covers nothing."""
    inset = ax.inset_axes((1.03, 0.72, 0.28, 0.28))
    if shown.photo is not None:
        _photo(inset, shown)
    (top, bottom), (left, right) = shown.image
    _frame(inset, shown.image, facecolor=PLAIN[UNREAD], fill=shown.photo is None, edgecolor=look.INK, linewidth=0.6)
    if shown.box is not None:
        _frame(inset, shown.box, edgecolor=look.THEORY, linewidth=1)
        rows, columns = shown.box
        top, bottom, left, right = min(top, rows[0]), max(bottom, rows[1]), min(left, columns[0]), max(right, columns[1])
    margin = 0.03 * max(right - left, bottom - top)
    inset.set(xlim=(left - margin, right + margin), ylim=(bottom + margin, top - margin), aspect="equal", anchor="NW")
    inset.set_axis_off()
    inset.set_label("whole image")
