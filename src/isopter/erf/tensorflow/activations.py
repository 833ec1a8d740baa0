"""How the values of a flat graph are made, as far as activations go."""

from __future__ import annotations

from typing import Any

from isopter.capture.tensorflow.flat import Flat
from isopter.erf.activations import Step

SAME = frozenset("Identity IdentityN CheckNumerics PreventGradient Snapshot".split())
CLIP = frozenset("Maximum Minimum ClipByValue".split())
BENT = frozenset(
    """Relu Relu6 LeakyRelu Elu Selu Sigmoid Tanh Softplus Softsign Exp Expm1 Log Log1p Erf Erfc Abs Sign Sqrt Rsqrt Square Pow Sin Cos
    Greater GreaterEqual Less LessEqual Equal NotEqual Select SelectV2 Reciprocal Inv Atan Sinh Cosh Asinh Floor Round LogicalNot
    LogicalAnd LogicalOr""".split()
)
STRAIGHT = frozenset("Add AddV2 AddN Sub Mul RealDiv Div Neg Cast SquaredDifference".split())


class Steps:
    """The operations of a graph between values that depend on its input."""

    def __init__(self, flat: Flat) -> None:
        self.graph = flat.graph
        self._order: dict[str, int] = {}
        self._data: set[str] = {f"{name}:0" for name in flat.inputs}
        for at, op in enumerate(self.graph.get_operations()):
            self._order[op.name] = at
            if any(t.name in self._data for t in op.inputs):
                self._data.update(t.name for t in op.outputs)

    def step(self, name: str) -> Step | None:
        """How a tensor is made, if it is by a pointwise operation of values of its own shape, and numbers."""
        tensor = self.graph.get_tensor_by_name(name)
        op, order = tensor.op, self._order[tensor.op.name]
        if op.type in SAME:
            return Step("same", (op.inputs[tensor.value_index].name,), order)
        kind = "clip" if op.type in CLIP else "bent" if op.type in BENT else "straight" if op.type in STRAIGHT else ""
        data = [t for t in op.inputs if t.name in self._data]
        others = [t for t in op.inputs if t.name not in self._data]
        if not kind or any(t.shape != tensor.shape for t in data) or any(_count(t) != 1 for t in others):
            return None
        return Step(kind, tuple(dict.fromkeys(t.name for t in data)), order)


def _count(tensor: Any) -> int | None:
    count = tensor.shape.num_elements()
    return None if count is None else int(count)
