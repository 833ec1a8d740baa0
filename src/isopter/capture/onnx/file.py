"""An ONNX file as a checked protobuf: parsed as data, with nothing run, and no other file opened."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from onnx import ModelProto

from isopter.capture.onnx.light import light_bytes
from isopter.errors import CaptureError, UsageError

NEWEST_TESTED = 28
"""Opsets of ai.onnx up to this one have been read in tests."""

OLDEST = 6
"""Files of an older opset (2017) use attributes that newer ones dropped."""

BIGGEST = 2**31
"""Protocol buffers hold no more than 2 GiB; larger models keep their tensors in files beside."""

DEEPEST = 40
"""Functions in functions, and branches in branches."""

NODES = 200_000
"""More nodes than this, with functions and branches taken apart, are a bomb."""


def read_model(path: Path, whole: bool = False) -> Any:
    """The ModelProto in a file, without the bytes of large tensors unless it is to be `whole`.

    Raises UsageError if there is no file, and CaptureError if it holds no model that can be read.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}. Expected an ONNX model.")
    size = path.stat().st_size
    if not 0 < size <= BIGGEST:
        raise CaptureError(f"{path} has {size:,} bytes, and an ONNX file has 1 to {BIGGEST:,}. Save larger models with external data.")
    model = ModelProto()
    try:
        model.ParseFromString(path.read_bytes() if whole else light_bytes(path, size))
    except Exception as error:
        raise CaptureError(f"{path} is no ONNX model, or is damaged ({_said(error)}). Export the model again.") from error
    try:
        return checked_model(model)
    except CaptureError as error:
        raise CaptureError(f"{path}: {error}") from error


def checked_model(model: Any) -> Any:
    """The model itself, or CaptureError where it has no graph, or no opset that isopter reads."""
    if not model.HasField("graph") or not model.graph.node:
        raise CaptureError("it holds no graph with nodes, and is no ONNX model. Export the model again.")
    opset = opsets(model.opset_import).get("", 0)
    if opset < OLDEST and opset:
        raise CaptureError(f"it has opset {opset}, and isopter reads {OLDEST} and newer. Convert it with onnx.version_converter.")
    return model


def expanded(model: Any) -> int:
    """How many nodes there are once the model's own functions are taken apart, those inside branches not counted; each function is looked
    at once. One that calls itself is counted as if it did not."""
    bodies = {(f.domain, f.name, getattr(f, "overload", "")): f.node for f in model.functions}
    found: dict[tuple[str, str, str], int] = {}

    def count(nodes: Any, depth: int) -> int:
        total = len(nodes)
        for node in nodes:
            key = (node.domain, node.op_type, getattr(node, "overload", ""))
            if key in bodies:
                if key not in found:
                    found[key] = 0
                    found[key] = count(bodies[key], depth + 1) if depth < DEEPEST else 0
                total += found[key]
        return total

    return count(model.graph.node, 0) if bodies else len(model.graph.node)


def opsets(imports: Iterable[Any]) -> dict[str, int]:
    """Versions by domain; ``ai.onnx`` is the empty one."""
    return {("" if item.domain == "ai.onnx" else item.domain): int(item.version) for item in imports}


def _said(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
