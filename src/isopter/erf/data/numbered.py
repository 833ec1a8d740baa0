"""``data=`` in any form as numbered samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from isopter.capture.guard import user_code
from isopter.erf.data.arrays import Array, as_array, is_array, is_iterable_dataset, pictures
from isopter.erf.data.images import Transform, find_images
from isopter.erf.data.items import found_in, made, split
from isopter.erf.data.photos import read_image
from isopter.erf.data.sources import Chosen, Noise, Samples, Stream
from isopter.erf.data.tensors import is_batch
from isopter.erf.frame import Frame
from isopter.errors import UsageError

FORMS = "a tensor or array of samples, a list of them, a folder of images, a torch Dataset or DataLoader, or any iterable of tensors"


def numbered(data: Any, frame: Frame, *, seed: int, count: int | None, transform: Transform | None = None) -> Samples:
    """`data` as samples of the input that `frame` describes: arrays of NumPy, or torch tensors where the data are.

    None is standard normal noise. Tensors and arrays (of any library) are samples as they are, batches and single ones: floating point,
    cut at the centre where they are larger. Files, folders and Pillow images are made ready by `prepared`, or by `transform`. Items of a
    Dataset or an iterable may be tuples or dicts: their first tensor, array or image is taken.

    At most `count` samples are used, all if None. Where there is random access and more than that, `seed` chooses them without
    replacement, since folders and datasets are often sorted by class; where there are fewer, a warning says so. Of an iterable they
    are the first. Random draws in the user's code (crops, shuffling) follow `seed` too.

    Raises UsageError for data, a seed or a count that make no sense, and MissingExtra for images without Pillow.
    """
    _check(seed, count)
    if data is None:
        if count is None or transform is not None:
            raise UsageError("Without data the samples are noise: it needs a number, such as samples=64, and takes no transform.")
        return Noise(frame, seed, count)
    if (source := _random_access(data, frame, transform)) is not None:
        return Chosen(*source, seed, count)
    if isinstance(data, Iterable) and not isinstance(data, bytes | bytearray):
        return Stream(data, frame, seed, count, transform)
    raise UsageError(f"data is a {type(data).__name__}. Expected {FORMS}.")


def _check(seed: int, count: int | None) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"seed={seed!r} must be a whole number of 0 or more.")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1):
        raise UsageError(f"samples={count!r} must be a whole number of 1 or more, or None for all of the data.")


Source = tuple[int, Callable[[int], Array]]
"""How many places there are, and what reads one."""


@runtime_checkable
class _Dataset(Protocol):
    """Random access, as that of a torch Dataset in map style."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...


def _random_access(data: Any, frame: Frame, transform: Transform | None) -> Source | None:
    """The places of data of which any can be read at any time; None for what can only be iterated."""
    match data:
        case _ if is_array(data):
            return _array(as_array(data), frame, transform)
        case Mapping():
            return _random_access(found_in(data, "data"), frame, transform)
        case str() | Path():
            return _files([data], frame, transform)
        case [*parts] if parts and all(isinstance(part, str | Path) for part in parts):
            return _files(parts, frame, transform)
        case list() | tuple():
            return _list(data, frame, transform)
        case bytes() | bytearray():
            return None
        case _ if is_iterable_dataset(data):
            return None
        case _Dataset():
            return _dataset(data, frame, transform)
    return _list([data], frame, transform) if isinstance(data, pictures()) else None


def _array(data: Array, frame: Frame, transform: Transform | None) -> Source:
    rows = data if is_batch(data, frame, "data") else data[None]
    return len(rows), lambda place: made(rows[place], frame, transform, f"data[{place}]")


def _files(places: Iterable[str | Path], frame: Frame, transform: Transform | None) -> Source:
    files = find_images(places)
    return len(files), lambda place: made(read_image(files[place]), frame, transform, str(files[place]))


def _list(data: Sequence[Any], frame: Frame, transform: Transform | None) -> Source:
    parts = [part for i, item in enumerate(data) for part in split(item, frame, f"data[{i}]")]
    return len(parts), lambda place: made(parts[place], frame, transform, f"Sample {place} of data")


def _dataset(data: _Dataset, frame: Frame, transform: Transform | None) -> Source:
    def read(place: int) -> Array:
        item = user_code(lambda: data[place], f"reading data[{place}]")
        parts = split(item, frame, f"data[{place}]")
        if len(parts) != 1:
            raise UsageError(
                f"data[{place}] holds {len(parts)} samples. Expected one. Wrap the dataset: DataLoader(data, batch_size=None)."
            )
        return made(parts[0], frame, transform, f"data[{place}]")

    return len(data), read
