"""What one unit reads: Region, its box, and Support, the exact set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isopter.reads.scatter import Bools


@dataclass(frozen=True, eq=False)
class Region:
    """The box of input pixels that one unit reads: per axis half-open [lo, hi), clipped to the image.

    Where the unit reads nothing lo == hi == 0. `unclipped` is the same box on the plane, padding included ((lo, hi) per
    axis; None where there is no plane). `padding_share` is the share of that box outside the image, whose size in pixels is `image`.
    """

    lo: tuple[int, ...]
    hi: tuple[int, ...]
    unclipped: tuple[tuple[float, float], ...] | None
    unit: tuple[int, ...]
    layer: str
    image: tuple[int, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """Pixels per axis."""
        return tuple(h - low for low, h in zip(self.lo, self.hi, strict=True))

    @property
    def padding_share(self) -> float | None:
        """The share of the unclipped box that lies outside the image; None where there is no plane, 1.0 when all is padding.

        0.0 where an axis is read whole, and where nothing is read.
        """
        if self.unclipped is None:
            return None
        whole = math.prod(h - low for low, h in self.unclipped)
        if whole == 0 or math.isinf(whole):
            return 0.0
        return 1 - math.prod(max(min(h, n) - max(low, 0), 0) for (low, h), n in zip(self.unclipped, self.image, strict=True)) / whole

    def _repr_html_(self) -> str:
        from isopter.report.cards import region_card

        return region_card(self)

    def plot(self, image: Any = None, ax: Any = None) -> Any:
        """The box over the image, clipped and on the plane, in input pixels; returns the Axes and shows nothing.

        `image` and `ax` are those of `Field.plot`. Raises UsageError for a wrong image, MissingExtra without matplotlib.
        """
        from isopter.report.figures.unit import plot_region

        return plot_region(self, image, ax)


@dataclass(frozen=True, eq=False)
class Support:
    """The exact set of input pixels a unit reads: `mask` (bool, one axis per space axis) placed at `origin`.

    Pixel ``origin + index`` is read where ``mask[index]``. The mask is cut to the set; nothing read is an empty mask.
    """

    mask: Bools
    origin: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many pixels are read."""
        return int(self.mask.sum())

    @property
    def density(self) -> float:
        """Share of the bounding box that is read; 1.0 means no holes."""
        return self.count / self.mask.size if self.mask.size else math.nan

    def _repr_html_(self) -> str:
        from isopter.report.cards import support_card

        return support_card(self)

    def on(self, shape: Sequence[int]) -> Bools:
        """The set as a mask over a whole image of this shape."""
        canvas = np.zeros(tuple(shape), np.bool_)
        inside = [slice(max(o, 0), max(min(o + n, m), 0)) for o, n, m in zip(self.origin, self.mask.shape, shape, strict=True)]
        cut = [slice(s.start - o, s.stop - o) for s, o in zip(inside, self.origin, strict=True)]
        if all(s.stop > s.start for s in inside):
            canvas[tuple(inside)] = self.mask[tuple(cut)]
        return canvas
