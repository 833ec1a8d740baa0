"""The one-op models of onnx's own tests: each with its first real tensor as the input, and the others as constants."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


@functools.cache
def cases() -> dict[str, onnx.ModelProto]:
    """Models by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [(c.name, c.model, c.data_sets) for c in collect_testcases(None) if c.model is not None and c.data_sets]
    return {name: made for name, model, sets in found if (made := _with_constants(model, sets[0][0])) is not None}


def _with_constants(model: onnx.ModelProto, arrays: list[object]) -> onnx.ModelProto | None:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    inputs = list(made.graph.input)
    del made.graph.input[:]
    real = next((v.name for v, x in zip(inputs, arrays, strict=False) if _is_tensor(x, "f")), None)
    kept = real or next((v.name for v, x in zip(inputs, arrays, strict=False) if _is_tensor(x, "iub")), None)
    if kept is None:
        return None
    for value, array in zip(inputs, arrays, strict=False):
        if value.name == kept or not isinstance(array, np.ndarray | np.generic):
            made.graph.input.append(value)
        else:
            made.graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
    return made


def _is_tensor(array: object, kinds: str) -> bool:
    return isinstance(array, np.ndarray) and array.ndim > 0 and array.dtype.kind in kinds


def numbers(model: onnx.ModelProto) -> Iterator[tuple[object, str, int | None]]:
    """Every whole number in a model that a damaged file could hold: (holder, field, position)."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.INT:
                yield attribute, "i", None
            for position in range(len(attribute.ints)):
                yield attribute, "ints", position
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            yield dim, "dim_value", None
    for tensor in model.graph.initializer:
        for position in range(len(tensor.dims)):
            yield tensor, "dims", position
