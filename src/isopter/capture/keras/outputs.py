"""What a model returned, by name."""

from __future__ import annotations

from typing import Any

import keras


def output_names(result: Any) -> list[tuple[str, Any]]:
    """The tensors of a result: "output", the keys of a dict, or "output.0" and so on, in the order of Keras' own flattening."""
    if keras.ops.is_tensor(result):
        return [("output", result)]
    named = []
    for path, leaf in keras.tree.flatten_with_path(result):
        if keras.ops.is_tensor(leaf):
            words = [str(part) for part in path]
            named.append((".".join(words if words and not words[0].isdigit() else ["output", *words]), leaf))
    return named
