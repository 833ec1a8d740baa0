"""The picture that fields are drawn on, small enough to travel in the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isopter.erf.data.photos import Unreadable, pillow, read_image
from isopter.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 640
"""Pixels along the longer side: a report is seen on a screen."""


def data_url(picture: Any, size: Sequence[int]) -> str:
    """A picture as a ``data:`` URL of a JPEG, its middle cut to the shape of `size` (height, width) and brought to at most `MOST` pixels.

    `picture`: the path of an image file, an array (height, width) or (height, width, 3) of bytes or of floats from 0 to 1, or a PIL image.
    Raises UsageError where it is none of these, and MissingExtra without Pillow.
    """
    pil = pillow()
    height, width = size
    scale = min(1.0, MOST / max(height, width))
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    fitted = pil.ImageOps.fit(opened(picture).convert("RGB"), sides, pil.Image.Resampling.LANCZOS)
    file = io.BytesIO()
    fitted.save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def opened(picture: Any) -> Image:
    """The picture as PIL has it, turned upright."""
    image = pillow().Image
    if isinstance(picture, image.Image):
        return picture  # type: ignore[no-any-return]
    if isinstance(picture, str | Path):
        try:
            return read_image(Path(picture))
        except Unreadable as error:
            raise UsageError(f"The picture cannot be read: {error}. Give a PNG or JPEG file.") from error
    values = np.asarray(picture)
    colors = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))
    if not colors or 0 in values.shape or values.dtype.kind not in "uif":
        raise UsageError(
            f"A picture of shape {values.shape} and type {values.dtype} cannot be shown. "
            "Give a file, or an array (height, width) or (height, width, 3) of bytes or of floats from 0 to 1."
        )
    if values.dtype.kind == "f":
        values = np.nan_to_num(values).clip(0, 1) * 255
    made: Image = image.fromarray(values.clip(0, 255).astype(np.uint8))
    return made
