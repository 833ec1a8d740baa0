"""Painting of one axis of space: the samples as cells in a row, with look-back and look-ahead under them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isopter.report.figures import look
from isopter.report.figures.layers import key, paint
from isopter.report.figures.picture import Layers, Picture

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

HEIGHT = (-0.5, 0.5)
"""Of the cells, in the units of the drawing's vertical axis, which means nothing."""


def paint_strip(ax: Axes, picture: Picture) -> None:
    """The row of cells; and, where the unit has a place on the axis, how far it looks back and ahead."""
    scene, view = picture.scene, picture.view
    box = (HEIGHT, (scene.box[0][0] - 0.5, scene.box[0][1] - 0.5)) if scene.box is not None else None
    shown = Layers(
        codes=scene.codes(view)[None],
        view=(HEIGHT, (view[0][0] - 0.5, view[0][1] - 0.5)),
        image=(HEIGHT, (-0.5, scene.image[0] - 0.5)),
        box=box,
        square=(HEIGHT, picture.square[0]) if picture.square else None,
        photo=None,
        zoomed=False,
    )
    paint(ax, shown)
    ax.set(aspect="auto", ylim=(1.9, -0.75), yticks=[], xlabel="input pixel")
    ax.spines["bottom"].set_visible(True)
    entries = key(shown)
    if picture.now is not None and scene.box is not None:
        entries.append(_reach(ax, picture.now, scene.box[0]))
    look.below(ax, entries, columns=5)


def reach(now: int, box: tuple[float, float]) -> tuple[int, int]:
    """(Look-back, look-ahead): how many pixels before and after its own a unit reads, of a half-open box."""
    return max(int(now - box[0]), 0), max(int(box[1] - 1 - now), 0)


def _reach(ax: Axes, now: int, box: tuple[float, float]) -> Artist:
    back, ahead = reach(now, box)
    (line,) = ax.plot([now, now], [-0.7, 1.1], color=look.INK, linewidth=0.9, linestyle=(0, (2, 1.5)), zorder=6, label="unit")
    for count, edge in ((back, now - back - 0.5), (ahead, now + ahead + 0.5)):
        if count:
            arrow = {"arrowstyle": "->", "color": look.INK, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", xy=(edge, 0.85), xytext=(now, 0.85), arrowprops=arrow, annotation_clip=False)
    said = f"look-back {back:,} \u00b7 look-ahead {ahead:,}"
    ax.text(0.5, 1.2, said, transform=ax.get_yaxis_transform(), ha="center", va="top", fontsize=look.small(ax))
    return line
