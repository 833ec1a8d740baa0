"""From TensorFlow's ops to neutral ones: one function per family, registered by type. An unknown op is never guessed."""

from __future__ import annotations

from collections.abc import Callable

from isopter.capture.static.builder import Builder
from isopter.capture.static.results import listed, overlooked
from isopter.capture.static.values import Data, Value
from isopter.capture.tensorflow.node import Node, Unknown
from isopter.capture.translators import Translators
from isopter.graph import Shape

Translated = list[Value] | Value | int
Translator = Callable[[Builder, Node], Translated]
"""Emits ops for an op and returns the value of each of its outputs (one value: the same for all)."""

TRANSLATORS: Translators[Translator] = Translators(__name__, __path__)
tf_op = TRANSLATORS.register
"""Register a translator for ops of these types (separated by spaces)."""

FORGETS = frozenset(
    "Split SplitV Slice StridedSlice ConcatV2 Concat Unpack TensorScatterUpdate ScatterNd Select SelectV2 ClipByValue ZerosLike OnesLike "
    "MatrixBandPart FakeParam IdentityN FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 CropAndResize DynamicStitch "
    "BatchToSpaceND BatchToSpace".split()
)
"""Ops that rightly drop data: what they overwrite, or leave out, or tell anew."""


def translate(rec: Builder, node: Node) -> list[Value]:
    """The values of the op's outputs, all of whose shapes are known."""
    function = TRANSLATORS.get(node.op)
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


def opaque(rec: Builder, node: Node, why: str = "") -> list[Value]:
    """No rule: each output may read all of each input. Declared, and listed in the result."""
    shapes: list[Shape] = [o if o is not None else () for o in node.outs]
    return [Data(op) for op in rec.opaque(shapes, node.all_data(), f"tf.{node.op}", why)]
