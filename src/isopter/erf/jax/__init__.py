"""The parts of the measurement that run JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.erf.asks import Target
    from isopter.erf.live import Live


def live_model(
    model: Any, analysis: Analysis, *, target: Target, statistic: str, seed: int, training: bool, dtype: Any, device: Any
) -> Live:
    """A function or module of JAX, ready to be measured."""
    from isopter.erf.jax.live import live_function

    return live_function(model, analysis, target=target, seed=seed, training=training, dtype=dtype, device=device)
