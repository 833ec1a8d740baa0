"""A picture that a user gives to draw fields on, whatever it comes as: read, turned upright and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from isopter.erf.data.photos import Unreadable, pillow, read_image
from isopter.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

EXPECTED = "Expected an array (H, W) or (H, W, 3), of floats from 0 to 1 or of bytes, a PIL image, or the path of an image file"


def photo(image: Any) -> npt.NDArray[Any]:
    """The picture as an array (H, W), (H, W, 3) or (H, W, 4): bytes, or floats from 0 to 1.

    `image`: the path of an image file or a PIL image, turned as its EXIF orientation says, and with more than 8 bits a channel (scans,
    microscopy) its range brought to bytes; or what numpy takes for an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of booleans, of
    whole numbers from 0 to 255 or of floats from 0 to 1, tensors with gradients or on a device included. Raises UsageError for
    anything else, and MissingExtra where a file is to be read without Pillow.
    """
    if isinstance(image, str | Path):
        return _of_pillow(_read(Path(image).expanduser()))
    return _of_pillow(pillow().ImageOps.exif_transpose(image)) if _is_pillow(image) else _checked(_array(image))


def _read(path: Path) -> Image:
    if not path.exists():
        raise UsageError(f"There is no image {path}.")
    try:
        return read_image(path)
    except Unreadable as error:
        raise UsageError(f"Cannot read the image {error}. Save it anew as PNG or JPEG.") from error


def _is_pillow(image: Any) -> bool:
    try:
        return isinstance(image, pillow().Image.Image)
    except MissingExtra:  # then it is none; arrays need no Pillow
        return False


def _of_pillow(image: Image) -> npt.NDArray[Any]:
    """Bytes (H, W, 3); of a picture with more than 8 bits a channel its own range, from the darkest pixel to the brightest."""
    if 0 in image.size:
        raise UsageError(f"image=... is a picture of {image.width} x {image.height} pixels: there is none.")
    if not image.mode.startswith(("I", "F")):
        return np.asarray(image.convert("RGB"))
    values = np.asarray(image, np.float64)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(values).all():
        raise UsageError(f"image=... holds values from {low:g} to {high:g}. Replace what is no number first, as with np.nan_to_num.")
    return np.rint((values - low) * (255 / max(high - low, 1e-300))).astype(np.uint8)


def _array(image: Any) -> npt.NDArray[Any]:
    try:
        for step in ("detach", "cpu"):  # tensors that ask for gradients, or are elsewhere
            image = getattr(image, step)() if callable(getattr(image, step, None)) else image
        return np.asarray(image)
    except (ValueError, TypeError, RuntimeError) as error:  # lists of unequal rows; kinds of numbers that numpy lacks
        raise UsageError(f"image=... is a {type(image).__name__} that is no array ({error}). {EXPECTED}.") from error


def _checked(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    shape = values.shape
    if values.dtype.kind not in "uifb":
        raise UsageError(f"image=... holds {values.dtype} values of shape {shape}. {EXPECTED}.")
    if values.ndim == 3 and shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4):
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
    return values if values.dtype.kind == "f" else values.astype(np.uint8)
