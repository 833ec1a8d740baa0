"""Windows: paddings that frameworks compute (SAME), and the taps of constant filters."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from isopter.capture.static.values import Const
from isopter.errors import CaptureError

MOST = 2**26
"""Entries of the table of one axis map, kernel times outputs: more is damage, or more than the walks can hold."""


def same_pads(n: int, kernel: int, stride: int, dilation: int, lower: bool = False) -> tuple[int, int]:
    """(before, after) such that the output has ``ceil(n / stride)`` positions; the odd one is after, or before with `lower`.

    Example, n 224, kernel 3, stride 2: one pixel, after. Source: Dumoulin & Visin 2016, and TensorFlow's definition of SAME.
    """
    total = max((-(-n // stride) - 1) * stride + (kernel - 1) * dilation + 1 - n, 0)
    small = total // 2
    return (total - small, small) if lower else (small, total - small)


Sizes = tuple[int, ...]


def checked(where: str, out: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes, pad: Sizes) -> None:
    """Raise CaptureError for windows that no network has: they would not fit into memory."""
    lengths = {len(kernel), len(stride), len(dilation), len(pad), len(out)}
    if len(lengths) != 1:
        raise CaptureError(
            f"{where}: kernel {kernel}, stride {stride}, dilation {dilation} and padding {pad} must each have {len(out)} entries."
        )
    for n, k, s, d, p in zip(out, kernel, stride, dilation, pad, strict=True):
        if not (k > 0 and 0 < s < 2**31 and 0 < d < 2**31 and abs(p) < 2**31 and k * max(n, s) <= MOST):
            raise CaptureError(
                f"{where}: a window of {k} with stride {s}, dilation {d} and padding {p} on {n} outputs is more than isopter reads."
            )


def taps(filters: np.ndarray | None) -> dict[str, Any]:
    """Which taps of a constant filter (C_out, C_in, *kernel) are not zero, if some are, as params of the kind ``conv``; filters that differ
    between channels are bounded by all of them. More than 64 taps are taken as dense: their holes would cost more than they tell."""
    if filters is None or not filters.size:
        return {}
    used = (filters != 0).reshape(-1, *filters.shape[2:])
    some = used.any(axis=0)
    if some.all() or not some.any() or some.sum() > 64:
        return squares_of(filters) if _is_fixed(filters) else {}
    return {"taps": tuple(tuple(int(i) for i in t) for t in np.argwhere(some)), "same_taps": bool((used == some).all())}


def taps_of(value: Const) -> dict[str, Any]:
    """`taps` of a constant (C_out, C_in, *kernel), of which no more is loaded than tells that it is a weight like any other: that no tap is
    zero in all of the first filters, and that these are not all the same."""
    shape = value.shape
    if math.prod(shape[2:]) == 1:
        return {}
    few = min(shape[0], 2 if shape[1] > 1 else 64)
    head = None if value.first is None or shape[0] < 2 else value.first(few * math.prod(shape[1:]))
    if head is not None and head.size:
        filters = head.reshape(few, *shape[1:])
        if (filters != 0).reshape(-1, *shape[2:]).any(axis=0).all() and not _is_fixed(filters):
            return {}
    return taps(value.load())


def _is_fixed(filters: np.ndarray) -> bool:
    """Whether these are no weights but one filter (a blur), for each channel the same; a file cannot say so otherwise."""
    return filters.shape[0] > 1 and filters.shape[1] == 1 and bool((filters == filters[:1]).all()) and np.ptp(filters[0]) > 0


def squares_of(filters: np.ndarray) -> dict[str, Any]:
    """The mean squared taps of a fixed filter as a product over the axes, if they are one (a blur is)."""
    squares = np.square(filters.astype(np.float64)).mean(axis=(0, 1))
    total = squares.sum()
    if not squares.ndim or not total > 0:
        return {}
    axes = [squares.sum(axis=tuple(a for a in range(squares.ndim) if a != axis)) for axis in range(squares.ndim)]
    product = functools.reduce(np.multiply.outer, axes) / total ** (squares.ndim - 1)
    if not np.allclose(product, squares, rtol=1e-6, atol=0):
        return {}
    axes[0] = axes[0] / total ** (squares.ndim - 1)
    return {"squares": tuple(tuple(float(v) for v in axis) for axis in axes)}
