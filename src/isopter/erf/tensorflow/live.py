"""Functions of TensorFlow that run: traced for each size of input, and differentiated."""

from __future__ import annotations

from typing import Any

from isopter.analysis import Analysis
from isopter.capture.tensorflow.capture import captured
from isopter.capture.tensorflow.concrete import load, traced
from isopter.erf.asks import Target
from isopter.erf.tensorflow.program import TensorFlowProgram
from isopter.erf.traced import Program, TracedLive, dtype_name
from isopter.errors import UsageError


def live_function(model: Any, analysis: Analysis, *, target: Target, seed: int, training: bool, dtype: Any, device: Any) -> TracedLive:
    """A model of TensorFlow, ready to be measured. Raises UsageError where it has several inputs."""
    computed = dtype_name(dtype, "float32")
    if hasattr(model, "__fspath__") or isinstance(model, str):
        from pathlib import Path

        model = load(Path(model).expanduser())

    def trace(shape: tuple[int, ...], rows: int, _: frozenset[str]) -> Program:
        found = traced(model, (rows * shape[0], *shape[1:]), None, training)
        capture = captured(found.program, found.names, None, found.shapes)
        if len(capture.flat.inputs) != 1:
            raise UsageError(f"{analysis.name} has the inputs {', '.join(found.names)}. Effective fields are measured on models of one.")
        return TensorFlowProgram(capture.flat, {made: made[0] for made in capture.graph().calls.values()}, rows, computed, device)

    return TracedLive(model, analysis, trace, dtype=computed, separable=False, target=target, seed=seed, training=training)
