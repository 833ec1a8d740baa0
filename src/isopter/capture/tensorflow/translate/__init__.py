"""From TensorFlow's ops to neutral ones: one function per family, registered by type. An unknown op is never guessed."""

from __future__ import annotations

import functools
from collections.abc import Callable

from isopter.capture.static import results
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Value
from isopter.capture.tensorflow.node import Node
from isopter.capture.translators import Translators

Translated = results.Translated
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
    run = None if function is None else functools.partial(function, rec, node)
    return results.translated(rec, node, run, f"tf.{node.op}", node.op in FORGETS)


def opaque(rec: Builder, node: Node, why: str = "") -> list[Value]:
    """No rule: each output may read all of each input. Declared, and listed in the result."""
    return results.opaque(rec, node, f"tf.{node.op}", why)
