"""Graphs inside nodes: functions as nodes to be walked, and what the branches of a node read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import FunctionProto, defs, helper

from isopter.capture.onnx.file import DEEPEST, opsets
from isopter.capture.static.values import Value
from isopter.errors import CaptureError

Known = dict[str, tuple[Value, Any]]
"""Values by name, with their onnx types."""


def captured(proto: Any, depth: int) -> list[str]:
    """Names that the graphs in a node read from outside of them (and some of their own)."""
    if depth > DEEPEST:
        raise CaptureError(f"Graphs are nested more than {DEEPEST} deep.")
    names: dict[str, None] = {}
    for attribute in proto.attribute:
        for graph in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
            for inner in graph.node:
                names |= dict.fromkeys((*inner.input, *captured(inner, depth + 1)))
            names |= dict.fromkeys(o.name for o in graph.output)
    return [n for n in names if n]


def function_of(schema: Any, proto: Any, known: Known) -> Any:
    """The function by which onnx defines an op, or None."""
    if schema.has_function:
        return schema.function_body
    if not schema.has_context_dependent_function:
        return None
    types = [known[n][1].SerializeToString() if n and known[n][1] is not None else b"" for n in proto.input]
    try:
        text = schema.get_context_dependent_function(proto.SerializeToString(), types)
    except (RuntimeError, ValueError, TypeError):  # it does not say why; the op is bounded then
        return None
    body = FunctionProto()
    body.ParseFromString(text)
    return body if body.node else None


def imports_of(function: Any, versions: Mapping[str, int]) -> list[Any]:
    """The opsets of a function of onnx's own; of those that it does not say, the model's, or else the newest."""
    own = list(function.opset_import)
    if "" not in opsets(own):
        own.append(helper.make_opsetid("", versions.get("") or defs.onnx_opset_version()))
    return own


def without(body: Any, absent: set[str]) -> tuple[list[Any], set[str]]:
    """The nodes of a function with its inputs that were left out left out in the nodes, too."""
    if not absent:
        return list(body.node), absent
    nodes = []
    for proto in body.node:
        if absent & set(proto.input):
            copied = type(proto)()
            copied.CopyFrom(proto)
            for k, name in enumerate(copied.input):
                if name in absent:
                    copied.input[k] = ""
            proto = copied
        nodes.append(proto)
    return nodes, absent
