"""From an item of the user's data (a batch, a tuple with a label, a dict, an image) to samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isopter.erf.data.arrays import Array, as_array, is_array, pictures
from isopter.erf.data.images import Transform, prepared
from isopter.erf.data.tensors import first_of, fitted, is_batch
from isopter.erf.frame import Frame
from isopter.errors import UsageError


def split(item: Any, frame: Frame, name: str) -> Sequence[Any]:
    """The samples in an item: the rows of a batch, or the item's one tensor, array or image."""
    found = found_in(item, name)
    if not is_array(found):
        return [found]
    array = as_array(found)
    return list(array) if is_batch(array, frame, name) else [array]


def found_in(item: Any, name: str) -> Any:
    """The first tensor, array or image in an item. Raises UsageError, with `name`, if there is none."""
    found = first_of(item, lambda part: is_array(part) or isinstance(part, pictures()))
    if found is None:
        raise UsageError(f"{name} is a {type(item).__name__} without a tensor. Expected a tensor, an image, or a tuple or dict with one.")
    return found


def made(part: Any, frame: Frame, transform: Transform | None, name: str) -> Array:
    """A tensor, array or image as the sample that the model takes: see `fitted` and `prepared` for the errors."""
    if isinstance(part, pictures()):
        image: Any = part
        return fitted(prepared(image, frame, transform, name), frame, name)
    if transform is not None:
        raise UsageError(f"transform is for images, and {name} is a {type(part).__name__}, which is taken as it is. Leave transform out.")
    return fitted(as_array(part), frame, name)
