"""What there is to see of one unit, in numbers: sets, boxes and the part of the plane to show. No drawing here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from isopter.errors import UsageError
from isopter.reads.scatter import Bools

if TYPE_CHECKING:
    from isopter.fields.field import Field
    from isopter.fields.unit import Region

Codes = npt.NDArray[np.uint8]
Span = tuple[float, float]

NOWHERE, UNREAD, READ, HOLE, PADDING = range(5)
"""What a pixel is: beyond image and field; in the image, not read or read; in the field but beyond the image, not read or read."""

SMALL = 0.35
"""A field whose longest side is less than this part of the image's is shown alone: in the whole image its holes would be too fine."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One unit's set on the plane where there is one, else in the image. Everything per space axis, in input pixels.

    `mask`, placed at `origin`: what is read. `box`: half-open, of the whole field; None where nothing is read. `image`: its size.
    """

    image: tuple[int, ...]
    mask: Bools
    origin: tuple[int, ...]
    box: tuple[Span, ...] | None

    def view(self, zoom: bool | None, also: Sequence[Span] = ()) -> tuple[tuple[int, int], ...]:
        """The pixels to show per axis, half-open: the field with a margin, or the image and the field. `also` must be in it."""
        near = self.box is not None and (self.small if zoom is None else zoom)
        spans = []
        for axis, n in enumerate(self.image):
            edges = [0.0, float(n)] if self.box is None or not near else []
            edges += self.box[axis] if self.box is not None else ()
            edges += also[axis] if also else ()
            lo, hi = math.floor(min(edges)), math.ceil(max(edges))
            margin = max(1, round(0.06 * (hi - lo)))
            spans.append((lo - margin, hi + margin))
        return tuple(spans)

    @property
    def small(self) -> bool:
        """Whether the field would be hard to see in the whole image."""
        return self.box is not None and max(hi - lo for lo, hi in self.box) < SMALL * max(self.image)

    def codes(self, view: Sequence[tuple[int, int]]) -> Codes:
        """What every pixel of this part of the plane is, see `PADDING` and the others."""
        shape = tuple(hi - lo for lo, hi in view)
        codes = np.full(shape, NOWHERE, np.uint8)
        if self.box is not None:
            codes[_window(self.box, view)] = HOLE
        codes[_window([(0, n) for n in self.image], view)] = UNREAD
        spans = [(o, o + n) for o, n in zip(self.origin, self.mask.shape, strict=True)]
        there = _window(spans, view)
        cut = tuple(slice(t.start + lo - o, t.stop + lo - o) for t, (lo, _), o in zip(there, view, self.origin, strict=True))
        part = codes[there]
        part[self.mask[cut] & (part == UNREAD)] = READ
        part[self.mask[cut] & (part == HOLE)] = PADDING
        return codes

    def middle(self) -> tuple[int, ...]:
        """A pixel that is read, as near the field's middle as any; without a field the image's middle."""
        if self.box is None or not self.mask.any():
            return tuple(n // 2 for n in self.image)
        center = tuple(min(max(math.floor((lo + hi - 1) / 2) - o, 0), n - 1) for (lo, hi), o, n in self._places())
        if not self.mask[center]:
            read = np.argwhere(self.mask)
            center = tuple(read[np.abs(read - center).sum(axis=1).argmin()].tolist())
        return tuple(c + o for c, o in zip(center, self.origin, strict=True))

    def plane(self, axes: Sequence[int], at: Sequence[int]) -> Scene:
        """What a cut along `axes` through the pixel `at` shows."""
        inside = [a - o for a, o in zip(at, self.origin, strict=True)]
        through = all(axis in axes or 0 <= inside[axis] < n for axis, n in enumerate(self.mask.shape))
        index = tuple(slice(None) if axis in axes else inside[axis] for axis in range(self.mask.ndim))
        kept = sorted(axes)
        return replace(
            self,
            image=tuple(self.image[a] for a in kept),
            mask=self.mask[index] if through else np.zeros((0,) * len(kept), np.bool_),
            origin=tuple(self.origin[a] for a in kept),
            box=tuple(self.box[a] for a in kept) if self.box is not None else None,
        )

    def _places(self) -> list[tuple[Span, int, int]]:
        assert self.box is not None
        return list(zip(self.box, self.origin, self.mask.shape, strict=True))


def of_unit(field: Field, index: Sequence[int], context: bool) -> Scene:
    """What unit `index` of a field reads."""
    region = field.region(index, context=context)
    box, found = _box(region), field.support(index, context=context)
    if box is not None and box != _clipped(region):
        with suppress(UsageError):  # a box, but no set on the plane: what is read of the padding stays unknown
            found = field.support(index, clip=False)
    return Scene(region.image, found.mask, found.origin, box)


def of_region(region: Region) -> Scene:
    """A unit's box, taken as read throughout."""
    box = _box(region)
    lo, hi = zip(*box, strict=True) if box else ((0,) * len(region.lo),) * 2
    shape = tuple(int(h - low) for low, h in zip(lo, hi, strict=True))
    return Scene(region.image, np.broadcast_to(np.True_, shape), tuple(int(low) for low in lo), box)


def _box(region: Region) -> tuple[Span, ...] | None:
    """On the plane where it is bounded there, along an unbounded axis the image."""
    clipped = _clipped(region)
    box = region.unclipped or clipped
    bounded = tuple(pair if math.isfinite(pair[1] - pair[0]) else inside for pair, inside in zip(box, clipped, strict=True))
    return bounded if all(hi > lo for lo, hi in bounded) else None


def _clipped(region: Region) -> tuple[Span, ...]:
    return tuple(zip(region.lo, region.hi, strict=True))


def _window(spans: Sequence[Span], view: Sequence[tuple[int, int]]) -> tuple[slice, ...]:
    """The part of a view that these half-open spans cover, as slices into it."""
    found = []
    for (lo, hi), (first, last) in zip(spans, view, strict=True):
        start = min(max(int(lo), first), last) - first
        found.append(slice(start, max(min(int(hi), last) - first, start)))
    return tuple(found)
