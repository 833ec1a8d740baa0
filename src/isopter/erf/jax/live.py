"""Functions and modules of JAX that run: traced for each size of input, and differentiated."""

from __future__ import annotations

from typing import Any

import jax

from isopter.analysis import Analysis
from isopter.capture.jax.models import Subject, subject_of
from isopter.capture.jax.trace import traced
from isopter.erf.asks import Target
from isopter.erf.jax.program import JaxProgram
from isopter.erf.traced import Program, TracedLive, dtype_name
from isopter.errors import UsageError


def live_function(model: Any, analysis: Analysis, *, target: Target, seed: int, training: bool, dtype: Any, device: Any) -> TracedLive:
    """A model of JAX, ready to be measured. Raises UsageError where it has several inputs, or no weights yet."""
    computed, place = dtype_name(dtype, "float32"), device_of(device)

    with_numbers(subject_of(model, training))

    def trace(shape: tuple[int, ...], rows: int, calls: frozenset[str]) -> Program:
        found = traced(model, shape, None, training, derivatives=True)
        images = [k for k, name in enumerate(found.names) if name is not None]
        if len(images) != 1:
            names = ", ".join(map(str, found.names))
            raise UsageError(f"{found.name} has the inputs {names}. Effective fields are measured on models of one.")
        here = found.graph().calls  # traced by JAX: its equations may have other numbers than those of the analysis
        keys = {made: here[layer][0] for layer, made in analysis.graph.calls.items() if layer in here}
        return JaxProgram(found.closed, found.weights, len(found.weights) + images[0], keys, computed, place)

    return TracedLive(model, analysis, trace, dtype=computed, separable=True, target=target, seed=seed, training=training)


def with_numbers(subject: Subject) -> Subject:
    """A subject whose weights are there. Raises UsageError otherwise."""
    if subject.bare:
        raise UsageError(f"{subject.name} has no weights yet. Bind them, model.bind(variables), or give a function that applies them.")
    if any(isinstance(weight, jax.ShapeDtypeStruct) for weight in jax.tree.leaves(subject.weights)):
        raise UsageError(f"{subject.name} has shapes in place of weights, as jax.eval_shape makes them. Give the model with its weights.")
    return subject


def device_of(device: Any) -> Any:
    """A device of JAX by its name, such as "cpu" or "gpu". Raises UsageError where there is none."""
    if device is None or not isinstance(device, str):
        return device
    try:
        return jax.devices(device)[0]
    except RuntimeError as error:
        said = str(error).splitlines()[0][:200]
        raise UsageError(f"device={device!r} cannot be used: {said} Leave it out to stay where JAX is.") from error
