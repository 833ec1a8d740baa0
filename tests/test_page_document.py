"""The report as a file: what is packed into it, what may not get out of the pack, and what is refused."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from examples import models
from PIL import Image
from torch import nn

import isopter as ip
from isopter.design.objects import Objects
from isopter.erf.expected import NotExpected
from isopter.erf.maps.field import EffectiveField
from isopter.erf.maps.measured import Measured, Sums
from isopter.errors import UsageError
from isopter.report.page.fields import LEVELS, MOST, MOST_BLOCKS, drawn, worth_measuring
from isopter.report.page.graph import graph_data
from isopter.report.page.picture import data_url
from isopter.report.page.rows import page_rows
from isopter.report.page.summary import how
from isopter.report.photo import photo
from packed import unpack

TEXT = "conv 3 p1, pool 2, conv 3 s2 p1"


def analysis(text: str = TEXT, size: tuple[int, ...] = (1, 1, 24, 20)) -> ip.Analysis:
    return ip.analyze(text, size)


def data_of(a: ip.Analysis, **options: Any) -> dict[str, Any]:
    return unpack(a.show(**options).html)[0]


def plain(data: Any) -> Any:
    return json.loads(json.dumps(data))


class Parts(nn.Module):
    """A module made of named parts and a function."""

    def __init__(self, forward: Any, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.how = forward

    def forward(self, *x: torch.Tensor) -> Any:
        return self.how(self, *x)


# ---- what is in it -----------------------------------------------------------------------------------------------------


TWO = Parts(lambda m, x, y: (m.a(x) + 1, m.b(y)), a=nn.Conv2d(1, 1, 3, padding=1), b=nn.Conv2d(1, 1, 5))
SECOND = Parts(lambda m, x, y: (m.a(x), m.b(y))[1], a=nn.Conv2d(1, 1, 3), b=nn.Conv2d(1, 1, 5))
BOUND = Parts(lambda m, x: m.a(torch.linalg.pinv(x)), a=nn.Conv2d(1, 1, 3))
APART = Parts(lambda m, x: m.a(x) * m.b(torch.ones(1, 1, 3, 3)).mean(), a=nn.Conv2d(1, 1, 3), b=nn.Conv2d(1, 1, 3))

CASES = {
    "torch": lambda: ip.analyze(models.ResNet(models.BasicBlock, (1, 1, 1, 1), width=4, classes=3), (1, 3, 48, 40)),
    "text": analysis,
    "1-D": lambda: ip.analyze(models.wavenet(), (1, 1, 400)),
    "3-D": lambda: ip.analyze(models.highres3dnet(), (1, 1, 12, 11, 13)),
    "second input": lambda: ip.analyze(SECOND, inputs=(torch.zeros(1, 1, 9, 9), torch.zeros(1, 1, 17, 15))),
    "two inputs": lambda: ip.analyze(TWO, inputs=(torch.zeros(1, 1, 9, 9), torch.zeros(1, 1, 17, 17))),
    "bounds": lambda: ip.analyze(BOUND, (1, 1, 9, 9)),
    "constants": lambda: ip.analyze(APART, (1, 1, 9, 9)),
    "identity": lambda: ip.analyze(nn.Identity(), (1, 1, 5, 5)),
    "no space": lambda: ip.analyze(nn.Linear(3, 4), (1, 3)),
    "one pixel": lambda: ip.analyze(nn.Conv2d(1, 1, 1), (1, 1, 1, 1)),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> ip.Analysis:
    return CASES[request.param]()


def test_the_pack_holds_what_python_knows(case: ip.Analysis) -> None:
    html = case.show().html
    data, levels = unpack(html)
    (model,) = data["models"]
    origin = case.origin
    assert data["version"] == ip.__version__
    assert model["graph"] == plain(graph_data(case, origin))
    assert model["rows"] == plain(page_rows(case, origin)) and model["rows"]
    assert model["findings"] == plain([f.to_dict() for f in case.findings()])
    assert sum(f["count"] for f in model["fields"]) == len(levels)
    assert model["name"] == model["title"] == case.name
    assert data["picture"] is data["objects"] is model["verified"] is None
    assert case.show().html == html, "same input, same bytes"


def test_a_loaded_analysis_gives_the_same_page(tmp_path: Path) -> None:
    """Its graph is all there is to a report, so the model is not needed."""
    made = ip.analyze(models.UNet(3, 4), (1, 3, 32, 32))
    made.to_json(tmp_path / "a.json")
    loaded = ip.load(tmp_path / "a.json")
    assert loaded.save_html(tmp_path / "b.html").read_bytes() == made.save_html(tmp_path / "c.html").read_bytes()


def test_texts_that_enlarge_have_a_page(tmp_path: Path) -> None:
    ip.analyze("conv 3 p1, up 2, conv 3", (1, 3, 32, 32)).save_html(tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_issues_are_told() -> None:
    made = CASES["bounds"]()
    model = data_of(made)["models"][0]
    assert ["note", str(made.issues[0])] in model["how"]
    assert ["theoretical fields", "some are bounds; see the findings"] in model["how"]
    assert "RF901" in {f["rule"] for f in model["findings"]}


def test_ops_beside_the_input_have_no_row() -> None:
    """Every other op that the page lists depends on the input it is about."""
    made = CASES["two inputs"]()
    model = data_of(made)["models"][0]
    names = [made.ops[op] for op, _, _ in model["rows"]]
    assert "a" in names and "b" not in names and "y" not in names
    assert model["graph"]["ops"][made.find("b")]["edges"] == [] and "size" not in model["graph"]["ops"][made.find("b")]


def test_the_input_is_the_first_that_the_output_depends_on() -> None:
    """The page, its rows and its expected fields are about `Analysis.origin`."""
    made = CASES["second input"]()
    model = data_of(made)["models"][0]
    assert made.origin == made.graph.inputs[1] == model["graph"]["origin"] and model["graph"]["shape"] == [1, 1, 17, 15]
    assert [made.ops[op] for op, _, _ in model["rows"]] == ["b"] and [f["op"] for f in model["fields"]] == [made.find("b")]
    assert dict(model["how"])["input"].startswith("input.1, 1x1x17x15")
    with pytest.raises(UsageError, match=r"effective\['a'\]: that layer does not depend on the input 'input.1'"):
        made.show(effective={"a": made["a"].expected()})


def test_size_of_a_large_report() -> None:
    made = ip.analyze(models.resnet50(), (1, 3, 224, 224))
    html = made.show().html
    fields = unpack(html)[0]["models"][0]["fields"]
    assert len(fields) == MOST and len(html.encode()) < 350_000


def test_comparison() -> None:
    """The first model comes first; effective fields and proofs are of whom they are given for."""
    first, second = analysis(), analysis("conv 5, conv 3")
    field = second["conv2"].expected()
    data = data_of(first, compare=second, effective=[False, {"conv2": field}])
    assert [m["name"] for m in data["models"]] == [first.name, second.name]
    assert [[f["op"] for f in m["fields"]] for m in data["models"]] == [[], [second.find("conv2")]]
    assert [len(m["table"]) for m in data["models"]] == [len(data["models"][0]["table"])] * 2
    three = data_of(first, compare=[first, second, first])
    assert [m["title"] for m in three["models"]] == [f"{TEXT} (1)", f"{TEXT} (2)", second.name, f"{TEXT} (3)"]


def test_expected_fields_can_be_left_out_of_all_models() -> None:
    """False is of every model, and then no number of theirs is an expected one; True is what None is."""
    first, second = analysis(), analysis("conv 5, conv 3")
    for model in data_of(first, compare=second, effective=False)["models"]:
        assert model["fields"] == [] and dict(model["how"])["effective fields"] == "none"
        assert "RF301" not in {f["rule"] for f in model["findings"]} and dict(model["table"])["effective field, 95 %"] == "not known"
    assert data_of(first, compare=second, effective=True) == data_of(first, compare=second)
    assert all(model["fields"] for model in data_of(first, compare=second, effective=True)["models"])


def test_proof() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 1, 3))
    proof = ip.verify(net, (1, 1, 9, 9), units=4)
    model = data_of(ip.analyze(net, (1, 1, 9, 9)), verification=proof)["models"][0]
    assert model["verified"] == {"ok": True, "pairs": proof.checked, "text": str(proof)}
    assert "RF000" in {f["rule"] for f in model["findings"]} and dict(model["how"])["verified"] == str(proof).splitlines()[0]


def test_objects() -> None:
    """Boxes by their larger side, in pixels rounded up."""
    found = Objects(np.array([[3.0, 4.2], [5.0, 1.0], [0.2, 0.1]]))
    assert data_of(analysis(), objects=found)["objects"] == {"sides": [[1, 1], [5, 2]]}
    assert data_of(analysis(), objects=None)["objects"] is None
    assert data_of(analysis(), objects=Objects(np.zeros((0, 2))))["objects"] is None


# ---- names -------------------------------------------------------------------------------------------------------------

HOSTILE = [
    "</script><script>alert(1)</script>", "<!--", '"><img src=x onerror=alert(1)>', "{{data}}", "{{script}}", "\ud800", "\x00\x1b", "&amp;"
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_stay_in_the_pack(name: str, tmp_path: Path) -> None:
    """But for the title, escaped, the page around the pack is the same whatever things are called."""

    def page(name: str, part: str) -> bytes:
        module = nn.Module.__new__(Parts)
        nn.Module.__init__(module)
        module._modules[part] = nn.Conv2d(1, 1, 3)
        module.how = lambda m, x: m._modules[part](x)
        made = ip.analyze(module, (1, 1, 9, 9))
        made.name = name
        return made.save_html(tmp_path / "report.html").read_bytes()

    hostile, tame = page(name, name.replace(".", "_")).decode(), page("tame", "part").decode()
    data = unpack(hostile)[0]["models"][0]
    assert data["name"] == name and data["graph"]["ops"][-1]["name"] == name

    def around(html: str) -> str:
        html = re.sub(r"<title>.*?</title>", "", html, count=1, flags=re.DOTALL)
        return re.sub(r'(id="data">)[^<]*', r"\1", html, count=1)

    assert around(hostile) == around(tame)
    (title,) = re.findall(r"<title>(.*?)</title>", hostile, re.DOTALL)
    assert not set('<>"') & set(title) and unescape(title) == f"Receptive fields of {name}".replace("\ud800", "?")


def test_title() -> None:
    assert "<title>Receptive fields of " + TEXT + "</title>" in analysis().show().html
    assert "<title>A &lt;b&gt; of &amp;</title>" in analysis().show(title="A <b> of &").html


def test_the_page_asks_for_nothing() -> None:
    """No address of another host, and a policy under which none could be reached."""
    html = re.sub(r'(id="data">)[^<]*', "", analysis().show(image=np.zeros((4, 4))).html)
    assert "default-src 'none'" in html and "connect-src" not in html
    assert set(re.findall(r"https?://[^\s\"'`)]+", html)) <= {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"<link|@import|url\((?!#)|\bfetch\(|XMLHttpRequest|WebSocket|importScripts", html)


RAMP = np.linspace(0, 1, 64).reshape(1, 64).repeat(48, axis=0)
BYTES = np.rint(RAMP * 255).astype(np.uint8)

# ---- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"compare": nn.Conv2d(1, 1, 1)}, "compare=Conv2d must be another analysis"),
        ({"compare": "conv 3"}, "compare=str must be another analysis"),
        ({"compare": [None]}, "compare=NoneType must be another analysis"),
        ({"effective": 5}, r"effective=int must be what isopter\.effective returned"),
        ({"effective": []}, "effective has 0 entries for 1 models"),
        ({"effective": [None, None]}, "effective has 2 entries for 1 models"),
        ({"effective": [1]}, "effective=int must be"),
        ({"effective": {"nothing": None}}, r"effective\['nothing'\] is no effective field, but a NoneType"),
        ({"effective": {"conv1": np.ones((3, 3))}}, r"effective\['conv1'\] is no effective field, but a ndarray"),
        ({"verification": True}, r"verification=bool must be what isopter\.verify returned"),
        ({"verification": [None, None]}, "verification has 2 entries for 1 models"),
        ({"objects": [(3, 4)]}, "objects=list must be sizes of objects"),
        ({"title": 5}, "title=int must be text"),
        ({"image": "nothing.png"}, r"There is no image nothing\.png"),
        ({"image": np.zeros((3, 9, 9))}, r"\(3, 9, 9\): channels first.*permute\(1, 2, 0\)"),
        ({"image": np.zeros((0, 9))}, r"has the shape \(0, 9\)"),
        ({"image": np.full((9, 9), np.nan)}, "from nan to nan"),
        ({"image": Image.fromarray(np.full((9, 9), np.inf, np.float32))}, "from inf to inf"),
        ({"image": RAMP * 1.2 - 0.1}, r"from -0\.1 to 1\.1"),
        ({"image": np.zeros(9)}, r"has the shape \(9,\)"),
        ({"image": np.zeros((9, 9), complex)}, "holds complex128 values"),
        ({"image": object()}, "holds object values"),
        ({"image": [[1, 2], [3]]}, "is a list that is no array"),
        ({"image": torch.zeros(4, 4, dtype=torch.bfloat16)}, "is a Tensor that is no array"),
        ({"image": np.full((4, 4), 200.0)}, "values from 200 to 200"),
        ({"image": np.full((4, 4), -300)}, "values from -300 to -300"),
        ({"image": np.full((4, 4), 60_000, np.uint16)}, "values from 60000 to 60000"),
    ],
    ids=lambda v: v if isinstance(v, str) else " ".join(v),
)
def test_wrong_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        analysis().show(**options)


def test_a_picture_needs_an_image() -> None:
    for text, size in (("conv 3", (1, 1, 9)), ("conv 3", (1, 1, 9, 9, 9))):
        with pytest.raises(UsageError, match="needs an input with two axes of space"):
            analysis(text, size).show(image=np.zeros((4, 4)))


def test_where_no_file_can_be(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "report.html", tmp_path):
        with pytest.raises(UsageError, match=r"Cannot write .* Choose another file"):
            analysis().save_html(path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    with pytest.raises(UsageError, match=r"broken\.png"):
        analysis().save_html(tmp_path / "report.html", image=tmp_path / "broken.png")
    assert not (tmp_path / "report.html").exists()


# ---- pictures ----------------------------------------------------------------------------------------------------------


def pixels(picture: Any, size: tuple[int, int]) -> np.ndarray:
    """What the page shows of a picture."""
    head, _, body = data_url(picture, size).partition(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body)))).astype(int)


@pytest.mark.parametrize(
    "picture",
    [
        RAMP, RAMP.astype(np.float32), BYTES, BYTES.astype(np.int64), np.stack([RAMP] * 3, 2), np.stack([BYTES] * 3, 2),
        np.dstack([BYTES] * 3 + [np.full_like(BYTES, 255)]), RAMP.tolist(), Image.fromarray(BYTES), Image.fromarray(BYTES).convert("RGBA"),
        Image.fromarray(BYTES).convert("P"), Image.fromarray(BYTES).convert("CMYK"), Image.fromarray(BYTES.astype(np.uint16) * 200),
        Image.fromarray(RAMP.astype(np.float32) * 7 - 3), torch.from_numpy(RAMP),
        torch.from_numpy(RAMP).requires_grad_(), RAMP[:, :, None],
    ],
    ids=lambda p: f"{type(p).__name__} {p.mode if isinstance(p, Image.Image) else getattr(p, 'dtype', '')} {getattr(p, 'shape', '')}",
)  # fmt: skip
def test_every_kind_of_picture_looks_the_same(picture: Any) -> None:
    shown = pixels(picture, (48, 64))
    assert shown.shape == (48, 64, 3)
    assert np.abs(shown - BYTES[:, :, None]).max() <= 8


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "tif", "gif"])
def test_files(suffix: str, tmp_path: Path) -> None:
    Image.fromarray(BYTES).save(tmp_path / f"ramp.{suffix}")
    assert np.abs(pixels(tmp_path / f"ramp.{suffix}", (48, 64)) - BYTES[:, :, None]).max() <= 12
    assert data_url(str(tmp_path / f"ramp.{suffix}"), (48, 64)) == data_url(tmp_path / f"ramp.{suffix}", (48, 64))


def test_pictures_stand_upright(tmp_path: Path) -> None:
    """A camera held on its side writes that into EXIF; a PIL image is turned as its file is."""
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise shows it
    Image.fromarray(BYTES).save(tmp_path / "turned.png", exif=exif)
    upright = np.rot90(BYTES, -1)[:, :, None]
    with Image.open(tmp_path / "turned.png") as opened:
        for picture in (tmp_path / "turned.png", opened):
            assert np.abs(photo(picture).astype(int) - upright).max() == 0
            assert np.abs(pixels(picture, (64, 48)) - upright).max() <= 8


def test_bools_and_one_pixel_are_pictures() -> None:
    assert pixels(np.ones((5, 5), bool), (5, 5)).min() == 255 and pixels(np.zeros((5, 5), bool), (5, 5)).max() == 0
    assert pixels(np.ones((1, 1)), (1, 1)).tolist() == [[[255, 255, 255]]]
    assert pixels(Image.fromarray(np.full((5, 5), 7, np.int32)), (5, 5)).max() == 0, "a flat scan has no range to show"


def test_the_middle_is_cut_and_large_pictures_shrink() -> None:
    """The window of the model's shape in the middle; the longer side at most 640."""
    picture = np.zeros((100, 300))
    picture[:, 100:200] = 1
    assert pixels(picture, (50, 50)).shape == (50, 50, 3) and pixels(picture, (50, 50)).min() > 230
    assert pixels(picture, (2000, 1000)).shape == (640, 320, 3)
    assert pixels(picture, (1, 4000)).shape == (1, 640, 3)


# ---- effective fields --------------------------------------------------------------------------------------------------


def field_of_map(values: np.ndarray, origin: tuple[int, ...] | None = None, layer: str = "conv2") -> EffectiveField:
    n = values.ndim
    return EffectiveField(
        layer=layer, map=values, origin=origin or (0,) * n, center=(1.0,) * n, size=values.shape, image=(64,) * n, unit=(0,) * n,
        statistic="energy",
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(37,), (21, 33), (9, 7, 11), (1,), (1, 1), (1, 30)], ids=str)
def test_levels_are_the_map(shape: tuple[int, ...]) -> None:
    """The root of the map over its largest value, in 64 levels, is off by half a level at most; what is cut off is less than that."""
    grids = np.meshgrid(*(np.linspace(-2.5, 2, n) for n in shape), indexing="ij")
    values = np.exp(-sum(g**2 for g in grids) * 2.0)
    made = drawn(3, field_of_map(values, tuple(range(-4, len(shape) - 4))))
    facts = made.facts
    assert facts["op"] == 3 and facts["step"] == 1 and facts["kind"] == "expected"
    decoded, corner = np.zeros(shape), [o - k + 4 for k, o in enumerate(facts["origin"])]
    window = tuple(slice(c, c + n) for c, n in zip(corner, facts["shape"], strict=True))
    decoded[window] = np.frombuffer(made.levels, np.uint8).reshape(facts["shape"]) / (LEVELS - 1)
    assert np.abs(decoded - np.sqrt(values / values.max())).max() <= 0.5 / (LEVELS - 1) + 1e-12


def test_numbers_are_those_of_the_full_map() -> None:
    field = analysis("[conv 3 p1]*6", (1, 1, 40, 40))["conv6"].expected()
    facts = drawn(6, field).facts
    assert facts["sigma"] == [float(f"{s:.4g}") for s in field.sigma] and facts["center"] == list(field.center)
    for key, want in (("side50", field.side(0.5)), ("side95", field.side(0.95)), ("ratio", field.ratio)):
        assert facts[key] == float(f"{want:.4g}"), key
    assert facts["unit"] == list(field.unit) and facts["statistic"] == field.statistic and facts["error"] is None


def test_measured_fields_say_so() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 1, 3, padding=1))
    made = ip.analyze(net, (1, 1, 16, 16))
    found = ip.effective(net, ["0", "1"], (1, 1, 16, 16), samples=6, seed=3, progress=False)
    model = data_of(made, effective=found)["models"][0]
    assert [f["op"] for f in model["fields"]] == [made.find("0"), made.find("1")] and {f["kind"] for f in model["fields"]} == {"measured"}
    assert [f["error"] for f in model["fields"]] == [float(f"{f.relative_error:.4g}") for f in found.values()]
    assert "6 samples, seed 3" in dict(model["how"])["effective fields"]


def measured(samples: int, layer: str = "conv1", seed: int = 0) -> Measured:
    sums = Sums((5, 5))
    for k in range(samples):
        sums.add(k, np.full((5, 5), k + 1.0))
    place = {"origin": (10, 8), "center": (12.0, 10.0), "size": (3, 3), "image": (24, 20), "unit": (12, 10)}
    return Measured(layer=layer, sums=sums, statistic="energy", seed=seed, **place)  # type: ignore[arg-type]


def test_how_fields_were_found_is_a_sentence_for_each_kind() -> None:
    made = analysis()
    expected = "expected at random initialisation, computed without sampling"

    def said(*fields: EffectiveField) -> str:
        return dict(how(made, fields, None))["effective fields"]

    assert said(measured(1)) == "measured: energy of the gradient, 1 sample, seed 0, error not known"
    assert said() == "none" and said(field_of_map(np.ones((3, 3)))) == expected
    both = said(field_of_map(np.ones((3, 3))), measured(1), measured(4, "conv2", seed=3))
    error = measured(4).relative_error
    assert both == f"measured: energy of the gradient, 1 to 4 samples, seeds 0, 3, errors up to {error:.1%}, of 1 not known. {expected}"
    kinds = data_of(made, effective={"conv1": measured(2), "conv2": made["conv2"].expected()})["models"][0]
    assert [f["kind"] for f in kinds["fields"]] == ["measured", "expected"]
    assert "expected" in dict(kinds["table"])["effective field, 95 %"]


@pytest.mark.parametrize("size", [(1, 1, 48, 40), (1, 1, 12, 10), (1, 1, 24)], ids=str)
def test_fields_in_another_image_are_refused(size: tuple[int, ...]) -> None:
    made, other = analysis(), analysis(size=size)
    given = {"conv1": other["conv1"].expected()}
    for ask in (
        lambda: made.show(effective=given), lambda: made.findings(given), lambda: made.plot(effective=given),
        lambda: made.coverage(Objects(np.ones((1, 2))), effective=given), lambda: ip.compare(made, made, effective=(None, given)),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=r"effective\['conv1'\] was found in an image of .* pixels.*one input size"):
            ask()


def test_fields_of_another_layer_or_unit_are_refused() -> None:
    made = analysis()
    wrong = replace(field_of_map(np.ones((3, 3)), layer="of a module that is not here"), image=(24, 20))
    for given, said in (
        ({"conv2": made["conv1"].expected()}, "is the field of another layer, 'conv1'"),
        ({"conv1": replace(wrong, unit=(3, 20))}, r"is of unit \(3, 20\), and this layer has 24 x 20 units"),
        ({"conv1": replace(wrong, unit=(3,))}, r"is of unit \(3,\)"),
        ({"conv1": replace(wrong, unit=(-1, 0))}, r"is of unit \(-1, 0\)"),
        ({"conv1": NotExpected("conv1", "it is so")}, "holds no field: No expected field is known for conv1: it is so"),
        ({"conv1": 1}, "is no effective field, but a int"),
    ):
        for ask in (made.show, made.findings):
            with pytest.raises(UsageError, match=said):
                ask(effective=given)
    assert made.show(effective={"conv1": wrong}), "what is known under another name may be given under the right one"
    for given in ([1], 5):
        for ask in (made.findings, made.plot, lambda effective: made.coverage(Objects(np.ones((1, 2))), effective=effective)):
            with pytest.raises(UsageError, match=r"Give what isopter\.effective returned"):
                ask(effective=given)


def test_a_map_of_zeros() -> None:
    """It has no numbers, and one dark block to draw."""
    for shape in ((5,), (4, 6), (3, 3, 3)):
        made = drawn(1, field_of_map(np.zeros(shape)))
        assert made.levels == b"\0" and made.facts["shape"] == [1] * len(shape)
        assert made.facts["side50"] is made.facts["ratio"] is None and made.facts["sigma"] == [None] * len(shape)


@pytest.mark.parametrize("shape", [(5000,), (700, 300), (73, 10), (90, 40, 60)], ids=str)
def test_huge_maps_are_blocked(shape: tuple[int, ...]) -> None:
    """Means over cubes of pixels; the last ones reach over the border, where nothing is read."""
    values = np.random.default_rng(0).uniform(0.5, 1, shape)
    facts, levels = (made := drawn(1, field_of_map(values))).facts, np.frombuffer(made.levels, np.uint8)
    step = facts["step"]
    assert max(facts["shape"]) <= MOST_BLOCKS[len(shape)] and facts["shape"] == [-(-n // step) for n in shape] and step > 1
    first = values[tuple(slice(0, step) for _ in shape)].mean()
    padded = np.pad(values, [(0, -n % step) for n in shape])
    means = padded.reshape([k for n in padded.shape for k in (n // step, step)]).mean(axis=tuple(range(1, 2 * len(shape), 2)))
    assert means.flat[0] == pytest.approx(first)
    assert np.abs(levels / (LEVELS - 1) - np.sqrt(means / means.max()).reshape(-1)).max() <= 0.5 / (LEVELS - 1) + 1e-12


def test_worth_measuring() -> None:
    """At most twenty layers, over the whole depth, the last one among them; none without a map of units, or that nothing returns."""
    deep = ip.analyze(nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(50))), (1, 1, 64, 64))
    names = worth_measuring(deep)
    assert len(names) == MOST and (names[0], names[-1]) == ("0", "output")
    gaps = np.diff([deep.find(n) for n in names])
    assert gaps.min() >= 2 and gaps.max() <= 3
    assert worth_measuring(ip.analyze(nn.Linear(3, 4), (1, 3))) == []
    assert worth_measuring(analysis("conv 3, conv 3", (1, 1, 9, 9))) == []


# ---- rows --------------------------------------------------------------------------------------------------------------


def rows_of(made: ip.Analysis) -> dict[str, list[str]]:
    """Labels of rows, with the labels of the rows they follow."""
    rows = page_rows(made, made.origin)
    return {label: [rows[p][1] for p in parents] for _, label, parents in rows}


def test_rows_of_a_chain() -> None:
    chain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 2, 1), nn.ReLU())
    assert rows_of(ip.analyze(chain, (1, 1, 9, 9))) == {"0": [], "3": ["0"], "4": ["3"]}


def test_rows_of_branches() -> None:
    """A sum follows both its branches, through what has no row; a plain shortcut is a parent itself."""

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        x = m.stem(x)
        return m.b(torch.relu(m.a(x))) + torch.relu(x)

    net = Parts(forward, stem=nn.Conv2d(1, 2, 3, padding=1), a=nn.Conv2d(2, 2, 3, padding=1), b=nn.Conv2d(2, 2, 5, padding=2))
    found = rows_of(ip.analyze(net, (1, 1, 12, 12)))
    total = next(name for name, parents in found.items() if len(parents) == 2)
    assert found == {"stem": [], "a": ["stem"], "b": ["a"], total: ["stem", "b"]}


def test_rows_of_forks_and_dead_ends() -> None:
    """Two outputs of one stem, and a branch from the input itself, whose row follows none."""

    def forward(m: Any, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        stem = m.stem(x)
        return m.a(stem), m.b(stem), m.c(x)

    net = Parts(forward, **{name: nn.Conv2d(1, 1, 3) for name in ("stem", "a", "b", "c")})
    assert rows_of(ip.analyze(net, (1, 1, 12, 12))) == {"stem": [], "a": ["stem"], "b": ["stem"], "c": []}


def test_parents_come_before() -> None:
    for made in (ip.analyze(models.UNet(3, 4), (1, 3, 32, 32)), ip.analyze(models.se_resnet(), (1, 3, 65, 48))):
        rows = page_rows(made, made.origin)
        assert [op for op, _, _ in rows] == sorted({op for op, _, _ in rows}) and made.origin not in {op for op, _, _ in rows}
        assert all(all(0 <= p < k for p in parents) for k, (_, _, parents) in enumerate(rows))
        assert [k for k, (_, _, parents) in enumerate(rows) if not parents] == [0], "all but the first follow something"


def test_rows_are_never_none() -> None:
    """A model that does nothing shows its input."""
    made = ip.analyze(nn.Identity(), (1, 1, 5, 5))
    assert page_rows(made, 0) == [(0, made.ops[0], ())]


# ---- layers worth measuring --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("net", "size"), [(models.resnet18, 64), (models.unet, 64), (models.swin_block, 16)])
def test_the_layers_worth_measuring_are_returned_by_modules(net: Any, size: int) -> None:
    """So a live model can be asked for them; each stands for another row."""
    made = ip.analyze(net(), (1, 3, size, size))
    names = worth_measuring(made)
    ops = [made.find(name) for name in names]
    assert 1 < len(names) <= MOST and set(names) <= set(made.graph.calls)
    assert len(set(ops)) == len(ops) and made.find("layer4" if net is models.resnet18 else made.outputs[0]) == max(ops)


def test_what_was_measured_of_a_block_is_in_the_report() -> None:
    """A block returns its ReLU, which has no row of its own; the page finds the row of the sum before it."""
    net = models.ResNet(models.BasicBlock, (1, 1), width=2, classes=3)
    made = ip.analyze(net, (1, 3, 32, 32))
    found = ip.effective(net, worth_measuring(made), (1, 3, 32, 32), samples=2)
    (model,) = data_of(made, effective=found)["models"]
    assert "layer2" in found and {field["kind"] for field in model["fields"]} == {"measured"}
    assert made.find("layer2") in {field["op"] for field in model["fields"]} - {op for op, _, _ in model["rows"]}
