"""Picture: a scene, and all that is drawn with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isopter.report.figures.scene import Codes, Scene, Span


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """A scene and how to show it. `head`: the line above it; `facts`: what stands under that. `photo`: an array to stretch over the
    image, or None. `square`: of the effective field, per axis from edge to edge in pixel coordinates, or (). `now`: the pixel at which a
    unit of one axis stands, or None.
    """

    scene: Scene
    head: str
    facts: tuple[str, ...]
    photo: Any = None
    square: tuple[Span, ...] = ()
    zoom: bool | None = None
    now: int | None = None

    @property
    def view(self) -> tuple[tuple[int, int], ...]:
        """The pixels to show, half-open, per axis."""
        return self.scene.view(self.zoom, [(lo + 0.5, hi + 0.5) for lo, hi in self.square])


@dataclass(frozen=True, eq=False)
class Layers:
    """A picture, or a plane through one, on two axes: (rows, columns), all edges in the coordinates of the drawing."""

    codes: Codes
    view: tuple[Span, Span]
    image: tuple[Span, Span]
    box: tuple[Span, Span] | None
    square: tuple[Span, Span] | None
    photo: Any
    zoomed: bool


def layers(picture: Picture, axes: tuple[int, int], at: tuple[int, ...]) -> Layers:
    """The plane along two of the space axes through the pixel `at`. Pixel p is drawn from p - 0.5 to p + 0.5."""
    scene = picture.scene.plane(axes, at)
    pixels = [picture.view[a] for a in axes]
    shown = picture.scene.image
    return Layers(
        codes=scene.codes(pixels),
        view=_edges(pixels),
        image=_edges([(0, n) for n in scene.image]),
        box=_edges(scene.box) if scene.box is not None else None,
        square=(picture.square[axes[0]], picture.square[axes[1]]) if picture.square else None,
        photo=picture.photo,
        zoomed=any(lo > 0 or hi < shown[a] for a, (lo, hi) in zip(axes, pixels, strict=True)),
    )


def _edges(spans: Any) -> tuple[Span, Span]:
    rows, columns = ((float(lo) - 0.5, float(hi) - 0.5) for lo, hi in spans)
    return rows, columns
