"""The picture that fields are drawn on, small enough to travel in the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from isopter.erf.data.photos import pillow
from isopter.errors import UsageError
from isopter.report.photo import photo

MOST = 640
"""Pixels along the longer side: a report is seen on a screen."""


def data_url(picture: Any, size: Sequence[int]) -> str:
    """A picture as a ``data:`` URL of a JPEG, its middle cut to the shape of `size` (height, width) and brought to at most `MOST` pixels.

    `picture`: as for `photo`. Raises UsageError where it is none, or `size` no image's, and MissingExtra without Pillow.
    """
    pil = pillow()
    if len(size) != 2 or 0 in size:
        shape = " x ".join(map(str, size))
        raise UsageError(f"image=... needs an input with two axes of space, and this one has {len(size)} ({shape}). Leave it out.")
    height, width = size
    scale = min(1.0, MOST / max(height, width))
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    values = photo(picture)
    eight_bits = values if values.dtype == np.uint8 else np.rint(values * 255).astype(np.uint8)
    fitted = pil.ImageOps.fit(pil.Image.fromarray(eight_bits).convert("RGB"), sides, pil.Image.Resampling.LANCZOS)
    file = io.BytesIO()
    fitted.save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
