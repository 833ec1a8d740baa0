"""One network tried: built, captured, analysed, and held against itself."""

from __future__ import annotations

import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import isopter
from isopter import Analysis
from isopter.capture.dispatch import framework, to_graph
from zoo.catalogue import catalogue
from zoo.entry import Entry
from zoo.second_opinion import aliases, compare
from zoo.setting import without_drawing
from zoo.trial_keras import fill

UNITS = 4
"""Pixels to change per network."""

PATIENCE = 6.0
"""Seconds of forward passes that a proof may cost; a network that would take longer is traced but not proved."""

PASSES = 8
"""Batches that a proof is taken to run. It runs two at least, and up to twice this many while a read is unconfirmed."""


def attempt(name: str) -> dict[str, Any]:
    """`tried`, of the network of that name."""
    return tried(catalogue()[0][name])


def tried(entry: Entry) -> dict[str, Any]:
    """What became of a network, as plain data for a line of JSON. Never raises: an error is part of the record."""
    record: dict[str, Any] = {"name": entry.name, "library": entry.library, "family": entry.family, "convolutional": entry.convolutional}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _fill(record, entry)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        record["error"] = f"{type(error).__name__}: {str(error)[:400]} ({where.filename.rpartition('/')[2]}:{where.lineno})"
    return record


def _fill(record: dict[str, Any], entry: Entry) -> None:
    record["stage"] = "build"
    with without_drawing():
        model, inputs = entry.build()
    if framework(model) == "keras":
        return fill(record, model, entry.proved, _answers)
    model.eval()
    record["parameters"] = sum(p.numel() for p in model.parameters())
    given: dict[str, Any] = {"input_size": inputs} if _is_size(inputs) else {"inputs": inputs}
    record["input"] = [list(inputs)] if _is_size(inputs) else [list(t.shape) for t in _tensors(inputs)]

    record["stage"] = "capture"
    analysis = isopter.analyze(model, **given)
    record["capture_s"] = _timed(lambda: to_graph(model, given.get("input_size"), given.get("inputs"), False))
    record["stage"] = "analysis"
    start = time.process_time()
    rows = analysis.rows()
    record["analysis_s"] = round(time.process_time() - start, 3)
    record |= _answers(analysis, rows)

    if entry.proved:
        record["stage"] = "proof"
        record |= _proof(model, given, inputs)
        record["stage"] = "second opinion"
        record |= _second_opinion(model, inputs, analysis)
    record["forward_s"] = _meta_forward(model, inputs)
    del record["stage"]


def _answers(analysis: Analysis, rows: list[dict[str, Any]]) -> dict[str, Any]:
    issues = Counter[str]()
    for issue in analysis.issues:
        issues[issue.what] += issue.uses
    return {
        "ops": len(analysis),
        "exact": analysis.exact and all(row["exactness"] == "exact" for row in rows),
        "exactness": Counter(row["exactness"] for row in rows),
        "issues": dict(issues),
    }


def _proof(model: nn.Module, given: dict[str, Any], inputs: Any) -> dict[str, Any]:
    """`verify`, unless forward passes would take too long."""
    seconds = _forward(model, inputs)
    if seconds * 2 * PASSES * (UNITS + 1) > PATIENCE:
        return {"unproved": f"a forward pass takes {seconds:.1f} s"}
    start = time.process_time()
    result = isopter.verify(model, **given, units=UNITS)
    wrong = [f"{v.name}: {v.missed} missed, {v.excess} in excess" for v in result.layers if v.missed or (v.excess and v.exact)]
    return {
        "pairs": result.checked,
        "layers": len(result.layers),
        "missed": result.missed,
        "excess": result.excess,
        "wrong": wrong[:8],
        "proof_s": round(time.process_time() - start, 3),
    }


def _second_opinion(model: nn.Module, inputs: Any, live: Analysis) -> dict[str, Any]:
    """Whether the program that torch.export makes of the network has the same fields, module by module; export may fail."""
    start = time.process_time()
    try:
        args = (torch.zeros(inputs),) if _is_size(inputs) else tuple(inputs) if not isinstance(inputs, dict) else ()
        named = inputs if isinstance(inputs, dict) else None
        with torch.no_grad():
            program = torch.export.export(model, args, named, strict=False).run_decompositions({})
    except Exception as error:
        return {"not_exported": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error).strip() else ''}"}
    lines = list(compare(live, isopter.analyze(program), aliases(model)))
    return {
        "unlike": [line for line in lines if not line.startswith("only ")][:8],
        "only": [line for line in lines if line.startswith("only ")],
        "second_s": round(time.process_time() - start, 3),
    }


def _meta_forward(model: nn.Module, inputs: Any) -> float | None:
    """Seconds of CPU time of the network's own forward pass on the meta device, where it stays; None if it cannot run there."""
    try:
        model.to("meta")
        with torch.no_grad():
            _call(model, inputs, "meta")
            return _timed(lambda: _call(model, inputs, "meta"))
    except Exception:
        return None


def _timed(run: Callable[[], Any]) -> float:
    """Seconds of CPU time of a run. PyTorch's first call of an operation is dearer, so it should not be the first."""
    start = time.process_time()
    run()
    return round(time.process_time() - start, 4)


def _forward(model: nn.Module, inputs: Any) -> float:
    """Seconds of one forward pass on the CPU."""
    start = time.process_time()
    with torch.no_grad():
        _call(model, inputs, "cpu")
    return time.process_time() - start


def _call(model: nn.Module, inputs: Any, device: str) -> Any:
    if _is_size(inputs):
        dtype = next((p.dtype for p in model.parameters()), torch.float32)
        return model(torch.zeros(inputs, dtype=dtype, device=device))
    if isinstance(inputs, dict):
        return model(**{k: v.to(device) if isinstance(v, Tensor) else v for k, v in inputs.items()})
    return model(*(t.to(device) for t in inputs))


def _is_size(inputs: Any) -> bool:
    return isinstance(inputs, tuple) and all(isinstance(n, int) for n in inputs)


def _tensors(inputs: Any) -> list[Tensor]:
    return [t for t in (inputs.values() if isinstance(inputs, dict) else inputs) if isinstance(t, Tensor)]
