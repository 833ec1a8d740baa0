"""Indexing with checked indices, on arrays of values or of positions (to see which goes where)."""

from __future__ import annotations

from typing import Any

import numpy as np


def gather_elements(x: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    """``out[i, j] = x[index[i, j], j]`` for axis 0. Raises IndexError."""
    return np.asarray(x[_grid(x, index, axis)])


def scatter_elements(x: np.ndarray, index: np.ndarray, updates: np.ndarray, axis: int) -> np.ndarray:
    """A copy of x with ``x[index[i, j], j] = updates[i, j]`` for axis 0; of several writes the last stays. Raises IndexError."""
    out = x.copy()
    out[_grid(x, index, axis)] = updates
    return out


def gather_nd(x: np.ndarray, index: np.ndarray, batch: int = 0) -> np.ndarray:
    """``out[i] = x[index[i, 0], index[i, 1], ...]`` after `batch` axes in common. Raises IndexError."""
    lead = np.indices(index.shape[:-1], sparse=True)[:batch]
    return np.asarray(x[(*lead, *np.moveaxis(index, -1, 0))])


def scatter_nd(x: np.ndarray, index: np.ndarray, updates: np.ndarray) -> np.ndarray:
    """A copy of x with ``x[index[i, 0], index[i, 1], ...] = updates[i]``. Raises IndexError."""
    out = x.copy()
    out[tuple(np.moveaxis(index, -1, 0))] = updates
    return out


def _grid(x: np.ndarray, index: np.ndarray, axis: int) -> tuple[Any, ...]:
    if index.ndim != x.ndim:
        raise IndexError(f"an index of {index.ndim} axes into {x.ndim}")
    grid: list[Any] = list(np.indices(index.shape, sparse=True))
    grid[axis] = index
    return tuple(grid)
