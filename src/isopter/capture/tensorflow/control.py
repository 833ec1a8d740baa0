"""Branches and loops: what constants decide of them. (What they do not is bounded by all that is read.)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isopter.capture.static.values import Const, Value, Weight
from isopter.capture.tensorflow import api
from isopter.capture.tensorflow.flat import BRANCHES, Flat, flat_of
from isopter.capture.tensorflow.fold import constant, folded
from isopter.capture.tensorflow.node import Node
from isopter.capture.tensorflow.program import Held
from isopter.errors import CaptureError

TRIPS = 64
"""A loop of more trips is not written out."""


def decision(flat: Flat, node: Node) -> int | None:
    """The branch that a constant chooses (for If 1 and 0), or how often a loop runs; None where values decide, or it is too often."""
    if node.op in BRANCHES:
        chosen = node.inputs[0]
        known = chosen.load() if isinstance(chosen, Const) else None
        if known is None or known.size != 1:
            return None
        number = int(known.reshape(-1)[0])
        if node.op.endswith("If"):
            return int(bool(number))
        count = len(node.attr("branches"))
        return number if 0 <= number < count else count - 1
    try:
        return _trips(flat, node)
    except CaptureError:
        return None


def _trips(flat: Flat, node: Node) -> int | None:
    """How often a loop runs whose condition no data reads."""
    if any(v is None for v in node.shapes):
        return None
    condition = Body(flat, node, node.attr("cond").name)
    body = Body(flat, node, node.attr("body").name)
    state: list[Value] = list(node.inputs)
    for trip in range(TRIPS + 1):
        known = condition.run(state)[0]
        go = known.load() if isinstance(known, Const) else None
        if go is None:
            return None
        if not go.reshape(-1)[0]:
            return trip
        state = body.run(state)
    return None


class Body:
    """A function in a loop, evaluated as far as constants reach."""

    def __init__(self, flat: Flat, node: Node, name: str) -> None:
        function = flat.library.get(name)
        if function is None:
            raise CaptureError(f"{node.label} calls {name!r}, a function that is not in the graph.")
        nodes, self.arguments, returned = api.body_of(function, flat.library)
        held = {
            a: Held(s, t.dtype, lambda: np.zeros(()), False) for a, s, t in zip(self.arguments, node.shapes, node.made.inputs, strict=True)
        }
        self.flat = flat_of(nodes, flat.library, {}, held, returned, {})

    def run(self, state: Sequence[Value]) -> list[Value]:
        """What it returns of these values: constants, or weights for all that is not known."""
        pairs = zip(self.arguments, state, strict=True)
        found: dict[str, Value] = {f"{a}:0": v if isinstance(v, Const) else Weight(None) for a, v in pairs}
        for op in self.flat.graph.get_operations():
            self._op(op, found)
        return [found.get(t, Weight(None)) for t in self.flat.outputs]

    def _op(self, op: Any, found: dict[str, Value]) -> None:
        if op.outputs and op.outputs[0].name in found:
            return
        outs = [tuple(t.shape.as_list()) if t.shape.is_fully_defined() else None for t in op.outputs]
        values = [found[t.name] for t in op.inputs]
        made = [constant(op)] if op.type == "Const" else folded(op, values, outs)
        found |= {t.name: v for t, v in zip(op.outputs, made, strict=True)}
