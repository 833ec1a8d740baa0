"""Where an activation begins, in a graph of single operations: the value before it, which is what is differentiated.

A layer may end with an activation that is one operation (``Relu``) or several (``x * sigmoid(x)``). It is found from its end: operations
that map each number by itself are taken back, until all that is left is one value, and at least one of them was no straight line.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

Value = Hashable
"""Whatever stands for a value of the graph."""

MOST = 40
"""Operations in one activation."""


@dataclass(frozen=True)
class Step:
    """How a value is made: by an operation of some `kind`, of the values `inputs` that depend on the image, all of them of its shape.

    ``"bent"``: each number by itself, and no straight line. ``"straight"``: sums and products with single numbers, or of such values.
    ``"same"``: nothing changes. ``"clip"``: bent, and one of several that make one activation (``min(max(x, 0), 6)``). `order`: grows from
    the input to the output.
    """

    kind: str
    inputs: tuple[Value, ...]
    order: Any


def before_activation(value: Value, made: Callable[[Any], Step | None]) -> Value | None:
    """The value before the activation that ends in `value`, or None where it ends in none. `made`: how a value is made; None where it is
    made in another way than `Step` knows, or is the input."""
    frontier, bent = {value}, False
    for _ in range(MOST):
        if len(frontier) == 1 and bent:
            (only,) = frontier
            step = made(only)
            if step is None or step.kind != "clip" or len(step.inputs) != 1:
                return only
        steps = {item: made(item) for item in frontier}
        last = max((item for item in frontier if steps[item] is not None), key=lambda item: _order(steps[item]), default=None)
        if last is None or (step := steps[last]) is None or not step.inputs:
            return None
        bent |= step.kind in ("bent", "clip")
        frontier = frontier - {last} | set(step.inputs)
    return None


def _order(step: Step | None) -> Any:
    assert step is not None
    return step.order
