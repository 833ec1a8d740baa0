"""One trace of a Keras model by its backend, in which every layer call has its name."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import keras

from isopter.capture.keras.inputs import Arguments, arguments
from isopter.capture.keras.kept import untouched
from isopter.errors import CaptureError, IsopterError, MissingExtra
from isopter.graph import Graph, Shape

BACKENDS = ("tensorflow", "jax", "torch")
ABOUT = ("Exception encountered when calling", "'Exception encountered when calling", '"Exception encountered when calling')
"""How the lines begin that Keras puts before a message."""


def capture(model: Any, size: Shape | None, inputs: Any, training: bool) -> Graph:
    """The graph of a call of `model`, which is left as it was found; one that was not built is built for it, and forgets that again.

    Raises UsageError for wrong sizes, and CaptureError with the model's own words if it fails.
    """
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise CaptureError(f"Keras runs on {backend!r}, which isopter cannot trace. Set KERAS_BACKEND to one of {', '.join(BACKENDS)}.")
    given = arguments(model, size, inputs)
    with untouched(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            build(model, given, training)
            graph: Graph = _tracer(backend).traced(model, given, training)
            return graph
        except IsopterError:
            raise
        except Exception as error:
            shapes = ", ".join(f"{s.name}: {s.shape}" for s in given.specs)
            raise CaptureError(
                f"{type(model).__name__} {model.name!r} raised {type(error).__name__} on input {shapes}: {first_line(error)} "
                "Check the shape and dtype of the input by calling the model yourself."
            ) from error


def build(model: Any, given: Arguments, training: bool) -> None:
    """Make the variables of a model that has none yet, by a symbolic call: its first real one would make them in the trace."""
    if model.built and all(layer.built for layer in model._flatten_layers()):
        return
    symbols = [keras.KerasTensor(s.shape, s.dtype, name=s.name) for s in given.tensors]
    args, kwargs = given.call(symbols)
    model(*args, training=training, **kwargs)


def first_line(error: Exception) -> str:
    """What an exception says, in one sentence: Keras wraps it in lines about the call, and an error of a symbolic call in another."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    lines = [line.strip() for line in text.replace("\x1b[1m", "").replace("\x1b[0m", "").replace("\\n", "\n").splitlines()]
    inner = next((k + 1 for k, line in enumerate(lines) if line.endswith("Error encountered:")), 0)
    said = next((line for line in lines[inner:] if line and not line.startswith(ABOUT)), "no message")
    return said[:300].rstrip(".") + "."


def _tracer(backend: str) -> Any:
    try:
        return importlib.import_module(f"isopter.capture.keras.{backend}")
    except ModuleNotFoundError as error:
        if error.name != backend:
            raise
        raise MissingExtra(backend, backend, f"A Keras model with the backend {backend!r}") from None
