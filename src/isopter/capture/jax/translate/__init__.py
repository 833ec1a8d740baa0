"""From equations to neutral ops: one function per family, registered by primitive. An unknown primitive is never guessed."""

from __future__ import annotations

from collections.abc import Callable

from isopter.capture.jax.node import Node, Tape
from isopter.capture.static import results
from isopter.capture.static.node import Unknown
from isopter.capture.static.values import Data, Value
from isopter.capture.translators import Translators

Translated = results.Translated
Translator = Callable[[Tape, Node], Translated]
"""Emits ops for an equation and returns the value of each of its results (one value: the same for all)."""

TRANSLATORS: Translators[Translator] = Translators(__name__, __path__)
primitive = TRANSLATORS.register
"""Register a translator for these primitives (separated by spaces)."""


def translate(rec: Tape, node: Node) -> list[Value]:
    """The values of an equation's results."""
    function = TRANSLATORS.get(node.op)
    if function is None:
        return opaque(rec, node)
    before = len(rec.ops)
    try:
        returned = function(rec, node)
    except Unknown as error:
        return opaque(rec, node, f"{node.op} by {error} that values decide: bounded by its whole input")
    result = results.listed(returned, len(node.outs))
    if any(isinstance(v, Data) and rec.ops[v.op].shape != o for v, o in zip(result, node.outs, strict=False)):
        return opaque(rec, node)
    for value in result:
        if isinstance(value, Data) and value.op >= before and (value.fixed is not None or value.faint is not None):
            rec.values[value.op] = value
    return result


def opaque(rec: Tape, node: Node, why: str = "") -> list[Value]:
    """No rule: each result may read all of each operand. Declared, and listed in the analysis."""
    return results.opaque(rec, node, node.op, why)
