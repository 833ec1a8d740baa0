"""JAX: functions, and modules of Flax (linen and nnx) and Equinox, as the jaxpr that tracing gives. The only folder that imports JAX, and
only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isopter.graph import Graph, Shape

if TYPE_CHECKING:
    from isopter.capture.target import Probes


def graph_of(model: Any, size: Shape | None, inputs: Any, training: bool) -> tuple[Graph, str]:
    """The graph of a function or module of JAX, and a name for it."""
    from isopter.capture.jax.trace import traced

    found = traced(model, size, inputs, training)
    return found.graph(), found.name


def prober(model: Any, size: Shape | None, inputs: Any, *, weights: str, training: bool, seed: int) -> Probes:
    """A copy of a model to perturb."""
    from isopter.capture.jax.probe import JaxProber

    return JaxProber(model, size, inputs, weights=weights, training=training, seed=seed)
