"""``data=`` in any form as numbered samples for a torch module: torch tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from isopter.erf.data.images import Transform
from isopter.erf.data.numbered import numbered
from isopter.erf.data.sources import Samples
from isopter.erf.frame import Frame

__all__ = ["Samples", "samples"]


def samples(data: Any, shape: tuple[int, ...], *, seed: int, count: int | None, transform: Transform | None = None) -> Tensors:
    """`data` as samples of `shape`, such as (1, 3, 224, 224): the batch first, of 1, then channels, then space. See `numbered`."""
    return Tensors(numbered(data, Frame.of(shape), seed=seed, count=count, transform=transform))


class Tensors:
    """Samples as tensors: those that are arrays share their memory."""

    def __init__(self, arrays: Samples) -> None:
        self.arrays, self.length = arrays, arrays.length

    def take(self, indices: range | Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """As `Samples.take`."""
        for number, sample in self.arrays.take(indices):
            yield number, torch.as_tensor(sample)
