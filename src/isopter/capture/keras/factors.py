"""What a layer knows and its trace does not: an image is interpolated to a size there, and by a factor in the layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras

from isopter.graph import Graph, Op


def with_factors(graph: Graph, layers: Mapping[str, Any]) -> Graph:
    """The graph, with the steps of interpolations that an UpSampling2D made. `layers`: whose call it is, by the module of an op."""

    def told(op: Op) -> Op:
        layer = layers.get(op.module)
        if op.kind != "resample" or op.params["steps"] != (None, None) or not isinstance(layer, keras.layers.UpSampling2D):
            return op
        before, axes = graph.ops[op.inputs[0]].shape, tuple(op.params.get("layout", range(len(op.shape))))[-2:]
        if any(before[a] * factor != op.shape[a] for a, factor in zip(axes, layer.size, strict=True)):
            return op
        return replace(op, params={**op.params, "steps": tuple(1 / factor for factor in layer.size)})

    return replace(graph, ops=tuple(map(told, graph.ops)))
