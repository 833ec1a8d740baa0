"""One image file, read by Pillow. Without a framework, so that pictures can be drawn where none is installed."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from isopter.errors import MissingExtra

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".gif": "GIF"}
"""Suffixes, and the only decoders that are asked: some of Pillow's others start programs."""


class Unreadable(Exception):
    """A file that is no image Pillow can read; the message names it."""


@cache
def pillow() -> ModuleType:
    """PIL.Image. Raises MissingExtra without Pillow."""
    try:
        import PIL.Image
        import PIL.ImageOps  # read_image and prepared find it as an attribute of PIL
    except ModuleNotFoundError:
        raise MissingExtra("Pillow", "images", "Reading images") from None
    return PIL


def read_image(path: Path) -> Image:
    """The image in a file, turned as its EXIF orientation says. Raises Unreadable."""
    if not path.is_file():  # opening a pipe would wait for ever
        raise Unreadable(f"{path} (no regular file)")
    pil = pillow()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on tags and palettes, of no concern here
        warnings.simplefilter("error", pil.Image.DecompressionBombWarning)
        try:
            with pil.Image.open(path, formats=sorted(set(FORMATS.values()))) as image:
                image.load()
                turned: Image = pil.ImageOps.exif_transpose(image)
                return turned
        except Exception as error:  # damaged files make decoders raise almost anything
            said = " ".join(str(error).replace(str(path), "").replace("''", "").split())
            raise Unreadable(f"{path} ({type(error).__name__}: {said[:120]})") from error
