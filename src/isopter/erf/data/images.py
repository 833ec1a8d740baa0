"""Image files: found, and made ready for a network."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isopter.capture.guard import user_code
from isopter.erf.data.arrays import Array, as_array, is_array
from isopter.erf.data.photos import FORMATS, Unreadable, pillow
from isopter.erf.frame import Frame
from isopter.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

Transform = Callable[[Any], Any]

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet's pixels per channel, scaled to [0, 1]: what nearly all weights for three channels were trained with."""


def find_images(places: Iterable[str | Path]) -> list[Path]:
    """Image files, as named and in folders below, each folder's sorted by path. Hidden files and folders are passed over.

    Raises UsageError where a path does not exist, is no image by its suffix, or where there is none at all.
    """
    paths = [Path(place).expanduser() for place in places]
    found = [file for path in paths for file in (_inside(path) if path.is_dir() else [_named(path)])]
    if not found:
        where = ", ".join(str(path) for path in paths[:3])
        raise UsageError(f"There is no image in {where}, nor in its subfolders. Expected files such as a.jpg ({', '.join(FORMATS)}).")
    return found


def _named(path: Path) -> Path:
    if not path.exists():
        raise UsageError(f"There is no {path}. Expected a folder of images, or an image ({', '.join(FORMATS)}).")
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path} is no image that isopter reads. Expected a folder, or a file of {', '.join(FORMATS)}.")
    return path


def _inside(folder: Path) -> list[Path]:
    """Images below a folder; linked folders are followed, each once, so that links in a circle end."""
    found: list[Path] = []
    seen: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=_closed):
        real = os.path.realpath(here)
        folders[:] = [] if real in seen else [f for f in folders if not f.startswith(".")]
        if real not in seen:
            found += [Path(here, f) for f in files if not f.startswith(".") and Path(f).suffix.lower() in FORMATS]
        seen.add(real)
    return sorted(found)


def _closed(error: OSError) -> None:
    warnings.warn(f"The folder {error.filename} cannot be read ({error.strerror}); its images are left out.", stacklevel=2)


def prepared(image: Image, frame: Frame, transform: Transform | None, name: str) -> Array:
    """An image as an array of one sample, (C, H, W) or as the input has it: RGB for three channels, grey for one; then by `transform`, or
    as follows.

    It is resized (bilinear, smoothed when it shrinks) to cover the height and width of the input, cut at the centre, scaled to [0, 1],
    and for three channels standardised by the mean and standard deviation of ImageNet. Raises UsageError for other inputs, CaptureError
    where `transform` fails, and Unreadable.
    """
    plane = len(frame.axes) == 2 and len(frame.sample) == 3 and len(frame.shape) - len(frame.sample) < 2
    channels = frame.channels if plane else 0
    try:
        image = _coloured(image, channels, name)
    except (OSError, SyntaxError, ValueError) as error:  # a dataset's image may not have been decoded yet
        raise Unreadable(f"{name} ({type(error).__name__}: {str(error)[:120]})") from error
    if transform is not None:
        made = user_code(lambda: transform(image), f"applying transform to {name}")
        if not is_array(made):
            raise UsageError(f"transform made a {type(made).__name__} of {name}. Expected a tensor of shape {frame.sample}.")
        return as_array(made)
    if channels not in (1, 3):
        raise UsageError(
            f"An image becomes (1, 3, H, W) or (1, 1, H, W), or the same with channels last, and the input is {frame.shape}. "
            "Give a transform that makes it of an image."
        )
    pil = pillow()
    height, width = (frame.shape[a] for a in frame.axes)
    ready = pil.ImageOps.fit(image, (width, height), method=pil.Image.Resampling.BILINEAR)
    pixels = np.asarray(ready, dtype=np.float32).reshape(height, width, channels) / np.float32(255)
    if channels == 3:
        pixels = (pixels - MEAN) / STD
    return np.moveaxis(pixels, (0, 1), [a - frame.batched for a in frame.axes])


def _coloured(image: Image, channels: int, name: str) -> Image:
    """In RGB for three channels, grey for one, as it is for others. Pillow would cut 16 bits off at 255; here they are scaled."""
    if image.mode == "F" and channels in (1, 3):
        raise Unreadable(f"{name} (its pixels are floating point numbers of unknown range)")
    if image.mode.startswith("I") and channels in (1, 3):
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise Unreadable(f"{name} (its pixels are not of 16 bits)")
        image = pillow().Image.fromarray(np.round(levels / 257).astype(np.uint8))
    return image.convert({1: "L", 3: "RGB"}[channels]) if channels in (1, 3) else image
