"""What a network costs: multiply-accumulates and weights, from the graph alone."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isopter.graph import Graph, Op
from isopter.reads.layout import straightened

if TYPE_CHECKING:
    from isopter.analysis import Analysis

FREE = frozenset(
    "input pointwise pool adaptive_pool resample reduce norm softmax sort scan fourier "
    "reshape transpose slice pad roll concat take gather overlay chosen".split()
)
"""Kinds without products of tensors: they cost no multiply-accumulates here, whatever else they cost."""

ONE_MATRIX = frozenset(("linear", "mm", "addmm", "mv", "addmv"))
"""Products whose weights are one matrix. Of others (`bmm`) the graph does not say whether each batch item has its own."""


_AGAIN = re.compile(r"#\d+(\.|$)")
"""A module path of a second or later call, such as ``head#2``."""


@dataclass(frozen=True, slots=True)
class Cost:
    """`macs`: multiply-accumulates of one forward pass at the input size analysed, batch included; about half the number of FLOPs.
    `weights`: entries of kernels and matrices. None where the graph does not tell.

    Counted are convolutions, transposed convolutions and matrix products. Biases, norms, embeddings, pooling, interpolation and
    pointwise work are not.
    """

    macs: int | None
    weights: int | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"macs": self.macs, "weights": self.weights}


@dataclass(frozen=True, slots=True)
class TotalCost(Cost):
    """Sums over a model, of what is known; `unknown` names the ops of which something is not. Weights of a module that runs several times
    are counted once."""

    unknown: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"macs": self.macs, "weights": self.weights, "unknown": list(self.unknown)}


def cost(graph: Graph, op: Op) -> Cost:
    """The cost of one op of `graph`.

    Convolution: macs = outputs x input channels of a group x kernel. Transposed: inputs x output channels of a group x kernel. Product
    (.., i, k) @ (.., k, j): outputs x k. Example, 3x3 from 64 to 64 channels on 56 x 56: 115,605,504 macs, 36,864 weights.
    Padding counts as any other position; a fixed filter (Sobel) has no weights, nor has one computed from the image.
    """
    if op.kind in FREE:
        return Cost(0, 0)
    op, shapes = straightened(op, graph.input_shapes(op))
    match op.kind:
        case "conv" | "conv_transpose":
            groups, window = op.params.get("groups", 1), math.prod(op.params["kernel"])
            c_in, c_out = shapes[0][1], op.shape[1]
            fixed = len(shapes) > 1 or "taps" in op.params or "squares" in op.params
            each = op.shape if op.kind == "conv" else shapes[0]
            ways = (c_in if op.kind == "conv" else c_out) // groups
            return Cost(math.prod(each) * ways * window, 0 if fixed else c_in * c_out // groups * window)
        case "matmul":
            return _product(op, shapes)
        case _:
            return Cost(None, None)


def _product(op: Op, shapes: tuple[tuple[int, ...], ...]) -> Cost:
    sides = op.params["operands"]
    k = shapes[0][-1 if sides[0] == "left" else -2]
    macs = math.prod(op.shape) * k
    if len(sides) > 1:
        return Cost(macs, 0)
    if op.source not in ONE_MATRIX and len(op.shape) > 2:
        return Cost(macs, None)
    return Cost(macs, k * op.shape[-1 if sides[0] == "left" else -2])


def costs(analysis: Analysis) -> tuple[Cost, ...]:
    """The cost of every op, in the order of `analysis.ops`."""
    return tuple(cost(analysis.graph, op) for op in analysis.graph.ops)


def total(analysis: Analysis) -> TotalCost:
    """The cost of the whole model."""
    macs = weights = 0
    unknown = []
    for op, own in zip(analysis.graph.ops, costs(analysis), strict=True):
        macs += own.macs or 0
        weights += (own.weights or 0) if not _AGAIN.search(op.module) else 0  # a module's second call has the weights of its first
        if own.macs is None or own.weights is None:
            unknown.append(op.name)
    return TotalCost(macs, weights, tuple(unknown))
