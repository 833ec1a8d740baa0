"""Interpolation along an axis as JAX spells it, a product with a matrix of weights or a gather, known by the positions it reads."""

from __future__ import annotations

import functools

import numpy as np

from isopter.capture.jax.node import Tape
from isopter.capture.static import moves
from isopter.graph import Shape
from isopter.reads.axis import AxisMap
from isopter.reads.registry import Site
from isopter.reads.rules.resample import resample

KINDS = (("linear", False), ("linear", True), ("cubic", False), ("cubic", True))
"""(mode, antialias) of interpolations that are a matrix."""

ROUNDING = 1e-5
"""Weights this far below the largest of their row are rounding, if the others are those of an interpolation: the place is a grid point
in exact arithmetic."""

ALIKE = 1e-3
"""Weights this near to those of an interpolation, beside the largest of their row, are meant to be them."""


def interpolated(rec: Tape, op: int, axis: int, size: int, mode: str, antialias: bool) -> int:
    """`op` interpolated to `size` positions along one axis. With one along another axis just before, one op."""
    before = rec.ops[op]
    if before.kind == "transpose":
        order = before.params["perm"]
        made = interpolated(rec, before.inputs[0], order[axis], size, mode, antialias)
        return moves.transpose(rec, made, order)
    slid = [axis]
    shape = tuple(size if a == axis else n for a, n in enumerate(before.shape))
    if before.kind == "resample" and (before.params["mode"], before.params["antialias"]) == (mode, antialias):
        layout: Shape = before.params.get("layout", tuple(range(len(shape))))
        others = list(layout[len(layout) - len(before.params["steps"]) :])
        if axis not in others:
            slid = sorted([*others, axis])
            op = before.inputs[0]
    layout = (*(a for a in range(len(shape)) if a not in slid), *slid)
    params = {"mode": mode, "steps": (None,) * len(slid), "align_corners": False, "antialias": antialias}
    if layout != tuple(range(len(shape))):
        params["layout"] = layout
    return rec.emit("resample", shape, [op], params, f"resize_{mode}")


def mode_of(weights: np.ndarray) -> tuple[str, bool] | None:
    """Which interpolation a matrix (n, m) is, column i the weights of output i; None if it reads other positions than each of them."""
    n, m = weights.shape
    if n < 2 or m < 1:
        return None
    largest = np.abs(weights).max(axis=0, keepdims=True)
    read = np.abs(weights) > ROUNDING * largest
    small = bool((read != (weights != 0)).any())
    for mode, antialias in KINDS:
        if not np.array_equal(read, _pattern(n, m, mode, antialias)):
            continue
        if not small or (np.abs(weights - _weights(n, m, mode, antialias)) <= ALIKE * largest).all():
            return mode, antialias
    return None


def _weights(n: int, m: int, mode: str, antialias: bool) -> np.ndarray:
    """The matrix (n, m) of an interpolation: a triangle, or the cubic of Keys with a = -1/2, over its sum.

    R. Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29 (1981), 1153-1160.
    """
    step = n / m
    apart = np.abs((np.arange(m) + 0.5) * step - 0.5 - np.arange(n)[:, None]) / (max(step, 1.0) if antialias else 1.0)
    if mode == "linear":
        found = np.maximum(1 - apart, 0)
    else:
        near, far = (1.5 * apart - 2.5) * apart**2 + 1, ((-0.5 * apart + 2.5) * apart - 4) * apart + 2
        found = np.where(apart < 1, near, np.where(apart < 2, far, 0.0))
    return np.asarray(found / found.sum(axis=0, keepdims=True))


def nearest_mode(index: np.ndarray, n: int) -> str | None:
    """The interpolation by the nearest that reads just these positions of n, if there is one and it is no mere slice."""
    m = len(index)
    if m == n or m < 2 or n < 1:
        return None
    return next((mode for mode in ("nearest-exact", "nearest") if np.array_equal(_rows(n, m, mode, False), index[:, None])), None)


@functools.lru_cache(maxsize=256)
def _rows(n: int, m: int, mode: str, antialias: bool) -> np.ndarray:
    """The positions that each output of an interpolation reads, shape (m, taps), -1 for nothing."""
    params = {"mode": mode, "steps": (None,), "align_corners": False, "antialias": antialias}
    (relation,), *_ = resample(Site("resample", params, ((1, 1, n),), (1, 1, m)))
    link = relation.link_in(2)
    assert link is not None and isinstance(link.map, AxisMap)
    return link.map.table(m, n)


def _pattern(n: int, m: int, mode: str, antialias: bool) -> np.ndarray:
    """Which positions an interpolation reads, shape (n, m)."""
    rows = _rows(n, m, mode, antialias)
    read = np.zeros((m, n), np.bool_)
    at, taps = np.nonzero(rows >= 0)
    read[at, rows[at, taps]] = True
    return read.T
