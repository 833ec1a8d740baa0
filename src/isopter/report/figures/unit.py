"""What one unit reads, drawn: `Field.plot` and `Region.plot`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isopter.errors import UsageError
from isopter.report.figures import look
from isopter.report.figures.layers import key, paint
from isopter.report.figures.photo import fitted
from isopter.report.figures.picture import Layers, Picture, layers
from isopter.report.figures.scene import Scene, Span, of_region, of_unit
from isopter.report.figures.strip import paint_strip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isopter.erf.maps.field import EffectiveField
    from isopter.fields.field import Field
    from isopter.fields.unit import Region

SHARE = 0.95
"""Of an effective field's mass in the square that is drawn."""


def plot(
    field: Field,
    ax: Any,
    unit: Sequence[int] | None,
    image: Any,
    *,
    context: bool = False,
    effective: EffectiveField | None = None,
    zoom: bool | None = None,
) -> Any:
    """See `Field.plot`."""
    if unit is None:
        unit = effective.unit if effective is not None else tuple(n // 2 for n in field.units)
    region = field.region(unit, context=context)
    scene = of_unit(field, region.unit, context)
    picture = Picture(
        scene=scene,
        head=_head(region),
        facts=_facts(field, region, scene, context),
        photo=fitted(image, region.image) if image is not None else None,
        square=_square(effective, region) if effective is not None else (),
        zoom=zoom,
        now=_place(field, region.unit),
    )
    return draw(picture, ax)


def plot_region(region: Region, image: Any, ax: Any) -> Any:
    """See `Region.plot`."""
    scene = of_region(region)
    photo = fitted(image, region.image) if image is not None else None
    box = region.unclipped or zip(region.lo, region.hi, strict=True)
    text = _times(f"[{_short(lo)}, {_short(hi)})" for lo, hi in box) if scene.box is not None else "reads nothing"
    return draw(Picture(scene=scene, head=_head(region), facts=(text,), photo=photo, zoom=False), ax)


def draw(picture: Picture, ax: Any) -> Any:
    """A strip for one axis of space, a plane for two, three planes for more; into one given Axes the plane of the last two."""
    rank = len(picture.scene.image)
    if rank == 1:
        with look.drawing(ax, look.COLUMN, 1.6) as made:
            paint_strip(made, picture)
            look.title(made, picture.head, picture.facts)
        return made
    if rank > 2 and (ax is None or np.ndim(ax) > 0):
        return _slices(picture, ax)
    with look.drawing(ax, look.COLUMN, 3.3) as made:
        shown = _plane(made, picture, (rank - 2, rank - 1), picture.head, picture.facts)
        look.below(made, key(shown))
    return made


def _slices(picture: Picture, ax: Any) -> Any:
    """Of the last three axes, in one scale."""
    rank, view = len(picture.scene.image), picture.view
    given = None if ax is None else list(np.ravel(ax))
    if given is not None and len(given) != 3:
        raise UsageError(f"ax=... holds {len(given)} Axes. Give three for the slices of a volume, or one for that of its last two axes.")
    planes = [(rank - 2, rank - 1), (rank - 3, rank - 1), (rank - 3, rank - 2)]
    heights, widths = ([view[plane[k]][1] - view[plane[k]][0] for plane in planes] for k in (0, 1))
    height = 1.2 + 0.8 * look.PAGE * max(heights) / sum(widths)
    with look.row(given, 3, look.PAGE, min(height, look.PAGE), widths) as made:
        for each, plane in zip(made, planes, strict=True):
            first = each is made[0]
            shown = _plane(each, picture, plane, picture.head if first else "", picture.facts if first else ())
            each.set_anchor("N")
        look.below(made[-1], key(shown), columns=2)
    return np.array(made, object)


def _plane(ax: Axes, picture: Picture, axes: tuple[int, int], head: str, facts: Sequence[str]) -> Layers:
    """One plane through the middle of what is read. Of more than two axes the title says where."""
    rank, at = len(picture.scene.image), picture.scene.middle()
    shown = layers(picture, axes, at)
    paint(ax, shown)
    others = [axis for axis in range(rank) if axis not in axes]
    named = [f"axis {axis}, input pixel" if others else "input pixel" for axis in axes]
    ax.set(ylabel=named[0], xlabel=named[1])
    look.title(ax, head, [*facts, *(f"axis {axis} at pixel {at[axis]}" for axis in others)])
    return shown


def _head(region: Region) -> str:
    unit = f" \u00b7 unit ({', '.join(map(str, region.unit))})" if region.unit else ""
    return f"{look.name(region.layer, 40 - min(len(unit), 20))}{unit}"


def _facts(field: Field, region: Region, scene: Scene, context: bool) -> tuple[str, ...]:
    """Size and density of this unit's field, and what else there is to mind."""
    if scene.box is None:
        return ("reads nothing",)
    on_plane = region.unclipped is not None
    size = [hi - lo for lo, hi in region.unclipped] if region.unclipped is not None else list(region.size)
    text = _times(map(_short, size))
    parts = [f"{text} px", *([] if on_plane else ["at this input size"])]
    if scene.mask.size:
        parts.append(f"density {scene.mask.mean():.0%}")
    if region.padding_share:
        parts.append(f"padding {region.padding_share:.0%}")
    if field.exactness != "exact":
        parts.append("at most")
    if context and field.context:
        parts.append("with context")
    return tuple(parts)


def _times(parts: Iterable[str]) -> str:
    return " \u00d7 ".join(parts)


def _short(value: float) -> str:
    return ("\u221e" if value > 0 else "\u2212\u221e") if math.isinf(value) else f"{int(value):,}".replace("-", "\u2212")


def _square(effective: EffectiveField, region: Region) -> tuple[Span, ...]:
    """The square of `SHARE`, edge to edge. Raises UsageError where the effective field is another unit's."""
    if effective.image != region.image or effective.unit != region.unit:
        raise UsageError(
            f"effective=... is the field of unit {effective.unit} in an image of {effective.image}, and the picture is of unit "
            f"{region.unit} in {region.image}. Measure that unit, or draw unit={effective.unit}."
        )
    half = float(effective.side(SHARE)) / 2
    return tuple((c - half, c + half) for c in effective.center) if math.isfinite(half) else ()


def _place(field: Field, unit: tuple[int, ...]) -> int | None:
    """The pixel where a unit of one axis stands: its index times the stride, or as far along as it is among its fellows."""
    if len(unit) != 1 or len(field.input_shape) != 1:
        return None
    stride = field.stride[0]
    return math.floor(unit[0] * (stride if stride is not None else field.input_shape[0] / field.units[0]))
