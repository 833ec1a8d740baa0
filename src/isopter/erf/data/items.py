"""From an item of the user's data (a batch, a tuple with a label, a dict, an image) to samples."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from isopter.erf.data.images import Transform, prepared
from isopter.erf.data.tensors import Shape, first_of, fitted, is_batch
from isopter.errors import UsageError


def split(item: Any, shape: Shape, name: str) -> Sequence[Any]:
    """The samples in an item: the rows of a batch, or the item's one tensor, array or image."""
    found = found_in(item, name)
    batch = isinstance(found, Tensor | np.ndarray) and is_batch(found, shape, name)
    return list(found) if batch else [found]


def found_in(item: Any, name: str) -> Any:
    """The first tensor, array or image in an item. Raises UsageError, with `name`, if there is none."""
    found = first_of(item, (Tensor, np.ndarray, *pictures()))
    if found is None:
        raise UsageError(f"{name} is a {type(item).__name__} without a tensor. Expected a tensor, an image, or a tuple or dict with one.")
    return found


def made(part: Any, shape: Shape, transform: Transform | None, name: str) -> Tensor:
    """A tensor, array or image as the sample (1, C, *space) that the model takes: see `fitted` and `prepared` for the errors."""
    if isinstance(part, pictures()):
        image: Any = part
        return fitted(prepared(image, shape, transform, name), shape, name)
    if transform is not None:
        raise UsageError(f"transform is for images, and {name} is a {type(part).__name__}, which is taken as it is. Leave transform out.")
    return fitted(part, shape, name)


def pictures() -> tuple[type, ...]:
    """The class of Pillow's images, if anybody has imported it."""
    module = sys.modules.get("PIL.Image")
    return (module.Image,) if module is not None else ()
