"""Capture of PyTorch models: run once on the meta device, record every ATen call, translate each to a neutral op."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from isopter.errors import MissingExtra, UsageError
from isopter.graph import Graph, Shape

if TYPE_CHECKING:
    from isopter.capture.target import Probes


def graph_of(model: Any, size: Shape | None, inputs: Any, training: bool) -> tuple[Graph, str]:
    """The graph of a torch module, an ExportedProgram or a .pt2 file, and a name for it. Raises MissingExtra without torch."""
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("torch", "torch", f"Reading {model}") from None
    if isinstance(model, torch.nn.Module):
        from isopter.capture.torch.capture import capture
        from isopter.capture.torch.inputs import example_inputs

        return capture(model, example_inputs(model, size, inputs), training=training), type(model).__name__
    from isopter.capture.torch.program import program_graph

    if isinstance(model, str | Path):
        from isopter.capture.torch.pt2 import read_program

        program = read_program(Path(model).expanduser())
    else:
        from isopter.capture.torch.exported import program_of

        program = program_of(model)
    return program_graph(program, size, inputs, training), program.name


def prober(model: Any, size: Shape | None, inputs: Any, *, weights: str, training: bool, seed: int) -> Probes:
    """A copy of a torch module to perturb."""
    from isopter.capture.dispatch import is_torch
    from isopter.capture.torch.probe import Prober

    if not is_torch(model):
        raise UsageError("verify runs the model itself, and an exported program cannot be run. Give the torch.nn.Module it came from.")
    return Prober(model, size, inputs, weights=weights, training=training, seed=seed)
