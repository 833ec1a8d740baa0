"""How the values of an ONNX graph are made, as far as activations go."""

from __future__ import annotations

import math
from typing import Any

from isopter.capture.onnx.capture import Capture
from isopter.capture.static.values import Const, Data, Weight
from isopter.erf.activations import Step

SAME = frozenset("Identity Dropout Cast".split())
CLIP = frozenset("Clip Max Min".split())
BENT = frozenset(
    """Relu LeakyRelu PRelu Elu Celu Selu Gelu Mish HardSigmoid HardSwish Swish Sigmoid Softplus Softsign Tanh ThresholdedRelu Shrink Exp
    Log Erf Abs Sign Sqrt Pow Reciprocal Floor Round Ceil Sin Cos Greater GreaterOrEqual Less LessOrEqual Where Not And Or""".split()
)
STRAIGHT = frozenset("Add Sub Mul Div Neg Sum Mean".split())


class Steps:
    """The nodes of a graph between values that depend on its input."""

    def __init__(self, model: Any, capture: Capture) -> None:
        self.known, self.shape = capture.known, capture.rec.shape
        self._made = {name: (order, node) for order, node in enumerate(model.graph.node) for name in node.output}

    def step(self, name: str) -> Step | None:
        """How a value is made, if it is by a pointwise node of values of its own shape, and numbers."""
        order, node = self._made.get(name, (0, None))
        if node is None or node.domain not in ("", "ai.onnx") or name != node.output[0]:
            return None
        inputs = [(n, self.known[n][0]) for n in node.input if n]
        data = [(n, value.op) for n, value in inputs if isinstance(value, Data)]
        own = self.known[name][0]
        if not isinstance(own, Data) or not data:
            return None
        if node.op_type in SAME:
            return Step("same", (data[0][0],), order)
        kind = "clip" if node.op_type in CLIP else "bent" if node.op_type in BENT else "straight" if node.op_type in STRAIGHT else ""
        others = [v for _, v in inputs if not isinstance(v, Data)]
        slopes = node.op_type == "PRelu"  # a slope for each channel
        if not kind or any(self.shape(op) != self.shape(own.op) for _, op in data) or not all(slopes or _is_number(v) for v in others):
            return None
        return Step(kind, tuple(dict.fromkeys(n for n, _ in data)), order)


def _is_number(value: object) -> bool:
    return isinstance(value, Const | Weight) and value.shape is not None and math.prod(value.shape) == 1
