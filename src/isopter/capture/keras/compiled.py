"""Runs of a Keras model on numbers: compiled once for a size where the backend can, and step by step where not.

A graph saves what it costs to call layer after layer. TensorFlow's is run without XLA, whose convolutions in groups are hundreds of
times slower in double precision than TensorFlow's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from isopter.capture.keras.calls import followed
from isopter.capture.keras.inputs import Arguments
from isopter.capture.target import Target
from isopter.errors import CaptureError

Run = Callable[..., list[Any]]


class Watched:
    """A call of `model` as a function of its inputs and of the values of `variables`, which returns the tensors of `targets` in order."""

    def __init__(self, model: Any, given: Arguments, training: bool, targets: Mapping[str, Target], variables: Sequence[Any]) -> None:
        self.model, self.given, self.training, self.targets, self.variables = model, given, training, targets, list(variables)
        self.compiled: dict[tuple[Any, ...], Run | None] = {}

    def fits(self, targets: Mapping[str, Target], variables: Sequence[Any]) -> bool:
        """Whether it is of these; a model that was not built has new variables each time."""
        same = len(variables) == len(self.variables) and all(a is b for a, b in zip(variables, self.variables, strict=True))
        return same and targets == self.targets

    def __call__(self, tensors: Sequence[Any], values: Sequence[Any]) -> list[Any]:
        """The watched tensors: by a graph, if the model takes that; what fails is run step by step ever after."""
        key = (self._precision(), *(tuple(t.shape) for t in tensors))
        if key not in self.compiled:
            self.compiled[key] = _compiled(self._flat, [*tensors, *values])
        run = self.compiled[key]
        if run is not None:
            try:
                return run(*tensors, *values)
            except Exception:  # a graph may fail where the steps do not; if they do as well, they tell why
                self.compiled[key] = None
        return self._flat(*tensors, *values)

    def _precision(self) -> tuple[str, ...]:
        """What the layers compute in, which a graph was made for."""
        return tuple(str(layer.compute_dtype) for layer in self.model._flatten_layers())

    def _flat(self, *arrays: Any) -> list[Any]:
        count = len(self.given.tensors)
        args, kwargs = self.given.call(arrays[:count])
        lent = list(zip(self.variables, arrays[count:], strict=True))
        with keras.StatelessScope(state_mapping=lent), followed(self.model, lambda path, call: call()) as calls:
            self.model(*args, training=self.training, **kwargs)
        return [_value_of(calls.outputs, target) for target in self.targets.values()]


def _compiled(call: Run, arrays: Sequence[Any]) -> Run | None:
    """`call` as one graph, for arrays like these; None where it cannot be one."""
    made: Run | None = None
    try:
        if keras.backend.backend() == "tensorflow":
            from isopter.capture.keras.tensorflow import compiled

            made = compiled(call, arrays)
        elif keras.backend.backend() == "jax":
            from isopter.capture.keras.jax import compiled as jitted

            made = jitted(call)
    except Exception:  # whatever a model's Python raises when it is traced: it is run as it is
        return None
    return made


def _value_of(outputs: Mapping[str, Sequence[Any]], target: Target) -> Any:
    found = outputs.get(target.path, [])
    if target.output >= len(found):
        what = "was not called, or returned less, when the model ran on numbers"
        raise CaptureError(f"{target.path or 'The model'} {what}: the model asks for values.")
    return found[target.output]
