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
    if len(size) != 2:
        raise UsageError(f"image: a picture needs an input with two axes of space, and this one has {len(size)}. Leave it out.")
    height, width = size
    scale = min(1.0, MOST / max(height, width))
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    fitted = pil.ImageOps.fit(_eight_bits(opened(picture)).convert("RGB"), sides, pil.Image.Resampling.LANCZOS)
    file = io.BytesIO()
    fitted.save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _eight_bits(image: Image) -> Image:
    """Of a picture with more than 8 bits a channel (scans, microscopy) its range brought to 0 to 255; any other as it is."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.nan_to_num(np.asarray(image, np.float64), posinf=0, neginf=0)
    low, high = values.min(), values.max()
    made: Image = pillow().Image.fromarray(np.rint((values - low) * (255 / max(high - low, 1e-300))).astype(np.uint8))
    return made


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
    try:
        values = np.asarray(picture)
    except (ValueError, TypeError, RuntimeError) as error:  # lists of unequal rows; tensors that are elsewhere, or ask for gradients
        raise UsageError(f"image: {type(picture).__name__} is no array ({error}). Give an array (height, width, 3).") from error
    colors = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))
    if not colors or 0 in values.shape or values.dtype.kind not in "uif":
        raise UsageError(
            f"A picture of shape {values.shape} and type {values.dtype} cannot be shown. "
            "Give a file, or an array (height, width) or (height, width, 3) of bytes or of floats from 0 to 1."
        )
    most = 1 if values.dtype.kind == "f" else 255
    shown = np.nan_to_num(values, posinf=most, neginf=0)
    if (shown < -most / 2).any() or (shown > most * 1.5).any():  # what overshoots a little, as resizing does, is cut
        raise UsageError(f"image: {values.dtype} values from {shown.min():g} to {shown.max():g}. Expected bytes, or floats from 0 to 1.")
    made: Image = image.fromarray(np.rint(shown.clip(0, most) * (255 // most)).astype(np.uint8))
    return made
