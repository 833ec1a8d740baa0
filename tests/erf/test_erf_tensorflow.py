"""`effective` on functions of TensorFlow: the maps that the same network has in PyTorch, and errors that say what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf  # type: ignore[import-untyped]
from twins import NETWORKS, PLAIN, STRIDED, Torch, close, tensorflow_net

import isopter as ip
from isopter.capture.tensorflow.capture import captured
from isopter.erf.tensorflow.program import TensorFlowProgram

SIZE = (1, 24, 32, 3)
LAYERS = {"plain": ["1", "3"], "strided": ["4"], "unet": ["8"]}


def kernel(*shape: int) -> Any:
    return tf.constant(np.random.default_rng(0).standard_normal(shape) / np.prod(shape[:-1]) ** 0.5, tf.float32)


@pytest.mark.parametrize("name", NETWORKS)
def test_maps_are_those_of_pytorch(name: str) -> None:
    """The same seed, weights and layers: the same noise, signs and map."""
    options: dict[str, Any] = {"samples": 5, "seed": 3}
    found = ip.effective(tensorflow_net(NETWORKS[name]), LAYERS[name], SIZE, dtype="float64", **options)
    twin = ip.effective(Torch(NETWORKS[name]), LAYERS[name], (1, 3, 24, 32), **options)
    for layer in twin:
        assert close(found[layer].map, twin[layer].map), layer
        assert (found[layer].origin, found[layer].size, found[layer].notes) == (twin[layer].origin, twin[layer].size, twin[layer].notes)


def test_data_batches_and_a_data_set() -> None:
    """Arrays, tensors and a tf.data.Dataset of batches with labels, in batches of 1 and of 2."""
    data = np.random.default_rng(1).standard_normal((3, 26, 32, 3)).astype(np.float32)
    flow = tf.data.Dataset.from_tensor_slices((data, [0, 1, 2])).batch(2)
    twin = ip.effective(Torch(STRIDED), "2", (1, 3, 24, 32), data=data.transpose(0, 3, 1, 2), samples=3, unit="interior")["2"]
    net = tensorflow_net(STRIDED)
    for form, batch in ((data, 1), (tf.constant(data), 2), (flow, 1)):
        found = ip.effective(net, "2", SIZE, data=form, samples=3, dtype="float64", unit="interior", batch=batch)["2"]
        assert close(found.map, twin.map)


@pytest.mark.parametrize(("target", "statistic"), [("sum", "abs"), ("positive", "relu")])
def test_targets_and_statistics(target: Any, statistic: Any) -> None:
    options: dict[str, Any] = {"samples": 3, "target": target, "statistic": statistic, "crop": False}
    twin = ip.effective(Torch(STRIDED), "3", (1, 3, 24, 32), **options)["3"]
    assert close(ip.effective(tensorflow_net(STRIDED), "3", SIZE, dtype="float64", **options)["3"].map, twin.map)
    assert close(ip.effective(tensorflow_net(STRIDED), "3", SIZE, batch=2, **options)["3"].map, twin.map, 1e-4)


# ---- activations -----------------------------------------------------------------------------------------------------------

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": tf.nn.relu, "relu6": tf.nn.relu6, "silu": tf.nn.silu, "gelu": tf.nn.gelu, "gelu by tanh": lambda x: tf.nn.gelu(x, True),
    "elu": tf.nn.elu, "selu": tf.nn.selu, "leaky": tf.nn.leaky_relu, "tanh": tf.tanh, "softplus": tf.nn.softplus, "sigmoid": tf.sigmoid,
    "clip": lambda x: tf.clip_by_value(x, -1, 1), "where": lambda x: tf.where(x > 0, x, 0), "hard": lambda x: x * tf.nn.relu6(x + 3) / 6,
}  # fmt: skip


def before(last: Callable[[Any], Any]) -> tuple[object, str]:
    """The tensor before the activation that ends a network, and what its convolution returns."""
    w = kernel(3, 3, 3, 4)
    net = tf.function(lambda x: last(tf.nn.conv2d(x, w, 1, "VALID")))
    flat = captured(net.get_concrete_function(tf.TensorSpec((1, 9, 9, 3))), ["x"], None, None).flat
    (conv,) = (op.outputs[0].name for op in flat.graph.get_operations() if op.type == "Conv2D")
    return TensorFlowProgram(flat, {}, 1, "float32", None).before(flat.outputs[0]), conv


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_begins_where_the_convolution_ends(name: str) -> None:
    found, conv = before(ACTIVATIONS[name])
    assert found == conv


@pytest.mark.parametrize("last", [
    lambda x: x + tf.nn.relu(x[..., ::-1]), lambda x: x * tf.sigmoid(tf.reduce_mean(x, (1, 2), keepdims=True)), lambda x: 2 * x + 1,
    lambda x: x * tf.range(1.0, 5.0), lambda x: x[..., :2] * tf.sigmoid(x[..., 2:]), tf.nn.softmax, tf.identity,
], ids=["sum", "gate", "line", "scale", "glu", "softmax", "nothing"])  # fmt: skip
def test_what_is_no_activation_is_not_bypassed(last: Callable[[Any], Any]) -> None:
    assert before(last)[0] is None


# ---- models and errors -----------------------------------------------------------------------------------------------------


def test_a_saved_model_of_one_size_runs_on_the_whole_image(tmp_path: Path) -> None:
    """From its folder, with its weights: only on the size that it was saved for."""

    class Net(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(kernel(3, 3, 3, 4))

        @tf.function(input_signature=[tf.TensorSpec((1, 16, 16, 3))])
        def __call__(self, x: Any) -> Any:
            return tf.nn.conv2d(x, self.kernel, 1, "VALID")

    net = Net()
    tf.saved_model.save(net, str(tmp_path / "saved"), signatures=net.__call__)
    (found,) = ip.effective(str(tmp_path / "saved"), None, (1, 16, 16, 3), samples=2, target="sum").values()
    assert found.map.shape == (16, 16) and any("Ran on the whole image" in note for note in found.notes)
    np.testing.assert_allclose(found.map[7:10, 7:10], (net.kernel.numpy().sum(-1) ** 2).sum(-1), rtol=1e-4)


@pytest.mark.parametrize(("run", "size", "says"), [
    (lambda x, w: tf.argmax(tf.nn.conv2d(x, w, 1, "VALID"), -1), (1, 9, 9, 3), "has no gradient: its numbers are int64"),
    (lambda x, w: tf.nn.conv2d(x, 0 * w, 1, "VALID"), (1, 9, 9, 3), "No gradient but zero reached the input"),
    (lambda x, w: tf.nn.conv2d(tf.stop_gradient(x), w, 1, "VALID"), (1, 9, 9, 3), "No gradient leads from output back to the input"),
    (lambda x, w: tf.nn.conv2d(tf.sqrt(x), w, 1, "VALID"), (1, 9, 9, 3), "gradient of output by sample . is not finite"),
    (lambda x, w: tf.nn.conv2d(x, w, 1, "VALID"), (2, 9, 9, 3), "has a batch of 2"),
])  # fmt: skip
def test_errors(run: Any, size: Any, says: str) -> None:
    w = kernel(3, 3, 3, 2)
    with pytest.raises(ip.UsageError, match=says):
        ip.effective(tf.function(lambda x: run(x, w)), "output", size, samples=2)


def test_wrong_dtype() -> None:
    with pytest.raises(ip.UsageError, match="dtype='bfloat16' must be one of float64, float32"):
        ip.effective(tensorflow_net(PLAIN), "0", SIZE, samples=2, dtype="bfloat16")
