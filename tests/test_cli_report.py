"""``isopter report``: every option, what is on standard output, and what its status says."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import isopter as ip
from isopter.cli.app import cli
from isopter.reads.axis import Window
from isopter.reads.relation import along
from packed import unpack

NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, stride=2, padding=1), nn.ReLU())
        print("noise from the constructor")

    def forward(self, x):
        print("noise from the forward")
        return super().forward(x)

class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("no such luck")

class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.InstanceNorm2d(3, track_running_stats=True)

    def forward(self, x):
        return self.norm(x)

class Sum(nn.Module):
    def forward(self, x):
        return x.sum((2, 3))
"""

TEXT = "conv 3 p1, conv 3 s2"


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report_net.py"
    path.write_text(NET)
    return f"{path}:Net"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is a file in the folder one is in."""
    monkeypatch.chdir(tmp_path)


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, args)], env={"COLUMNS": None})


def data_of(*args: object) -> dict[str, Any]:
    """The pack of a report that is written to standard output, which holds nothing else."""
    result = run(*args, "-o", "-")
    assert result.exit_code == 0, (result.stderr, result.exception)
    assert result.stdout.startswith("<!doctype html>") and result.stdout.endswith("</html>\n\n"), result.stdout[-40:]
    return unpack(result.stdout)[0]


def bad(*args: object, status: int = 2) -> str:
    result = run(*args)
    assert result.exit_code == status and result.stdout == "", (result.exit_code, result.stdout[:100], result.stderr, result.exception)
    assert not Path("report.html").exists(), "nothing is written where something is wrong"
    return result.stderr


def test_a_file(tmp_path: Path) -> None:
    result = run(TEXT, "-i", "1x1x24x20")
    assert (result.exit_code, result.stdout) == (0, "")
    text = Path("report.html").read_text(encoding="utf-8")
    assert result.stderr == f"report.html ({len(text.encode()) / 1000:,.0f} kB)\n"
    assert text.rstrip() == ip.analyze(TEXT, (1, 1, 24, 20)).show().html.rstrip()
    other = tmp_path / "other.htm"
    assert run(TEXT, "-i", "1x1x24x20", "-o", other).exit_code == 0 and other.read_text(encoding="utf-8") == text


def test_standard_output_is_the_report_alone(net: str) -> None:
    result = run(net, "-i", "1x3x16x16", "-o", "-")
    assert result.exit_code == 0 and "noise" not in result.stdout and "noise from the constructor" in result.stderr
    (model,) = unpack(result.stdout)[0]["models"]
    assert model["name"] == "Net" and model["graph"]["shape"] == [1, 3, 16, 16] and {f["kind"] for f in model["fields"]} == {"expected"}
    assert not Path("report.html").exists()


def test_image(net: str) -> None:
    Image.fromarray(np.full((30, 50, 3), 128, np.uint8)).save("photo.png")
    assert data_of(TEXT, "--image", "photo.png")["picture"].startswith("data:image/jpeg;base64,")
    assert "none.png" in bad(TEXT, "--image", "none.png")
    assert "two axes of space" in bad("conv 3", "-i", "1x1x30", "--image", "photo.png")


def test_compare(net: str) -> None:
    """Models of every kind beside each other, all on the same input."""
    ip.analyze("conv 5", (1, 1, 40, 40)).to_json("saved.json")
    data = data_of(net, "-i", "1x3x24x24", "--compare", TEXT, "--compare", "saved.json")
    assert [m["name"] for m in data["models"]] == ["Net", TEXT, "conv 5"]
    assert [m["graph"]["shape"][2:] for m in data["models"]] == [[24, 24], [24, 24], [40, 40]], "a saved analysis keeps its input"
    assert "no layer is called 'nothing'" in bad(TEXT, "--compare", "nothing 3")


def test_erf(net: str) -> None:
    """Measured with few samples: the fields, their numbers and how they were found are in the report."""
    data = data_of(net, "-i", "1x3x16x16", "--erf", "--samples", 2)
    (model,) = data["models"]
    assert len(model["fields"]) == 2 and {f["kind"] for f in model["fields"]} == {"measured"}
    assert "2 samples" in dict(model["how"])["effective fields"]
    both = data_of(net, "-i", "1x3x16x16", "--erf", "--samples", 1, "--compare", net)
    assert [{f["kind"] for f in m["fields"]} for m in both["models"]] == [{"measured"}] * 2


def test_erf_on_images(net: str) -> None:
    Path("photos").mkdir()
    for k in range(2):
        Image.fromarray(np.random.default_rng(k).integers(0, 255, (20, 24, 3), np.uint8)).save(f"photos/{k}.png")
    noise, photos = (data_of(net, "-i", "1x3x16x16", "--erf", "--samples", 2, *more) for more in ([], ["--images", "photos"]))
    assert [m["fields"] for m in noise["models"]] != [m["fields"] for m in photos["models"]]
    assert "nowhere" in bad(net, "-i", "1x3x16x16", "--erf", "--images", "nowhere")
    assert "add --erf" in bad(net, "-i", "1x3x16x16", "--images", "photos")
    assert "--samples is how many inputs --erf measures on: add --erf" in bad(net, "-i", "1x3x16x16", "--samples", 16)


def test_erf_needs_a_model_that_runs(net: str) -> None:
    assert "'conv 3' cannot be run" in bad("conv 3", "--erf")
    assert "'conv 3' cannot be run" in bad(net, "-i", "1x3x16x16", "--erf", "--samples", 1, "--compare", "conv 3")
    assert "no layer of" in bad(net.replace(":Net", ":Sum"), "-i", "1x3x8x8", "--erf")


def test_verify(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof is in the report; the status is 1 where it fails, and the report is written all the same."""
    args = (net, "-i", "1x3x16x16", "--verify", 6)
    (model,) = data_of(*args)["models"]
    assert model["verified"]["ok"] is True and model["verified"]["pairs"] > 0
    from isopter.reads import registry

    assert "conv" in registry.kinds()
    monkeypatch.setitem(registry._RULES, "conv", lambda site: ((along(4, {1: None, 2: Window(1, 2), 3: Window(1, 2)}),),))
    result = run(*args)
    assert result.exit_code == 1 and result.stdout == "", result.stderr
    (model,) = unpack(Path("report.html").read_text(encoding="utf-8"))[0]["models"]
    assert model["verified"]["ok"] is False and "FAILED" in model["verified"]["text"]
    assert {f["severity"] for f in model["findings"] if f["rule"] == "RF000"} == {"problem"}


def test_verify_needs_a_model_that_runs() -> None:
    ip.analyze("conv 5").to_json("saved.json")
    for model in ("conv 3", "saved.json"):
        assert f"--verify runs the model itself, and '{model}' cannot be run" in bad(model, "--verify", 4)


def test_coco() -> None:
    boxes = [{"image_id": 1, "bbox": [0, 0, w, h], "category_id": 1} for w, h in ((3, 9.5), (10, 2), (4, 4))]
    images = [{"id": 1, "height": 50, "width": 60}]
    Path("instances.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "a"}]}))
    scaled = data_of(TEXT, "-i", "1x1x25x20", "--coco", "instances.json")["objects"]
    assert scaled == {"sides": [[2, 1], [4, 1], [5, 1]]}, "with their images, to the input"
    Path("bare.json").write_text(json.dumps({"annotations": boxes}))
    assert data_of(TEXT, "-i", "1x1x25x20", "--coco", "bare.json")["objects"] == {"sides": [[4, 1], [10, 2]]}, "as in the file"
    assert "There is no file none.json" in bad(TEXT, "--coco", "none.json")
    Path("broken.json").write_text("{}")
    assert "COCO" in bad(TEXT, "--coco", "broken.json")


def test_saved_analysis() -> None:
    """The same report as of the model; options that it cannot follow are refused."""
    made = ip.analyze(TEXT, (1, 1, 24, 20))
    made.to_json("saved.json")
    assert run("saved.json").exit_code == 0
    assert Path("report.html").read_text(encoding="utf-8").rstrip() == made.show().html.rstrip()
    Path("report.html").unlink()
    for option in (("-i", "1x1x9x9"), ("--axes", "h"), ("--training",)):
        assert f"{option[0]} cannot change it" in bad("saved.json", *option)
        assert f"{option[0]} cannot change it" in bad("saved.json", *option, "--compare", TEXT), "it would be of the second model alone"
    assert "no weights" in bad("saved.json", "--pretrained")
    assert data_of(TEXT, "-i", "1x1x9x9", "--compare", "saved.json")["models"][0]["graph"]["shape"] == [1, 1, 9, 9]


def test_axes_and_training(net: str) -> None:
    assert data_of("conv 3", "-i", "1x1x9x9", "--axes", "w")["models"][0]["graph"]["axes"] == [3]
    head = net.replace(":Net", ":Head")
    still, training = (data_of(head, "-i", "1x3x8x8", *more)["models"][0]["graph"]["ops"][-1]["context"] for more in ([], ["--training"]))
    assert (still, training) == (False, True)


def test_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert run(TEXT, "--open").exit_code == 0 and opened == [(tmp_path / "report.html").as_uri()]
    Path("report.html").unlink()
    assert "Name a file" in bad(TEXT, "-o", "-", "--open") and len(opened) == 1


def test_status(net: str) -> None:
    """2 for wrong use, 3 for a model that cannot be run."""
    assert "no such luck" in bad(net.replace(":Net", ":Broken"), "-i", "1x3x8x8", status=3)
    assert "Nothing" in bad(net.replace(":Net", ":Nothing"), "-i", "1x3x8x8")
    assert "no layer is called" in bad("nothing 3")
    Path("folder").mkdir()
    for output in ("none/report.html", "folder"):
        assert "Cannot write" in bad(TEXT, "-o", output)
        assert "Cannot write" in bad(net.replace(":Net", ":Broken"), "-i", "1x3x8x8", "-o", output), "said before the model is run"
    assert "--samples" in bad(TEXT, "--samples", 0) and "--verify" in bad(TEXT, "--verify", 0)
    assert "expected whole numbers" in bad(TEXT, "-i", "large")


def test_a_file_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stood there stays where the new one fails."""
    Path("report.html").write_text("before")
    assert run("nothing 3").exit_code == 2 and Path("report.html").read_text() == "before"
    assert run(TEXT).exit_code == 0 and Path("report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [p.name for p in Path().iterdir()] == ["report.html"], "no temporary file is left"
