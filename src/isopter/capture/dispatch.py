"""Which capture takes which model. Frameworks are recognised without importing any."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isopter.errors import MissingExtra, UsageError
from isopter.graph import Graph

if TYPE_CHECKING:
    from isopter.capture.torch.program import Program


def to_graph(model: Any, input_size: Sequence[int] | None, inputs: Any, training: bool) -> tuple[Graph, str]:
    """The graph of `model`, and a name for it."""
    size = check_size(input_size)
    if (program := _program(model)) is not None:
        from isopter.capture.torch.program import program_graph

        return program_graph(program, size, inputs, training), program.name
    if is_onnx(model):
        from isopter.capture.onnx import graph_of

        return graph_of(model, size, inputs, training)
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
        "Expected a torch.nn.Module, a program of torch.export or its file (.pt2), an ONNX model or its file (.onnx), "
        'or a layer text such as "conv 3 p1, pool 2 s2".'
    )


def is_torch(model: Any) -> bool:
    """Whether it is a torch module; False without importing torch if nobody else has."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def is_onnx(model: Any) -> bool:
    """Whether it is the path of an .onnx file, or a ModelProto; without importing onnx."""
    if is_file(model, ".onnx"):
        return True
    onnx = sys.modules.get("onnx")
    return onnx is not None and isinstance(model, onnx.ModelProto)


def is_file(model: Any, suffix: str) -> bool:
    """Whether it is a path that ends so, and no layer text."""
    return isinstance(model, str | Path) and str(model).lower().endswith(suffix) and not (isinstance(model, str) and "," in model)


def _program(model: Any) -> Program | None:
    """The program in a .pt2 file, or of an ExportedProgram; None for anything else."""
    if is_file(model, ".pt2"):
        try:
            import torch  # noqa: F401
        except ModuleNotFoundError:
            raise MissingExtra("torch", "torch", f"Reading {model}") from None
        from isopter.capture.torch.pt2 import read_program

        return read_program(Path(model).expanduser())
    export = sys.modules.get("torch.export")
    if export is not None and isinstance(model, export.ExportedProgram):
        from isopter.capture.torch.exported import program_of

        return program_of(model)
    return None


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
