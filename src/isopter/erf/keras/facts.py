"""Values of one forward pass of a Keras model, by the backend that is active."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from isopter.capture.keras.calls import followed
from isopter.capture.keras.capture import first_line
from isopter.capture.keras.file import read_model
from isopter.capture.keras.inputs import Arguments, arguments
from isopter.capture.keras.kept import untouched
from isopter.erf.facts import Facts
from isopter.erf.keras.live import checked
from isopter.erf.passes import by_name, given
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
        own, made = self.results(*tensors)
        return own + [t for tensors in made for t in tensors]

    def results(self, *tensors: Any) -> tuple[list[Any], list[list[Any]]]:
        """Results of the model, and those of every call."""
        args, kwargs = self.given.call(tensors)
        with followed(self.model, lambda _, call: call()) as calls:
            result = self.model(*args, training=False, **kwargs)
        return [t for t in keras.tree.flatten(result) if keras.ops.is_tensor(t)], list(calls.outputs.values())


def facts(plan: Plan, model: Any, data: Any, seed: int) -> Facts:
    """See `isopter.erf.live.Measures`."""
    opened = checked(read_model(Path(model).expanduser()) if isinstance(model, str | Path) else model)
    backend = importlib.import_module(f"isopter.erf.keras.{keras.backend.backend()}")
    values = given(plan, data, seed)
    taken = arguments(opened, None, values)
    if isinstance(values, dict) and isinstance(opened, keras.Model) and opened.inputs:  # a tensor has a name of its own, too
        own = {t.name: s.name for t, s in zip(opened.inputs, taken.specs, strict=True)}
        values = {own.get(name, name): value for name, value in values.items()}
    found = by_name(values, {s.name: s.shape for s in taken.tensors}, opened.name)
    run = Run(opened, taken, tuple(np.asarray(found[s.name]).astype(s.dtype) for s in taken.tensors))
    with untouched(opened), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            told: Facts = backend.facts(plan, run)
        except IsopterError:
            raise
        except Exception as error:  # whatever the model's own Python raises
            said = f"raised {type(error).__name__} when run on these data: {first_line(error)}"
            raise CaptureError(f"{opened.name} {said}") from error
    return told
