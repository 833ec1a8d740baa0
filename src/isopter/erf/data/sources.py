"""Where samples come from: noise, data with random access, data that flow by.

Sample i is the same whichever process asks for it, and in whatever order: so processes share the work by taking every n-th number,
and find together what one would have found.
"""

from __future__ import annotations

import itertools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from isopter.capture.guard import user_code
from isopter.erf.data.arrays import Array, is_shared_out
from isopter.erf.data.chance import generator, seeded
from isopter.erf.data.images import Transform
from isopter.erf.data.items import made, split
from isopter.erf.data.photos import Unreadable
from isopter.erf.frame import Frame
from isopter.errors import UsageError

_END = object()


class Samples(ABC):
    """Numbered samples. `length`: how many there are, None where only reading on can tell."""

    length: int | None = None

    @abstractmethod
    def take(self, indices: range | Sequence[int]) -> Iterator[tuple[int, Array]]:
        """(i, sample i) for each number, a float32 array of the model's input; a tensor on the data's device if they are tensors of torch.
        Nothing for numbers past the end.

        Raises UsageError, naming the sample, where it is none for this model; warns of images that could not be read.
        """


class Noise(Samples):
    """Standard normal noise; sample i depends on the seed and i alone."""

    def __init__(self, frame: Frame, seed: int, count: int) -> None:
        self.frame, self.seed, self.length = frame, int(seed), int(count)

    def take(self, indices: range | Sequence[int]) -> Iterator[tuple[int, Array]]:
        """Draw."""
        for index in indices:
            if index < (self.length or 0):
                yield index, drawn(self.seed, index, self.frame, [self.frame.shape[a] for a in self.frame.axes])


def drawn(seed: int, number: int, frame: Frame, size: Sequence[int]) -> npt.NDArray[np.float32]:
    """Sample `number` where the samples are noise, for a space of that size."""
    return frame.normal(generator(seed, number, 0), size, np.float32)


class Chosen(Samples):
    """Samples of data with random access: `size` places, each read by a function.

    Where a place cannot be read, sample i is that of a spare place, which belongs to it alone, so that all processes agree.
    """

    def __init__(self, size: int, read: Callable[[int], Array], seed: int, count: int | None) -> None:
        if not size:
            raise UsageError("data is empty. Give at least one sample.")
        if count is not None and count > size:
            warnings.warn(f"data holds {size} samples, and {count} were asked for. All {size} are used, each once.", stacklevel=4)
        self.length: int = min(size, int(count or size))
        self.read, self.seed = read, int(seed)
        self.order: Sequence[int] = range(size) if self.length == size else generator(self.seed).permutation(size).tolist()

    def take(self, indices: range | Sequence[int]) -> Iterator[tuple[int, Array]]:
        """Read, each sample when it is its turn."""
        given, missed = False, list[str]()
        try:
            for index in indices:
                if index < self.length and (sample := self._sample(index, missed)) is not None:
                    given = True
                    yield index, sample
        finally:
            if missed:
                more = f" and {len(missed) - 3} more" if len(missed) > 3 else ""
                warnings.warn(f"Not read, and left out: {', '.join(missed[:3])}{more}.", stacklevel=2)
        if missed and not given and all(self._sample(index, missed) is None for index in range(self.length)):
            raise UsageError(
                f"No image can be read, of {len(self.order)}; the first: {missed[0]}. Expected PNG, JPEG, BMP, WebP, TIFF or GIF."
            )

    def _sample(self, index: int, missed: list[str]) -> Array | None:
        for place in self.order[index :: self.length]:
            try:
                with seeded(self.seed, place):
                    return self.read(place)
            except Unreadable as error:
                missed.append(str(error))
        return None


class Stream(Samples):
    """Samples of an iterable, in its order: everyone reads all of it and keeps what was asked for."""

    def __init__(self, data: Iterable[Any], frame: Frame, seed: int, count: int | None, transform: Transform | None) -> None:
        if is_shared_out(data):
            raise UsageError(
                "The DataLoader shares its data out among processes, and isopter does so itself. Leave its DistributedSampler out."
            )
        self.data, self.frame, self.transform = data, frame, transform
        self.seed, self.count = int(seed), count
        self._flow: Iterator[tuple[str, Any]] | None = None
        self._next = 0

    def take(self, indices: range | Sequence[int]) -> Iterator[tuple[int, Array]]:
        """Read on to the last of the numbers; from the start again if one of them has gone by."""
        if not len(indices):
            return
        wanted = indices if isinstance(indices, range) else frozenset(indices)
        ends = (indices[0], indices[-1]) if isinstance(indices, range) else indices  # a range may be too long to look through
        flow, last = self._at(min(ends)), max(ends)
        while self._next <= last:
            name, item = next(flow, ("", _END))
            if item is _END:
                return self._ended()
            index, self._next = self._next, self._next + 1
            if index in wanted and (sample := self._made(index, item, name)) is not None:
                yield index, sample

    def _made(self, index: int, item: Any, name: str) -> Array | None:
        try:
            with seeded(self.seed, index, 0):
                return made(item, self.frame, self.transform, name)
        except Unreadable as error:
            warnings.warn(f"Not read, and left out: {error}.", stacklevel=3)
            return None

    def _at(self, first: int) -> Iterator[tuple[str, Any]]:
        """The flow of samples, not yet past the first that is wanted."""
        if self._flow is not None and first >= self._next:
            return self._flow
        if self._flow is not None and iter(self.data) is self.data:
            raise UsageError(f"data is a {type(self.data).__name__}, which can be read once, and sample {first} has gone by. Give a list.")
        self._flow, self._next = self._samples(), 0
        return self._flow

    def _samples(self) -> Iterator[tuple[str, Any]]:
        """Name and value of every sample; batches are split."""
        number = itertools.count()
        with seeded(self.seed, 0):
            flow = user_code(lambda: iter(self.data), "starting to read data")
        for step in itertools.count(1):
            with seeded(self.seed, step):
                item = user_code(lambda: next(flow, _END), f"reading item {step - 1} of data")
            if item is _END:
                return
            yield from ((f"Sample {next(number)} of data", part) for part in split(item, self.frame, f"Item {step - 1} of data"))

    def _ended(self) -> None:
        if not self._next:
            raise UsageError(f"data is empty, or was read before: a {type(self.data).__name__} that gave no sample. Give at least one.")
        if self.count is not None and self._next < self.count:
            warnings.warn(f"data ended after {self._next} samples, and {self.count} were asked for. Each is used once.", stacklevel=3)
