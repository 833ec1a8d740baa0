"""From a node to the values of its outputs: what its translator returned, checked, or a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from isopter.capture.static.builder import Builder
from isopter.capture.static.node import Node, Unknown
from isopter.capture.static.values import Data, Value
from isopter.graph import Shape

Translated = list[Value] | Value | int
"""The value of each output of a node (one value, or an op: the same for all)."""


def translated(rec: Builder, node: Node, function: Callable[[], Translated] | None, source: str, forgets: bool) -> list[Value]:
    """The values of a node's outputs, all of whose shapes are known: what `function` returns, if that has these shapes and leaves no data
    unread; else, or without a function, a bound. `forgets`: the op rightly drops data."""
    if function is None:
        return opaque(rec, node, source)
    before = len(rec.ops)
    try:
        values = listed(function(), len(node.outs))
    except Unknown as error:
        return opaque(rec, node, source, f"{node.op} by {error} that values decide: bounded by its whole input")
    return opaque(rec, node, source) if _overlooked(rec, before, values, node.outs, node.all_data(), forgets) else values


def opaque(rec: Builder, node: Node, source: str, why: str = "") -> list[Value]:
    """No rule: each output may read all of each input. Declared, and listed in the result."""
    shapes: list[Shape] = [o if o is not None else () for o in node.outs]
    return [Data(op) for op in rec.opaque(shapes, node.all_data(), source, why)]


def listed(result: Translated, count: int) -> list[Value]:
    """The value of each of `count` results; an op, or one value, is that of all."""
    if isinstance(result, list):
        return result
    value: Value = Data(result) if isinstance(result, int) else result
    return [value] * count


def _overlooked(rec: Builder, before: int, values: list[Value], outs: Sequence[Shape | None], data: Iterable[int], forgets: bool) -> bool:
    """Whether a translator left one of the ops `data` unread (a norm whose scale is computed from the input), or made another shape.

    `before`: how many ops there were before it.
    """
    if any(isinstance(v, Data) and o is not None and rec.shape(v.op) != o for v, o in zip(values, outs, strict=False)):
        return True
    if len(values) < len(outs) or forgets:
        return len(values) < len(outs)
    used = {i for op in rec.ops[before:] for i in op.inputs} | {v.op for v in values if isinstance(v, Data)}
    return any(op not in used for op in data)
