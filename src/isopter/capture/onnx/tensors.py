"""Tensors of a file as values: shape at once, numbers when somebody asks, and only from the model's own folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from isopter.capture.static.builder import LONGEST
from isopter.capture.static.values import Array, Const, Weight
from isopter.errors import CaptureError
from isopter.graph import Shape
from onnx import TensorProto, helper, numpy_helper

LOADED = 2**22
"""Entries of a constant that are loaded at most: shapes, indices, masks and filters are smaller, and weights are not asked for."""


def shape_of(name: str, dims: Any) -> Shape:
    """Dimensions as a shape. Raises CaptureError for those that no tensor has."""
    shape = tuple(int(n) for n in dims)
    if any(not 0 <= n <= LONGEST for n in shape):
        raise CaptureError(f"the tensor {name!r} has the shape {shape}. Axes of 0 to {LONGEST:,} are read; the file is damaged.")
    return shape


def constant(tensor: Any, folder: Path | None) -> Const | Weight:
    """The value of a tensor of the file; a weight if it is too large to be looked at, or holds text."""
    shape = shape_of(tensor.name, tensor.dims)
    if math.prod(shape) > LOADED or tensor.data_type in (TensorProto.STRING, TensorProto.UNDEFINED):
        return Weight(shape)
    found: list[Array] = []

    def load() -> Array:
        if not found:
            found.append(_numbers(tensor, shape, folder))
        return found[0]

    return Const(shape, load)


def _numbers(tensor: Any, shape: Shape, folder: Path | None) -> Array:
    try:
        if tensor.data_location == TensorProto.EXTERNAL:
            tensor = _external(tensor, shape, folder)
        array = np.asarray(numpy_helper.to_array(tensor))
    except CaptureError:
        raise
    except Exception as error:
        raise CaptureError(f"the tensor {tensor.name!r} is damaged ({type(error).__name__}: {str(error)[:120]}). Export again.") from error
    return array.reshape(shape)


def _external(tensor: Any, shape: Shape, folder: Path | None) -> Any:
    """A copy of the tensor with its bytes, read from a file in the model's folder; never one outside, whatever links say."""
    entries = {item.key: item.value for item in tensor.external_data}
    if folder is None:
        raise CaptureError(f"the tensor {tensor.name!r} is in another file, and a model in memory has no folder. Give a path.")
    root = folder.resolve()
    path = (root / entries.get("location", "")).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        said = entries.get("location", "")
        raise CaptureError(f"the tensor {tensor.name!r} is said to be in {said!r}, which is no file in the model's folder.")
    size = math.prod(shape) * np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    offset = int(entries.get("offset", 0))
    if not 0 <= offset <= path.stat().st_size - size:
        there = path.stat().st_size
        raise CaptureError(f"the tensor {tensor.name!r} needs {size:,} bytes at {offset:,} of {path.name}, which has {there:,}.")
    with path.open("rb") as file:
        file.seek(offset)
        raw = file.read(size)
    filled = TensorProto(name=tensor.name, data_type=tensor.data_type, raw_data=raw)
    filled.dims.extend(shape)
    return filled
