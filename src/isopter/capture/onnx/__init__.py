"""ONNX files and models: the graph as it stands, read and never run. The only folder that imports onnx, and only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isopter.errors import MissingExtra
from isopter.graph import Graph, Shape

if TYPE_CHECKING:
    from isopter.capture.target import Probes


def graph_of(model: Any, size: Shape | None, inputs: Any, training: bool) -> tuple[Graph, str]:
    """The graph of an ONNX file (by path) or ModelProto, and a name for it. Raises MissingExtra without onnx."""
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise MissingExtra("onnx", "onnx", f"Reading {model}") from None
    from isopter.capture.onnx.capture import onnx_graph

    return onnx_graph(model, size, inputs, training)


def prober(model: Any, size: Shape | None, inputs: Any, *, weights: str, training: bool, seed: int) -> Probes:
    """A copy of an ONNX model to perturb. Raises MissingExtra without onnxruntime."""
    from isopter.capture.onnx.probe import OnnxProber

    return OnnxProber(model, size, inputs, weights=weights, seed=seed)
