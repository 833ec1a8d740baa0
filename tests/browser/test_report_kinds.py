"""Networks of every kind: along time, in volumes, with attention, with several inputs, and hardly any at all."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from driver import Opened
from reports import analysis, report
from strip import TIMES, same_numbers, whole

Show = Callable[..., Opened]


# ---- along time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "unit"), [("wavenet", 2048), ("wavenet", 100), ("ahead", 50), ("ahead", 0)])
def test_look_back_and_look_ahead(show: Show, name: str, unit: int) -> None:
    """From the sample a unit stands at to the ends of its field, padding included."""
    made = report(name)
    page = show(made.file, hash=f"#unit={unit}")
    field = made.analysis[page.layer()]
    same_numbers(page, made.analysis)
    ((lo, hi),) = field.region((unit,)).unclipped
    now = int(unit * field.stride[0])
    said = page.numbers()
    assert (whole(said["look-back"]), whole(said["look-ahead"])) == (now - lo, hi - 1 - now)
    if name == "wavenet":
        assert said["look-ahead"] == "0"


def test_flow_is_drawn_and_asked(show: Show) -> None:
    """The flow changes with unit, zoom and layer; a click asks who hears a sample, arrows move it."""
    made = report("ahead")
    page = show(made.file)
    drawn = [page.picture()]
    page.drag("#stage canvas.map", (0.2, 0.5), (0.8, 0.5))
    drawn.append(page.picture())
    page.at("#stage .options label").filter(has_text="zoom").locator("input").click()
    page.settle()
    drawn.append(page.picture())
    page.choose("conv2")
    drawn.append(page.picture())
    assert len(set(drawn)) == 4
    box = page.at("#stage canvas.input").bounding_box()
    page.page.mouse.click(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.5)
    page.settle()
    found = re.search(r"Pixel \((\d+)\) reaches (\d+) units", page.at("#stage .note").text_content())
    assert found
    assert int(found[2]) == int(np.count_nonzero(made.analysis["conv2"].projective((int(found[1]),))))
    page.at("#stage canvas.input").focus()
    page.press("ArrowRight")
    assert f"Pixel ({int(found[1]) + 1})" in page.at("#stage .note").text_content()


# ---- volumes ---------------------------------------------------------------------------------------------------------------


def test_slices_of_a_volume(show: Show) -> None:
    """Three planes; the slider moves the unit along the first axis, the map along the others."""
    made = report("volume")
    page = show(made.file)
    page.choose("blocks.1.add")
    assert page.at("#stage canvas.input").count() == 3
    before = [page.at("#stage canvas.input").nth(k).evaluate("(c) => c.toDataURL()") for k in range(3)]
    page.slide("#stage .sliders input", 2)
    assert page.unit()[0] == 2
    same_numbers(page, made.analysis)
    after = [page.at("#stage canvas.input").nth(k).evaluate("(c) => c.toDataURL()") for k in range(3)]
    assert all(old != new for old, new in zip(before[1:], after[1:], strict=True))
    page.drag("#stage canvas.map", (0.1, 0.1), (0.99, 0.01))
    assert page.unit() == (2, 0, 23)
    same_numbers(page, made.analysis)


@pytest.mark.parametrize(("plane", "fixed"), [(0, 0), (1, 1), (2, 2)])
def test_a_voxel_is_asked_in_any_plane(show: Show, plane: int, fixed: int) -> None:
    made = report("volume")
    page = show(made.file)
    page.choose("blocks.1.add")
    canvas = page.at("#stage canvas.input").nth(plane)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.page.mouse.click(box["x"] + 0.55 * box["width"], box["y"] + 0.45 * box["height"])
    page.settle()
    found = re.search(r"Pixel \((\d+), (\d+), (\d+)\) reaches (\d+) units", page.at("#stage .note").text_content())
    assert found
    voxel = tuple(int(found[k]) for k in (1, 2, 3))
    lo, hi = made.analysis["blocks.1.add"].region(page.unit()).lo, made.analysis["blocks.1.add"].region(page.unit()).hi
    assert voxel[fixed] == (lo[fixed] + hi[fixed] - 1) // 2
    assert int(found[4]) == int(np.count_nonzero(made.analysis["blocks.1.add"].projective(voxel)))


# ---- no plane, no end, several inputs, hardly anything ---------------------------------------------------------------------------


def test_attention_has_no_plane(show: Show) -> None:
    """Corner units of a shifted window read 2 x 2 pixels, inner ones 4 x 4."""
    made = report("swin")
    page = show(made.file)
    counts = {}
    for unit in ((0, 0), (0, 8), (8, 8), (15, 15)):
        page.run("(unit) => { location.hash = `unit=${unit.join(',')}`; }", list(unit))
        said = "(text) => document.querySelector('#stage .remark').textContent.includes(text)"
        page.page.wait_for_function(said, arg=f"unit ({unit[0]},\N{NO-BREAK SPACE}{unit[1]})")
        page.settle()
        same_numbers(page, made.analysis)
        counts[unit] = page.numbers()["pixels read"]
    assert counts == {(0, 0): "4", (0, 8): "8", (8, 8): "16", (15, 15): "4"}


def test_layers_that_see_everything(show: Show) -> None:
    """A classifier's units read the whole image: an endless field, no share of padding, no bar beyond its track."""
    made = report("small")
    page = show(made.file)
    page.choose("avgpool")
    same_numbers(page, made.analysis)
    said = page.numbers()
    assert (said["size"], said["pixels read"]) == ("whole image", "6,305")
    assert "whole axis" in page.at("#paths").text_content()
    bar, track = page.at("#rail .chosen .bar").bounding_box(), page.at("#rail .chosen .bar-track").bounding_box()
    assert bar["width"] <= track["width"] + 0.5


def test_upsampling_has_fractions(show: Show) -> None:
    made = report("unet")
    page = show(made.file)
    page.choose("up.0")
    assert page.numbers()["stride"] == str(made.analysis["up.0"].stride[0])
    same_numbers(page, made.analysis)


def test_two_inputs(show: Show) -> None:
    """The report is of the first input; layers that do not depend on it are not in it."""
    made = report("two")
    page = show(made.file)
    same_numbers(page, made.analysis)
    titles = page.at("#rail .line").evaluate_all("(all) => all.map((l) => l.title)")
    assert any(title.startswith("left\n") for title in titles)
    assert not any(title.startswith("right\n") for title in titles)
    assert page.at("#header .facts").text_content().startswith("input " + TIMES.join(("1", "3", "20", "24")))


@pytest.mark.parametrize("name", ["one", "nothing"])
def test_hardly_a_network(show: Show, name: str) -> None:
    made = report(name)
    page = show(made.file)
    same_numbers(page, made.analysis)
    assert page.numbers()["size"] == f"1{TIMES}1"
    assert page.at("#growth circle.of-a").count() == 1
    page.at("#rail .tree").focus()
    page.press("Home", "ArrowDown", "End", "ArrowUp", "ArrowLeft")
    box = page.at("#stage canvas.input").bounding_box()
    page.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.settle()
    assert "reaches 1 unit" in page.at("#stage .note").text_content()


@pytest.mark.parametrize("name", ["wavenet", "volume", "gated", "unet"])
def test_random_units(show: Show, name: str) -> None:
    """Units of random rows, named by a link."""
    made = report(name)
    page = show(made.file)
    rng = np.random.default_rng(1)
    layers = [title.split("\n")[0] for title in page.at("#rail .line:not(.head)").evaluate_all("(all) => all.map((l) => l.title)")]
    for layer in rng.choice(layers, size=min(12, len(layers)), replace=False):
        field = analysis(name)[str(layer)]
        unit = [int(rng.integers(n)) for n in field.units]
        page.run("([layer, unit]) => { location.hash = new URLSearchParams({layer, unit: unit.join(',')}); }", [str(layer), unit])
        page.page.wait_for_function("(layer) => document.querySelector('#stage h2').textContent === layer", arg=str(layer))
        page.settle()
        same_numbers(page, made.analysis)


def test_a_link_is_followed_even_if_the_page_writes_its_own_at_that_moment(show: Show) -> None:
    """The page writes its link after a pause, which may end between a reader's new address and the event that tells of it."""
    page = show(report("gated").file)
    old, other = page.link(), page.at("#rail .line:not(.head)").first.get_attribute("title").split("\n")[0]
    assert page.layer() != other
    move = "([old, layer]) => { location.hash = new URLSearchParams({layer}); history.replaceState(null, '', old); }"
    page.run(move, [old, other])
    page.page.wait_for_function("(layer) => document.querySelector('#stage h2').textContent === layer", arg=other)
    assert f"layer={other}" in page.link()
