"""Gradients of the tensors of one flat graph of TensorFlow."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.tensorflow.flat import Flat
from isopter.capture.tensorflow.prepared import prepared
from isopter.capture.tensorflow.program import said
from isopter.erf.activations import before_activation
from isopter.erf.asks import NotSeparable
from isopter.erf.tensorflow.activations import Steps
from isopter.erf.traced import Wanted
from isopter.errors import CaptureError, UsageError

Unit = tuple[str, str, tuple[int, ...], tuple[int, ...] | None]
"""Of a unit its layer, its tensor, the axes it is found along, and the shape of the weights of its channels."""


class TensorFlowProgram:
    """The graph of a model for `rows` samples. `keys`: the names of tensors, by the call that returned them and its position."""

    def __init__(self, flat: Flat, keys: Mapping[tuple[str, int], str], rows: int, dtype: str, device: Any) -> None:
        self.flat, self.keys, self.rows, self.device = flat, keys, rows, device
        self.dtype = tf.float64 if dtype == "float64" else None
        self.steps = Steps(flat)
        self.single: set[str] = set()
        """Types of ops that TensorFlow has in single precision only."""
        self._function = functools.cache(self._made)

    def key(self, call: str, output: int) -> Hashable:
        """The name of a tensor."""
        return self.keys[call, output]

    def before(self, key: str) -> Hashable | None:
        """The tensor before an activation."""
        return before_activation(key, self.steps.step)

    def aval(self, key: str) -> tuple[tuple[int, ...], str]:
        """The shape and type of a tensor."""
        tensor = self.flat.graph.get_tensor_by_name(key)
        return tuple(tensor.shape.as_list()), str(tensor.dtype.name)

    def gradients(self, samples: npt.NDArray[np.floating], wanted: Sequence[Wanted]) -> list[npt.NDArray[np.floating]]:
        """Of each unit the gradients with respect to the samples, which are the rows of one batch."""
        if self.rows > 1 and (samples.shape[1] != 1 or any(not self._apart(w) for w in wanted)):
            raise NotSeparable
        x = samples.reshape(-1, *samples.shape[2:]) if self.rows > 1 else samples[0]
        units = tuple((w.layer, w.key, w.axes, None if w.weights is None else w.weights.shape) for w in wanted)
        given = [a for w in wanted for a in (np.asarray(w.at, np.int32), np.ones(()) if w.weights is None else w.weights)]
        try:
            with tf.device(self.device):
                function, dtype = self._function(units)
                found = function(tf.constant(x, dtype), *map(tf.constant, given))
        except UsageError:
            raise
        except (tf.errors.OpError, ValueError, TypeError, NotImplementedError, LookupError) as error:
            raise CaptureError(f"TensorFlow could not run the model on an input of {'x'.join(map(str, x.shape))}: {said(error)}") from error
        return [np.asarray(g).reshape(samples.shape) for g in found]

    def _apart(self, wanted: Wanted) -> bool:
        """Whether the samples are the rows of a value."""
        shape, _ = self.aval(wanted.key)
        return bool(shape) and shape[0] == self.rows and 0 not in wanted.axes

    def _made(self, units: tuple[Unit, ...]) -> tuple[Any, Any]:
        """A function of the input and, for each unit, of where it is and the weights of its channels; and the type of the input."""
        values = prepared(self.flat, [key for _, key, _, _ in units], self.dtype)
        ((shape, dtype),) = values.spec

        def run(x: Any, *given: Any) -> list[Any]:
            found = []
            for (layer, _, axes, weighed), value, place, weight in zip(units, values._traced(x), given[::2], given[1::2], strict=True):
                for axis in sorted(axes, reverse=True):
                    value = tf.gather(value, place[axes.index(axis)], axis=axis)
                factors = tf.cast(value > 0, value.dtype) if weighed is None else tf.reshape(tf.cast(weight, value.dtype), value.shape)
                (gradient,) = tf.gradients(value, x, grad_ys=factors)
                if gradient is None:
                    raise UsageError(f"No gradient leads from {layer} back to the input. Choose another layer.")
                found.append(tf.convert_to_tensor(gradient))
            self.single |= values.single
            return found

        specs = [
            s for _, _, axes, weighed in units for s in (tf.TensorSpec((len(axes),), tf.int32), tf.TensorSpec(weighed or (), tf.float64))
        ]
        return tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec(shape, dtype), *specs), dtype
