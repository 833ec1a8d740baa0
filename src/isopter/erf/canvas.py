"""Canvases: how little of the image must run for one unit to see what it sees in the whole of it.

A unit reads its field alone, so the rest of the image can be cut away, if every unit on the way stays in step: the cut must begin at
a multiple of every stride on the way. Positions are those of the image's plane, on which a canvas may lie partly, or start below 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from isopter.erf.frame import Box
from isopter.errors import UsageError
from isopter.fields.extent import Progression
from isopter.fields.field import Field


@dataclass(frozen=True)
class Place:
    """One unit of a layer on one canvas.

    `unit`: its index in the image, and `at` on the canvas. `canvas`: what runs. `box`: the part of it that is kept in the map.
    """

    unit: tuple[int, ...]
    at: tuple[int, ...]
    canvas: Box
    box: Box

    @property
    def size(self) -> tuple[int, ...]:
        """The canvas's size per axis, pixels."""
        return tuple(hi - lo for lo, hi in self.canvas)


def whole(field: Field, unit: tuple[int, ...]) -> Place:
    """The unit in the whole image, all of which is kept."""
    return Place(unit, unit, image(field), image(field))


def image(field: Field) -> Box:
    """The whole image."""
    return tuple((0, n) for n in field.input_shape)


def is_clipped(field: Field, place: Place) -> bool:
    """Whether a bounded field reaches beyond the canvas, into padding."""
    sides = zip(reach(field, place.unit), place.canvas, strict=True)
    return is_bounded(field) and any(lo < start or hi > stop for (lo, hi), (start, stop) in sides)


def center(field: Field, unit: tuple[int, ...]) -> tuple[float, ...]:
    """Centre of the unit's theoretical field; along an axis that is read whole, the unit's own place."""
    middles = [(lo + hi - 1) / 2 for lo, hi in reach(field, unit)]
    if len(unit) == len(middles):
        own = [(u + 0.5) * n / count - 0.5 for u, n, count in zip(unit, field.input_shape, field.units, strict=True)]
        middles = [m if math.isfinite(size) else o for m, o, size in zip(middles, own, field.size, strict=True)]
    return tuple(middles)


def size(field: Field, unit: tuple[int, ...]) -> tuple[int | float, ...]:
    """The unit's theoretical size per axis, pixels; math.inf where an axis is read whole however long it is."""
    return tuple(hi - lo if math.isfinite(n) else n for (lo, hi), n in zip(reach(field, unit), field.size, strict=True))


def can_be_cut(field: Field) -> bool:
    """Whether the image outside a unit's field can be left out: the field is bounded on the plane, and there is no context."""
    return is_bounded(field) and not field.context and all(step is not None and step > 0 for step in field.stride)


def is_bounded(field: Field) -> bool:
    """Whether the field is of one size however large the image is."""
    return field.basis == "plane" and all(math.isfinite(n) for n in field.size)


def steps(field: Field) -> tuple[int, ...]:
    """Per axis, by how many pixels a canvas can be moved with all units on the way in step: the least common multiple of their jumps."""
    plan, found, needed = field.walks.plan, [1] * len(field.input_shape), {field.op}
    for op in range(field.op, -1, -1):
        if op not in needed:
            continue
        needed |= {edge.source for edge in plan.incoming(op, context=False)}
        for axis, extent in enumerate(field.walks.extent(op)):
            if isinstance(extent, Progression) and extent.jump:
                found[axis] = math.lcm(found[axis], abs(extent.jump))
    return tuple(found)


Slack = Literal["none", "rounded", "margin"]
"""How much larger than the field a canvas is: not at all, but for staying in step; whole steps long, for models that take no other (a
U-Net joins what it halved and doubled); one step more on either side, where the outputs that see all of the field are cropped away."""


def cut(field: Field, unit: tuple[int, ...], *, beyond: bool, slack: Slack) -> Place:
    """The unit on a canvas little larger than its field, its box being the field: the whole image where nothing is to be cut off.

    With `beyond` the canvas may lie outside the image, as noise can; else it is cut to the image, as photographs must be, and is at
    the same borders.
    """
    canvas = []
    for (lo, hi), step in zip(reach(field, unit), steps(field), strict=True):
        margin = step if slack == "margin" else 0
        start, stop = lo // step * step - margin, -(-hi // step) * step + margin
        canvas.append((start, hi if slack == "none" else stop))
    fitted = tuple(canvas) if beyond else inside(tuple(canvas), field)
    nothing = any(hi <= lo for lo, hi in fitted)
    return whole(field, unit) if nothing else on(field, unit, fitted)


def on(field: Field, unit: tuple[int, ...], canvas: Box) -> Place:
    """The unit on a canvas that is in step with the image."""
    at = list(unit)
    for extent, (lo, _) in zip(field._extent, canvas, strict=True):
        assert isinstance(extent, Progression)
        at[field.unit_axes.index(extent.carrier)] -= lo * extent.period // extent.jump
    box = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(reach(field, unit), canvas, strict=True))
    return Place(unit, tuple(at), canvas, box)


def grown(field: Field, place: Place, *, beyond: bool) -> Place:
    """The same unit on a canvas two steps larger on one side and one on the other, so that it is elsewhere on it.

    Not one and two: a unit in three, with a margin of one on either side, would stay a third of the way along.
    """
    larger = tuple((lo - 2 * t, hi + t) for (lo, hi), t in zip(place.canvas, steps(field), strict=True))
    return on(field, place.unit, larger if beyond else inside(larger, field))


def inside(box: Box, field: Field) -> Box:
    """The part of a box that is in the image."""
    return tuple((max(lo, 0), min(hi, n)) for (lo, hi), n in zip(box, field.input_shape, strict=True))


def reach(field: Field, unit: tuple[int, ...]) -> Box:
    """The unit's box on the plane where that is bounded, else what it reads of the image."""
    box = field._unclipped(field.checked(unit))  # the regions of all units are not needed for it
    if box is None or any(math.isinf(n) for n in itertools.chain(*box)):
        region = field.region(unit)
        return tuple(zip(region.lo, region.hi, strict=True))
    return tuple((int(lo), int(hi)) for lo, hi in box)


def moved(there: Field, field: Field, place: Place) -> str:
    """Whether the theory of the canvas, `there`, gives the unit the same field: "" if it does, else what is otherwise."""
    lo, hi = zip(*(tuple(n - start for n in side) for side, (start, _) in zip(place.box, place.canvas, strict=True)), strict=True)
    if len(there.units) != len(place.at) or any(not 0 <= i < n for i, n in zip(place.at, there.units, strict=True)):
        return f"an input of {_by(place.size)} gives {_by(there.units)} units, without the one that sees it"
    region = there.region(place.at)
    same = (region.lo, region.hi) == (lo, hi) and there.stride == field.stride
    return "" if same else f"on an input of {_by(place.size)} the unit reads other pixels"


def bytes_kept(field: Field, size: Sequence[int]) -> float:
    """What a forward and backward pass on a canvas of this size may keep: every value up to the layer, twice in single precision."""
    share = math.prod(size) / math.prod(field.input_shape)
    return 8 * share * sum(math.prod(op.shape) for op in field.walks.graph.ops[: field.op + 1])


def _by(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


# ---- which unit --------------------------------------------------------------------------------------------------------


def middle(field: Field) -> tuple[int, ...]:
    """The unit in the middle: n // 2 along each axis."""
    return tuple(n // 2 for n in field.units)


def interior(field: Field) -> tuple[Sequence[int], ...]:
    """Per unit axis, the indices of units like the middle one whose field is inside the image.

    Alike are fields of one size (after upsampling there are several). Raises UsageError where there are none.
    """
    if not is_bounded(field):
        raise UsageError(f'unit="interior" averages units whose field is alike; that of {field.name} is not bounded. Use unit="center".')
    centre = middle(field)
    alike = size(field, centre)
    found = []
    for axis, count in enumerate(field.units):
        units = [(*centre[:axis], i, *centre[axis + 1 :]) for i in range(count)]
        found.append([u[axis] for u in units if _fits(reach(field, u), alike, field, moved=axis)])
    if not all(found):
        raise UsageError(
            f"No unit of {field.name} has its whole field, {'x'.join(map(str, alike))} pixels, inside the image of "
            f'{"x".join(map(str, field.input_shape))}. Use a larger input_size, or unit="center", which is then cut off at the borders.'
        )
    return tuple(found)


def _fits(box: Box, size: tuple[int | float, ...], field: Field, moved: int) -> bool:
    """Alike along all axes, and inside the image along those that move with the unit axis `moved`."""
    alike = all(hi - lo == n for (lo, hi), n in zip(box, size, strict=True))
    carriers = [e.carrier if isinstance(e, Progression) else -1 for e in field._extent]
    along = [axis for axis, carrier in enumerate(carriers) if carrier == field.unit_axes[moved]]
    return alike and all(box[a][0] >= 0 and box[a][1] <= field.input_shape[a] for a in along)
