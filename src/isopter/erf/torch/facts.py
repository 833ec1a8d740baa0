"""One forward pass of a live model, for the numbers that the theory would else assume."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from isopter.capture.torch.capture import capture
from isopter.capture.torch.gauge import FACTS, Gauge
from isopter.capture.torch.inputs import example_inputs
from isopter.erf.passes import noise
from isopter.errors import CaptureError, UsageError
from isopter.fields.plan import Plan
from isopter.graph import Graph


def told(graph: Graph) -> dict[str, dict[str, Any]]:
    """What a gauge measured, by op."""
    found = {op.name: {k: op.params[k] for k in FACTS if k in op.params} for op in graph.ops}
    return {name: own for name, own in found.items() if own}


def facts(plan: Plan, model: nn.Module, data: Any, seed: int) -> dict[str, dict[str, Any]]:
    """Measured params by op name, from `data` (a tensor, a tuple of arguments or a dict by name), or from normal noise of the size that
    was analysed. Raises UsageError if the model is another than the one analysed."""
    if data is None:
        home = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
        data = {name: torch.from_numpy(x).to(home.device, home.dtype) for name, x in noise(plan, seed).items()}
        hint = " It ran on normal noise: if that is no input for it (indices, several inputs), give data=... ."
    else:
        hint = ""
    try:
        found = told(capture(model, example_inputs(model, None, data), listener=Gauge))
    except CaptureError as error:
        raise CaptureError(f"{error}{hint}") from error
    ops = {op.name: op.kind for op in plan.graph.ops}
    strange = [name for name in found if name not in ops]
    if strange:
        raise UsageError(f"{type(model).__name__} is not the model that was analysed: it runs {strange[0]}, which the analysis has not.")
    return found
