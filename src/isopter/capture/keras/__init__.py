"""Keras 3: models and layers, files (``.keras``) and models by name, with whichever backend is active. This folder imports keras and its
backends, and only when it is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from isopter.graph import Graph, Shape

if TYPE_CHECKING:
    from isopter.capture.target import Probes


def graph_of(model: Any, size: Shape | None, inputs: Any, training: bool) -> tuple[Graph, str]:
    """The graph of a Keras model, a layer, or a file (by path), and a name for it. Raises MissingExtra without keras or its backend."""
    model, name = _opened(model, size)
    from isopter.capture.keras.capture import capture

    return capture(model, size, inputs, training), name


def prober(model: Any, size: Shape | None, inputs: Any, *, weights: str, training: bool, seed: int) -> Probes:
    """The model, run by Keras with weights of its own or drawn anew, to perturb its input."""
    model, _ = _opened(model, size)
    from isopter.capture.keras.probe import KerasProber

    return KerasProber(model, size, inputs, weights=weights, training=training, seed=seed)


def paths_of(model: Any) -> dict[Any, str]:
    """The layers of a model, with the path of each."""
    from isopter.capture.keras.paths import paths

    return paths(model)


def _opened(model: Any, size: Shape | None) -> tuple[Any, str]:
    from isopter.capture.keras.start import import_keras

    keras = import_keras(f"Reading {model}" if isinstance(model, str | Path) else "Reading a Keras model")
    if not isinstance(model, str | Path):
        from isopter.capture.keras.zoo import at_size

        return at_size(keras, model, size), str(model.name)
    from isopter.capture.keras.file import read_model

    path = Path(model).expanduser()
    return read_model(path), path.name
