"""Every op that has a translator: the analysis misses nothing, and where it says exact it names nothing too many."""

from __future__ import annotations

from typing import Any

import pytest

tf = pytest.importorskip("tensorflow")

from tests.tensorflow.cases import ARITHMETIC, IMAGE, ODD, PAIRS, SERIES, VOLUME, by_batch, cases, models, transposed, w  # noqa: E402

import isopter as ip  # noqa: E402
from isopter.capture.tensorflow import translate  # noqa: E402

SETTLED = frozenset("causal.Softmax causal_finite.Softmax".split())
"""The first token sees itself alone, with a weight of 1 whatever it is: that it is read is not to be seen."""


@pytest.mark.parametrize("shape", [IMAGE, ODD, VOLUME, SERIES], ids=["image", "odd", "volume", "series"])
def test_every_op_is_proved(shape: tuple[int, ...]) -> None:
    names, function = models()[shape]
    axes = tuple(range(1, len(shape) - 1))
    analysis = ip.analyze(function, shape, axes=axes)
    found = ip.verify(function, shape, axes=axes, units=24)
    wrong = [v for v in found.layers if v.missed or (v.exact and v.excess and v.name not in SETTLED)]
    assert not wrong
    verdicts = {v.name: v for v in found.layers}
    ends = {name: verdicts[analysis.ops[analysis.find(name.strip("_"))]] for name in names}
    assert all(v.checked for v in ends.values())
    assert {n for n, v in ends.items() if not v.exact} == {n for n in names if n.startswith("_")}


def test_there_is_a_case_for_every_op() -> None:
    """Of the types with a translator; those of UNTRIED only rename, read without effect, or have no kernel on the CPU."""
    ran: set[str] = set()
    for shape, (_, function) in models().items():
        graph = function.get_concrete_function(tf.TensorSpec(shape)).graph
        ran |= {op.type for op in graph.get_operations()}
    assert len(cases()) > 400 and len(ARITHMETIC) + len(PAIRS) > 60
    assert {name for name, _ in translate.TRANSLATORS.items()} - ran == set(UNTRIED.split())


UNTRIED = (
    "CheckNumericsV2 Conv2DBackpropInputV2 Conv3DBackpropInput Copy CopyHost DebugIdentity DebugIdentityV2 DebugIdentityV3 "
    "Dequantize IsFinite IsInf IsNan OptimizationBarrier QuantizeAndDequantize QuantizeV2 TopK XlaEinsum "
    "XlaOptimizationBarrier XlaSharding _FusedBatchNormEx"
)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_dilation_widens_the_kernel_of_a_transposed_convolution(padding: str) -> None:
    """There is no kernel for it on the CPU; its field is that of the plain one whose kernel is as wide."""
    dilated = ip.analyze(tf.function(lambda x: transposed(x, 3, 1, padding, 2)), IMAGE)["output"]
    plain = ip.analyze(tf.function(lambda x: transposed(x, 5, 1, padding)), IMAGE)["output"]
    assert (dilated.size, dilated.stride, dilated.start) == (plain.size, plain.stride, plain.start) == ((5, 5), (1, 1), plain.start)
    assert dilated.support((4, 4)).count < plain.support((4, 4)).count


@pytest.mark.parametrize("rate", [2, 3])
def test_a_dilated_convolution_of_tensorflow_1_is_one(rate: int) -> None:
    """Space to batch, a plain convolution, and back: the field is that of the dilated convolution, on the plane."""
    found = ip.analyze(tf.function(lambda x: tf.nn.relu(by_batch(x, rate))), IMAGE)["output"]
    wide = 2 * rate + 1
    assert (found.size, found.stride, found.start, found.basis) == ((wide, wide), (1, 1), (-rate, -rate), "plane")
    assert found.support((4, 5)).count == 9


def first(x: Any) -> dict[str, Any]:
    """Every op that may have its channels first."""
    order = {"data_format": "NCHW"}
    wide = tf.tile(x, (1, 4, 1, 1))
    return {
        "conv": tf.nn.conv2d(x, w(3, 3, 3, 2), 2, "SAME", **order),
        "explicit": tf.nn.conv2d(x, w(3, 3, 3, 2), [1, 1, 1, 2], [[0, 0], [0, 0], [2, 1], [0, 3]], **order),
        "depthwise": tf.nn.depthwise_conv2d(x, w(3, 3, 3, 2), (1, 1, 1, 1), "SAME", dilations=(2, 2), **order),
        "transposed": tf.nn.conv2d_transpose(x, w(3, 3, 2, 3), (1, 2, 16, 20), 2, "SAME", **order),
        "max_pool": tf.nn.max_pool2d(x, 3, 2, "SAME", **order),
        "avg_pool": tf.nn.avg_pool2d(x, (2, 3), 1, "SAME", **order),
        "bias": tf.nn.bias_add(x, w(3), **order),
        "norm": tf.raw_ops.FusedBatchNormV3(x=x, scale=w(3), offset=w(3), mean=[], variance=[], **order)[0],
        "volume": tf.nn.conv3d(x[:, :, :, :, None], w(3, 3, 1, 3, 2), (1, 1, 2, 1, 1), "SAME", data_format="NCDHW"),
        "deep": tf.nn.depth_to_space(wide, 2, **order),
        "flat": tf.nn.space_to_depth(x, 2, **order),
    }


def test_channels_first() -> None:
    """The same fields as with channels last; proved by what is made of the kernels for that."""
    shape = (1, 3, 8, 10)
    found = ip.analyze(tf.function(first), shape)
    proof = ip.verify(tf.function(first), shape, units=16)
    assert not found.issues and proof.ok, proof
    assert (found["conv"].start, found["explicit"].start, found["depthwise"].size) == ((0, 0), (-2, 0), (5, 5))


ACTIVATIONS = {
    "silu": lambda x: tf.nn.silu(x),
    "gelu": lambda x: tf.nn.gelu(x),
    "gelu by tanh": lambda x: tf.nn.gelu(x, approximate=True),
    "mish": lambda x: x * tf.tanh(tf.nn.softplus(x)),
    "hardswish": lambda x: x * tf.nn.relu6(x + 3.0) / 6.0,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_that_are_taken_apart_are_known_again(name: str) -> None:
    """By their values; so the theory of gradients has an answer."""
    kernel = tf.ones((3, 3, 3, 3))
    function = tf.function(lambda x: tf.nn.conv2d(ACTIVATIONS[name](x), kernel, 1, "SAME"))
    a = ip.analyze(function, (1, 12, 12, 3))
    assert [op.source for op in a.graph.ops if op.kind == "pointwise"] == [name.split()[0]]
    assert a[a.outputs[0]].expected().sigma[0] == pytest.approx((2 / 3) ** 0.5)
    assert ip.verify(function, (1, 12, 12, 3), units=4).ok


def test_functions_of_a_number_of_operands_that_is_not_theirs() -> None:
    """A sum of three, and a product of a tensor with a gate that is computed of other positions: no activations."""
    three = ip.analyze(tf.function(lambda x: tf.add_n([x, x, x]) * x), (1, 8, 8, 3))
    gate = ip.analyze(tf.function(lambda x: x * tf.sigmoid(tf.reduce_mean(x, (1, 2), keepdims=True))), (1, 8, 8, 3), axes=(1, 2))
    assert three[three.outputs[0]].size == (1, 1)
    assert gate["mul"].region((0, 0), context=True).hi == (8, 8)
