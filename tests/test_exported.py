"""Programs of torch.export: the same layers and fields as the live module, and files that are read and never run."""

from __future__ import annotations

import io
import json
import random
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor, nn
from zoo.second_opinion import aliases, both, compare, disagreements

import isopter as ip
from isopter.cli.app import cli
from zoos import installed

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

import models

pytestmark = pytest.mark.filterwarnings("ignore")


class Net(nn.Module):
    """Modules called again and by two names, buffers and constants, writes in place, a block without gradients, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.bn = nn.BatchNorm2d(3)
        self.act = nn.ReLU(inplace=True)
        self.pair = nn.Sequential(nn.Conv2d(3, 3, 3, padding=2, dilation=2), self.act)
        self.register_buffer("mask", torch.tensor([1.0, 0.0, 1.0]).view(3, 1, 1))
        self.order = torch.tensor([2, 0, 1])

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = self.act(self.bn(self.conv(image)))
        with torch.no_grad():
            x = self.conv(x) * self.mask
        x += 1
        x = self.pair(x)[:, self.order]
        x[:, :, 0] = 0
        left, right = x.chunk(2, -1)
        return {"left": left, "right": self.pair(right)}


class Dynamic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.lstm = nn.LSTM(4, 5, batch_first=True)

    def forward(self, x: Tensor, flag: bool = True) -> Tensor:
        y = nn.functional.interpolate(self.conv(x), scale_factor=2.0)[:, :, : x.shape[2]]
        n, c, h, w = y.shape
        return self.lstm(y.permute(0, 2, 3, 1).reshape(n * h, w, c))[0]


class Asks(nn.Module):
    """Control by values, and a buffer that is written."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3)
        self.register_buffer("seen", torch.zeros(1, 1, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        self.seen.copy_(y)
        return y * y.max().item()


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x * 2, (x,))


def exported(model: nn.Module, *args: Any, **options: Any) -> Any:
    return torch.export.export(model.eval(), args, **options)


@pytest.fixture(scope="module")
def program() -> Any:
    return exported(Net(), torch.rand(1, 3, 12, 12))


@pytest.fixture
def file(program: Any, tmp_path: Path) -> Path:
    torch.export.save(program, tmp_path / "net.pt2")
    return tmp_path / "net.pt2"


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in args])


# ---- a second opinion ------------------------------------------------------------------------------------------------

EXAMPLES: dict[str, tuple[int, ...]] = {
    "resnet18": (1, 3, 64, 64),
    "resnet50_v1": (1, 3, 64, 64),
    "se_resnet": (1, 3, 64, 64),
    "vgg16": (1, 3, 64, 64),
    "alexnet": (1, 3, 64, 64),
    "unet": (1, 3, 64, 64),
    "unet_bilinear": (1, 3, 64, 64),
    "highres3dnet": (1, 1, 16, 16, 16),
    "wavenet": (1, 1, 1200),
    "swin_block": (1, 3, 16, 16),
}

ZOO = {
    "torchvision:googlenet": 64,
    "torchvision:shufflenet_v2_x0_5": 64,
    "torchvision:mobilenet_v3_small": 64,
    "torchvision:convnext_tiny": 64,
    "torchvision:swin_t": 64,
    "timm:vit_tiny_patch16_224": 224,
    "timm:efficientnet_b0": 64,
    "timm:coat_lite_tiny": 224,
    "timm:poolformer_s12": 64,
    "timm:halonet26t": 256,
}


def agree(model: nn.Module, *args: Tensor, decompose: bool = True) -> ip.Analysis:
    """Live and exported say the same of every layer that both have, and the live one lacks none."""
    live, program = both(model, args, decompose=decompose)
    assert list(compare(live, program, aliases(model))) == []
    assert len(program.layers) > 1
    return program


@pytest.mark.parametrize("decompose", [True, False], ids=["decomposed", "as traced"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str, decompose: bool) -> None:
    model = getattr(models, name)()
    if name == "wavenet":  # its last residual is computed and never used: an export leaves it out
        lines = disagreements(model, torch.rand(EXAMPLES[name]), decompose=decompose)
        assert lines == (["only live: layers.9.residual"] if decompose else [])
    else:
        agree(model, torch.rand(EXAMPLES[name]), decompose=decompose)


@pytest.mark.parametrize("spec", ZOO)
def test_zoo(spec: str) -> None:
    installed(spec.partition(":")[0])
    from isopter.capture.load import load_model

    agree(load_model(spec), torch.rand(1, 3, ZOO[spec], ZOO[spec]))  # type: ignore[arg-type]


@pytest.mark.parametrize("decompose", [True, False], ids=["decomposed", "as traced"])
def test_net(decompose: bool) -> None:
    agree(Net(), torch.rand(1, 3, 12, 12), decompose=decompose)


def test_disagreements_are_seen() -> None:
    """The comparison can fail: another dilation, another border, another name."""

    def net(dilation: int, mode: str = "zeros") -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(1, 1, 3, padding=dilation, dilation=dilation, padding_mode=mode), nn.ReLU())

    a = ip.analyze(net(1), (1, 1, 9, 9))
    assert not list(compare(a, ip.analyze(net(1), (1, 1, 9, 9))))
    assert any(line.startswith("0: size") for line in compare(a, ip.analyze(net(2), (1, 1, 9, 9))))
    assert any("regions" in line for line in compare(a, ip.analyze(net(1, "circular"), (1, 1, 9, 9))))
    assert list(compare(a, ip.analyze(nn.Sequential(net(1)), (1, 1, 9, 9))))[-2:] == ["only live: 1", "only exported: 0.0, 0.1"]


# ---- programs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decompose", [True, False], ids=["decomposed", "as traced"])
def test_names(program: Any, decompose: bool) -> None:
    """Layers, calls of one module and outputs are called as in the live capture; a shared one by the path it was called by.

    PyTorch forgets the modules inside a block without gradients when it decomposes a program.
    """
    a = ip.analyze(program.run_decompositions({}) if decompose else program)
    live = ip.analyze(Net().eval(), (1, 3, 12, 12))
    assert a.name == "Net" and a.inputs == ("image",) and a.exact
    for name in ("conv", *([] if decompose else ["conv#2"]), "bn", "pair.0", "pair.0#2", "pair", "pair#2", "left", "right", "act"):
        assert a[name].size == live[name].size and a[name].regions()[0][0].tolist() == live[name].regions()[0][0].tolist(), name
    assert "pair.1" in a and "pair.1" not in live
    assert a["left"].support((0, 0)).count == 0  # written over with a constant
    assert a["left"].support((1, 0)).count == live["left"].support((1, 0)).count > 0


def test_strict_mode() -> None:
    """The other way to trace gives the same names."""
    net = models.resnet18()
    live = ip.analyze(net.eval(), (1, 3, 64, 64))
    a = ip.analyze(exported(net, torch.rand(1, 3, 64, 64), strict=True))
    assert set(a.layers) == set(live.layers)
    assert all(a[n].size == live[n].size for n in live.layers)


def test_inputs() -> None:
    """Its own size by default; another if the program allows it, or a clear refusal."""
    auto = torch.export.Dim.AUTO
    program = exported(Dynamic(), torch.rand(2, 3, 8, 8), True, dynamic_shapes=({0: auto, 2: auto}, None))
    assert ip.analyze(program)["conv"].input_shape == (8, 8)
    assert ip.analyze(program, (3, 3, 20, 8))["conv"].input_shape == (20, 8)
    assert ip.analyze(program, inputs=(torch.rand(2, 3, 10, 8), True))["conv"].input_shape == (10, 8)
    assert ip.analyze(program, inputs={"x": torch.rand(2, 3, 10, 8)})["conv"].input_shape == (10, 8)
    assert [op.kind for op in ip.analyze(program).graph.ops].count("recurrent") == 1
    for size in ((2, 3, 8, 9), (2, 3, 8), (2, 1, 8, 8), (2, 3, 1, 8)):
        with pytest.raises(ip.UsageError, match=r"exported for x of .*x3x.*x8, and cannot take"):
            ip.analyze(program, size)
    with pytest.raises(ip.UsageError, match="takes 1 tensors, not 2"):
        ip.analyze(program, inputs=(torch.rand(2, 3, 8, 8), torch.rand(1)))
    with pytest.raises(ip.UsageError, match="mode built in"):
        ip.analyze(program, training=True)


def test_control_flow_is_refused() -> None:
    program = exported(Branches(), torch.rand(2, 3))
    with pytest.raises(ip.CaptureError, match="path depends on values"):
        ip.analyze(program)


def test_programs_are_left_untouched() -> None:
    """Also one that must run on real values, and writes a buffer."""
    program = exported(Asks(), torch.rand(1, 1, 8, 8))
    before = {k: v.clone() for k, v in program.state_dict.items()}
    a = ip.analyze(program)
    assert any("real values" in str(issue) for issue in a.issues) and a["conv"].size == (3, 3)
    assert all(torch.equal(before[k], v) for k, v in program.state_dict.items())


# ---- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decompose", [True, False], ids=["decomposed", "as traced"])
def test_files_say_what_programs_say(program: Any, decompose: bool, tmp_path: Path) -> None:
    """Read as data, a file gives the same graph as PyTorch's own reading of it."""
    auto = torch.export.Dim.AUTO
    dynamic = exported(Dynamic(), torch.rand(2, 3, 8, 8), True, dynamic_shapes=({0: auto, 2: auto}, None))
    for k, one in enumerate((program, dynamic, exported(models.unet_bilinear(), torch.rand(1, 3, 32, 32)))):
        path = tmp_path / f"{k}.pt2"
        torch.export.save(one.run_decompositions({}) if decompose else one, path)
        assert ip.analyze(str(path)).to_dict() == ip.analyze(path).to_dict() == ip.analyze(torch.export.load(path)).to_dict()
    with pytest.raises(ip.UsageError, match=r"cannot take 1x3x40x32"):
        ip.analyze(tmp_path / "2.pt2", (1, 3, 40, 32))
    assert ip.analyze(tmp_path / "1.pt2", (3, 3, 6, 8))["conv"].input_shape == (6, 8)


def test_commands(file: Path) -> None:
    """At its own size; a size that does not fit, a missing file and `verify` are wrong uses."""
    result = run("table", file)
    assert result.exit_code == 0 and "Net · input 1x3x12x12" in result.stdout and "conv#2" in result.stdout, result.stderr
    assert run("unit", file, "-l", "pair", "-i", "1x3x12x12").exit_code == 0
    for args in (("table", file, "-i", "1x3x9x9"), ("table", "missing.pt2"), ("verify", file), ("table", file.parent)):
        result = run(*args)
        assert result.exit_code == 2 and result.stdout == "" and result.stderr.count("\n") == 1, result.stderr


def rewritten(file: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """A copy of an archive with each record changed."""
    path = file.with_name("changed.pt2")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(path, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return path


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def test_files_run_nothing(file: Path, tmp_path: Path) -> None:
    """Pickles, expressions, names that become code, and calls of anything but PyTorch's operators: never executed."""
    marker = tmp_path / "executed"
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    archive = io.BytesIO()
    torch.save(Bomb(marker), archive)

    def inject(name: str, data: bytes) -> bytes:
        if name.endswith(".pt"):
            return archive.getvalue()
        if name.endswith("models/model.json"):
            whole = json.loads(data)
            whole["guards_code"] = [code]
            whole["range_constraints"][code] = {"min_val": 0, "max_val": None}
            whole["graph_module"]["graph"]["tensor_values"]["image"]["strides"][0] = {"as_expr": {"expr_str": code, "hint": None}}
            for node in whole["graph_module"]["graph"]["nodes"]:
                node["metadata"]["stack_trace"] = f"\n{code}\n"
                node["metadata"]["source_fn_stack"] = f"os.system,{code}"
            whole["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = code
            return json.dumps(whole).encode()
        return data

    assert ip.analyze(rewritten(file, inject)).ops == ip.analyze(file).ops
    assert not marker.exists()
    with pytest.raises(Exception):  # noqa: B017  the file does run code elsewhere: this test would see it
        torch.export.load(tmp_path / "changed.pt2")
    assert marker.exists()


@pytest.mark.parametrize(
    "target",
    [
        "os.system", "torch.hub.load", "torch.load", "torch.ops.aten.from_file.default", "torch.ops.load_library", "_operator.attrgetter",
        "_operator.methodcaller", "math.__loader__.load_module", "torch.ops.aten.__class__.mro", "torch.ops.mine.op.default", "", "#x:y",
        "torch.ops.higher_order.cond", "torch.ops.aten.nothing.default",
    ],
)  # fmt: skip
def test_calls_that_are_refused(file: Path, target: str) -> None:
    """The message names the call."""

    def replace(name: str, data: bytes) -> bytes:
        return data.replace(b'"torch.ops.aten.conv2d.default"', json.dumps(target).encode()) if name.endswith("model.json") else data

    with pytest.raises(ip.CaptureError, match="isopter calls PyTorch's own operators alone") as error:
        ip.analyze(rewritten(file, replace))
    assert repr(target) in str(error.value)


def test_damaged_files(file: Path, tmp_path: Path) -> None:
    """Cut off, compressed, of another format or version, or of something else: one clear line."""
    data = file.read_bytes()
    path = tmp_path / "bad.pt2"
    for content in (b"", b"text", b"PK\x05\x06" + bytes(18), *(data[: len(data) * k // 7] for k in range(1, 7)), data[100:]):
        path.write_bytes(content)
        with pytest.raises(ip.CaptureError, match=r"bad\.pt2") as error:
            ip.analyze(path)
        assert "\n" not in str(error.value)
    with pytest.raises(ip.CaptureError, match="compressed"):
        ip.analyze(rewritten(file, lambda name, data: data, zipfile.ZIP_DEFLATED))
    with pytest.raises(ip.CaptureError, match=r"schema version 7.*torch\.export\.load"):
        ip.analyze(rewritten(file, lambda name, data: data.replace(b'{"major": 8', b'{"major": 7')))
    with pytest.raises(ip.UsageError, match="no file"):
        ip.analyze(tmp_path / "missing.pt2")


@pytest.mark.parametrize("seed", range(40))
def test_mangled_files(file: Path, seed: int) -> None:
    """Whatever a value in the program is replaced by, the answer is an analysis or an error of isopter's own."""
    generator = random.Random(seed)

    def mangle(item: Any, odds: float) -> Any:
        if generator.random() < odds:
            return generator.choice([None, -1, 0, 2**70, "x", "", [], {}, True, 1.5, {"as_int": 3}, {"as_tensor": {"name": "conv2d"}}])
        if isinstance(item, dict):
            return {k: mangle(v, odds) for k, v in item.items()}
        return [mangle(v, odds) for v in item] if isinstance(item, list) else item

    def change(name: str, data: bytes) -> bytes:
        if name.endswith(".json"):
            return json.dumps(mangle(json.loads(data), 10 ** generator.uniform(-4, -1.5))).encode()
        return data

    try:
        ip.analyze(rewritten(file, change))
    except ip.IsopterError as error:
        assert str(error)
