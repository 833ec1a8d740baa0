"""Tables in every form: what they show, what they leave out, and that names and widths cannot break them."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import isopter as ip
from isopter.errors import MissingExtra
from isopter.graph import Graph, Issue, Op
from isopter.report.lines import content, phases, printable, times
from isopter.report.markdown import escape, markdown
from isopter.report.table import cut, display_width, render

NASTY = "<script>alert('\u5377\u79ef|`*_\"&\x1b[31m\n\t\u202e"


class Block(nn.Module):
    """A residual block."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        """With an addition that is no module."""
        return torch.relu(x + self.bn(self.conv(x)))


class Net(nn.Module):
    """Stem, two stages, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.stage1 = nn.Sequential(Block(3), Block(3))
        self.stage2 = nn.Sequential(Block(5))
        self.head = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.stage2(self.stage1(self.stem(x))).mean((2, 3)))


class Gated(nn.Module):
    """A context read and an upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.up = nn.Upsample(scale_factor=2)
        self.last = nn.Conv2d(4, 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Squeeze and excite."""
        y = self.conv(x)
        return self.last(self.up(y * torch.sigmoid(y.mean((2, 3), keepdim=True))))


@pytest.fixture(scope="module")
def net() -> ip.Analysis:
    """The analysis most tests read."""
    return ip.analyze(Net(), (1, 3, 64, 64))


@pytest.fixture(scope="module")
def gated() -> ip.Analysis:
    """With phases and context."""
    return ip.analyze(Gated(), (1, 3, 16, 16))


def made(*names: str, issues: tuple[Issue, ...] = (), kernel: tuple[int, ...] = (3, 3), name: str = "model") -> ip.Analysis:
    """A chain of convolutions with these names."""
    space = len(kernel)
    ops = [Op("input", "input", (1, 1, *(50,) * space))]
    for i, label in enumerate(names):
        one = (1,) * space
        params = {"kernel": kernel, "stride": one, "dilation": one, "pad": tuple(k // 2 for k in kernel), "groups": 1}
        ops.append(Op(label, "conv", (1, 1, *(50,) * space), (i,), params, label, "conv"))
    return ip.Analysis(Graph(tuple(ops), (len(ops) - 1,), {n: i + 1 for i, n in enumerate(names)}, {"input": 0}, issues=issues), name=name)


def table_rows(text: str) -> dict[str, list[str]]:
    """The cells of a rendered table by layer (no wrapped notes)."""
    lines = text.split("\n")
    rule = next(i for i, line in enumerate(lines) if set(line) == {"\u2500"})
    found = {}
    for line in lines[rule + 1 :]:
        if not line:
            break
        cells = re.split(r"\s{2,}", line)
        found[cells[0]] = cells[1:]
    return found


# ---- rows --------------------------------------------------------------------------------------------------------------


def test_rows(net: ip.Analysis) -> None:
    """One per op, strict JSON."""
    rows = net.rows()
    assert [r["name"] for r in rows] == list(net.ops)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    by_name = {r["name"]: r for r in rows}
    assert by_name["stem.2"] == {
        "name": "stem.2", "kind": "pool", "shape": [1, 4, 16, 16], "size": [11, 11], "stride": [4, 4], "start": [-5, -5],
        "basis": "plane", "context": False, "exactness": "exact",
    }  # fmt: skip
    assert by_name["head"]["size"] == ["inf", "inf"] and by_name["head"]["start"] == ["-inf", "-inf"]
    assert by_name["head"]["stride"] == [None, None]


def test_fractions_in_rows(gated: ip.Analysis) -> None:
    """Half a pixel per step."""
    row = next(r for r in gated.rows() if r["name"] == "up")
    assert row["stride"] == ["1/2", "1/2"] and row["context"] is True


# ---- the plain table ---------------------------------------------------------------------------------------------------


def test_table(net: ip.Analysis) -> None:
    """Size, stride and start; ops that add nothing are counted, not shown."""
    text = render(net, width=100)
    assert text.split("\n")[0] == "Net \u00b7 input 1x3x64x64 \u00b7 17 ops \u00b7 exact"
    rows = table_rows(text)
    assert rows["stem.0"] == ["conv", "1x4x32x32", "7", "2", "-3"]
    assert rows["stage2.0.conv"] == ["conv", "1x4x16x16", "43", "4", "-21"]
    assert rows["stage1.0.add"][:2] == ["add", "1x4x16x16"]
    assert "stem.1" not in rows and "input" not in rows and "stage1.0.bn" not in rows
    left = re.search(r"(\d+) more ops see just", text)
    assert left is not None and int(left[1]) + len(rows) == len(net) - 1
    assert not text.endswith("\n") and not any(line.endswith(" ") for line in text.split("\n"))
    assert repr(net) == render(net)


def test_all_ops(net: ip.Analysis) -> None:
    """Every op and the input."""
    assert list(table_rows(render(net, width=100, all_ops=True))) == list(net.ops)
    assert "more op" not in render(net, width=100, all_ops=True)


def test_depth(net: ip.Analysis) -> None:
    """Module outputs: N names deep, and shallower leaves."""
    assert list(table_rows(render(net, width=100, depth=1))) == ["stem", "stage1", "stage2", "head"]
    assert list(table_rows(render(net, width=100, depth=2))) == ["stem.0", "stem.1", "stem.2", "stage1.0", "stage1.1", "stage2.0", "head"]
    assert table_rows(render(net, width=100, depth=1))["stage2"][2] == "43"
    assert set(table_rows(render(net, width=100, depth=99))) < set(net.layers)
    with pytest.raises(ip.UsageError, match="depth=0"):
        render(net, depth=0)


def test_pattern(net: ip.Analysis) -> None:
    """A glob over layers and ops, each op once, in order."""
    shown = list(table_rows(render(net, width=100, pattern="stage1.*")))
    assert shown == [n for n in net.ops if n.startswith("stage1.")]
    assert list(table_rows(render(net, width=100, pattern="stage1"))) == ["stage1"]
    assert list(table_rows(render(net, width=100, pattern="stage?"))) == ["stage1", "stage2"]
    for missing in ("nothing.*", "stage9"):
        with pytest.raises(ip.LayerNotFound):
            render(net, pattern=missing)


def test_notes(gated: ip.Analysis) -> None:
    """Phases and context stand in the notes and are explained below."""
    text = render(gated, width=100)
    rows = table_rows(text)
    assert rows["last"][2:] == ["4", "1/2", "0", "{3, 4}, context"]
    assert "{...}:" in text and "context: also reads" in text
    assert "context" not in render(ip.analyze("conv 3"), width=100)


@pytest.mark.parametrize("width", [1, 20, 40, 60, 80, 100, 200])
def test_numbers_are_never_cut(width: int) -> None:
    """Whatever the width: every number is whole, and nothing but numbers makes a line longer."""
    a = made(*(f"{'very.' * 20}long{i}" for i in range(3)), kernel=(101, 4001, 7))
    text = render(a, width=width)
    for number in ("101x4001x7", "201x8001x13", "301x12001x19", "-150x-6000x-9", "1x1x50x50x50"):
        assert number in text
    if width >= 80:
        assert max(map(display_width, text.split("\n"))) <= width


def test_names_keep_their_ends() -> None:
    """The end of a path tells more than its start."""
    text = render(made("encoder." * 20 + "attn.proj"), width=80)
    assert "\u2026" in text and "attn.proj" in text
    assert max(map(display_width, text.split("\n"))) <= 80


def test_notes_that_do_not_fit_go_below(gated: ip.Analysis) -> None:
    """Phases are numbers: they are never cut either."""
    for width in (20, 40, 50, 60, 80):
        assert "{3, 4}" in render(gated, width=width)


def test_fields_that_differ_by_axis() -> None:
    """A square field is one number, another is all."""
    assert times((427, 427)) == "427" and times((3, 7)) == "3x7" and times(()) == "" and times((None, None)) == "-"
    assert table_rows(render(made("a", kernel=(3, 7)), width=80))["a"][2:] == ["3x7", "1", "-1x-3"]
    assert phases(((3, 4), (3, 4))) == "{3, 4}" and phases(((3, 4), (5,))) == "{3, 4}x5" and phases(((3,), (3,))) == ""
    assert phases((tuple(range(9)),)) == "{0..8}" and phases(((188, 204, 188),)) == "{188, 204}"


def test_color(net: ip.Analysis) -> None:
    """Codes only on request, and the same text under them."""
    plain, colored = render(net, width=90), render(net, width=90, color=True)
    assert "\x1b" not in plain and "\x1b" in colored
    assert re.sub(r"\x1b\[\d*m", "", colored) == plain


def test_issues_stand_below() -> None:
    """The first few, then a count."""
    issues = tuple(Issue(f"layer{i}", "No rule for x: bounded by its whole input", i) for i in range(20))
    text = render(made("a", issues=issues), width=80)
    assert "20 issues" in text.split("\n")[0] and text.count("issue:") == 8 and "12 more issues" in text


def test_bounds_are_said() -> None:
    """A field that is only bounded is marked in its row and in the head."""
    ops = (Op("x", "input", (1, 1, 9)), Op("mystery", "opaque", (1, 1, 9), (0,)))
    graph = Graph(ops, (1,), issues=(Issue("mystery", "No rule for m"),))
    text = render(ip.Analysis(graph), width=80)
    assert "bounded, not exact, 1 issue" in text and table_rows(text)["mystery"][-1] == "bound" and "never larger" in text


def test_several_inputs() -> None:
    """Which input a row is about."""

    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            return nn.functional.avg_pool2d(x, 2), nn.functional.avg_pool2d(y, 3)

    a = ip.analyze(Two(), inputs=(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 9, 9)))
    text = render(a, width=100)
    assert "input x 1x1x8x8, y 1x1x9x9" in text and "over the input x" in text
    assert [row[-1] for row in table_rows(text).values()] == ["0", "of y"]


def test_nothing_to_show() -> None:
    """A model that adds nothing shows its output."""
    assert list(table_rows(render(ip.analyze("relu, gelu"), width=80))) == ["gelu1"]


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1, 1)])
def test_one_pixel(size: tuple[int, ...]) -> None:
    """An image of one pixel."""
    a = ip.analyze("conv 3 p1, gap, fc 1", size)
    assert "conv1" in render(a, width=80) and a._repr_html_() and a.to_csv() and markdown(a)


def test_large_tables_are_quick() -> None:
    """Two thousand layers in a table, in a moment."""
    a = ip.analyze("[conv 3 p1]*2000", (1, 1, 64, 64))
    assert len(render(a, width=80).split("\n")) > 2000
    assert len(a._repr_html_().encode()) < 20_000


# ---- names that would break a report ---------------------------------------------------------------------------------


def test_control_characters_are_shown_as_escapes() -> None:
    """A name cannot add lines or move the cursor."""
    assert printable("a\nb\x1b[31m\u202e") == "a\\nb\\x1b[31m\\u202e"
    assert printable("\u5377\u79ef \u00e9") == "\u5377\u79ef \u00e9"
    assert printable("\ud800") == "\\ud800"
    text = render(made(NASTY, "b"), width=80)
    assert "\x1b" not in text and len(table_rows(text)) == 2
    text.encode()


def test_wide_characters_line_up() -> None:
    """East Asian names take two columns per character."""
    lines = render(made("\u5377\u79ef", "b"), width=80).split("\n")
    starts = {display_width(line[: line.index("conv ")]) for line in lines if "conv " in line}
    assert len(starts) == 1


@pytest.mark.parametrize("keep", ["start", "end"])
@pytest.mark.parametrize("text", ["abcdefghij", "\u5377\u79ef\u5377\u79ef\u5377\u79ef", "e\u0301" * 10, ""])
def test_cut(text: str, keep: str) -> None:
    """Never wider than asked."""
    for width in range(1, 12):
        assert display_width(cut(text, width, keep=keep)) <= width


# ---- HTML --------------------------------------------------------------------------------------------------------------


class Reader(html.parser.HTMLParser):
    """Which tags there are, and the text outside the style."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        """Collect it."""
        if self.tags and self.tags[-1] != "style":
            self.text += data + " "


def test_html(net: ip.Analysis) -> None:
    """A static table with the numbers, for light and dark."""
    text = net._repr_html_()
    reader = Reader()
    reader.feed(text)
    assert set(reader.tags) == {"style", "div", "b", "table", "thead", "tbody", "tr", "th", "td", "br", "small"}
    assert "stage2.0.conv" in reader.text and " 43 " in reader.text
    assert "prefers-color-scheme" in text and "http" not in text and "url(" not in text and "@import" not in text


def test_html_escapes_names() -> None:
    """A layer called <script> is a layer called <script>."""
    text = made(NASTY, "</style><b onload=x>", issues=(Issue("<i>", "<img src=x onerror=y>"),), name="</div><script>")._repr_html_()
    reader = Reader()
    reader.feed(text)
    assert "script" not in reader.tags and "img" not in reader.tags and "i" not in reader.tags
    assert text.count("<div") == text.count("</div") == 1
    assert "<script>" in reader.text and "onload=x" in reader.text


def test_html_stays_small() -> None:
    """Thousands of rows and endless names: under 20 kB, and it says what is missing."""
    text = made(*(f"{'<&>' * 200}{i}" for i in range(900)), issues=tuple(Issue("&" * 5000, "<" * 5000) for _ in range(30)))._repr_html_()
    assert len(text.encode()) < 20_000
    shown = text.count("<tr>") - 1
    assert f"{900 - shown} more rows" in text


# ---- other forms -------------------------------------------------------------------------------------------------------


def test_markdown(gated: ip.Analysis) -> None:
    """A pipe table whose every row has seven cells."""
    lines = [line for line in markdown(gated).split("\n") if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 8 for line in lines)
    assert any("| last | conv |" in line for line in lines)
    assert escape("a|b<c>*_`") == "a\\|b\\<c\\>\\*\\_\\`"
    nasty = [line for line in markdown(made(NASTY)).split("\n") if line.startswith("|")]
    assert len(nasty) == 3 and len(re.findall(r"(?<!\\)\|", nasty[-1])) == 8


def test_csv(gated: ip.Analysis) -> None:
    """One row per op, read back by the csv module."""
    rows = list(csv.DictReader(io.StringIO(gated.to_csv())))
    assert [r["name"] for r in rows] == list(gated.ops)
    assert list(rows[0])[:5] == ["name", "kind", "shape", "size_0", "size_1"]
    up = next(r for r in rows if r["name"] == "up")
    assert (up["stride_0"], up["size_1"], up["context"], up["shape"]) == ("1/2", "3", "True", "1x4x28x28")
    assert next(r for r in rows if r["kind"] == "reduce")["size_0"] == "inf"
    assert next(r for r in rows if r["kind"] == "reduce")["stride_0"] == ""


def test_csv_quotes_names() -> None:
    """Commas, quotes and newlines in names."""
    names = ['a,"b"', "c\nd", NASTY]
    assert [r["name"] for r in csv.DictReader(io.StringIO(made(*names).to_csv()))][1:] == names


def test_csv_of_inputs_of_different_rank() -> None:
    """As many columns as the input with most axes; the others leave theirs empty."""

    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            return x + 1, y + 1

    a = ip.analyze(Two(), inputs=(torch.zeros(1, 1, 8), torch.zeros(1, 1, 9, 9)))
    rows = list(csv.DictReader(io.StringIO(a.to_csv())))
    assert [r["size_1"] for r in rows if r["name"].startswith("add")] == ["", "1"]
    assert math.isnan(a.to_pandas().query("name == 'x'")["size_1"].iloc[0])


def test_pandas(gated: ip.Analysis) -> None:
    """Numbers are numbers."""
    frame = gated.to_pandas().set_index("name")
    assert list(frame.index) == list(gated.ops)
    assert frame.loc["up", "stride_0"] == 0.5 and frame.loc["last", "size_0"] == 4
    assert np.isinf(frame.loc[frame["kind"] == "reduce", "size_0"]).all()
    assert frame["stride_1"].dtype == float and frame.loc["up", "shape"] == (1, 4, 28, 28)
    whole = ip.analyze("conv 3").to_pandas()
    assert whole["size_0"].dtype == np.int64 and whole["context"].dtype == bool


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is its install line."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r'pip install "isopter\[pandas\]"'):
        ip.analyze("conv 3").to_pandas()
    assert ip.analyze("conv 3").to_csv()


def test_reports_import_no_framework() -> None:
    """Tables of a layer text need numpy, and nothing heavier."""
    code = "import sys, isopter as i; a = i.analyze('conv 3'); repr(a); a._repr_html_(); a.to_csv(); a.to_json(); print([m for m in ('torch', 'pandas', 'rich', 'matplotlib', 'scipy') if m in sys.modules])"  # noqa: E501
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_content_is_the_same_in_every_form(net: ip.Analysis) -> None:
    """All forms show the same rows."""
    names = [line.layer for line in content(net).lines]
    assert list(table_rows(render(net, width=120))) == names
    assert all(f">{name}<" in net._repr_html_() for name in names)
    assert all(f"| {escape(name)} |" in markdown(net) for name in names)
