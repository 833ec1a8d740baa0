"""TensorFlow functions, modules and SavedModels: their graphs as they stand, never run. Only this folder and Keras's import tensorflow,
and only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isopter.errors import MissingExtra
from isopter.graph import Graph, Shape

if TYPE_CHECKING:
    from isopter.capture.target import Probes


def graph_of(model: Any, size: Shape | None, inputs: Any, training: bool) -> tuple[Graph, str]:
    """The graph of a tf.function, a concrete function, a tf.Module (its ``__call__``), a loaded SavedModel or the folder of one, and a
    name for it. Raises MissingExtra without tensorflow."""
    _needs_tensorflow(model)
    from isopter.capture.tensorflow.capture import traced_graph

    return traced_graph(model, size, inputs, training)


def prober(model: Any, size: Shape | None, inputs: Any, *, weights: str, training: bool, seed: int) -> Probes:
    """The model's graph with weights drawn anew, to perturb its input. Raises MissingExtra without tensorflow."""
    _needs_tensorflow(model)
    from isopter.capture.tensorflow.probe import TensorFlowProber

    return TensorFlowProber(model, size, inputs, weights=weights, training=training, seed=seed)


def _needs_tensorflow(model: Any) -> None:
    try:
        import tensorflow  # type: ignore[import-untyped]  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise MissingExtra("tensorflow", "tensorflow", f"Reading {model}") from None
