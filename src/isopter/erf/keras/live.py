"""Keras models that run, by their backend."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import keras

from isopter.analysis import Analysis
from isopter.capture.keras.file import read_model
from isopter.erf.asks import Target
from isopter.erf.live import Live
from isopter.errors import UsageError

BACKENDS = ("tensorflow", "jax", "torch")


def live_keras(model: Any, analysis: Analysis, *, target: Target, seed: int, training: bool, dtype: Any, device: Any) -> Live:
    """A Keras model, ready to be measured. Raises UsageError where it has no weights yet."""
    opened = checked(read_model(Path(model).expanduser()) if isinstance(model, str | Path) else model)
    backend = keras.backend.backend()
    made: Live = importlib.import_module(f"isopter.erf.keras.{backend}").live(
        opened, analysis, target=target, seed=seed, training=training, dtype=dtype, device=device
    )
    return made


def checked(model: Any) -> Any:
    """The model. Raises UsageError where it has no weights yet, or a backend that is not known here."""
    unbuilt = [layer.name for layer in model._flatten_layers() if not layer.built]
    if unbuilt:
        raise UsageError(f"{model.name} was not built: {unbuilt[0]} has no weights yet. Call it on an input, or load its weights, first.")
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise UsageError(f"Keras runs on the backend {backend!r}, which gives no gradients here. Expected one of {', '.join(BACKENDS)}.")
    return model
