"""Recurrent layers: step t of the result sees steps 0..t, with few ops, by whatever backend; proved by perturbing pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

keras = pytest.importorskip("keras")

from keras import layers  # noqa: E402

import isopter as ip  # noqa: E402

STEPS, KERNEL = 9, 3
ON_TENSORFLOW = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="loops of TensorFlow")


def model(layer: Callable[[Any], Any], batch: int = 1, steps: int = STEPS) -> Any:
    x = keras.Input((steps, 3), batch_size=batch)
    return keras.Model(x, layer(layers.Conv1D(4, KERNEL, padding="causal", name="first")(x)))


def boxes(analysis: ip.Analysis) -> list[tuple[int, int]]:
    """First and last pixel + 1 of every step."""
    (low,), (high,) = analysis["rnn"].regions()
    return list(zip(low.ravel().tolist(), high.ravel().tolist(), strict=True))


AHEAD = [(0, t + 1) for t in range(STEPS)]
BACK = [(max(STEPS - 1 - t - KERNEL + 1, 0), STEPS) for t in range(STEPS)]
WHOLE = [(0, STEPS)] * STEPS

CASES: dict[str, tuple[Callable[[Any], Any], list[tuple[int, int]]]] = {
    "rnn": (lambda x: layers.SimpleRNN(4, return_sequences=True, name="rnn")(x), AHEAD),
    "lstm": (lambda x: layers.LSTM(4, return_sequences=True, name="rnn")(x), AHEAD),
    "gru": (lambda x: layers.GRU(4, return_sequences=True, name="rnn")(x), AHEAD),
    "backwards": (lambda x: layers.LSTM(4, return_sequences=True, go_backwards=True, name="rnn")(x), BACK),
    "both": (lambda x: layers.Bidirectional(layers.GRU(4, return_sequences=True), name="rnn")(x), WHOLE),
    "stateful": (lambda x: layers.GRU(4, return_sequences=True, stateful=True, name="rnn")(x), AHEAD),
    "masked": (lambda x: layers.LSTM(4, return_sequences=True, name="rnn")(layers.Masking()(x)), AHEAD),
    "cells": (lambda x: layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)], return_sequences=True, name="rnn")(x), AHEAD),
    "decoder": (
        lambda x: layers.GRU(4, return_sequences=True, name="rnn")(x, initial_state=layers.GRU(4, name="encoder")(x)),
        WHOLE,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_step_sees_those_before_it(name: str) -> None:
    layer, expected = CASES[name]
    made = model(layer, batch=2 if name == "stateful" else 1)
    a = ip.analyze(made)
    assert boxes(a) == expected and a["rnn"].exactness == "exact" and not a.issues
    found = ip.verify(made, units=STEPS)
    assert found.ok and found.checked and not found.missed and not found.excess


@ON_TENSORFLOW
@pytest.mark.parametrize("layer", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_a_recurrent_layer_is_one_op(layer: Any) -> None:
    a = ip.analyze(model(lambda x: layer(4, return_sequences=True, name="rnn")(x), steps=300))
    assert [op.kind for op in a.graph.ops].count("recurrent") == 1 and len(a.graph.ops) <= 9
    assert boxes(a)[250] == (0, 251)


def test_the_last_step_sees_all() -> None:
    made = model(lambda x: layers.LSTM(4, name="rnn")(x), batch=3)
    a = ip.analyze(made)
    assert boxes(a) == [(0, STEPS)] and a["rnn"].exactness == "exact"
    assert ip.verify(made, units=4).ok


class Delayed(layers.Layer):
    """A cell whose output is what came two steps ago: no step reads all that came before it."""

    def __init__(self) -> None:
        super().__init__()
        self.state_size, self.output_size = [4, 4], 4

    def call(self, inputs: Any, states: Any) -> Any:
        """What came two steps ago, and the last two inputs."""
        return states[1], [inputs, states[0]]


class PerChannel(layers.Layer):
    """A cell without weights, whose channels know nothing of one another."""

    def __init__(self) -> None:
        super().__init__()
        self.state_size, self.output_size = 4, 4

    def call(self, inputs: Any, states: Any) -> Any:
        """The sum so far."""
        total = inputs + states[0]
        return total, [total]


@ON_TENSORFLOW
@pytest.mark.parametrize("cell", [Delayed, PerChannel])
def test_cells_that_are_no_recurrent_net_are_written_out(cell: Any) -> None:
    made = model(lambda x: layers.RNN(cell(), return_sequences=True, name="rnn")(x))
    a = ip.analyze(made)
    assert "recurrent" not in {op.kind for op in a.graph.ops} and not a.issues
    assert ip.verify(made, units=STEPS).ok


@ON_TENSORFLOW
@pytest.mark.parametrize("sequences", [True, False])
def test_convolutions_in_the_loop_are_written_out(sequences: bool) -> None:
    x = keras.Input((4, 9, 8, 2))
    made = keras.Model(x, layers.ConvLSTM2D(3, 3, padding="same", return_sequences=sequences, name="rnn")(x))
    a = ip.analyze(made, axes=(2, 3))
    assert a["rnn"].exactness == "exact" and not a.issues
    # four steps of the input's convolution and, between them, three of the state's
    corner, last = a["rnn"].region((0, 0)), a["rnn"].region((8, 7))
    assert (corner.lo, corner.hi, last.lo, last.hi) == ((0, 0), (5, 5), (4, 3), (9, 8))
    assert ip.verify(made, axes=(2, 3), units=4).ok


@ON_TENSORFLOW
def test_a_dilated_convolution_pads_itself() -> None:
    """TensorFlow pads in an op of its own, which an edit of the dilation could not follow."""

    def dilated(rate: int) -> Any:
        x = keras.Input((13, 12, 3))
        return keras.Model(x, layers.DepthwiseConv2D(3, dilation_rate=rate, padding="same", name="dw")(x))

    a = ip.analyze(dilated(2))
    assert "pad" not in {op.kind for op in a.graph.ops} and a["dw"].start == (-2, -2)
    edited, made_so = a.what_if({"dw": {"dilation": 4}})["dw"], ip.analyze(dilated(4))["dw"]
    assert (edited.size, edited.start) == (made_so.size, made_so.start) == ((9, 9), (-4, -4))
    padded = keras.Sequential([keras.Input((13, 12, 3)), layers.ZeroPadding2D(2), layers.Conv2D(2, 3, dilation_rate=2, name="dw")])
    assert "pad" in {op.kind for op in ip.analyze(padded).graph.ops}
    for made in (dilated(2), dilated(5), padded):
        assert ip.verify(made, units=6).ok


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_upsampling_is_by_a_factor_and_resizing_to_a_size(interpolation: str) -> None:
    x = keras.Input((24, 24, 3), batch_size=1)
    up = ip.analyze(keras.Model(x, layers.UpSampling2D((2, 3), interpolation=interpolation, name="up")(x)))
    assert any("give exactly the output" in f.message for f in up.findings())
    if keras.backend.backend() == "tensorflow":
        to = ip.analyze(keras.Model(x, layers.Resizing(48, 72, interpolation=interpolation, name="up")(x)))
        assert any("fits its steps to the size" in f.message for f in to.findings())
