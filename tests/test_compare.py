"""Two analyses side by side."""

from __future__ import annotations

import json
from typing import Any

import pytest
from examples import models
from torch import nn

import isopter as ip
from isopter.design.compare import facts
from isopter.errors import UsageError

LABELS = [
    "ops", "weights", "multiply-accumulates", "output map", "its field / stride", "effective field, 95 %", "larger than the image from",
    "border layer", "lowest density", "mean padding exposure", "halo for exact tiles",
]  # fmt: skip


def values(c: ip.compare, label: str) -> tuple[object, object]:
    return tuple(next(f.value for f in own if f.label == label) for own in c.facts)  # type: ignore[return-value]


def dilated() -> models.ResNet:
    """ResNet-18 with the strides of its last two stages turned into dilation: output stride 8."""
    model = models.resnet18()
    for stage, rate in ((model.layer3, 2), (model.layer4, 4)):
        for at, block in enumerate(stage):
            for conv in (block.conv1, block.conv2):
                conv.dilation = conv.padding = (rate, rate) if (at or conv is block.conv2) else (rate // 2, rate // 2)
            block.conv1.stride = (1, 1)
            if block.downsample is not None:
                block.downsample[0].stride = (1, 1)
    return model


def test_the_published_pair() -> None:
    a, b = (ip.analyze(m, (1, 3, 224, 224)) for m in (models.resnet18(), dilated()))
    c = ip.compare(a, b)
    assert [f.label for f in c.facts[0]] == [f.label for f in c.facts[1]] == LABELS
    assert values(c, "weights") == (11_678_912, 11_678_912)
    assert [v["stride"] for v in values(c, "its field / stride")] == [[32, 32], [8, 8]]
    assert values(c, "larger than the image from") == ("layer4.0.conv1", b.findings(expected=False)[0].numbers["first"])
    assert values(c, "border layer") == (None, None)
    assert values(c, "mean padding exposure")[0] == pytest.approx(0.74, abs=0.005)
    assert values(c, "halo for exact tiles")[0]["before"] == [224, 224]
    assert values(c, "lowest density")[0]["density"] == 1.0
    names = [d.layer for d in c.layers]
    assert "layer4.0.conv1" in names and "layer1.0.conv1" not in names and c.only == ((), ())
    assert c.same + len(c.layers) == len(a.ops)
    d = next(d for d in c.layers if d.layer == "layer4.1.conv2")
    assert d.stride == ([32, 32], [8, 8]) and d.shape == ([1, 512, 7, 7], [1, 512, 28, 28]) and d.size[0] == [435, 435]
    json.dumps(c.to_dict(), allow_nan=False)


def test_printing() -> None:
    c = ip.compare(ip.analyze("conv 3 s2 p1, conv 3 p1", (1, 1, 32, 32)), ip.analyze("conv 3 s2 p1, conv 5 p2, relu", (1, 1, 32, 32)))
    text = repr(c)
    assert "7 / 2 @ -3" in text and "11 / 2 @ -5" in text and "conv1" not in text.split("size / stride @ start")[1]
    assert "1 layers of equal name differ, 2 do not; 0 and 1 have no counterpart." in text and all(label in text for label in LABELS)
    many = ip.compare(ip.analyze("[conv 3 p1]*60", (1, 1, 32, 32)), ip.analyze("[conv 5 p2]*60", (1, 1, 32, 32)))
    assert "... and 30 more, in .layers" in repr(many) and len(many.layers) == 60


def test_one_model_at_two_sizes() -> None:
    a, b = (ip.analyze("[conv 3 p1]*20", (1, 1, n, n)) for n in (16, 64))
    c = ip.compare(a, b)
    assert values(c, "border layer")[0]["layer"] == "conv9" and values(c, "border layer")[1] is None
    assert all(d.size[0] == d.size[1] for d in c.layers)  # only shapes differ


def test_given_fields_are_named() -> None:
    """By layer, and by how they were found."""
    model = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(4)))
    a = ip.analyze(model, (1, 1, 32, 32))
    measured = ip.effective(model, ["1"], (1, 1, 32, 32), samples=4, progress=False)
    c = ip.compare(a, a, effective=(measured, {"2": a["2"].expected()}))
    first, second = values(c, "effective field, 95 %")
    assert (first["measured"], first["layer"]) == (True, "1") and (second["measured"], second["layer"]) == (False, "2")
    assert values(ip.compare(a, a), "effective field, 95 %")[0]["layer"] == "3"
    assert c.layers == () and c.same == 5


@pytest.mark.parametrize("effective", [None, {}, (None,), [1, None], (None, [1]), ({"conv1": 1}, None), True, 5], ids=str)
def test_effective_fields_come_as_a_pair(effective: Any) -> None:
    a = ip.analyze("conv 3", (1, 1, 8, 8))
    with pytest.raises(UsageError, match=r"effective.*isopter\.effective returned"):
        ip.compare(a, a, effective=effective)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (nn.Linear(4, 2), (3, 4)),
        (nn.LSTM(4, 2, batch_first=True), (2, 5, 4)),
        (models.swin_block(), (1, 3, 16, 16)),
        (models.se_resnet(), (1, 3, 32, 32)),
        ("deconv 1 s4", (1, 1, 3, 3)),
        ("gap", (1, 1, 4, 4)),
        ("conv 3 p4 d4", (1, 1, 1, 9, 9)),
        ("up 2, conv 3", (1, 1, 9)),
    ],
    ids=lambda v: str(v)[:30],
)
def test_any_model_has_the_same_facts(model: object, size: tuple[int, ...]) -> None:
    own = facts(ip.analyze(model, size))
    assert [f.label for f in own] == LABELS and all(f.text for f in own)
    json.dumps([f.value for f in own], allow_nan=False)


def test_only_analyses_can_be_compared() -> None:
    a = ip.analyze("conv 3", (1, 1, 8, 8))
    with pytest.raises(UsageError, match=r"isopter\.analyze"):
        ip.compare(a, nn.Conv2d(1, 1, 3))
