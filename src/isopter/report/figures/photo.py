"""The picture that a field is drawn on: read, checked, and cut to the form of the input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isopter.errors import UsageError

EXPECTED = "Expected an array (H, W) or (H, W, 3), of floats from 0 to 1 or of bytes, or the path of an image file"


def fitted(image: Any, size: Sequence[int]) -> npt.NDArray[Any]:
    """An image as an array (h, w) or (h, w, 3 or 4) of the form of `size`, (height, width) of the input: what to stretch over it.

    One of another form is cut at its centre, as `isopter.effective` cuts images; no pixel is resampled. Raises UsageError where it is no
    image, MissingExtra where a file is to be read without Pillow.
    """
    if len(size) != 2:
        raise UsageError(f"image=... is for inputs with two axes of space, and this one has {len(size)}. Leave it out.")
    values = _read(Path(image)) if isinstance(image, str | Path) else _checked(np.asarray(image))
    if 0 in size:
        raise UsageError(f"image=... cannot be laid over an input of {size[0]}x{size[1]} pixels: there is none.")
    height, width = values.shape[:2]
    rows, columns = min(height, round(width * size[0] / size[1])), min(width, round(height * size[1] / size[0]))
    rows, columns = max(rows, 1), max(columns, 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return values[top : top + rows, left : left + columns]


def _read(path: Path) -> npt.NDArray[Any]:
    from isopter.erf.data.photos import FORMATS, Unreadable, read_image

    path = path.expanduser()
    if not path.exists():
        raise UsageError(f"There is no image {path}.")
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path} is no image that isopter reads. Expected a file of {', '.join(FORMATS)}.")
    try:
        return np.asarray(read_image(path).convert("RGB"))
    except Unreadable as error:
        raise UsageError(f"Cannot read the image {error}. Save it anew as PNG or JPEG.") from error


def _checked(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    shape = values.shape
    if values.dtype.kind not in "uifb":
        raise UsageError(f"image=... holds {values.dtype} values of shape {shape}. {EXPECTED}.")
    if values.ndim == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3, 4):
        raise UsageError(
            f"image=... has the shape {shape}: channels first, as tensors have them. {EXPECTED}: put the channels last with "
            "image.permute(1, 2, 0), or np.moveaxis(image, 0, -1)."
        )
    if values.ndim not in (2, 3) or 0 in shape or (values.ndim == 3 and shape[2] not in (1, 3, 4)):
        raise UsageError(f"image=... has the shape {shape}. {EXPECTED}.")
    values = values[..., 0] if values.ndim == 3 and shape[2] == 1 else values
    if values.dtype.kind == "b":
        return values.astype(np.float64)
    least, most = float(values.min()), float(values.max())
    limit = 1.0 if values.dtype.kind == "f" else 255
    if not 0 <= least <= most <= limit:
        raise UsageError(
            f"image=... holds values from {least:g} to {most:g}, and {values.dtype} images hold 0 to {limit:g}. "
            "Give the picture itself, not what a network is fed: undo the standardisation, or scale it with (image - min) / (max - min)."
        )
    return values
