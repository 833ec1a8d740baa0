"""Which capture takes which model. Frameworks are recognised without importing any."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from isopter.errors import UsageError
from isopter.graph import Graph


def to_graph(model: Any, input_size: Sequence[int] | None, inputs: Any, training: bool) -> tuple[Graph, str]:
    """The graph of `model`, and a name for it."""
    size = check_size(input_size)
    if isinstance(model, str):
        from isopter.capture.text import parse

        if inputs is not None:
            raise UsageError("A layer text takes input_size, not inputs.")
        return parse(model, size), model if len(model) <= 60 else model[:57] + "..."
    if is_torch(model):
        from isopter.capture.torch.capture import capture
        from isopter.capture.torch.inputs import example_inputs

        return capture(model, example_inputs(model, size, inputs), training=training), type(model).__name__
    raise UsageError(
        f"isopter cannot read a {type(model).__module__}.{type(model).__name__}. "
        'Expected a torch.nn.Module or a layer text such as "conv 3 p1, pool 2 s2".'
        + (" Pass its .module()." if type(model).__name__ == "ExportedProgram" else "")
    )


def is_torch(model: Any) -> bool:
    """Whether it is a torch module; False without importing torch if nobody else has."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def check_size(size: Sequence[int] | None) -> tuple[int, ...] | None:
    """`input_size` as a tuple of positive whole numbers."""
    if size is None:
        return None
    if isinstance(size, str | bytes | Mapping) or not isinstance(size, Sequence):
        raise UsageError(f"input_size={size!r} must be a tuple of whole numbers such as (1, 3, 224, 224).")
    numbers = tuple(size)
    if not numbers or any(isinstance(n, bool) or not hasattr(n, "__index__") or n.__index__() < 1 for n in numbers):
        raise UsageError(f"input_size={numbers} must hold whole numbers of 1 or more, such as (1, 3, 224, 224).")
    return tuple(n.__index__() for n in numbers)
