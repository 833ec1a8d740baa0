"""`effective` and `Watch` on Keras models, by the backend of this process (TensorFlow, unless KERAS_BACKEND says another)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from twins import close

pytest.importorskip("keras")

import keras

import isopter as ip

SIZE = (1, 40, 48, 3)


class Twin(nn.Module):
    """A small U-Net with a batch norm and three activations."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.norm, self.mid = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6, eps=2**-10), nn.Conv2d(6, 8, 3, padding=1)
        self.up, self.join = nn.ConvTranspose2d(8, 6, 2, 2), nn.Conv2d(12, 5, 3, padding=1)
        self.act, self.pool, self.silu, self.out = nn.ReLU(), nn.MaxPool2d(2), nn.SiLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        a = self.act(self.norm(self.down(x)))
        out: Tensor = self.out(self.join(torch.cat([a, self.up(self.silu(self.mid(self.pool(a))))], 1)))
        return out


def twins() -> tuple[Any, nn.Module]:
    """The U-Net in Keras and in PyTorch, with the same weights."""
    torch.manual_seed(0)
    net = Twin()
    nn.init.normal_(net.norm.running_mean), nn.init.uniform_(net.norm.running_var, 0.5, 2)  # type: ignore[arg-type]
    layers = keras.layers
    given = keras.Input((None, None, 3))
    a = layers.ReLU(name="act")(
        layers.BatchNormalization(epsilon=2**-10, name="norm")(layers.Conv2D(6, 3, padding="same", name="down")(given))
    )
    y = layers.Activation("silu", name="silu")(layers.Conv2D(8, 3, padding="same", name="mid")(layers.MaxPooling2D(2, name="pool")(a)))
    y = layers.Concatenate(name="cat")([a, layers.Conv2DTranspose(6, 2, strides=2, name="up")(y)])
    model = keras.Model(given, layers.Conv2D(5, 3, padding="same", activation="relu", name="out")(y))

    def numbers(*tensors: Any) -> list[Any]:
        return [t.detach().numpy() for t in tensors]

    for name, own in (("down", net.down), ("mid", net.mid), ("up", net.up), ("out", net.join)):
        model.get_layer(name).set_weights(numbers(own.weight.permute(2, 3, 1, 0), own.bias))
    norm = net.norm
    model.get_layer("norm").set_weights(numbers(norm.weight, norm.bias, norm.running_mean, norm.running_var))
    return model, net.double().eval()


def test_maps_are_those_of_pytorch() -> None:
    """By the names of Keras; an activation inside of a layer is bypassed too."""
    (model, net), names, options = twins(), ["act", "silu", "out"], {"samples": 4, "seed": 3}
    before = [np.array(w) for w in model.get_weights()]
    found = ip.effective(model, names, SIZE, dtype="float64", **options)
    twin = ip.effective(net, names, (1, 3, *SIZE[1:3]), **options)
    for name in names:
        assert close(found[name].map, twin[name].map), name
        assert found[name].notes == twin[name].notes and found[name].size == twin[name].size
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_model_of_one_size_takes_its_own() -> None:
    """No input_size is needed, and no smaller image is tried, which Keras would refuse."""
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, name="conv"), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    found = ip.effective(model, "conv", samples=2, target="sum")["conv"]
    assert found.map.shape == (16, 16) and found.image == (16, 16)
    kernel = np.asarray(model.get_layer("conv").get_weights()[0])
    np.testing.assert_allclose(found.map[7:10, 7:10] if found.origin == (0, 0) else found.map, (kernel.sum(-1) ** 2).sum(-1), rtol=1e-4)


def test_a_head_of_one_size_is_not_run_for_the_layers_before_it() -> None:
    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = keras.layers.Conv2D(4, 3, name="conv"), keras.layers.Dense(2, name="head")

        def call(self, x: Any) -> Any:
            return self.head(keras.ops.reshape(self.conv(x), (x.shape[0], -1)))

    net = Net()
    net(np.zeros((1, 16, 16, 3), np.float32))
    assert ip.effective(net, "conv", (1, 16, 16, 3), samples=2)["conv"].map.shape == (3, 3)


def test_a_model_without_weights_is_refused() -> None:
    with pytest.raises(ip.UsageError, match=r"was not built: .* has no weights yet"):
        ip.effective(keras.Sequential([keras.layers.Conv2D(4, 3)]), None, (1, 16, 16, 3))


def test_models_of_several_inputs_are_refused() -> None:
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    model = keras.Model([left, right], keras.layers.Conv2D(2, 3, name="c")(left + right), name="pair")
    with pytest.raises(ip.UsageError, match="pair has the inputs left, right"):
        ip.effective(model, ["c"])


@pytest.mark.parametrize("what", ["conv", "dead"])
def test_dead_units(what: str) -> None:
    model = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(2, 3, name="conv"), keras.layers.Conv2D(2, 3, name="dead")])
    model.get_layer("dead").set_weights([np.zeros((3, 3, 2, 2)), np.zeros(2)])
    if what == "dead":
        with pytest.raises(ip.UsageError, match="No gradient but zero reached the input from dead"):
            ip.effective(model, "dead", (1, 9, 9, 1), samples=2)
    else:
        assert ip.effective(model, "conv", (1, 9, 9, 1), samples=2)["conv"].map.any()


def trainable() -> Any:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(3, 3, name="conv"), keras.layers.ReLU(), keras.layers.Conv2D(1, 3, name="last")]
    model = keras.Sequential([keras.Input((12, 12, 1)), *layers, keras.layers.GlobalAveragePooling2D()])
    model.compile("sgd", "mse")
    return model


def test_watch_during_fit(tmp_path: Path) -> None:
    """At the start, every third step, at the end; epochs go on; training is the same as without."""
    x, y = np.random.default_rng(0).standard_normal((8, 12, 12, 1)).astype(np.float32), np.ones((8, 1), np.float32)
    plain, watched = trainable(), trainable()
    plain.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0)
    watch = ip.Watch(watched, ["last"], (1, 12, 12, 1), every=3, samples=2, out=tmp_path, crop=False)
    watched.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0, callbacks=[watch.keras()])
    assert [row.step for row in watch.history] == [0, 3, 6, 8]
    for a, b in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    found = ip.effective(watched, ["last"], (1, 12, 12, 1), samples=2, crop=False)["last"]
    np.testing.assert_allclose(watch.fields["last"].map, found.map, rtol=1e-5)
    first = ip.effective(trainable(), ["last"], (1, 12, 12, 1), samples=2, crop=False)["last"]
    assert float(watch.history[0].sigma[0]) == pytest.approx(float(first.sigma[0]), rel=1e-5)
    assert len({float(row.sigma[0]) for row in watch.history}) == 4


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_backend(backend: str) -> None:
    """This file again, with each backend."""
    if keras.backend.backend() != "tensorflow" or "slow" in os.environ.get("ISOPTER_INNER", ""):
        pytest.skip("it is what is run")
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", __file__]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"KERAS_BACKEND": backend, "ISOPTER_INNER": "slow"}
    )
    assert done.returncode == 0, done.stdout[-3000:]
