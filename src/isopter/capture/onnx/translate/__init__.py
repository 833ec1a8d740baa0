"""From ONNX nodes to neutral ops: one function per family, registered by op. An unknown op is never guessed."""

from __future__ import annotations

from collections.abc import Callable

from isopter.capture.onnx.node import Node, Unknown
from isopter.capture.static.builder import Builder
from isopter.capture.static.results import listed, overlooked
from isopter.capture.static.values import Data, Value
from isopter.capture.translators import Translators
from isopter.graph import Shape

Translated = list[Value] | Value | int
Translator = Callable[[Builder, Node], Translated]
"""Emits ops for a node and returns the value of each of its outputs (one value: the same for all)."""

TRANSLATORS: Translators[Translator] = Translators(__name__, __path__)

MICROSOFT = "com.microsoft"
"""onnxruntime's own ops; files that its optimiser wrote hold some."""


def onnx_op(names: str, domain: str = "") -> Callable[[Translator], Translator]:
    """Register a translator for these ops (separated by spaces)."""
    return TRANSLATORS.register(" ".join(_key(domain, name) for name in names.split()))


def _key(domain: str, op: str) -> str:
    return f"{domain}::{op}" if domain else op


def knows(domain: str, op: str) -> bool:
    """Whether an op has a translator."""
    return TRANSLATORS.get(_key(domain, op)) is not None


def translate(rec: Builder, node: Node, domain: str) -> list[Value]:
    """The values of the node's outputs, all of whose shapes are known."""
    function = TRANSLATORS.get(_key(domain, node.op))
    if function is None:
        return opaque(rec, node)
    before = len(rec.ops)
    try:
        result = function(rec, node)
    except Unknown as error:
        return opaque(rec, node, f"{node.op} by {error} that values decide: bounded by its whole input")
    values = listed(result, len(node.outs))
    lost = overlooked(rec, before, values, node.outs, node.all_data(), node.op in FORGETS)
    return opaque(rec, node) if lost else values


FORGETS = frozenset("CastLike Split Slice Concat ScatterND ScatterElements Scatter Where Clip Dropout".split())
"""Ops that rightly drop data: what they overwrite, or leave out, or of which they look at no more than the type."""


def opaque(rec: Builder, node: Node, why: str = "") -> list[Value]:
    """No rule: each output may read all of each input. Declared, and listed in the result."""
    name = f"{node.proto.domain or 'ai.onnx'}.{node.op}"
    shapes: list[Shape] = [o if o is not None else () for o in node.outs]
    return [Data(op) for op in rec.opaque(shapes, node.all_data(), name, why)]


def source_op(node: Node, position: int = 0) -> int:
    """The op of an input that must be data; else the translator gives up, and the node is bounded."""
    op = node.data(position)
    if op is None:
        raise Unknown("an operand")
    return op
