"""Sizes of the objects to be found, from annotations: `isopter.objects.from_coco("instances.json")`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isopter.errors import UsageError

Floats = npt.NDArray[np.float64]

BINS_PER_OCTAVE = 4
"""Histogram bins per doubling of the size."""

LARGEST_FILE = 4 * 2**30
"""Bytes. The annotations of COCO's training set are a tenth of this; a larger file is no such thing, or would fill the memory."""

LARGEST_SIDE = 1e9
"""Pixels. No image has a side as long; a box beyond it is a mistake."""


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects in images, as boxes.

    `sizes`: float64, (n, 2): height and width of each box, in pixels of its image, read-only. `images`: (n, 2), height and width of its
    image, nan where not known. `categories`: the name of each object's category, "" where not known. `crowds`, `empty`: annotations left
    out because they mark a crowd, or have no area.
    """

    sizes: Floats
    images: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    categories: tuple[str, ...] = ()
    crowds: int = 0
    empty: int = 0

    def __post_init__(self) -> None:
        sizes = np.array(self.sizes, np.float64)
        if sizes.ndim != 2 or sizes.shape[1] != 2:
            raise UsageError(f"sizes has shape {sizes.shape}; expected (n, 2): the height and width of every object.")
        if not ((sizes > 0) & (sizes <= LARGEST_SIDE)).all():
            raise UsageError(f"sizes must be above 0 and at most {LARGEST_SIDE:,.0f}, in pixels. Leave out what is no object in an image.")
        images = np.array(self.images, np.float64) if len(self.images) else np.full(sizes.shape, np.nan)
        categories = tuple(self.categories) or ("",) * len(sizes)
        if images.shape != sizes.shape or len(categories) != len(sizes):
            raise UsageError(f"There are {len(sizes)} objects, but {len(categories)} categories and images of shape {images.shape}.")
        for name, value in (("sizes", sizes), ("images", images), ("categories", categories)):
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.sizes)

    def __repr__(self) -> str:
        if not len(self):
            return "Objects(none)"
        low, middle, high = np.quantile(self.root_areas, (0.05, 0.5, 0.95))
        return f"Objects({len(self):,}, square root of area {low:.3g} / {middle:.3g} / {high:.3g} px at 5 / 50 / 95 %)"

    @property
    def root_areas(self) -> Floats:
        """Square root of height x width, in pixels: one number per object."""
        return np.asarray(np.sqrt(self.sizes[:, 0]) * np.sqrt(self.sizes[:, 1]))

    def scaled(self, factor: float | Sequence[float]) -> Objects:
        """The objects of images that were resized by `factor` (one number, or one for height and one for width).

        Raises UsageError unless it is finite and above 0.
        """
        both = np.asarray(factor, np.float64)
        if both.shape not in ((), (2,)) or not (np.isfinite(both).all() and (both > 0).all()):
            raise UsageError(f"factor={factor!r} must be a number above 0, such as 0.5, or two: for height and width.")
        return replace(self, sizes=self.sizes * both, images=self.images * both)

    def resized(self, size: Sequence[int]) -> Objects:
        """The objects as they are in images resized to `size` (height, width), whatever their shape was.

        Raises UsageError where an image's size is not known.
        """
        target = np.asarray(size, np.float64)
        if target.shape != (2,) or not (np.isfinite(target).all() and (target > 0).all()):
            raise UsageError(f"size={size!r} must be a height and a width in pixels, such as (640, 640).")
        unknown = int(np.isnan(self.images).any(axis=1).sum())
        if unknown:
            raise UsageError(f"The image size of {unknown:,} of {len(self):,} objects is not known. Use scaled(factor) instead.")
        return replace(self, sizes=self.sizes * (target / self.images), images=np.broadcast_to(target, self.images.shape))

    def of(self, *categories: str) -> Objects:
        """The objects of these categories. Raises UsageError for a category without any."""
        missing = [name for name in categories if name not in set(self.categories)]
        if missing:
            known = ", ".join(sorted(set(self.categories))[:8])
            raise UsageError(f"There are no objects of the category {missing[0]!r}. Categories: {known or 'none'}.")
        kept = np.array([name in categories for name in self.categories], np.bool_)
        names = tuple(name for name in self.categories if name in categories)
        return replace(self, sizes=self.sizes[kept], images=self.images[kept], categories=names)

    def histogram(self) -> tuple[Floats, npt.NDArray[np.int64]]:
        """(edges, counts) of the square root of area, in bins that are equally wide in log2: `BINS_PER_OCTAVE` per doubling.

        len(edges) is len(counts) + 1; a bin holds sizes from its left edge up to, not including, its right one. Edges are powers
        of 2 ** (1 / BINS_PER_OCTAVE), so histograms of different objects line up. Without objects both are empty.
        """
        if not len(self):
            return np.zeros(0), np.zeros(0, np.int64)
        places = np.floor(np.log2(self.root_areas) * BINS_PER_OCTAVE + 1e-9).astype(np.int64)  # 8 belongs to the bin that begins there
        first, last = int(places.min()), int(places.max())
        return 2.0 ** (np.arange(first, last + 2) / BINS_PER_OCTAVE), np.bincount(places - first, minlength=last - first + 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: counts, quantiles and the histogram; the boxes themselves are left out."""
        edges, counts = self.histogram()
        quantiles = (0.05, 0.25, 0.5, 0.75, 0.95)
        return {
            "count": len(self),
            "crowds": self.crowds,
            "empty": self.empty,
            "root_area": {f"{q:g}": float(np.quantile(self.root_areas, q)) for q in quantiles} if len(self) else {},
            "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        }


def from_coco(path: str | Path) -> Objects:
    """The objects of a COCO-style annotation file: JSON with "annotations", a list of objects with a "bbox" of [x, y, width, height] in
    pixels, and optionally "images" (id, height, width) and "categories" (id, name).

    Annotations with "iscrowd" are left out and counted, and so are boxes without area. Other keys are ignored. Raises UsageError
    where the file is missing or too large, is no JSON or no annotations, holds none that counts, or has a box that is none (the
    message says which).
    """
    data = _read(Path(path))
    where = str(path)
    if not isinstance(data, Mapping) or not isinstance(data.get("annotations"), list):
        raise UsageError(
            f'{where} is no COCO-style annotation file: expected an object with a list "annotations", '
            'each with "bbox": [x, y, width, height].'
        )
    images = {_id(e): _image(e, where) for e in _entries(data, "images", where)}
    names = {_id(e): str(e.get("name", "")) for e in _entries(data, "categories", where)}
    sizes, shapes, categories = [], [], []
    crowds = empty = 0
    for index, entry in enumerate(_entries(data, "annotations", where)):
        if entry.get("iscrowd"):
            crowds += 1
            continue
        height, width = _box(entry, index, where)
        if height == 0 or width == 0:
            empty += 1
            continue
        sizes.append((height, width))
        shapes.append(images.get(_key(entry.get("image_id")), (math.nan, math.nan)))
        categories.append(names.get(_key(entry.get("category_id")), ""))
    if not sizes:
        raise UsageError(f"{where} has no object to count: {crowds} crowds, {empty} boxes without area, and nothing else.")
    return Objects(np.array(sizes), np.array(shapes), tuple(categories), crowds, empty)


def _read(path: Path) -> Any:
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise UsageError(f"{path} has {size / 2**30:.1f} GiB; annotations of more than {LARGEST_FILE >> 30} GiB are not read.")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, UsageError):
            raise
        what = f"{type(error).__name__}: {str(error)[:200]}"
        raise UsageError(f"{path} cannot be read as JSON ({what}). Expected COCO-style annotations.") from error


def _entries(data: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    found = data.get(key, [])
    if not isinstance(found, list) or any(not isinstance(e, Mapping) for e in found):
        raise UsageError(f'{where}: "{key}" must be a list of objects.')
    return found


def _key(value: Any) -> int | str:
    """Ids are numbers or text, and 1.0 is 1; what is neither is an id to nobody else, but breaks nothing."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | str) else repr(value)


def _id(entry: Mapping[str, Any]) -> int | str:
    return _key(entry.get("id"))


def _image(entry: Mapping[str, Any], where: str) -> tuple[float, float]:
    if entry.get("height") is None or entry.get("width") is None:
        return math.nan, math.nan
    height, width = (_number(entry[key]) for key in ("height", "width"))
    if not (0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE):
        raise UsageError(f"{where}: image {str(entry.get('id'))[:40]} has height {entry['height']!r:.40} and width {entry['width']!r:.40}.")
    return height, width


def _box(entry: Mapping[str, Any], index: int, where: str) -> tuple[float, float]:
    """Height and width of one annotation's box."""
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise _no_box(entry, index, where, "expected [x, y, width, height]. Leave out annotations that have none.")
    x, y, width, height = map(_number, box)
    if not (math.isfinite(x + y) and math.isfinite(width + height)):
        raise _no_box(entry, index, where, "its entries must be finite numbers.")
    if width < 0 or height < 0:
        raise _no_box(entry, index, where, "a negative size. Expected [x, y, width, height], not two corners.")
    if max(width, height) > LARGEST_SIDE:
        raise _no_box(entry, index, where, "larger than any image.")
    return height, width


def _no_box(entry: Mapping[str, Any], index: int, where: str, why: str) -> UsageError:
    return UsageError(f"{where}: annotation {index} (id {str(entry.get('id'))[:40]}) has the bbox {str(entry.get('bbox'))[:80]}: {why}")


def _number(value: Any) -> float:
    """A JSON number; nan for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf
