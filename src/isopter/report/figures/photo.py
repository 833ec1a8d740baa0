"""The picture that a field is drawn on, cut to the form of the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from isopter.errors import UsageError
from isopter.report.photo import photo


def fitted(image: Any, size: Sequence[int]) -> npt.NDArray[Any]:
    """An image as an array (h, w) or (h, w, 3 or 4) of the form of `size`, (height, width) of the input: what to stretch over it.

    One of another form is cut at its centre, as `isopter.effective` cuts images; no pixel is resampled. Raises UsageError where it is no
    image (see `photo`), MissingExtra where a file is to be read without Pillow.
    """
    if len(size) != 2:
        raise UsageError(f"image=... is for inputs with two axes of space, and this one has {len(size)}. Leave it out.")
    values = photo(image)
    if 0 in size:
        raise UsageError(f"image=... cannot be laid over an input of {size[0]}x{size[1]} pixels: there is none.")
    height, width = values.shape[:2]
    rows, columns = min(height, round(width * size[0] / size[1])), min(width, round(height * size[1] / size[0]))
    rows, columns = max(rows, 1), max(columns, 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return values[top : top + rows, left : left + columns]
