"""Where layers stand in a model: the names on the way to them, that of the model left out."""

from __future__ import annotations

from typing import Any

import keras


def paths(model: Any) -> dict[Any, str]:
    """Every layer inside `model` and its path (``encoder.conv1``), the first where it stands in several places.

    These are the paths under which its calls are known, as long as every layer is called by the one it is an attribute of.
    """
    found: dict[Any, str] = {}

    def visit(layer: Any, path: str) -> None:
        for inner in layer._flatten_layers(include_self=False, recursive=False):
            if isinstance(inner, keras.layers.InputLayer) or inner in found:
                continue
            own = f"{path}.{inner.name}" if path else inner.name
            found[inner] = own
            visit(inner, own)

    visit(model, "")
    return found
