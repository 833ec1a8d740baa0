"""Effective fields of ONNX models, measured without gradients: the same as by the gradients of the modules they came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from tests.onnx.agree import exported  # noqa: E402
from torch import nn  # noqa: E402

import isopter as ip  # noqa: E402
from isopter.erf.onnx import live  # noqa: E402


class Unit(nn.Module):
    """Strides, a dilation, a shortcut, activations that are one op and several."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.a = nn.Sequential(nn.Conv2d(6, 6, 3, padding=2, dilation=2), nn.GELU())
        self.b = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())
        self.last = nn.SiLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.last(x + self.b(self.a(x)))


def seeded(model: nn.Module) -> nn.Module:
    """With weights that keep values apart from each other."""
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=draw) / max(p[0].numel() if p.dim() > 1 else 4, 1) ** 0.5)
    return model.eval()


def off(one: ip.Analysis, other: ip.Analysis) -> float:
    """The relative difference of two maps."""
    assert one.origin == other.origin and one.map.shape == other.map.shape
    return float(np.linalg.norm(one.map - other.map) / np.linalg.norm(one.map))


@pytest.mark.parametrize(
    ("channels", "statistic", "target", "layer"),
    [
        (1, "energy", "random", "last"),
        (3, "abs", "random", "a"),
        (2, "relu", "random", "stem"),
        (1, "energy", "sum", "last"),
        (1, "energy", "positive", "stem"),
        (1, "energy", "random", "b.0"),
    ],
)
def test_the_same_as_by_gradients(channels: int, statistic: str, target: str, layer: str, tmp_path: Path) -> None:
    model, size = seeded(Unit(channels)), (1, channels, 40, 44)
    path = exported(model, size, tmp_path / "x.onnx", dynamo=False)
    options = {"samples": 3, "statistic": statistic, "target": target, "seed": 5}
    exact, found = (ip.effective(m, [layer], size, **options)[layer] for m in (model, path))
    assert off(exact, found) < 0.01
    assert found.notes[0].startswith("measured without gradients") and found.notes[1:] == exact.notes
    assert exact.map.shape < (40, 44)  # a file of one fixed size runs on the field alone, too


def test_signs_stand_for_all_channels(tmp_path: Path) -> None:
    """Of a linear model the energy is a number on paper: the sum of squared weights, over both kinds of channels."""
    model = seeded(nn.Sequential(nn.Conv2d(3, 2, 3)))
    path = exported(model, (1, 3, 9, 9), tmp_path / "x.onnx", dynamo=False)
    found = ip.effective(path, ["0"], (1, 3, 9, 9), samples=400)["0"]
    exact = model[0].weight.square().sum(dim=(0, 1)).detach().numpy()
    assert np.abs(found.map / exact - 1).max() < 0.35 and abs(found.map.sum() / exact.sum() - 1) < 0.08


def test_samples_take_turns_in_large_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PIXELS", 4)
    model = seeded(nn.Sequential(nn.Conv2d(1, 1, (3, 5))))
    path = exported(model, (1, 1, 9, 9), tmp_path / "x.onnx", dynamo=False)
    found = ip.effective(path, ["0"], (1, 1, 9, 9), samples=4, target="sum")["0"]
    exact = model[0].weight[0, 0].square().detach().numpy()
    turns = np.array([np.sum(np.arange(15) % 4 == k) for k in range(4)])  # 4, 4, 4 and 3 of 15 pixels, as many times larger
    assert np.allclose(np.sort((found.map / exact).ravel()), np.sort(np.repeat(15 / turns / 4, turns)), rtol=1e-2)
    assert "moves 4 of the field's 15 pixels" in found.notes[0]


def test_models_that_take_no_batch(tmp_path: Path) -> None:
    """One with a reshape to the batch of one, and one that sees the mean over its batch."""
    flat = nn.Flatten(), nn.Linear(48, 48), nn.Unflatten(1, (3, 16))
    model = seeded(nn.Sequential(nn.Conv1d(1, 3, 3, padding=1), *flat, nn.Conv1d(3, 2, 1)))
    path = exported(model, (1, 1, 16), tmp_path / "x.onnx", dynamo=False)
    exact, found = (ip.effective(m, ["4"], (1, 1, 16), samples=2)["4"] for m in (model, path))
    assert off(exact, found) < 0.01

    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", ["n", 1, 12]), ("y", None)))
    weights = numpy_helper.from_array(np.arange(1, 4, dtype=np.float32).reshape(1, 1, 3), "w")
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
        helper.make_node("Mul", ["m", "m"], ["q"]),
        helper.make_node("Add", ["x", "q"], ["s"]),
        helper.make_node("Conv", ["s", "w"], ["y"], name="c"),
    ]
    meets = helper.make_model(helper.make_graph(nodes, "g", [x], [y], [weights]), opset_imports=[helper.make_opsetid("", 17)])
    found = ip.effective(meets, ["c"], (1, 1, 12), samples=64, target="sum")["c"]
    exact = np.array([1.0, 4.0, 9.0]) * 5  # the mean of (1 + 2 x)^2
    assert np.abs(found.map / exact - 1).max() < 0.5  # of a batch that meets, each would see a 64th of the others


def test_the_whole_image(tmp_path: Path) -> None:
    model = seeded(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Softmax(dim=-1), nn.Conv2d(4, 3, 1)))
    path = exported(model, (1, 1, 7, 8), tmp_path / "x.onnx", dynamo=False)
    exact, found = (ip.effective(m, ["2"], (1, 1, 7, 8), samples=2)["2"] for m in (model, path))
    assert off(exact, found) < 0.02


def test_what_cannot_be_measured(tmp_path: Path) -> None:
    path = exported(seeded(Unit(1)), (1, 1, 20, 20), tmp_path / "x.onnx", dynamo=False)
    with pytest.raises(ip.UsageError, match="float64"):
        ip.effective(path, ["last"], (1, 1, 20, 20), dtype="float64")
    with pytest.raises(ip.UsageError, match="CPU"):
        ip.effective(path, ["last"], (1, 1, 20, 20), device="cuda")
    with pytest.raises(ip.UsageError, match="training"):
        ip.effective(path, ["last"], (1, 1, 20, 20), training=True)
    x, z, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, 8, 8]) for n in "xzy")
    two = helper.make_graph([helper.make_node("Add", ["x", "z"], ["y"], name="a")], "g", [x, z], [y])
    with pytest.raises(ip.UsageError, match="inputs x, z"):
        ip.effective(helper.make_model(two, opset_imports=[helper.make_opsetid("", 17)]), ["a"], (1, 1, 8, 8))
    whole = helper.make_tensor_value_info("x", TensorProto.INT64, [1, 1, 8, 8])
    made = helper.make_tensor_value_info("y", TensorProto.INT64, [1, 1, 8, 8])
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"], name="a")], "g", [whole], [made])
    with pytest.raises(ip.UsageError, match="int64, not real"):
        ip.effective(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), ["a"], (1, 1, 8, 8))
