"""What verify does with batches of probes: models that mix their batch, and graphs that are wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

keras = pytest.importorskip("keras")

from keras import layers as L  # noqa: E402

import isopter  # noqa: E402
from isopter import verification  # noqa: E402
from isopter.capture.keras.probe import KerasProber  # noqa: E402


class Cumulative(L.Layer):
    """Each sample adds up those before it: the first sample of a batch sees no other."""

    def call(self, x: Any) -> Any:
        return keras.ops.cumsum(x, axis=0)


def net(*mixing: Any) -> Any:
    image = keras.Input((12, 12, 4))
    x = L.Conv2D(4, 3, padding="same", groups=4, name="grouped")(image)
    for layer in mixing:
        x = layer(x)
    return keras.Model(image, L.Conv2D(2, 3, strides=2, name="last")(x))


def probed(monkeypatch: pytest.MonkeyPatch, model: Any) -> tuple[Any, KerasProber]:
    made: list[KerasProber] = []
    start = KerasProber.__init__

    def noted(self: KerasProber, *args: Any, **kwargs: Any) -> None:
        made.append(self)
        start(self, *args, **kwargs)

    monkeypatch.setattr(KerasProber, "__init__", noted)
    return isopter.verify(model, units=6), made[0]


def test_samples_that_do_not_meet_are_probed_as_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    found, prober = probed(monkeypatch, net())
    assert found.ok and prober.batched
    assert prober.watched is not None
    assert keras.backend.backend() == "torch" or all(run is not None for run in prober.watched.compiled.values())


def test_samples_that_meet_are_probed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found, prober = probed(monkeypatch, net(Cumulative()))
    assert found.missed == 0 and not prober.batched


def test_a_wrong_graph_is_caught_by_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    true = verification.analyze

    def shrunk(*args: Any, **kwargs: Any) -> Any:
        analysis = true(*args, **kwargs)
        graph = analysis.graph
        ops = tuple(replace(o, params={**o.params, "dilation": (2, 2), "pad": (2, 2)}) if "grouped" in o.name else o for o in graph.ops)
        assert ops != graph.ops
        return type(analysis)(replace(graph, ops=ops), analysis.axes, analysis.name)

    monkeypatch.setattr(verification, "analyze", shrunk)
    found, prober = probed(monkeypatch, net())
    assert prober.batched and found.missed > 0 and not found.ok
