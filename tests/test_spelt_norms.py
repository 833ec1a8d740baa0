"""Norms that graphs spell out are one op, and what only looks like one is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

import isopter as ip  # noqa: E402

SIZE = (1, 6, 7, 4)


def mean(x: Any, axes: tuple[int, ...]) -> Any:
    return tf.reduce_mean(x, axes, keepdims=True)


def variance(x: Any, axes: tuple[int, ...]) -> Any:
    return mean(tf.square(x - mean(x, axes)), axes)


def raw_variance(x: Any, axes: tuple[int, ...]) -> Any:
    """The mean of squares without the square of the mean."""
    return mean(x * x, axes) - tf.square(mean(x, axes))


def folded(x: Any, axes: tuple[int, ...], scale: float = 2.0) -> Any:
    """As Keras has it: ``x s + (b - m s)``."""
    factor = tf.math.rsqrt(variance(x, axes) + 1e-3) * scale
    return x * factor + (-mean(x, axes) * factor + tf.constant([1.0, 2.0, 3.0, 4.0]))


def sqrt(x: Any) -> Any:
    return tf.sqrt(x + 1e-3)


NORMS: dict[str, tuple[Callable[[Any], Any], str, tuple[int, ...]]] = {
    "layer": (lambda x: (x - mean(x, (3,))) * tf.math.rsqrt(variance(x, (3,)) + 1e-3), "layer_norm", (3,)),
    "divided": (lambda x: (x - mean(x, (1, 2))) / sqrt(variance(x, (1, 2))), "layer_norm", (1, 2)),
    "raw": (lambda x: (x - mean(x, (2,))) / sqrt(raw_variance(x, (2,))), "layer_norm", (2,)),
    "factor first": (lambda x: tf.math.rsqrt(variance(x, (3,)) + 1e-3) * (x - mean(x, (3,))), "layer_norm", (3,)),
    "difference": (
        lambda x: (x - mean(x, (3,))) / sqrt(mean(tf.math.squared_difference(x, mean(x, (3,))), (3,))), "layer_norm", (3,),
    ),
    "folded": (lambda x: folded(x, (3,)), "layer_norm", (3,)),
    "mean off last": (lambda x: x * (f := tf.math.rsqrt(variance(x, (1, 3)))) - mean(x, (1, 3)) * f, "layer_norm", (1, 3)),
    "root mean square": (lambda x: x * tf.math.rsqrt(mean(x * x, (3,)) + 1e-3), "rms_norm", (3,)),
    "batch": (lambda x: tf.nn.batch_normalization(x, *tf.nn.moments(x, (0, 1, 2), keepdims=True), 1.0, 2.0, 1e-3), "layer_norm", (0, 1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", NORMS)
def test_norms_are_one_op(name: str) -> None:
    function, source, axes = NORMS[name]
    found = ip.analyze(tf.function(function), SIZE, axes=(1, 2))
    norms = [(op.kind, op.source, op.params["axes"]) for op in found.graph.ops if op.kind == "norm"]
    assert norms == [("norm", source, axes)]
    assert not any(op.kind == "reduce" for op in found.graph.ops)
    proof = ip.verify(tf.function(function), SIZE, axes=(1, 2))
    assert not proof.missed and not proof.excess
    assert found["output"].expected().size == (1, 1)


OTHERS: dict[str, Callable[[Any], Any]] = {
    "mean added": lambda x: x * (f := tf.math.rsqrt(variance(x, (3,)))) + mean(x, (3,)) * f,
    "another factor": lambda x: x * (f := tf.math.rsqrt(variance(x, (3,)))) - mean(x, (3,)) * (f + 1.0),
    "other axes": lambda x: (x - mean(x, (1,))) * tf.math.rsqrt(variance(x, (3,)) + 1e-3),
    "of another tensor": lambda x: (x - mean(x, (3,))) * tf.math.rsqrt(variance(tf.sin(x), (3,)) + 1e-3),
    "mean of another tensor": lambda x: (x - mean(tf.sin(x), (3,))) * tf.math.rsqrt(variance(x, (3,)) + 1e-3),
    "variance over the other axes": lambda x: (x - mean(x, (3,))) / sqrt(mean(tf.square(x - mean(x, (3,))), (1,))),
    "twice centred": lambda x: (x - mean(x, (3,)) - mean(x, (3,))) / sqrt(variance(x, (3,))),
    "not over the root": lambda x: (x - mean(x, (3,))) / (variance(x, (3,)) + 1e-3),
    "number taken from": lambda x: x * (f := tf.math.rsqrt(variance(x, (3,)))) + (mean(x, (3,)) * f - 2.0),
    "a gate": lambda x: x * tf.math.rsqrt(tf.square(x) + 1e-3),
}


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_left_alone(name: str) -> None:
    found = ip.analyze(tf.function(OTHERS[name]), SIZE, axes=(1, 2))
    assert not any(op.kind == "norm" for op in found.graph.ops)


def test_an_older_exporter() -> None:
    """LayerNorm in ONNX, before there was an op for it; a value that another node reads stays."""
    node = helper.make_node
    nodes = [
        node("ReduceMean", ["x"], ["mean"], axes=[-1]), node("Sub", ["x", "mean"], ["centred"]),
        node("Pow", ["centred", "two"], ["square"]), node("ReduceMean", ["square"], ["variance"], axes=[-1]),
        node("Add", ["variance", "eps"], ["more"]), node("Sqrt", ["more"], ["root"]),
        node("Div", ["centred", "root"], ["norm"]), node("Mul", ["norm", "scale"], ["y"]), node("Relu", ["centred"], ["z"]),
    ]  # fmt: skip
    numbers = {"two": np.float32(2), "eps": np.float32(1e-5), "scale": np.arange(1, 5, dtype=np.float32)}
    held = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in numbers.items()]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 6, 4)) for name in ("x", "y", "z")]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], held), opset_imports=[helper.make_opsetid("", 13)])
    found = ip.analyze(model, axes=(1,))
    by_name = {op.name: op for op in found.graph.ops}
    assert (by_name["norm"].kind, by_name["norm"].inputs, by_name["norm"].params["axes"]) == ("norm", (0,), (2,))
    assert by_name["z"].inputs and "variance" not in by_name
    assert not ip.verify(model, axes=(1,)).missed
