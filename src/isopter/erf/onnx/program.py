"""An ONNX model for inputs of one shape, and one of its values under many inputs that differ in a pixel."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, ValueInfoProto

from isopter.analysis import Analysis
from isopter.capture.onnx.capture import Capture
from isopter.capture.onnx.probe import opened, runtime, said
from isopter.capture.static.values import Data
from isopter.erf.activations import before_activation
from isopter.erf.onnx.activations import Steps
from isopter.errors import CaptureError, GraphError
from isopter.fields.field import Field
from isopter.graph import Shape

Floats = npt.NDArray[Any]

ROOM = 32e6
"""Bytes of values that run at once: what fits a cache, as with other frameworks (`isopter.erf.run`)."""

MOST_ROWS = 64

REAL = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}


class Source:
    """A model of one input, `name` of type `dtype`: `light` to be read, `whole` (a function that loads its weights) to be run."""

    def __init__(self, light: Any, whole: Callable[[], Any], home: Path | None, name: str, dtype: np.dtype[Any]) -> None:
        self.light, self.whole, self.home, self.name, self.dtype = light, functools.cache(whole), home, name, dtype
        self.session = functools.lru_cache(4)(self._session)

    def sized(self, shape: Shape) -> Any:
        """A copy that takes an input of this shape, and says no other sizes."""
        return _resized(self.light, self.name, shape)

    def _session(self, value: str) -> Any:
        """What runs the model up to one of its values, for inputs of any shape."""
        model = _resized(self.whole(), self.name, None)
        del model.graph.output[:]
        model.graph.output.append(ValueInfoProto(name=value))
        return opened(runtime("Measuring an ONNX model"), model, self.home)


class OnnxProgram:
    """A model for inputs of `shape`, whose space is along `axes`. Raises CaptureError for a shape that it does not take."""

    def __init__(self, source: Source, shape: Shape, axes: tuple[int, ...]) -> None:
        self.source, self.shape = source, shape
        model = source.sized(shape)
        self.capture = Capture(model, source.home)
        try:
            self.analysis = Analysis(self.capture.run(shape, None), axes)
        except (GraphError, ValueError, TypeError, KeyError, IndexError, ZeroDivisionError) as error:
            raise CaptureError(f"the model takes no input of {'x'.join(map(str, shape))} ({error})") from error
        self._layers = {made: layer for layer, made in self.analysis.graph.calls.items()}
        self._steps = Steps(model, self.capture)
        self._most: dict[str, int] = {}

    def field(self, call: str, output: int) -> Field:
        """The field of what a node makes. Raises KeyError."""
        return self.analysis[self._layers[call, output]]

    def key(self, call: str, output: int) -> str:
        """The name of a value: that of its call. Raises KeyError where it is not there."""
        if (call, output) not in self._layers:
            raise KeyError(call)
        return call

    def before(self, key: str) -> str | None:
        """The value before an activation."""
        found = before_activation(key, self._steps.step)
        return found if isinstance(found, str) and isinstance(self.capture.known[found][0], Data) else None

    def aval(self, key: str) -> tuple[Shape, str]:
        """The shape and type of a value."""
        value, kind = self.capture.known[key]
        assert isinstance(value, Data)
        code = 1 if kind is None else kind.tensor_type.elem_type
        return self.capture.rec.shape(value.op), REAL.get(code, "whole numbers")

    def values(self, key: str, inputs: Callable[[int, int], Floats], count: int, pick: Callable[[Floats], Floats]) -> Floats:
        """What `pick` takes of the value `key`, for each of `count` inputs: ``inputs(start, stop)`` makes some of them, (rows, *shape), and
        `pick` sees their values, (rows, *shape of the value)."""
        rows = self._rows(key, inputs(0, 1)) if count > 2 else 1
        return np.concatenate([pick(self._run(key, inputs(at, min(at + rows, count)))) for at in range(0, count, rows)])

    def _rows(self, key: str, one: Floats) -> int:
        """How many inputs run at once: one where a batch is refused, or where its rows are not what each gives alone."""
        if key not in self._most:
            kept = 4 * sum(math.prod(op.shape) for op in self.analysis.graph.ops)
            rows = int(max(1, min(MOST_ROWS, ROOM // kept)))
            self._most[key] = rows if len(self.shape) > 1 and self.shape[0] == 1 and self._apart(key, one) else 1
        return self._most[key]

    def _apart(self, key: str, one: Floats) -> bool:
        others = [one, one[..., ::-1], 0.5 * one]
        try:
            alone = np.concatenate([self._run(key, x) for x in others])
            return bool(np.allclose(self._run(key, np.concatenate(others)), alone, rtol=0, atol=1e-4 * float(np.abs(alone).max(initial=0))))
        except CaptureError:
            return False

    def _run(self, key: str, inputs: Floats) -> Floats:
        """The value for inputs (rows, *shape): (rows, *its shape)."""
        shape, _ = self.aval(key)
        given = inputs.reshape(-1, *self.shape[1:]) if len(inputs) > 1 else inputs[0]
        try:
            (made,) = self.source.session(key).run([key], {self.source.name: np.ascontiguousarray(given, self.source.dtype)})
            return np.asarray(made).reshape(len(inputs), *shape)
        except CaptureError:
            raise
        except Exception as error:
            size = "x".join(map(str, given.shape))
            raise CaptureError(f"onnxruntime could not run the model on an input of {size}: {said(error)}") from error


def _resized(model: Any, name: str, shape: Shape | None) -> Any:
    """A copy whose input `name` has this shape, or open axes, and which says no size of other values."""
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for value in copy.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    (own,) = (value for value in copy.graph.input if value.name == name)
    for axis, dim in enumerate(own.type.tensor_type.shape.dim):
        dim.Clear()
        if shape is None:
            dim.dim_param = f"axis {axis}"
        else:
            dim.dim_value = shape[axis]
    return copy
