"""Axis maps: which positions of one input axis an output position reads.

Every map can say so in two settings:

- inside a tensor (`table`): a row of input positions per output position, -1 for "nothing" (padding, holes);
- on the unbounded plane (`plane`): a `Periodic` pattern without borders, or None where there is none (a concatenation
  along space, an arbitrary gather).

Indices are 0-based; `n_out` and `n_in` are axis lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

NOTHING = np.iinfo(np.int64).min
"""An entry of a `Periodic` pattern that reads nothing (a hole of a transposed convolution)."""


@dataclass(frozen=True, eq=False, slots=True)
class Periodic:
    """A map on the plane: output i reads ``pattern[i % period] + (i // period) * jump``; a row holds `NOTHING` for holes.

    `pattern` has shape (period, taps). Example, stride-2 window of 3 with padding 1: jump 2, pattern [[-1, 0, 1]].
    """

    jump: int
    pattern: Ints

    @property
    def period(self) -> int:
        return len(self.pattern)

    def taps(self, index: Ints) -> Ints:
        """Input positions read by each output index, shape ``index.shape + (taps,)``, `NOTHING` where none."""
        turns, phase = np.divmod(index, self.period)
        rows = self.pattern[phase]
        return np.where(rows == NOTHING, NOTHING, rows + (turns * self.jump)[..., None])


class AxisMap:
    """Base of all axis maps. Subclasses are frozen values."""

    __slots__ = ()

    @property
    def plane(self) -> Periodic | None:
        """The map without borders, or None if there is no such thing."""
        return None

    def table(self, n_out: int, n_in: int) -> Ints:
        """Input positions per output position, shape (n_out, taps), clipped to the axis; -1 reads nothing."""
        plane = self.plane
        assert plane is not None, f"{type(self).__name__} must define table() or plane"
        rows = plane.taps(np.arange(n_out, dtype=np.int64))
        return np.where((rows < 0) | (rows >= n_in), -1, rows)


@dataclass(frozen=True, slots=True)
class Same(AxisMap):
    """Output i reads input i."""

    @property
    def plane(self) -> Periodic:
        return Periodic(1, np.zeros((1, 1), np.int64))


@dataclass(frozen=True, slots=True)
class Window(AxisMap):
    """Output i reads ``i * stride - pad + dilation * t`` for t < size. Convolution, pooling, slicing (size 1), flips
    (stride -1).

    ``Window(3, 2, 1, 1)``: output 0 reads -1, 0, 1, output 1 reads 1, 2, 3.
    """

    size: int
    stride: int = 1
    dilation: int = 1
    pad: int = 0

    @property
    def plane(self) -> Periodic:
        return Periodic(self.stride, (np.arange(self.size, dtype=np.int64) * self.dilation - self.pad)[None])


@dataclass(frozen=True, slots=True)
class Spread(AxisMap):
    """The transpose of a Window: output o reads every integer ``(o + pad - dilation * t) / stride`` for t < size.

    ``Spread(3, 2, 1, 1)`` (transposed convolution): output 0 reads 0, output 1 reads 0 and 1, output 2 reads 1.
    """

    size: int
    stride: int = 1
    dilation: int = 1
    pad: int = 0

    @property
    def plane(self) -> Periodic:
        phase = np.arange(self.stride, dtype=np.int64)[:, None]
        source = phase + self.pad - self.dilation * np.arange(self.size, dtype=np.int64)
        pattern = np.where(source % self.stride == 0, source // self.stride, NOTHING)
        keep = (pattern != NOTHING).any(axis=0)
        return Periodic(1, pattern[:, keep] if keep.any() else pattern[:, :1])


@dataclass(frozen=True, eq=False, slots=True)
class Take(AxisMap):
    """Output i reads the positions in ``rows[i]`` (-1 reads nothing); `without_borders` is its pattern on the plane."""

    rows: Ints
    without_borders: Periodic | None = None

    @property
    def plane(self) -> Periodic | None:
        return self.without_borders

    def table(self, n_out: int, n_in: int) -> Ints:
        assert self.rows.shape[0] == n_out, f"Take has {self.rows.shape[0]} rows for {n_out} outputs"
        return self.rows


@dataclass(frozen=True, eq=False, slots=True)
class Span(AxisMap):
    """Output i reads every position of [lo[i], hi[i]). Adaptive pooling, channel groups, causal scans."""

    lo: Ints
    hi: Ints
    without_borders: Periodic | None = None

    @property
    def plane(self) -> Periodic | None:
        return self.without_borders

    def table(self, n_out: int, n_in: int) -> Ints:
        widest = int((self.hi - self.lo).max(initial=1))
        rows = self.lo[:, None] + np.arange(widest)
        return np.where(rows < self.hi[:, None], rows, -1)


@dataclass(frozen=True, slots=True)
class Whole(AxisMap):
    """Every output reads every position. Softmax, attention, token mixing."""

    def table(self, n_out: int, n_in: int) -> Ints:
        return np.broadcast_to(np.arange(n_in, dtype=np.int64), (n_out, n_in))


def window(size: int, stride: int = 1, dilation: int = 1, pad: int = 0) -> AxisMap:
    """A `Window`, or `Same` where the window is one pixel that stays in place."""
    if size == 1 and stride == 1 and pad == 0:
        return Same()
    return Window(size, stride, dilation, pad)


@lru_cache(maxsize=4096)
def table_of(axis_map: AxisMap, n_out: int, n_in: int) -> Ints:
    """`axis_map.table(n_out, n_in)`, remembered: networks repeat a handful of maps."""
    return axis_map.table(n_out, n_in)


@lru_cache(maxsize=4096)
def blank_of(axis_map: AxisMap, n_out: int, n_in: int) -> npt.NDArray[np.bool_] | None:
    """Which outputs read nothing at all, or None when each reads something."""
    if n_in == 0:
        return np.ones(n_out, np.bool_)
    match axis_map:
        case Same() | Whole():
            return None
        case Span(lo, hi):
            blank = hi <= lo
        case _:
            blank = np.asarray((table_of(axis_map, n_out, n_in) < 0).all(axis=1))
    return blank if blank.any() else None
