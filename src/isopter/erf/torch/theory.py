"""The theory of a live model's layers for inputs of other sizes: no more of the model is recorded than leads to them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from torch import nn

from isopter.analysis import Analysis
from isopter.capture.torch.capture import capture
from isopter.capture.torch.inputs import example_inputs
from isopter.erf.layers import Layer
from isopter.erf.live import Theory
from isopter.fields.field import Field


def theory(model: nn.Module, layers: Sequence[Layer], training: bool, axes: tuple[int, ...] | None = None) -> Theory:
    """Fields of these layers for inputs of any shape; each shape is analysed once."""
    calls = tuple(dict.fromkeys(layer.call for layer in layers))

    @functools.cache
    def analysis(shape: tuple[int, ...]) -> Analysis:
        return Analysis(capture(model, example_inputs(model, shape, None), training=training, upto=calls), axes)

    def field(layer: Layer, shape: tuple[int, ...]) -> Field:
        found = analysis(shape)
        return found[{made: name for name, made in found.graph.calls.items()}[layer.call, layer.output]]

    return field
