"""What a user would call a node: the path of the module it came from, where the exporter left one."""

from __future__ import annotations

import ast
import re
from typing import Any

_SCOPES = "pkg.torch.onnx.name_scopes"


def place_of(node: Any) -> tuple[str, str]:
    """(module path, label) of a node: ``/layer1/layer1.0/conv1/Conv`` is of ``layer1.0.conv1``, and called ``layer1.0.conv1.Conv``.

    The path is empty, and the label the node's own name (else its first output), where the name follows no pattern of an exporter.
    """
    own = node.name or next((o for o in node.output if o), "") or node.op_type
    scopes = _scopes(node)
    if scopes is None:
        parts = own.split("/")
        if not (own.startswith("/") and len(parts) > 1 and re.fullmatch(rf"{re.escape(node.op_type)}(_\d+)?", parts[-1])):
            return "", own
        path, last = _joined(parts[1:-1]), parts[-1]
        if any(not part for part in parts[1:]):
            return "", own
    else:
        path, last = scopes, own.rpartition("/")[2]
    return path, f"{path}.{last}" if path else last


def _joined(parts: list[str]) -> str:
    """Scopes of a TorchScript export; a child of a Sequential repeats its parent: ``layer1/layer1.0`` is ``layer1.0``."""
    path: list[str] = []
    for part in parts:
        if path and part.startswith(path[-1] + "."):
            path[-1] = part
        else:
            path.append(part)
    return ".".join(path)


def _scopes(node: Any) -> str | None:
    """The module path that torch.export leaves in a node's metadata, as the text of a list of paths from the outside in."""
    text = next((p.value for p in getattr(node, "metadata_props", ()) if p.key == _SCOPES), None)
    if text is None or len(text) > 10_000:
        return None
    try:
        scopes = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(scopes, list) or len(scopes) < 2 or not all(isinstance(s, str) for s in scopes):
        return None
    return str(scopes[-2])
