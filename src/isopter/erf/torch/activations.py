"""Differentiating what goes into an activation, though a layer returns what comes out of it.

After a ReLU about half of all units are closed, and the gradient of a closed unit is zero everywhere. That says nothing about where
the unit looks, so the gradient is taken of the value before it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor

ACTIVATIONS = frozenset(
    """Celu Clamp ClampMin ClampMax Elu Gelu Hardsigmoid Hardswish Hardtanh LeakyRelu LogSigmoid Mish PreluKernel Relu
    RreluWithNoise Sigmoid Silu Softplus Tanh Threshold""".split()
)
"""Autograd's names of functions that change each number by itself, and are flat somewhere."""

SAME_NUMBERS = frozenset(
    "Alias Clone BackwardHookFunction Contiguous Permute Reshape ReshapeAlias Squeeze T ToCopy Transpose UnsafeView Unsqueeze View".split()
)
"""Names of functions that only arrange numbers anew."""


def activation_of(tensor: Tensor) -> Any:
    """The autograd node of the activation that made `tensor`, or None if none did."""
    node: Any = tensor.grad_fn
    while node is not None and _name(node) in SAME_NUMBERS:
        sources = [source for source, _ in node.next_functions if source is not None]
        node = sources[0] if len(sources) == 1 else None
    return node if node is not None and _name(node) in ACTIVATIONS else None


@contextlib.contextmanager
def bypassed(node: Any) -> Iterator[None]:
    """While open, gradients go through `node` as if it changed nothing; None does nothing."""
    if node is None:
        yield
        return
    hook = node.register_hook(lambda into, out: (out[0], *into[1:]))
    try:
        yield
    finally:
        hook.remove()


def _name(node: Any) -> str:
    """``ReluBackward0`` is Relu."""
    return str(node.name()).rstrip("0123456789").removesuffix("Backward")
