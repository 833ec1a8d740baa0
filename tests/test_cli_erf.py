"""``isopter erf``: measured and expected fields on the command line, weights, images, files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import isopter as ip
from isopter.cli.app import cli
from isopter.erf.maps.files import load_npz

NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, stride=2, padding=1), nn.ReLU())
        print("noise from the constructor")

class Attention(nn.Module):
    def forward(self, x):
        tokens = x.flatten(2)
        return tokens @ (tokens.mT @ tokens).softmax(-1)
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("erf") / "erf_net.py"
    path.write_text(NET)
    return f"{path}:Net"


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, ["erf", *map(str, args)], env={"COLUMNS": None})


def good(*args: object) -> str:
    result = run(*args)
    assert result.exit_code == 0, (result.stderr, result.exception)
    return result.stdout


def bad(*args: object) -> str:
    result = run(*args)
    assert result.exit_code == 2 and result.stdout == "", result.output
    return result.stderr


def test_measured_is_what_python_says(net: str, tmp_path: Path) -> None:
    """The table, JSON and archive of one run hold the same numbers; they are those of `effective` at the same weights."""
    weights = tmp_path / "w.pt"
    torch.manual_seed(3)
    from isopter.capture.load import load_model

    model = load_model(net)
    torch.save(model.state_dict(), weights)
    out = [tmp_path / "field.json", tmp_path / "field.npz", tmp_path / "field.png", tmp_path / "field.txt"]
    text = good(net, "-i", "1x3x32x32", "-l", "2", "--samples", 12, "--seed", 5, "--weights", weights, *(a for o in out for a in ("-o", o)))
    assert text == ""
    want = ip.effective(model, ["2"], (1, 3, 32, 32), samples=12, seed=5)["2"]
    entry = json.loads(out[0].read_text())["layers"][0]
    assert entry["metrics"]["sigma"] == pytest.approx([float(s) for s in want.sigma]) and entry["samples"] == 12
    assert entry["errors"]["sigma"] == pytest.approx([s.stderr for s in want.sigma])
    np.testing.assert_allclose(load_npz(out[1]).map, want.map)
    assert out[2].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "5x5" in out[3].read_text() and repr(want.sigma[0]) in out[3].read_text()


def test_images(net: str, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (40, 50, 3), np.uint8)).save(folder / f"{i}.png")
    data = json.loads(good(net, "-i", "1x3x32x32", "-l", "2", "--images", folder, "--samples", 3, "-f", "json"))
    assert data["layers"][0]["samples"] == 3
    assert "none" in bad(net, "--images", tmp_path / "none", "-i", "1x3x32x32")
    (tmp_path / "empty").mkdir()
    assert "image" in bad(net, "--images", tmp_path / "empty", "-i", "1x3x32x32")


def test_warnings_are_plain(net: str) -> None:
    result = run(net, "-i", "1x3x16x16", "-l", "0", "--samples", 1)
    assert result.exit_code == 0
    assert [line for line in result.stderr.splitlines() if "warning" in line.lower()] == [
        "isopter: warning: One sample tells nothing about its own error: all errors are nan. Use samples=64 or more."
    ]


def test_until_stops_early(net: str) -> None:
    data = json.loads(good(net, "-i", "1x3x16x16", "-l", "0", "--samples", 4000, "--until", 0.3, "-f", "json"))
    assert data["layers"][0]["samples"] < 400


def test_expected_of_a_text() -> None:
    """Theory needs no model that runs."""
    text = good("conv 3 p1, [conv 3 p1]*4", "--expected")
    assert "1.826 x 1.826" in text and "11x11" in text and "20.0%" in text
    assert "Assuming weights drawn independently" in text
    data = json.loads(good("[conv 3 p1]*10", "--expected", "-f", "json"))
    assert data["layers"][0]["metrics"]["sigma"] == pytest.approx([2.5819888974716116] * 2, abs=1e-9)


def test_expected_of_a_model(net: str) -> None:
    """Of a model that runs, one forward pass takes the place of assumptions."""
    text = good(net, "-i", "1x3x32x32", "-l", "?", "--expected")
    assert "expected" in text and "He" not in text


def test_replknet(net: str) -> None:
    """The published script's ratios, from its own kind of gradient."""
    data = json.loads(good(net, "-i", "1x3x32x32", "-l", "3", "--convention", "replknet", "--samples", 4, "-f", "json"))["layers"][0]
    assert data["statistic"] == "relu"
    ratios = data["metrics"]["replknet_area_ratio"]
    assert list(ratios) == ["0.2", "0.3", "0.5", "0.99"] and 0 < ratios["0.2"] <= ratios["0.99"] <= 1


def test_several_layers(net: str, tmp_path: Path) -> None:
    text = good(net, "-i", "1x3x32x32", "-l", "0", "-l", "2", "--samples", 4)
    assert [line.split()[0] for line in text.splitlines()[4:6]] == ["0", "2"]
    good(net, "-i", "1x3x32x32", "-l", "[02]", "--samples", 2, "-o", tmp_path / "f.npz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.0.npz", "f.2.npz"]


def test_every_output_is_written(tmp_path: Path) -> None:
    good("conv 3", "--expected", "-o", tmp_path / "a.txt", "-o", tmp_path / "b.json", "-o", tmp_path / "c")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.json", "c"]
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "c").read_text()


def test_wrong_use(net: str, tmp_path: Path) -> None:
    assert "--expected" in bad("conv 3")
    assert "--until, --device" in bad("conv 3", "--expected", "--device", "cuda", "--until", 0.1)
    assert "No layer is called" in bad(net, "-i", "1x3x32x32", "-l", "4")
    assert "expected field" in bad(f"{net.rpartition(':')[0]}:Attention", "-i", "1x3x8x8", "--expected")
    assert "--weights" in bad("conv 3", "--weights", tmp_path / "w.pt", "--expected")
    (tmp_path / "w.pt").write_bytes(b"\x80\x04cos\nsystem\n")
    assert "w.pt" in bad(net, "--weights", tmp_path / "w.pt")
    assert "Cannot write" in bad(net, "-i", "1x3x16x16", "--samples", 2, "-o", tmp_path / "none" / "f.png")
