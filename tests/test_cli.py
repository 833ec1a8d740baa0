"""The command line: every command, every exit status, and that nothing but the result is on standard output."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import isopter as ip
from isopter.capture.load import load_model
from isopter.cli import common
from isopter.cli.app import cli
from isopter.cli.main import HELP
from isopter.reads.axis import Window
from isopter.reads.relation import along
from isopter.report.table import render

TEXT = "conv 7 s2 p3, pool 3 s2 p1, [conv 3 p1, relu]*2"

NET = """
import torch
from torch import nn

print("noise from the import")


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        print("noise from the constructor")
        self.stem = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, dilation=2, padding=2), nn.ReLU())

    def forward(self, x):
        print("noise from the model")
        return self.body(self.stem(x))


class Needs(nn.Module):
    def __init__(self, channels, depth, *, bias=True):
        super().__init__()


class Unknown(nn.Module):
    def forward(self, x):
        import cli_ops
        return torch.ops.isopter_cli_test.unknown(x)


class Fails(nn.Module):
    def forward(self, x):
        raise RuntimeError("forward\\nis broken")


def raises():
    helper()


def helper():
    raise ValueError("no weights here")


def exits():
    raise SystemExit("stop")


def returns_text():
    return "conv 3"


def mono():
    return nn.Sequential(nn.Conv1d(1, 1, 3), nn.Conv1d(1, 1, 3))


instance = Net(2)
number = 3


class space:
    inner = Net
"""

THROW = '    raise ValueError("no weights here")'

OPS = """
import torch

library = torch.library.Library("isopter_cli_test", "DEF")
library.define("unknown(Tensor x) -> Tensor")
library.impl("unknown", lambda x: torch.roll(x, 1, -1), "CPU")
library.impl("unknown", lambda x: torch.empty_like(x), "Meta")
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that name models, good and bad."""
    path = tmp_path_factory.mktemp("models")
    (path / "cli_net.py").write_text(NET)
    (path / "cli_ops.py").write_text(OPS)
    (path / "broken.py").write_text("x = 1\ndef f(:\n")
    (path / "raising.py").write_text("\n\nimport a_package_that_is_missing\n")
    (path / "empty.py").write_text("")
    ip.analyze(TEXT).to_json(path / "saved.json")
    for suffix in ("pt", "pth", "ckpt", "bin", "pkl"):
        (path / f"weights.{suffix}").write_bytes(b"\x80\x04cos\nsystem\n")
    return path


def run(*args: object, **env: str) -> Result:
    """One command, in this process."""
    return CliRunner().invoke(cli, [str(a) for a in args], env={"COLUMNS": None, **env})


def check(result: Result, status: int, *words: str) -> str:
    """The command failed with this status, and one message on standard error that has these words."""
    assert result.exit_code == status, (result.stderr, result.exception)
    assert result.stdout == ""
    messages = [line for line in result.stderr.split("\n") if line.startswith("isopter: ")]
    assert len(messages) == 1, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr, result.stderr
    return result.stderr


# ---- table -------------------------------------------------------------------------------------------------------------


def test_table_of_a_text() -> None:
    """The plain table, complete."""
    result = run("table", TEXT)
    assert result.exit_code == 0 and result.stderr == ""
    assert result.stdout == render(ip.analyze(TEXT), width=10_000) + "\n"
    assert "conv3  conv  1x1x56x56      27       4    -13" in result.stdout


def test_table_of_a_module(folder: Path) -> None:
    """What the user's code prints is no result."""
    for name in ("cli_net.py:Net", "cli_net.py:instance", "cli_net.py:space.inner"):
        result = run("table", f"{folder / name}", "-i", "1x3x32x32")
        assert result.exit_code == 0, result.stderr
        assert "noise" not in result.stdout and "noise from the model" in result.stderr
        assert "body.0" in result.stdout and "input 1x3x32x32" in result.stdout
    assert "input 1x3x224x224" in run("table", f"{folder}/cli_net.py:Net").stdout


def test_table_of_an_importable_module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the current folder, as ``python -m`` finds it."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(folder)])
    sys.modules.pop("cli_net", None)
    result = run("table", "cli_net:Net", "-f", "csv")
    assert result.exit_code == 0, result.stderr
    assert [r["size_0"] for r in csv.DictReader(io.StringIO(result.stdout))] == ["1", "3", "11", "11"]


def test_a_file_may_be_called_as_a_library_module(tmp_path: Path) -> None:
    """A user's random.py is loaded, and does not stand in for the library's."""
    (tmp_path / "random.py").write_text("from torch import nn\nnet = nn.Conv2d(3, 3, 3)\n")
    assert run("table", f"{tmp_path}/random.py:net").exit_code == 0
    import random

    assert hasattr(random, "randint")
    assert process("table", f"{tmp_path}/random.py:net").returncode == 0


def test_saved_analysis(folder: Path) -> None:
    """A saved analysis says the same as its model, in every form."""
    for form in ("table", "csv", "md", "json"):
        assert run("table", folder / "saved.json", "-f", form).stdout == run("table", TEXT, "-f", form).stdout
    assert run("unit", folder / "saved.json", "-l", "conv3").stdout == run("unit", TEXT, "-l", "conv3").stdout
    assert run("paths", folder / "saved.json", "-l", "conv3").stdout == run("paths", TEXT, "-l", "conv3").stdout
    for options in (["-i", "1x1x9x9"], ["--training"], ["--axes", "hw"]):
        check(run("table", folder / "saved.json", *options), 2, options[0], "saved analysis")


def test_json_can_be_loaded_again(tmp_path: Path) -> None:
    """``table -f json`` is what ``to_json`` writes; a selection narrows the rows only."""
    result = run("table", TEXT, "-f", "json")
    data = json.loads(result.stdout)
    assert data["schema_version"] == 1 and data == ip.analyze(TEXT).to_dict()
    few = json.loads(run("table", TEXT, "-f", "json", "-l", "conv*").stdout)
    assert [r["name"] for r in few["layers"]] == ["conv1", "conv2", "conv3"] and few["graph"] == data["graph"]


def test_selections(folder: Path) -> None:
    """-l, --depth and --all, in every form."""
    net = f"{folder}/cli_net.py:Net"
    assert "body.0" not in run("table", net, "--depth", 1).stdout
    assert len(list(csv.DictReader(io.StringIO(run("table", net, "-f", "csv", "-l", "body.*").stdout)))) == 2
    assert "body.1" in run("table", net, "--all").stdout and "body.1" not in run("table", net).stdout
    assert "| body | " in run("table", net, "-f", "md", "--depth", 1).stdout
    check(run("table", TEXT, "-l", "nothing*"), 2, "nothing*")
    check(run("table", TEXT, "--depth", 0), 2, "--depth")


def test_axes(folder: Path) -> None:
    """Letters or indices."""
    for axes in ("w", "3"):
        rows = json.loads(run("table", f"{folder}/cli_net.py:Net", "--axes", axes, "-f", "json").stdout)["layers"]
        assert rows[-1]["size"] == [11]
    check(run("table", TEXT, "--axes", "h w"), 2, "--axes")
    check(run("table", TEXT, "--axes", "9"), 2, "axes")


@pytest.mark.parametrize("size", ["1x3x32x32", "1,3,32,32", "1\u00d73\u00d732\u00d732", " 1 x 3 x 32 x 32 "])
def test_input_sizes(size: str, folder: Path) -> None:
    """As one writes a size."""
    assert "input 1x3x32x32" in run("table", f"{folder}/cli_net.py:Net", "-i", size).stdout


@pytest.mark.parametrize("size", ["", "x", "1x", "1x3x32x", "a", "1.5x2", "1x3x0x9", "1x3x-4x4", "9" * 50, "224"])
def test_wrong_input_sizes(size: str) -> None:
    """Each is a usage error."""
    check(run("table", TEXT, "-i", size), 2)


# ---- unit --------------------------------------------------------------------------------------------------------------


def test_one_size_is_taken() -> None:
    """A second size is not quietly taken instead of the first."""
    check(run("table", TEXT, "-i", "1x3x8x8", "-i", "1x1x8x8"), 2, "given 2 times (1x3x8x8, 1x1x8x8)", "inputs=")


def test_unit() -> None:
    """A corner: its box, the padding, and the drawing."""
    result = run("unit", "conv 3 p1 d2, conv 2", "-l", "conv2", "--at", "0,1", "-i", "1x1x8x9")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.split("\n")
    assert lines[0] == "conv2, unit (0, 1) of 5x6, in an image of 8x9"
    assert "reads        [0:5, 0:6]" in lines and "on the plane [-1:5, 0:6]" in lines
    assert "padding      16.7% of that box lies outside the image" in lines
    assert "pixels       30, 100.0% of their box" in lines
    assert lines[7:13] == ["++++++", *["######"] * 5]


def test_unit_with_holes() -> None:
    """Pixels that lie in the box and are not read."""
    drawn = run("unit", "conv 3 d2", "-l", "conv1", "--at", "2,2", "-i", "1x1x9x9").stdout
    assert "\n#.#.#\n.....\n#.#.#\n.....\n#.#.#\n" in drawn and "9, 36.0% of their box" in drawn and ". not read" in drawn


def test_unit_of_a_sound() -> None:
    """One axis of space is one row."""
    assert "\n#.#.#\n" in run("unit", "conv 3 d2", "-l", "conv1", "--at", "2", "-i", "1x1x9").stdout


def test_unit_as_json(folder: Path) -> None:
    """Every number, and the mask while it is small."""
    data = json.loads(run("unit", "conv 3 d2 p2", "-l", "conv1", "--at", "0,0", "-i", "1x1x9x9", "-f", "json").stdout)
    assert (data["schema_version"], data["lo"], data["hi"], data["unclipped"]) == (1, [0, 0], [3, 3], [[-2, 3], [-2, 3]])
    assert data["mask"] == [[1, 0, 1], [0, 0, 0], [1, 0, 1]] and data["pixels"] == 4 and data["padding_share"] == 1 - 9 / 25
    data = json.loads(run("unit", "gap, fc 3", "-l", "linear1", "-f", "json").stdout)
    assert data["unit"] == [] and data["pixels"] == 224 * 224 and data["mask"] is None and data["unclipped"] == [["-inf", "inf"]] * 2


def test_unit_that_reads_nothing() -> None:
    """A transposed convolution with holes."""
    result = run("unit", "deconv 1 s2", "-l", "deconv1", "--at", "1,1", "-i", "1x1x4x4")
    assert result.exit_code == 0 and "reads        nothing" in result.stdout
    assert json.loads(run("unit", "deconv 1 s2", "-l", "deconv1", "--at", "1,1", "-i", "1x1x4x4", "-f", "json").stdout)["pixels"] == 0


@pytest.mark.parametrize("at", ["x", "1", "1,2,3", "-1,0", "999,0", "1.5,2", "", "9" * 40])
def test_wrong_units(at: str) -> None:
    """Each is a usage error that says what is valid."""
    check(run("unit", TEXT, "-l", "conv1", "--at", at), 2)


def test_wrong_layers() -> None:
    """The nearest names are offered."""
    check(run("unit", TEXT, "-l", "conv9"), 2, "Nearest: conv")
    check(run("paths", TEXT, "-l", "conv*"), 2, "matches 3 layers")
    check(run("unit", TEXT), 2, "--layer")


# ---- paths -------------------------------------------------------------------------------------------------------------


def test_paths() -> None:
    """A chain has one path."""
    result = run("paths", TEXT, "-l", "conv3")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("conv3, axis 0: 1 path\nmean 27.0, sd 0.0 input pixels\n")


def test_paths_are_exact(tmp_path: Path) -> None:
    """Two to the power of a hundred residual blocks, to the last digit."""
    (tmp_path / "res.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class R(nn.Module):\n    def __init__(s):\n        super().__init__()\n        s.c = nn.Conv2d(1, 1, 3, padding=1)\n"
        "    def forward(s, x):\n        return x + s.c(x)\n"
        "def net():\n    return nn.Sequential(*[R() for _ in range(100)])\n"
    )
    spec = f"{tmp_path}/res.py:net"
    data = json.loads(run("paths", spec, "-l", "99", "-i", "1x1x8x8", "-f", "json").stdout)
    assert data["total"] == sum(data["counts"]) == 2**100 and data["mean"] == 101 and data["sizes"] == list(range(1, 202, 2))
    text = run("paths", spec, "-l", "99", "-i", "1x1x8x8").stdout
    assert f"{2**100:,} paths" in text and "mean 101.0, sd 10.0" in text
    assert len(text.split("\n")) < 32 and max(map(len, text.split("\n"))) <= 100


def test_paths_of_everything() -> None:
    """Paths that read the whole axis have no size."""
    text = run("paths", "conv 3, gap", "-l", "gap1").stdout
    assert "1 of them read the whole axis" in text and "#" not in text
    data = json.loads(run("paths", "conv 3, gap", "-l", "gap1", "-f", "json").stdout)
    assert data["mean"] is None and data["unbounded"] == 1
    check(run("paths", TEXT, "-l", "conv1", "--axis", 2), 2, "axis=2")
    check(run("paths", TEXT, "-l", "conv1", "--axis", -1), 2, "--axis")


# ---- verify and the statuses -----------------------------------------------------------------------------------------


def test_verify(folder: Path) -> None:
    """A model that is what the analysis says."""
    args = ("verify", f"{folder}/cli_net.py:Net", "-i", "1x3x16x16", "--units", 8)
    result = run(*args)
    assert result.exit_code == 0 and result.stdout.startswith("ok: "), result.stderr
    data = json.loads(run(*args, "-f", "json").stdout)
    assert data["ok"] is True and data["missed"] == 0 and data["checked"] > 0 and {v["name"] for v in data["layers"]} >= {"stem", "body.0"}
    assert run(*args, "--seed", 3).stdout == run(*args, "--seed", 3).stdout


def test_status_1_verification_failed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that lies is found out; the verdict is a result, so it is on standard output."""
    from isopter.reads import registry

    assert "conv" in registry.kinds()
    monkeypatch.setitem(registry._RULES, "conv", lambda site: ((along(4, {1: None, 2: Window(1, 2), 3: Window(1, 2)}),),))
    args = ("verify", f"{folder}/cli_net.py:Net", "-i", "1x3x16x16", "--units", 16)
    result = run(*args)
    assert result.exit_code == 1 and result.stdout.startswith("FAILED"), (result.stdout, result.stderr)
    result = run(*args, "-f", "json")
    assert result.exit_code == 1 and json.loads(result.stdout)["ok"] is False


def test_verify_needs_a_model(folder: Path) -> None:
    """Nothing else can be run."""
    check(run("verify", TEXT), 2, "layer text cannot be run")
    check(run("verify", folder / "saved.json"), 2, "saved analysis cannot be run")


@pytest.mark.parametrize(
    "args",
    [
        ["table"], ["bogus"], ["table", "conv 3", "extra"], ["table", "conv 3", "--bogus"], ["table", "conv 3", "-f", "xml"],
        ["unit", "conv 3"], ["verify", "x.py:Net", "--units", "0"], ["verify", "x.py:Net", "--weights", "none"],
        ["table", ""], ["table", "   "], ["table", "cnv 3"], ["table", "resnet50"], ["table", "no_such_module_at_all:Net"],
        ["table", "torch.nn.no_such_module:Net"], ["table", "missing.py:Net"], ["table", "missing.py"], ["table", "missing.json"],
        ["table", "a/b"], ["table", "."], ["table", "x" * 5000], ["table", "x/" * 5000], ["table", "\x00"], ["table", "\x00.py:Net"],
        ["table", "json:JSONDecoder"], ["table", "json:no_such_name"], ["table", "json:__name__"], ["table", "json:loads"],
        ["table", "model.onnx"], ["table", "model.pt2"], ["table", "model.keras"], ["table", "torchvision.models.resnet50"],
    ],
    ids=lambda a: " ".join(a)[:40],
)  # fmt: skip
def test_status_2_usage(args: list[str]) -> None:
    """One line on standard error, nothing on standard output, status 2."""
    check(run(*args), 2)


@pytest.mark.parametrize("suffix", ["pt", "pth", "ckpt", "bin", "pkl"])
def test_pickles_are_never_opened(suffix: str, folder: Path) -> None:
    """Existing or not, named plainly or with a class."""
    for spec in (f"{folder}/weights.{suffix}", f"{folder}/weights.{suffix}:Net", f"missing.{suffix}", f"MISSING.{suffix.upper()}"):
        message = check(run("table", spec), 2, "pickled checkpoint", "file.py:Net")
        assert message.count("\n") == 1


def test_names_in_files(folder: Path) -> None:
    """Unknown names offer the nearest; a missing name lists what the file defines, without running it."""
    check(run("table", f"{folder}/cli_net.py:Nat"), 2, "Nearest: Net")
    check(run("table", f"{folder}/cli_net.py:Needs"), 2, "channels, depth", "without arguments")
    check(run("table", f"{folder}/cli_net.py:number"), 2, "is a int")
    check(run("table", f"{folder}/cli_net.py:returns_text"), 2, "returned a str")
    for spec in ("cli_net.py", "cli_net.py:", "cli_net.py:Net(3)", "cli_net.py:1"):
        assert "noise" not in check(run("table", f"{folder}/{spec}"), 2, "It defines: Net")
    check(run("table", f"{folder}/empty.py"), 2, "defines no class")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("broken.py:Net", ["SyntaxError", "broken.py, line 2"]),
        ("raising.py:Net", ["a_package_that_is_missing", "raising.py, line 3"]),
        ("cli_net.py:raises", ["ValueError: no weights here", f"cli_net.py, line {NET.split(chr(10)).index(THROW) + 1}"]),
        ("cli_net.py:exits", ["SystemExit: stop"]),
        ("cli_net.py:Fails", ["RuntimeError", "forward"]),
    ],
)
def test_status_3_the_model_fails(spec: str, words: list[str], folder: Path) -> None:
    """The user's code is at fault: what it said, and where."""
    check(run("table", f"{folder}/{spec}"), 3, *words)


def test_status_3_the_input_does_not_fit(folder: Path) -> None:
    """A 1-D model on the default image."""
    check(run("table", f"{folder}/cli_net.py:mono"), 3, "Sequential")
    assert run("table", f"{folder}/cli_net.py:mono", "-i", "1x1x64").exit_code == 0


def test_status_4_incomplete_under_strict(folder: Path, tmp_path: Path) -> None:
    """An op without a rule is a bound, or an error on request; also from a file."""
    spec = f"{folder}/cli_net.py:Unknown"
    result = run("table", spec, "-i", "1x3x8x8")
    assert result.exit_code == 0 and "bound" in result.stdout and "No rule for isopter_cli_test" in result.stdout
    check(run("table", spec, "-i", "1x3x8x8", "--strict"), 4, "isopter_cli_test")
    assert run("table", spec, "-i", "1x3x8x8", "-o", tmp_path / "u.json").exit_code == 0
    check(run("table", tmp_path / "u.json", "--strict"), 4, "isopter_cli_test")
    assert run("table", TEXT, "--strict").exit_code == 0


def test_faults_of_isopter_are_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even what should never happen has no traceback, unless it is asked for."""

    def fail(*args: object) -> object:
        raise ZeroDivisionError("never\nhappens")

    monkeypatch.setattr("isopter.capture.load.load_model", fail)
    check(run("table", TEXT), 3, "ZeroDivisionError: never happens", "fault in isopter")
    assert isinstance(run("table", TEXT, ISOPTER_TRACEBACK="1").exception, ZeroDivisionError)


# ---- names of models -------------------------------------------------------------------------------------------------


def test_texts_and_modules_are_told_apart() -> None:
    """``name:word`` is a layer unless there is a module of that name."""
    assert load_model("act:relu") == "act:relu"
    assert load_model(" conv 3 ") == "conv 3"
    assert load_model("gap") == "gap"
    for spec in ("relux:nothing", "json:relu", "a.b:relu"):
        with pytest.raises(ip.UsageError):
            load_model(spec)
    with pytest.raises(ip.UsageError, match=r"Did you mean torchvision.models:resnet50"):
        load_model("torchvision.models.resnet50")
    assert "did you mean conv" in check(run("table", "cnv"), 2)


def test_a_saved_analysis_is_no_model(folder: Path) -> None:
    """`load_model` makes models; `isopter.load` reads analyses."""
    with pytest.raises(ip.UsageError, match=r"isopter\.load"):
        load_model(str(folder / "saved.json"))


# ---- where the result goes -------------------------------------------------------------------------------------------


def test_output_file(tmp_path: Path) -> None:
    """Whole, with the usual permissions, in the form that its suffix says; nothing on standard output."""
    for name, start in (("a.txt", "conv 7"), ("a.json", "{"), ("a.csv", "name,kind"), ("a.md", "**conv 7"), ("A.JSON", "{")):
        result = run("table", TEXT, "-o", tmp_path / name)
        assert result.exit_code == 0 and result.stdout == "" and result.stderr == ""
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text.startswith(start) and text.endswith("\n") and not text.endswith("\n\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["a.txt", "a.json", "a.csv", "a.md", "A.JSON"])
    mask = os.umask(0o022)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~mask
    assert "name,kind" in run("table", TEXT, "-f", "csv", "-o", "-").stdout


def test_output_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If writing fails midway the old file stands, and nothing is left behind."""
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(common.os, "replace", fail)
    check(run("table", TEXT, "-o", path), 2, "No space left")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["out.txt"]


def test_output_keeps_links_modes_and_devices(tmp_path: Path) -> None:
    """A link stays a link, a mode a mode, and /dev/null a device."""
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    assert run("table", TEXT, "-o", link).exit_code == 0
    assert link.is_symlink() and real.read_text().startswith("name,kind") and stat.S_IMODE(real.stat().st_mode) == 0o640
    assert run("table", TEXT, "-o", "/dev/null").exit_code == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_outputs_that_cannot_be(tmp_path: Path) -> None:
    """A folder, or a file in no folder."""
    check(run("table", TEXT, "-o", tmp_path), 2, "Cannot write")
    check(run("table", TEXT, "-o", tmp_path / "none" / "x.txt"), 2, "Cannot write")
    assert list(tmp_path.iterdir()) == []


def test_width_and_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """Piped output is as wide as it needs and has no codes; COLUMNS is heeded; colour only on a terminal without NO_COLOR."""
    long = f"{'n' * 90}: conv 3"
    assert "n" * 90 in run("table", long).stdout.split("\n")[4]
    assert max(map(len, run("table", long, COLUMNS="80").stdout.split("\n"))) <= 80
    assert "\x1b" not in run("table", long).stdout
    monkeypatch.setattr(sys, "stdout", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert common.color(None) and not common.color("file")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not common.color(None)


# ---- real processes --------------------------------------------------------------------------------------------------


def process(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    """``python -m isopter`` in a process of its own."""
    return subprocess.run([sys.executable, "-m", "isopter", *args], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def test_help_imports_nothing() -> None:
    """Help and version answer without click, numpy or a framework."""
    code = (
        "import sys\nfrom isopter.cli.main import main\nmain({args})\n"
        "print([m for m in ('torch', 'numpy', 'rich', 'matplotlib', 'click', 'pandas', 'isopter.analysis') if m in sys.modules])"
    )
    for args in ([], ["--help"], ["-h"], ["--version"]):
        done = subprocess.run([sys.executable, "-c", code.format(args=args)], capture_output=True, text=True, check=True)
        assert done.stdout.endswith("\n[]\n") and done.stderr == ""
    code = code.replace("main({args})", "from isopter.cli.app import cli\ntry:\n    cli.main(['table', '--help'])\nexcept SystemExit: pass")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n['click']\n")


def test_help() -> None:
    """The help names every command; each command has help of its own."""
    assert process("--help").stdout == process().stdout == HELP == run("--help").stdout
    assert process("--version").stdout == run("--version").stdout == f"isopter {ip.__version__}\n"
    for name, command in cli.commands.items():
        assert f"\n  {name} " in HELP
        result = run(name, "--help")
        assert result.exit_code == 0 and command.help is not None and command.help.split(".")[0] in " ".join(result.stdout.split())
    assert set(cli.commands) == {"table", "unit", "paths", "erf", "verify", "report"}


def test_process_statuses(folder: Path) -> None:
    """The statuses reach the shell."""
    assert process("table", TEXT).returncode == 0
    assert process("table", "cnv 3").returncode == 2
    assert process("table", f"{folder}/cli_net.py:raises").returncode == 3
    done = process("table", "cli_net:Net", cwd=folder)
    assert done.returncode == 0 and "noise" not in done.stdout and "noise" in done.stderr


def test_broken_pipe() -> None:
    """``isopter table ... | head`` ends quietly."""
    for text in (TEXT, "[conv 3 p1]*3000"):
        writer = subprocess.Popen([sys.executable, "-m", "isopter", "table", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert writer.stdout is not None and writer.stderr is not None
        if text != TEXT:
            writer.stdout.readline()
        writer.stdout.close()
        assert writer.stderr.read() == b""
        assert writer.wait() == 0


def test_terminals_without_the_characters() -> None:
    """An ASCII terminal gets ASCII."""
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = process("table", "conv 3", env=env)
    assert done.returncode == 0 and done.stdout.isascii() and "-----" in done.stdout
    assert process("table", "\u5377\u79ef: conv 3", env=env).returncode == 0
    assert process("table", "\u5377\u79ef 3", env=env).returncode == 2


def test_lazy_package() -> None:
    """Public names are functions and classes whatever was imported first, and importing isopter imports nothing."""
    code = (
        "import sys, isopter\nassert 'numpy' not in sys.modules\nassert set(isopter.__all__) <= set(dir(isopter))\n"
        "import isopter.verification, isopter.custom\nfrom isopter.verification import Verification\n"
        "assert callable(isopter.verify) and callable(isopter.register) and isopter.Verification is Verification\n"
        "from isopter import *\nassert verify is isopter.verify and analyze('conv 3').ops\n"
        "import isopter.errors\nassert isopter.errors.UsageError is isopter.UsageError\n"
        "try:\n    isopter.nothing\nexcept AttributeError as e:\n    print(e)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("module 'isopter' has no attribute 'nothing'\n", "")
