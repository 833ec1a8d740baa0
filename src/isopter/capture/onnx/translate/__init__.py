"""From ONNX nodes to neutral ops: one function per family, registered by op. An unknown op is never guessed."""

from __future__ import annotations

import functools
from collections.abc import Callable

from isopter.capture.onnx.node import Node
from isopter.capture.static import results
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Value
from isopter.capture.translators import Translators

Translated = results.Translated
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
    run = None if function is None else functools.partial(function, rec, node)
    return results.translated(rec, node, run, _name(node), node.op in FORGETS)


FORGETS = frozenset("CastLike Split Slice Concat ScatterND ScatterElements Scatter Where Clip Dropout".split())
"""Ops that rightly drop data: what they overwrite, or leave out, or of which they look at no more than the type."""


def opaque(rec: Builder, node: Node, why: str = "") -> list[Value]:
    """No rule: each output may read all of each input. Declared, and listed in the result."""
    return results.opaque(rec, node, _name(node), why)


def _name(node: Node) -> str:
    return f"{node.proto.domain or 'ai.onnx'}.{node.op}"
