"""A module and its export to ONNX, layer by layer: what must be the same, and what an export need not have."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import isopter as ip


def exported(model: nn.Module, size: tuple[int, ...], path: Path, *, dynamo: bool) -> Path:
    """`path`, where the model now is as its exporter writes it."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.rand(size),), path, dynamo=dynamo)
    return path


def common(live: ip.Analysis, stored: ip.Analysis) -> list[tuple[str, str]]:
    """Layers of both by the same name and shape, and the outputs in their order."""
    named = [(n, n) for n in live.layers if n in stored.layers and live[n].shape == stored[n].shape]
    return list(dict.fromkeys([*named, *zip(live.outputs, stored.outputs, strict=True)]))


def disagreements(live: ip.Analysis, stored: ip.Analysis) -> Iterator[str]:
    """A line for everything that layers of both say differently: numbers on the plane, and the boxes of all units, strict and local."""
    for one, other in common(live, stored):
        a, b = live[one], stored[other]
        for what in ("shape", "exactness", "basis", "context", "size", "stride", "start"):
            if getattr(a, what) != getattr(b, what):
                yield f"{one}: {what} {getattr(a, what)}, exported {getattr(b, what)}"
        for context in (False, True):
            if not all(np.array_equal(*ends) for ends in zip(boxes(a, context), boxes(b, context), strict=True)):
                yield f"{one}: other boxes{' with context' if context else ''}"


def boxes(field: Any, context: bool) -> list[np.ndarray]:
    """Lowest positions of all units along each axis, then the highest."""
    lo, hi = field.regions(context=context)
    return [*lo, *hi]
