"""The parts of the measurement that run ONNX models: without gradients, by perturbing pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.erf.asks import Target
    from isopter.erf.live import Live
    from isopter.fields.plan import Plan


def live_model(
    model: Any, analysis: Analysis, *, target: Target, statistic: str, seed: int, training: bool, dtype: Any, device: Any
) -> Live:
    """An ONNX file or ModelProto, ready to be measured with onnxruntime. Raises MissingExtra without it."""
    from isopter.erf.onnx.live import OnnxLive

    return OnnxLive(model, analysis, target=target, statistic=statistic, seed=seed, training=training, dtype=dtype, device=device)


def one_pass(plan: Plan, model: Any, data: Any, seed: int) -> dict[str, dict[str, Any]]:
    """What one forward pass says in place of what theory assumes."""
    from isopter.erf.onnx.facts import facts

    return facts(plan, model, data, seed)
