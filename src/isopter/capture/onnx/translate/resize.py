"""Resize and Upsample, in all their coordinate systems."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial

import numpy as np

from isopter.capture.onnx.node import Node
from isopter.capture.onnx.translate import Translated, onnx_op, opaque
from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.node import Unknown
from isopter.capture.static.resize import HALF, ROUND, nearest_rows, padded, plane, smooth_rows
from isopter.errors import CaptureError

LONGEST = 2**17
"""Positions along a resized axis: each is worked out in fractions."""


@onnx_op("Resize Upsample")
def resize(rec: Builder, node: Node) -> Translated:
    """Grids that PyTorch has are ops of the kind ``resample``, others are tables (``take``), axis by axis."""
    rank, shape, out = len(node.out), node.shape(0), node.out
    mode = str(node.attr("mode", "nearest")).removeprefix("bi")
    grid = node.attr("coordinate_transformation_mode", "half_pixel") if _is_new(node) else "asymmetric"
    rounding = node.attr("nearest_mode", "round_prefer_floor") if _is_new(node) else "floor"
    if mode not in ("nearest", "linear", "cubic") or grid not in GRIDS or rounding not in ROUND:
        raise CaptureError(f"{node.label}: Resize by mode {mode!r}, {grid!r} and {rounding!r}.")
    steps = _steps(node, shape, out)
    changed = [a for a in range(rank) if shape[a] != out[a] or steps[a] not in (None, 1)]
    crop = grid == "tf_crop_and_resize"
    if crop:
        changed = list(range(rank)) if node.attr("axes") is None else [a % rank for a in node.attr("axes")]
    if max((max(out[a], shape[a]) for a in changed), default=0) > LONGEST or any(not shape[a] for a in changed):
        return opaque(rec, node)
    op = node.source()
    if not changed:
        return rec.emit("pointwise", out, [op], {}, "resize")
    if node.attr("antialias", 0) and mode != "nearest" and any(out[a] < shape[a] for a in changed):
        if grid != "half_pixel" or any(steps[a] is not None for a in changed):
            rec.issue("Resize with antialias on an uncommon grid: bounded by the whole of its axes")
            return rec.emit("sort", out, [op], {"axes": tuple(changed), "bound": True}, "resize")
        return _resample(rec, node, op, mode, "half_pixel", changed, [None] * rank, True)
    if _is_resample(mode, grid, rounding, changed, shape, out, steps):
        return _resample(rec, node, op, mode, grid, changed, steps, False)
    roi = _roi(node, rank) if crop else None
    for axis in changed:
        op = _along(rec, node, op, axis, mode, grid, rounding, steps[axis], None if roi is None else roi[axis])
    return op


GRIDS = frozenset(
    "half_pixel half_pixel_symmetric pytorch_half_pixel align_corners asymmetric tf_half_pixel_for_nn tf_crop_and_resize".split()
)


def _is_new(node: Node) -> bool:
    return node.op == "Resize" and node.version >= 11


def _steps(node: Node, shape: tuple[int, ...], out: tuple[int, ...]) -> list[Fraction | None]:
    """Input positions per output position where a scale is given, else None: n / m."""
    rank = len(shape)
    axes = [a % rank for a in node.attr("axes")] if node.attr("axes") is not None else list(range(rank))
    at = 2 if _is_new(node) else 1
    scales = node.attr("scales") if node.attr("scales") is not None else None
    if scales is None and node.has(at):
        known = node.const(at)
        if known is None:
            raise Unknown("scales")
        scales = known.reshape(-1).tolist() if known.size else None
    steps: list[Fraction | None] = [None] * rank
    if scales is None and node.attr("keep_aspect_ratio_policy", "stretch") != "stretch":
        sizes = node.ints("sizes", 3)
        if sizes is None or len(sizes) != len(axes):
            raise Unknown("sizes")
        ratios = [Fraction(m, shape[a]) for a, m in zip(axes, sizes, strict=True)]
        one = (min if node.attr("keep_aspect_ratio_policy") == "not_larger" else max)(ratios)
        return [1 / one if a in axes else None for a in range(rank)]
    for axis, scale in zip(axes, scales or (), strict=False):
        if not 2.0**-24 <= scale <= 2.0**24:
            raise CaptureError(f"{node.label}: a scale of {scale}.")
        simple = Fraction(scale).limit_denominator(10_000)
        step = 1 / (simple if math.isclose(simple, scale, rel_tol=1e-6) else Fraction(scale))
        steps[axis] = None if step * out[axis] == shape[axis] else step
    return steps


def _is_resample(
    mode: str, grid: str, rounding: str, changed: list[int], shape: tuple[int, ...], out: tuple[int, ...], steps: list[Fraction | None]
) -> bool:
    """Whether the rule of the kind ``resample`` says the same."""
    if mode == "nearest":
        return grid == "asymmetric" and rounding == "floor"
    if grid == "pytorch_half_pixel":
        return all(out[a] > 1 for a in changed)
    if grid == "align_corners":
        return all(steps[a] is None for a in changed)
    return grid in ("half_pixel", "asymmetric")


def _resample(
    rec: Builder, node: Node, op: int, mode: str, grid: str, changed: list[int], steps: list[Fraction | None], antialias: bool
) -> int:
    first = min(changed)
    last = max(changed)
    behind = list(range(last + 1, len(node.out)))  # the kind resamples the last axes: others that follow stay as they are
    order = [a for a in range(len(node.out)) if a not in behind]
    if behind and mode == "cubic":  # a cubic filter would be laid over them, too
        order = [a for a in range(len(node.out)) if a < first or a in behind] + list(range(first, last + 1))
        op = moves.transpose(rec, op, order)
        made = _resampled(rec, op, tuple(node.out[a] for a in order), mode, grid, [steps[a] for a in range(first, last + 1)], antialias)
        return moves.transpose(rec, made, [order.index(a) for a in range(len(order))])
    return _resampled(rec, op, node.out, mode, grid, steps[first:], antialias)


def _resampled(
    rec: Builder, op: int, out: tuple[int, ...], mode: str, grid: str, steps: list[Fraction | None], antialias: bool
) -> int:
    params: dict[str, object] = {
        "mode": mode,
        "align_corners": grid == "align_corners",
        "antialias": antialias,
        "steps": tuple(None if s is None else float(s) for s in steps),
    }
    if grid == "asymmetric" and mode != "nearest":
        params["asymmetric"] = True
    return rec.emit("resample", out, [op], params, f"upsample_{mode}")


def _along(
    rec: Builder,
    node: Node,
    op: int,
    axis: int,
    mode: str,
    grid: str,
    rounding: str,
    given: Fraction | None,
    roi: tuple[Fraction, Fraction] | None,
) -> int:
    """One axis as a table of positions."""
    n, m = rec.shape(op)[axis], node.out[axis]
    step = Fraction(n, m) if given is None else given
    where = partial(_place, grid, n, m, step, roi)
    if mode == "nearest":
        rows = nearest_rows(n, m, where, rounding)
        pattern = plane(where, step, m, lambda x: [ROUND[rounding](x)])
    else:
        reach = 2 if mode == "cubic" else 1
        outside = (lambda x: x < 0 or x > n - 1) if grid == "tf_crop_and_resize" else None
        rows = smooth_rows(n, m, where, reach, outside)
        pattern = plane(where, step, m, lambda x: _taps(x, reach))
    if grid == "align_corners" and (n / step).denominator != 1 and m > 1:  # a scale that gives no whole size
        rec.issue("Resize by align_corners and a scale: runtimes place the corners in two ways, and both are read")
        whole = partial(_place, grid, n, m, Fraction(n, m), roi)
        other = nearest_rows(n, m, whole, rounding) if mode == "nearest" else smooth_rows(n, m, whole, 2 if mode == "cubic" else 1)
        rows = padded([sorted({*a, *b} - {-1}) for a, b in zip(rows.tolist(), other.tolist(), strict=True)])
    if grid in ("align_corners", "tf_crop_and_resize", "half_pixel_symmetric"):
        pattern = {}  # the grid depends on the size of the tensor
    return moves.take(rec, op, axis, rows, f"upsample_{mode}", **pattern)


def _taps(place: Fraction, reach: int) -> list[int]:
    low = math.floor(place)
    return [low] if place == low else list(range(low - reach + 1, low + reach + 1))


def _place(grid: str, n: int, m: int, step: Fraction, roi: tuple[Fraction, Fraction] | None, i: int) -> Fraction:
    """Where output i of m looks in n positions. Source: the definition of Resize in the ONNX standard."""
    match grid:
        case "asymmetric":
            return i * step
        case "align_corners":
            length = n / step - 1  # of the resized axis, before it was rounded
            return Fraction(i * (n - 1)) / length if length else Fraction(0)
        case "pytorch_half_pixel":
            return (i + HALF) * step - HALF if m > 1 else Fraction(0)
        case "tf_half_pixel_for_nn":
            return (i + HALF) * step
        case "half_pixel_symmetric":
            adjusted = m * step / n
            return Fraction(n, 2) * (1 - adjusted) + (i + HALF) * step - HALF
        case "tf_crop_and_resize":
            start, end = roi or (Fraction(0), Fraction(1))
            if m <= 1:
                return HALF * (start + end) * (n - 1)
            return start * (n - 1) + i * (end - start) * (n - 1) / (m - 1)
        case _:
            return (i + HALF) * step - HALF


def _roi(node: Node, rank: int) -> list[tuple[Fraction, Fraction]]:
    """Start and end of the region per axis, as shares of it."""
    known = node.const(1)
    axes = [a % rank for a in node.attr("axes")] if node.attr("axes") is not None else list(range(rank))
    if known is None or known.size != 2 * len(axes) or not np.isfinite(known).all():
        raise Unknown("a region")
    numbers = [Fraction(float(v)).limit_denominator(10_000) for v in known.reshape(-1)]
    roi = [(Fraction(0), Fraction(1))] * rank
    for k, axis in enumerate(axes):
        roi[axis] = numbers[k], numbers[k + len(axes)]
    return roi
