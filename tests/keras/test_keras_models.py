"""Keras models as users have them, with whichever backend is active: names, sizes, proof, and that they are left as they were."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import isopter as ip
from isopter.report.rows import select

keras = pytest.importorskip("keras")
layers = keras.layers

SMALL = (1, 20, 20, 3)


def functional() -> Any:
    """Two calls of one convolution, an addition that is no layer, a nested model, and dropout, which does nothing."""
    x = keras.Input((20, 20, 3), name="image")
    inner_in = keras.Input((None, None, 4))
    inner_out = layers.Conv2D(4, 3, padding="same", name="conv2")(layers.Conv2D(4, 3, padding="same", name="conv1")(inner_in))
    encoder = keras.Model(inner_in, inner_out, name="encoder")
    stem = layers.Conv2D(4, 3, strides=2, padding="same", name="stem")(x)
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    y = shared(shared(stem)) + stem
    y = layers.Dropout(0.5, name="drop")(encoder(layers.BatchNormalization(name="bn")(y)))
    y = layers.GlobalAveragePooling2D(name="pool")(layers.Activation("relu", name="act")(y))
    return keras.Model(x, layers.Dense(5, name="head")(y), name="net")


class Block(layers.Layer):
    """A layer with layers inside, made when it is built."""

    def build(self, shape: Any) -> None:
        self.conv = layers.Conv2D(shape[-1], 3, padding="same", name="conv")
        self.conv.build(shape)

    def call(self, x: Any) -> Any:
        return x + keras.ops.relu(self.conv(x))


class Net(keras.Model):
    """Subclassed: neither built nor functional; two outputs by name."""

    def __init__(self) -> None:
        super().__init__(name="mine")
        self.stem = layers.Conv2D(4, 3, name="stem")
        self.blocks = [Block(name=f"block{k}") for k in range(2)]

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return {"map": x, "mean": keras.ops.mean(x, axis=(1, 2))}


def test_rows_have_the_names_of_layers() -> None:
    """A convolution is a few ops with its bias and activation: its row, and what is said of its result, name the layer."""
    x = keras.Input((20, 20, 3))
    y = layers.Conv2D(4, 3, activation="relu", name="first")(x)
    y = layers.SeparableConv2D(4, 3, name="apart")(layers.MaxPooling2D(name="pool")(y))
    analysis = ip.analyze(keras.Model(x, layers.Conv2D(2, 3, name="head")(y)))
    rows = select(analysis).rows
    assert [name for name, _ in rows] == ["first", "pool", "apart", "head"]
    for name, index in rows:
        assert analysis[name].size == analysis[analysis.ops[index]].size
        assert (analysis[name].stride, analysis[name].start) == (analysis[analysis.ops[index]].stride, analysis[analysis.ops[index]].start)
    assert analysis.outputs == ("head",)
    assert {f.layer for f in analysis.findings()} == {"head"}
    assert [name for name, _ in select(analysis, all_ops=True).rows] == list(analysis.ops) and "first.relu" not in analysis.ops


def test_layers_have_the_names_of_keras() -> None:
    """Every layer's output is a layer; the path of nested ones; #2; what is no layer; and nothing else but the outputs."""
    model = functional()
    a = ip.analyze(model)
    add = next(o.name for o in model.operations if o.name.startswith("add"))
    named = ["stem", "shared", "shared#2", add, "bn", "encoder.conv1", "encoder.conv2", "encoder", "drop", "act", "pool", "head"]
    assert sorted(a.layers) == sorted([*named, "output"])
    assert list(a.graph.input_names) == ["image"] and a.name == "net" and a.exact
    sizes = {name: a[name].size[0] for name in named[:10]}
    assert sizes == {
        "stem": 3, "shared": 7, "shared#2": 11, add: 11, "bn": 11, "encoder.conv1": 15, "encoder.conv2": 19, "encoder": 19,
        "drop": 19, "act": 19,
    }  # fmt: skip
    assert a["stem"].stride == (2, 2) and a["stem"].start == (0, 0)  # SAME pads none in front of 20 pixels
    assert {op.module for op in a.graph.ops} <= {"", *a.layers}


def test_verified_by_running_it() -> None:
    for model in (functional(), Net()):
        result = ip.verify(model, SMALL, units=8)
        assert result.ok and result.missed == 0 and result.checked > 1000, result


def test_subclassed_models() -> None:
    """Whether built or not; inner layers have names, outputs the keys of what is returned."""
    model = Net()
    first = ip.analyze(model, SMALL)
    assert {"stem", "block0", "block0.conv", "block1", "block1.conv", "map", "mean"} <= set(first.layers)
    assert first["block0.conv"].size == (5, 5) and first["map"].size == (7, 7) and first["mean"].size[0] == float("inf")
    model(np.zeros(SMALL, "float32"))
    again = ip.analyze(model)  # it was built for (1, 20, 20, 3)
    assert again.layers == first.layers and [op.kind for op in again.graph.ops] == [op.kind for op in first.graph.ops]


def test_models_are_left_as_they_were() -> None:
    """Unbuilt models stay unbuilt, and nothing on any layer of a built one changes; not when the model fails either."""
    unbuilt = Net()
    ip.analyze(unbuilt, SMALL)
    ip.verify(unbuilt, SMALL, units=1)
    assert not unbuilt.built and not unbuilt.variables and not unbuilt.blocks[0].built and not hasattr(unbuilt.blocks[0], "conv")

    model = functional()
    weights = [w.copy() for w in model.get_weights()]
    before = {layer.name: dict(vars(layer)) for layer in model._flatten_layers()}
    call = keras.Layer.__call__, keras.Operation.__call__
    ip.analyze(model, training=True)
    ip.verify(model, units=1)
    with pytest.raises(ip.UsageError):
        ip.analyze(model, (1, 21, 20, 3))
    for layer in model._flatten_layers():
        assert vars(layer).keys() == before[layer.name].keys()
        assert all(vars(layer)[k] is v for k, v in before[layer.name].items()), layer.name
    assert (keras.Layer.__call__, keras.Operation.__call__) == call
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
    model(np.zeros(SMALL, "float32"))


def test_sequential_and_single_layers() -> None:
    """Without an Input the size must be given."""
    made = keras.Sequential([layers.Conv2D(4, 5, name="a"), layers.MaxPooling2D(2, name="b")])
    with pytest.raises(ip.UsageError, match=r"does not say for which input.*input_size"):
        ip.analyze(made)
    assert ip.analyze(made, SMALL)["b"].size == (6, 6) and not made.built
    made.build((None, 20, 20, 3))
    assert ip.analyze(made)["b"].stride == (2, 2)
    a = ip.analyze(layers.Conv2D(4, 7, strides=3), (1, 30, 30, 3))
    assert a["output"].size == (7, 7) and a["output"].stride == (3, 3)


def test_open_axes_and_several_inputs() -> None:
    """An open batch is 1; other open axes need a size; inputs go by name or in order, as shapes or arrays."""
    left, right = keras.Input((None, None, 3), name="left"), keras.Input((16, 16, 3), name="right")
    model = keras.Model([left, right], layers.Conv2D(2, 3, name="c")(layers.Concatenate(name="both")([left, right])), name="pair")
    with pytest.raises(ip.UsageError, match=r"'left' of pair.*open axes"):
        ip.analyze(model)
    for inputs in ({"left": (1, 16, 16, 3)}, {"left": np.zeros((1, 16, 16, 3))}, [(1, 16, 16, 3), (1, 16, 16, 3)]):
        a = ip.analyze(model, inputs=inputs)
        assert a.inputs == ("left", "right")
    assert ip.analyze(model, (1, 16, 16, 3))["c"].size == (3, 3)
    assert ip.verify(model, (1, 16, 16, 3), units=4).ok
    with pytest.raises(ip.UsageError, match=r"no input 'middle'.*left, right"):
        ip.analyze(model, inputs={"middle": (1, 16, 16, 3)})
    with pytest.raises(ip.UsageError, match=r"\(1, 8, 8, 3\) does not fit"):
        ip.analyze(model, inputs={"left": (1, 8, 8, 3), "right": (1, 8, 8, 3)})


def test_channels_first_are_told() -> None:
    with pytest.raises(ip.UsageError, match=r"channels come last: give \(1, 20, 20, 3\)"):
        ip.analyze(functional(), (1, 3, 20, 20))


def test_a_forgotten_batch_is_told() -> None:
    with pytest.raises(ip.UsageError, match=r"batch comes first: give \(1, 20, 20, 3\)"):
        ip.analyze(functional(), (20, 20, 3))


@pytest.mark.parametrize("wrong", [(1, 20, 20), "image", {"image": "x"}, {"image": (1, -1, 20, 3)}, {"image": 3}])
def test_wrong_inputs(wrong: Any) -> None:
    with pytest.raises(ip.UsageError):
        ip.analyze(functional(), inputs=wrong if not isinstance(wrong, tuple) else {"image": wrong})


def test_dictionaries_of_inputs() -> None:
    """A functional model whose inputs are a dict, and a subclassed one whose call takes one."""
    a, b = keras.Input((8, 8, 2), name="a"), keras.Input((8, 8, 2), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Add(name="sum")([layers.Conv2D(2, 3, name="ca")(a), layers.Conv2D(2, 3, name="cb")(b)]))
    assert ip.analyze(model)["sum"].size == (3, 3)

    class Two(keras.Model):
        def call(self, both: Any) -> Any:
            return both["x"] + both["y"]

    assert ip.analyze(Two(), inputs={"x": (1, 4, 4, 1), "y": (1, 4, 4, 1)}).exact


def test_layers_can_be_asked_for_by_themselves() -> None:
    model = functional()
    a = ip.analyze(model)
    assert a[model.get_layer("stem")].size == (3, 3)
    assert a[model.get_layer("encoder").get_layer("conv2")].size == (19, 19)


def test_training() -> None:
    """Norms take their statistics from the batch then: every unit reads all, as context."""
    x = keras.Input((12, 12, 3))
    model = keras.Model(x, layers.Conv2D(3, 3, name="c")(layers.BatchNormalization(name="bn")(x)))
    assert not ip.analyze(model)["c"].context
    trained = ip.analyze(model, training=True)
    assert trained["c"].context and trained["c"].size == (3, 3)


def test_squeeze_excite_upsampling_and_transposed_convolutions() -> None:
    x = keras.Input((16, 16, 3))
    y = layers.Conv2DTranspose(4, 3, strides=2, padding="same", name="up")(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x))
    gate = layers.Reshape((1, 1, 4))(layers.Dense(4, activation="sigmoid", name="gate")(layers.GlobalAveragePooling2D()(y)))
    y = layers.UpSampling2D(2, interpolation="bilinear", name="resized")(layers.Multiply(name="gated")([y, gate]))
    model = keras.Model(x, layers.SeparableConv2D(4, 3, dilation_rate=2, name="out")(y))
    a = ip.analyze(model)
    assert a["up"].size == (4, 4) and a["gated"].context and not a.issues
    assert ip.verify(model, units=6).ok


def test_words_of_a_model_that_fails() -> None:
    class Broken(keras.Model):
        def call(self, x: Any) -> Any:
            raise KeyError("there is no such thing")

    call = keras.Layer.__call__
    with pytest.raises(ip.CaptureError, match="there is no such thing"):
        ip.analyze(Broken(), SMALL)
    assert keras.Layer.__call__ is call


def test_threads_do_not_hear_one_another() -> None:
    models = [functional() for _ in range(3)]
    wanted = [ip.analyze(m).layers for m in models]
    found: dict[int, Any] = {}
    threads = [threading.Thread(target=lambda k=k: found.update({k: ip.analyze(models[k]).layers})) for k in range(3)]
    call = keras.Layer.__call__
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[k] for k in range(3)] == wanted and keras.Layer.__call__ is call


def test_dilated_convolutions() -> None:
    """TensorFlow writes them by moves of positions into the batch: they are convolutions again."""
    how = enumerate([(2, "same"), ((4, 1), "same"), (3, "valid")])
    net = [layers.Conv2D(4, 3, dilation_rate=d, padding=padding, name=f"c{k}") for k, (d, padding) in how]
    model = keras.Sequential([keras.Input((30, 31, 3)), *net])
    a = ip.analyze(model)
    assert [a[f"c{k}"].size for k in range(3)] == [(5, 5), (13, 7), (19, 13)]
    assert ip.verify(model, units=6).ok


def test_one_dimension_and_three() -> None:
    line = keras.Sequential([keras.Input((32, 2)), layers.Conv1D(4, 3, dilation_rate=2, padding="causal", name="c")])
    assert ip.analyze(line)["c"].size == (5,) and ip.analyze(line)["c"].start == (-4,)
    cube = keras.Sequential([keras.Input((8, 8, 8, 1)), layers.Conv3D(2, 3, name="c"), layers.AveragePooling3D(2, name="p")])
    assert ip.analyze(cube)["p"].size == (4, 4, 4)
    assert ip.verify(line, units=4).ok and ip.verify(cube, units=4).ok


def rnn(layer: Any) -> Any:
    x = keras.Input((40, 3))
    return keras.Model(x, layer(layers.Conv1D(4, 3, name="first")(x)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.LSTM(4, name="rnn"),
        lambda: layers.GRU(4, return_sequences=True, name="rnn"),
        lambda: layers.Bidirectional(layers.SimpleRNN(4, return_sequences=True), name="rnn"),
    ],
)
def test_recurrent_layers(make: Any) -> None:
    model = rnn(make())
    a = ip.analyze(model)
    assert "first" in a.layers and "rnn" in a.layers and a["first"].size == (3,)
    found = ip.verify(model, units=4)
    assert found.checked and found.missed == 0


def test_an_edit_names_a_layer_and_finds_its_window() -> None:
    x = keras.Input((24, 24, 3))
    y = layers.Conv2D(4, 5, padding="same", activation="relu", name="stem")(x)
    a = ip.analyze(keras.Model(x, layers.Conv2D(4, 3, padding="same", name="last")(y)))
    assert a["last"].size == (7, 7) and a.what_if({"stem": {"kernel": 3}})["last"].size == (5, 5)
    assert a.what_if({"last": {"dilation": 2}})["last"].size == (9, 9)
    with pytest.raises(ip.UsageError, match="only convolutions and poolings"):
        rnn_model = rnn(layers.LSTM(4, name="rnn"))
        ip.analyze(rnn_model).what_if({"rnn": {"kernel": 3}})
