"""Tensors of a file as values: shape at once, numbers when somebody asks, and only from the model's own folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from isopter.capture.onnx.light import HERE
from isopter.capture.static.builder import LONGEST
from isopter.capture.static.values import Array, Const, Weight
from isopter.errors import CaptureError
from isopter.graph import Shape

LOADED = 2**22
"""Entries of a constant that are loaded at most: shapes, indices, masks and filters are smaller, and weights are not asked for."""


def shape_of(name: str, dims: Any) -> Shape:
    """Dimensions as a shape. Raises CaptureError for those that no tensor has."""
    shape = tuple(int(n) for n in dims)
    if any(not 0 <= n <= LONGEST for n in shape):
        raise CaptureError(f"the tensor {name!r} has the shape {shape}. Axes of 0 to {LONGEST:,} are read; the file is damaged.")
    return shape


def constant(tensor: Any, home: Path | None) -> Const | Weight:
    """The value of a tensor of the file `home` (None: of a model in memory); a weight if it is too large to be looked at, or holds text."""
    shape = shape_of(tensor.name, tensor.dims)
    if math.prod(shape) > LOADED or tensor.data_type in (TensorProto.STRING, TensorProto.UNDEFINED):
        return Weight(shape)
    found: list[Array] = []

    def load() -> Array:
        if not found:
            found.append(_numbers(tensor, shape, home))
        return found[0]

    def first(count: int) -> Array:
        return found[0].reshape(-1)[:count] if found else _numbers(tensor, shape, home, min(count, math.prod(shape)))

    return Const(shape, load, first)


def _numbers(tensor: Any, shape: Shape, home: Path | None, count: int | None = None) -> Array:
    """The tensor's numbers, or the first of them in a row. Raises CaptureError where they are not there, or of another number."""
    part = shape if count is None else (count,)
    try:
        external = tensor.data_location == TensorProto.EXTERNAL
        if external or (count is not None and len(tensor.raw_data)):
            whole, some = (_bytes_of(tensor.data_type, math.prod(s)) for s in (shape, part))
            raw = _external(tensor, whole, some, home) if external else _stored(tensor, whole)[:some]
            tensor = TensorProto(name=tensor.name, data_type=tensor.data_type, raw_data=raw, dims=part)
        array = np.asarray(numpy_helper.to_array(tensor))
    except CaptureError:
        raise
    except Exception as error:
        raise CaptureError(f"the tensor {tensor.name!r} is damaged ({type(error).__name__}: {str(error)[:120]}). Export again.") from error
    return array.reshape(shape) if count is None else array.reshape(-1)[:count]


_PACKED = {"FLOAT4E2M1": 2, "INT4": 2, "UINT4": 2, "INT2": 4, "UINT2": 4}
"""Types of which several numbers share a byte."""


def _bytes_of(kind: int, count: int) -> int:
    packed = _PACKED.get(TensorProto.DataType.Name(kind))
    return -(-count // packed) if packed else count * np.dtype(helper.tensor_dtype_to_np_dtype(kind)).itemsize


def _stored(tensor: Any, size: int) -> bytes:
    raw: bytes = tensor.raw_data
    if len(raw) != size:
        raise CaptureError(f"the tensor {tensor.name!r} needs {size:,} bytes, and has {len(raw):,}. The file is damaged; export again.")
    return raw


def _external(tensor: Any, size: int, wanted: int, home: Path | None) -> bytes:
    """The first `wanted` of a tensor's `size` bytes, from a file in the model's folder; never one outside, whatever links say."""
    entries = {item.key: item.value for item in tensor.external_data}
    if home is None:
        raise CaptureError(f"the tensor {tensor.name!r} is in another file, and a model in memory has no folder. Give a path.")
    path = home if HERE in entries else _beside(home, tensor.name, entries.get("location", ""))
    offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
    if length != size:
        raise CaptureError(f"the tensor {tensor.name!r} needs {size:,} bytes, and has {length:,}. The file is damaged; export again.")
    there = path.stat().st_size
    if not 0 <= offset <= there - size:
        raise CaptureError(f"the tensor {tensor.name!r} needs {size:,} bytes at {offset:,} of {path.name}, which has {there:,}.")
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        return file.read(wanted)


def _beside(home: Path, name: str, location: str) -> Path:
    root = home.parent.resolve()
    path = (root / location).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise CaptureError(f"the tensor {name!r} is said to be in {location!r}, which is no file in the model's folder.")
    return path
