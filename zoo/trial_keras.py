"""A network of Keras tried: what `zoo.trial` does, without what is PyTorch's own."""

from __future__ import annotations

import time
from typing import Any

import isopter
from isopter.capture.dispatch import to_graph

UNITS = 4
"""Pixels to change."""


def fill(record: dict[str, Any], model: Any, proved: bool, answers: Any) -> None:
    """Capture, analysis and proof of a built model. `answers`: what is kept of an analysis."""
    record["parameters"] = model.count_params()
    record["input"] = [[1, *shape[1:]] for shape in ([model.input_shape] if isinstance(model.input_shape, tuple) else model.input_shape)]

    record["stage"] = "capture"
    analysis = isopter.analyze(model)
    start = time.process_time()
    to_graph(model, None, None, False)
    record["capture_s"] = round(time.process_time() - start, 4)
    record["stage"] = "analysis"
    start = time.process_time()
    rows = analysis.rows()
    record["analysis_s"] = round(time.process_time() - start, 3)
    record |= answers(analysis, rows)
    if proved:
        record["stage"] = "proof"
        start = time.process_time()
        result = isopter.verify(model, units=UNITS)
        wrong = [f"{v.name}: {v.missed} missed, {v.excess} in excess" for v in result.layers if v.missed or (v.excess and v.exact)]
        record |= {"pairs": result.checked, "layers": len(result.layers), "missed": result.missed, "excess": result.excess}
        record |= {"wrong": wrong[:8], "proof_s": round(time.process_time() - start, 3)}
    del record["stage"]
