"""Frame: how a model's input lies: its shape, and which of its axes are space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isopter.analysis import Analysis
from isopter.fields.space import space_axes

Box = tuple[tuple[int, int], ...]
"""Half-open [lo, hi) per space axis, in input pixels."""


@dataclass(frozen=True)
class Frame:
    """An input of `shape`, one sample, whose `axes` are space: (1, 3, 224, 224) and (2, 3), or (1, 224, 224, 3) and (1, 2).

    Maps are over the space axes, in the order of `axes`. Everything random is drawn with the other axes first, so that one seed gives
    the same image to networks that differ in the order of their axes alone.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]

    @classmethod
    def of(cls, shape: Sequence[int]) -> Frame:
        """That of a shape of which nothing more is known: batch, channels, space."""
        return cls(tuple(shape), space_axes(tuple(shape)))

    @classmethod
    def of_input(cls, analysis: Analysis) -> Frame:
        """That of the first input that the model's output depends on."""
        plan = analysis._walk(analysis.origin).plan
        return cls(plan.graph.ops[plan.origin].shape, plan.axes)

    @property
    def others(self) -> tuple[int, ...]:
        """The axes that are not space."""
        return tuple(a for a in range(len(self.shape)) if a not in self.axes)

    @property
    def batched(self) -> bool:
        """Whether the first axis is the batch, of one sample."""
        return len(self.shape) > 1 and self.shape[0] == 1 and 0 not in self.axes

    @property
    def sample(self) -> tuple[int, ...]:
        """The shape of one sample as data hold it: without the batch."""
        return self.shape[self.batched :]

    @property
    def channels(self) -> int:
        """How many numbers there are at one place."""
        return math.prod(self.shape[a] for a in self.others)

    def sized(self, size: Sequence[int]) -> tuple[int, ...]:
        """The shape for another size of space."""
        new = dict(zip(self.axes, size, strict=True))
        return tuple(new.get(a, n) for a, n in enumerate(self.shape))

    def index(self, box: Box, canvas: Box) -> tuple[slice, ...]:
        """Takes a box of the plane from an array of the `canvas`; further axes may stand before those of the input, see `behind`."""
        part = {a: slice(lo - start, hi - start) for a, (lo, hi), (start, _) in zip(self.axes, box, canvas, strict=True)}
        return tuple(part.get(a, slice(None)) for a in range(len(self.shape)))

    def behind(self, box: Box, canvas: Box) -> tuple[Any, ...]:
        """As `index`, for an array of samples, a row each."""
        return (slice(None), *self.index(box, canvas))

    def normal(self, generator: np.random.Generator, size: Sequence[int], dtype: Any = np.float64) -> npt.NDArray[Any]:
        """Standard normal noise for that size of space."""
        return self._placed(generator.standard_normal(self._ordered(self.sized(size)), dtype=dtype))

    def _ordered(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(shape[a] for a in (*self.others, *self.axes))

    def _placed(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values with the other axes first as the input has them."""
        order = np.argsort((*self.others, *self.axes))
        return values if (order == np.arange(len(order))).all() else np.ascontiguousarray(values.transpose(order))

    def on_space(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Rows of samples summed over all axes that are not space: a map each."""
        summed = rows.sum(axis=tuple(1 + a for a in self.others)) if self.others else rows
        ranks = np.argsort(np.argsort(self.axes))
        return summed.transpose(0, *(1 + ranks))
