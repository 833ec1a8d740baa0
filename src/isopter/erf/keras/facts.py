"""Values of one forward pass of a Keras model, by the backend that is active."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from isopter.capture.keras.calls import followed
from isopter.capture.keras.capture import first_line
from isopter.capture.keras.file import read_model
from isopter.capture.keras.inputs import Arguments, arguments
from isopter.capture.keras.kept import untouched
from isopter.erf.facts import Facts
from isopter.erf.keras.live import checked
from isopter.erf.passes import as_arrays, noise
from isopter.errors import CaptureError, IsopterError
from isopter.fields.plan import Plan


@dataclass(frozen=True)
class Run:
    """A function of a model's tensors that returns, in a list, what the model and every call of a layer returned, as its capture does.

    `arrays`: what the tensors are, in order.
    """

    model: Any
    given: Arguments
    arrays: tuple[Any, ...]

    def __call__(self, *tensors: Any) -> list[Any]:
        """Results of the model, then those of the layers."""
        args, kwargs = self.given.call(tensors)
        with followed(self.model, lambda _, call: call()) as calls:
            result = self.model(*args, training=False, **kwargs)
        own = [t for t in keras.tree.flatten(result) if keras.ops.is_tensor(t)]
        return own + [t for tensors in calls.outputs.values() for t in tensors]


def facts(plan: Plan, model: Any, data: Any, seed: int) -> Facts:
    """See `isopter.erf.live.Measures`."""
    opened = checked(read_model(Path(model).expanduser()) if isinstance(model, str | Path) else model)
    backend = importlib.import_module(f"isopter.erf.keras.{keras.backend.backend()}")
    values: Any = noise(plan, seed) if data is None else as_arrays(data)
    if data is None and len(values) == 1:
        values = tuple(values.values())
    given = arguments(opened, None, values)
    run = Run(opened, given, tuple(_ordered(given, values)))
    with untouched(opened), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found: Facts = backend.facts(plan, run)
        except IsopterError:
            raise
        except Exception as error:  # whatever the model's own Python raises
            said = f"raised {type(error).__name__} when run on these data: {first_line(error)}"
            raise CaptureError(f"{opened.name} {said}") from error
    return found


def _ordered(given: Arguments, values: Any) -> list[Any]:
    """The arrays of the tensors, in the types that the model asks for; ones for what was not given."""
    if not isinstance(values, Mapping):
        listed = list(values) if isinstance(values, tuple | list) else [values]
        values = dict(zip((s.name for s in given.tensors), listed, strict=False))
    return [as_arrays(values[s.name]).astype(s.dtype) if s.name in values else _ones(s.shape, s.dtype) for s in given.tensors]


def _ones(shape: tuple[int, ...], dtype: str) -> Any:
    return keras.ops.convert_to_numpy(keras.ops.ones(shape, dtype))
