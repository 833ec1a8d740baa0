"""Resizing of images (N, H, W, C), in TensorFlow's three grids."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.resize import HALF, padded, plane
from isopter.capture.tensorflow.node import Node
from isopter.capture.tensorflow.translate import Translated, opaque, tf_op

LONGEST = 2**17
"""Positions along a resized axis: each is worked out in fractions."""

LAYOUT = (0, 3, 1, 2)


def _too_long(node: Node) -> bool:
    sizes = (*node.shape(0)[1:3], *node.out[1:3])
    return max(sizes) > LONGEST or not min(sizes)


def _steps(node: Node) -> tuple[float | None, float | None]:
    """Input positions per output position where the graph says a factor (the shape of the image times whole numbers), else None per axis.

    A size that was worked out in Python before the trace is a constant, and tells no factor.
    """
    unknown = None, None
    product = _root(node.made.inputs[1])
    if product.op.type != "Mul":
        return unknown
    sides = [_root(t) for t in product.op.inputs]
    factors = [v for t in sides if t.op.type == "Const" and (v := tf.make_ndarray(t.op.get_attr("value"))).size in (1, 2)]
    cuts = [t.op for t in sides if t.op.type == "StridedSlice"]
    if len(factors) != 1 or len(cuts) != 1:
        return unknown
    shape = _root(cuts[0].inputs[0])
    if shape.op.type != "Shape" or _root(shape.op.inputs[0]) is not _root(node.made.inputs[0]):
        return unknown
    found = np.broadcast_to(factors[0].reshape(-1), (2,)).tolist()
    fits = all(f > 0 and n * f == m for f, n, m in zip(found, node.shape(0)[1:3], node.out[1:3], strict=True))
    mine = [tf.get_static_value(t) for t in cuts[0].inputs[1:]]
    places = None if any(v is None for v in mine) else tuple(int(v[0]) for v in mine if len(v) == 1)
    inside = places in ((1, 3, 1), (1, -1, 1)) and not cuts[0].get_attr("begin_mask") and not cuts[0].get_attr("end_mask")
    return (1 / found[0], 1 / found[1]) if fits and inside else unknown


def _root(tensor: Any) -> Any:
    """The tensor behind ops that pass its numbers on."""
    while tensor.op.type in ("Identity", "Cast"):
        tensor = tensor.op.inputs[0]
    return tensor


@tf_op("ResizeBilinear ResizeBicubic")
def resize(rec: Builder, node: Node) -> Translated:
    """Half pixels, aligned corners, or (as in TensorFlow 1) points at the left edge of their pixel."""
    if _too_long(node):
        return opaque(rec, node)
    corners, half = bool(node.attr("align_corners", False)), bool(node.attr("half_pixel_centers", False))
    mode = "cubic" if node.op == "ResizeBicubic" else "linear"
    params: dict[str, object] = {
        "mode": mode,
        "align_corners": corners,
        "antialias": False,
        "steps": (None, None) if corners else _steps(node),
        "layout": LAYOUT,
    }
    if not corners and not half:
        params["asymmetric"] = True
    return rec.emit("resample", node.out, [node.source()], params, f"upsample_{mode}")


@tf_op("ResizeNearestNeighbor")
def resize_nearest(rec: Builder, node: Node) -> Translated:
    """floor(i s); with half pixels floor((i + 1/2) s); with aligned corners i s rounded, halves up."""
    if _too_long(node):
        return opaque(rec, node)
    if not node.attr("align_corners", False):
        mode = "nearest-exact" if node.attr("half_pixel_centers", False) else "nearest"
        params = {"mode": mode, "align_corners": False, "antialias": False, "steps": _steps(node), "layout": LAYOUT}
        return rec.emit("resample", node.out, [node.source()], params, "upsample_nearest")
    op = node.source()
    for axis in (1, 2):
        n, m = node.shape(0)[axis], node.out[axis]
        if n != m:
            op = moves.take(rec, op, axis, _corners(n, m), "upsample_nearest")
    return op


def _corners(n: int, m: int) -> np.ndarray:
    """Rounded places on the grid of aligned corners; both neighbours where single precision decides."""
    step = Fraction(n - 1, m - 1) if m > 1 else Fraction(n, m)
    single = np.float32(n - 1) / np.float32(m - 1) if m > 1 else np.float32(n / m)
    rows = []
    for i in range(m):
        places = {math.floor(i * step + HALF), math.floor(float(np.float32(i) * single) + 0.5)}
        rows.append(sorted({min(max(j, 0), n - 1) for j in places}))
    return padded(rows)


@tf_op("ResizeArea")
def resize_area(rec: Builder, node: Node) -> Translated:
    """Each output averages the box of input positions that it covers, those at the edges in part: ``i s`` to ``(i + 1) s``."""
    if _too_long(node):
        return opaque(rec, node)
    corners = bool(node.attr("align_corners", False))
    op = node.source()
    for axis in (1, 2):
        n, m = node.shape(0)[axis], node.out[axis]
        step = Fraction(n - 1, m - 1) if corners and m > 1 else Fraction(n, m)
        if step == 1:
            continue
        if m == 1:
            op = rec.emit("reduce", _with(rec, op, axis, 1), [op], {"axes": (axis,), "keepdim": True}, "mean")
            continue
        rows = [[min(j, n - 1) for j in _box(i, step)] for i in range(m)]
        pattern = {} if corners else plane(lambda i, step=step: i * step, step, m, _taps(step))  # type: ignore[misc]
        op = moves.take(rec, op, axis, padded([sorted(set(r)) for r in rows]), "resize_area", **pattern)
    return op


def _box(i: int, step: Fraction) -> range:
    return range(math.floor(i * step), math.ceil((i + 1) * step))


def _taps(step: Fraction) -> Callable[[Fraction], list[int]]:
    return lambda place: list(range(math.floor(place), math.ceil(place + step)))


def _with(rec: Builder, op: int, axis: int, n: int) -> tuple[int, ...]:
    return tuple(n if a == axis else m for a, m in enumerate(rec.shape(op)))


@tf_op("ScaleAndTranslate")
def scale_and_translate(rec: Builder, node: Node) -> Translated:
    """What tf.image.resize writes with antialias: a triangle or a cubic filter, widened when it shrinks. Other filters and shifts are
    bounded by the whole of the axes."""
    if _too_long(node):
        return opaque(rec, node)
    op = node.source()
    kind, antialias = node.attr("kernel_type"), bool(node.attr("antialias", True))
    scale, shift = node.const(2).reshape(-1), node.const(3).reshape(-1)
    simple = not shift.any() and all(
        math.isclose(s, m / n, rel_tol=1e-5) for s, n, m in zip(scale, node.shape(0)[1:3], node.out[1:3], strict=True)
    )
    if simple and kind in ("triangle", "keyscubic"):
        mode = "linear" if kind == "triangle" else "cubic"
        params = {"mode": mode, "align_corners": False, "antialias": antialias, "steps": (None, None), "layout": LAYOUT}
        return rec.emit("resample", node.out, [op], params, f"upsample_{mode}")
    rec.issue(f"ScaleAndTranslate with a {kind} filter: bounded by the whole of its axes")
    return rec.emit("sort", node.out, [op], {"axes": (1, 2), "bound": True}, "resize")
