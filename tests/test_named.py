"""Models by name: which are built, how, at which size, and what is said where a name is wrong."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

import isopter as ip
from isopter.capture.load import load_model
from isopter.capture.zoos import input_of, zoo_of
from isopter.cli.app import cli
from zoos import installed


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in args])


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is built here is built without a download."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a test tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


TORCHVISION = {
    "resnet18": ((1, 3, 224, 224), "layer4.1.conv2", (435, 435)),
    "inception_v3": ((1, 3, 299, 299), "Conv2d_1a_3x3.conv", (3, 3)),
    "fcn_resnet50": ((1, 3, 520, 520), "backbone.conv1", (7, 7)),
    "r3d_18": ((1, 3, 16, 112, 112), "stem.0", (3, 7, 7)),
    "quantized_resnet18": ((1, 3, 224, 224), "layer4.1.conv2", (435, 435)),
    "fasterrcnn_resnet50_fpn": ((1, 3, 800, 800), "backbone.body.layer1.0.conv1", (11, 11)),
    "ssdlite320_mobilenet_v3_large": ((1, 3, 320, 320), "backbone.features.0.0.0", (3, 3)),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name: str) -> None:
    """Random weights, the size that its trained weights take, the layer names of the model itself."""
    installed("torchvision")
    size, layer, field = TORCHVISION[name]
    model = load_model(f"torchvision:{name}")
    given = input_of(f"torchvision:{name}", model, None)
    assert given == {"input_size": size}
    assert ip.analyze(model, **given)[layer].size == field


def test_detectors_go_up_to_their_boxes() -> None:
    """Both stages' dense parts, under the detector's own names."""
    installed("torchvision")
    for name, head in (("maskrcnn_resnet50_fpn", "rpn.head.cls_logits"), ("retinanet_resnet50_fpn", "head.classification_head.cls_logits")):
        model = load_model(f"torchvision:{name}")
        analysis = ip.analyze(model, (1, 3, 128, 128))
        assert "up to its boxes" in analysis.name and analysis.exact
        assert head in analysis and "backbone.fpn.layer_blocks.0" in analysis


def test_optical_flow_takes_two_images() -> None:
    """Both of the size that is asked for."""
    installed("torchvision")
    model = load_model("torchvision:raft_small")
    given = input_of("torchvision:raft_small", model, (1, 3, 128, 128))
    assert ip.analyze(model, **given).inputs == ("image1", "image2")


def test_timm() -> None:
    """With and without the name of a training; the size that timm notes, also where a file builds the model."""
    installed("timm")
    for spec in ("timm:resnet18", "timm:resnet18.a1_in1k"):
        model = load_model(spec)
        assert ip.analyze(model, **input_of(spec, model, (1, 3, 64, 64)))["layer4.1.conv2"].size == (435, 435)
    model = load_model("timm:inception_v3")
    assert input_of("timm:inception_v3", model, None) == input_of("file.py:Net", model, None) == {"input_size": (1, 3, 299, 299)}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("torchvision:resnet81", ["no model 'resnet81'", "resnet18", "torchvision:NAME"]),
        ("torchvision:", ["no model ''"]),
        ("timm:resnett18", ["no model 'resnett18'", "resnet18"]),
        ("timm:resnet18.nothing", ["no weights 'resnet18.nothing'", "resnet18.a1_in1k"]),
        ("timm:hf-hub:someone/model", ["no model"]),
        ("timm:../x", ["no model"]),
    ],
)
def test_unknown_names(spec: str, words: list[str]) -> None:
    """One line with the nearest names, status 2."""
    installed(spec.partition(":")[0])
    result = run("table", spec)
    assert result.exit_code == 2 and result.stdout == "" and result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words), result.stderr


@pytest.mark.parametrize("zoo", ["torchvision", "timm"])
def test_missing_packages(zoo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that installs it, status 3."""
    monkeypatch.setitem(sys.modules, zoo, None)
    result = run("table", f"{zoo}:resnet18")
    assert result.exit_code == 3 and f'pip install "isopter[{zoo}]"' in result.stderr, result.stderr


def test_broken_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is there and cannot be imported speaks for itself."""
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator x does not exist')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    result = run("table", "timm:resnet18")
    assert result.exit_code == 3 and "operator x does not exist" in result.stderr and "pip install" not in result.stderr


def test_builders_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that cannot be built: its own words, and where."""
    fake = ModuleType("timm")
    fake.__spec__ = importlib_spec("timm")
    fake.is_model = lambda name: True  # type: ignore[attr-defined]

    def create_model(name: str, pretrained: bool) -> object:
        raise ValueError(f"{name} needs more {pretrained}")

    fake.create_model = create_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", fake)
    with pytest.raises(ip.CaptureError, match=r"x needs more False.*while building timm:x"):
        load_model("timm:x")
    with pytest.raises(ip.CaptureError, match="x needs more True"):
        load_model("timm:x", pretrained=True)


def importlib_spec(name: str) -> object:
    from importlib.machinery import ModuleSpec

    return ModuleSpec(name, None)


def test_which_specs_name_a_zoo() -> None:
    """A module of the package stays a module."""
    assert zoo_of("timm:x") == "timm" and zoo_of("torchvision:resnet18") == "torchvision"
    assert all(zoo_of(s) is None for s in ("torchvision.models:resnet18", "timm", "conv 3", "timm.py:Net", "x: conv 3"))


def test_modules_of_the_package() -> None:
    """``torchvision.models:resnet18`` is a factory like any other."""
    installed("torchvision")
    assert type(load_model("torchvision.models:resnet18")).__name__ == "ResNet"


def test_pretrained_is_for_names(tmp_path: Path) -> None:
    """Anything else is a wrong use, status 2, in every command that takes a model."""
    saved = tmp_path / "a.json"
    ip.analyze("conv 3").to_json(saved)
    for model in ("conv 3", str(saved), "some.module:factory", "x.pt2"):
        for command in (["table"], ["unit", "-l", "conv1"], ["paths", "-l", "conv1"], ["verify"]):
            result = run(command[0], model, *command[1:], "--pretrained")
            assert result.exit_code == 2 and "--pretrained" in result.stderr, (command, model, result.stderr)


def test_commands() -> None:
    """From the command line, at its own size and at another."""
    installed("torchvision")
    assert "input 1x3x224x224" in run("table", "torchvision:squeezenet1_1").stdout
    result = run("unit", "torchvision:squeezenet1_1", "-i", "1x3x64x64", "-l", "features.0", "-f", "json")
    assert json.loads(result.stdout)["input"] == [64, 64]
    assert run("verify", "torchvision:squeezenet1_1", "-i", "1x3x32x32", "--units", 2).exit_code == 0
