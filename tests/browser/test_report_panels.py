"""Every panel does what it offers, and its numbers are those of Python."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from driver import Opened
from reports import analysis, report
from strip import same_numbers, whole

Show = Callable[..., Opened]


# ---- the rail --------------------------------------------------------------------------------------------------------------


def test_click_a_layer(show: Show) -> None:
    made = report("small")
    page = show(made.file)
    for layer in ("conv1", "layer2.0.conv2", "layer3.0.add"):
        page.at(f'#rail .line[title^="{layer}"]').first.click()
        page.settle()
        assert page.layer() == layer
        assert page.at("#rail .chosen").get_attribute("title").startswith(layer)
        same_numbers(page, made.analysis)


def test_search(show: Show) -> None:
    page = show(report("small").file)
    everything = page.texts("#rail .line .name")
    page.at("#rail input").fill("DOWNSAMPLE")
    assert page.texts("#rail .line .name") == ["layer2.0.downsample.0", "layer3.0.downsample.0"]
    page.at("#rail input").fill("no such layer")
    assert page.at("#rail .line").count() == 0
    assert "No layer" in page.at("#rail .empty").text_content()
    page.at("#rail input").fill("")
    assert page.texts("#rail .line .name") == everything


def test_keys_walk_the_layers(show: Show) -> None:
    page = show(report("small").file)
    order = [title.split("\n")[0] for title in page.at("#rail .line:not(.head)").evaluate_all("(all) => all.map((l) => l.title)")]
    page.at("#rail .tree").focus()
    page.press("Home")
    assert page.layer() == order[0]
    walked = [page.layer()]
    for _ in order[1:]:
        page.press("ArrowDown")
        walked.append(page.layer())
    assert walked == order
    page.press("ArrowDown")
    assert page.layer() == order[-1]
    page.press("ArrowUp", "ArrowUp")
    assert page.layer() == order[-3]
    page.press("End")
    assert page.layer() == order[-1]


def test_modules_fold(show: Show) -> None:
    page = show(report("small").file)
    page.choose("layer2.0.conv2")
    page.at("#rail .tree").focus()
    count = page.at("#rail .line").count()
    page.press("ArrowLeft")
    folded = page.at("#rail .line").count()
    assert folded < count
    head = page.at('#rail .line[aria-expanded="false"]')
    assert head.count() == 1 and "layer2" in head.text_content() and "chosen" in head.get_attribute("class")
    page.press("ArrowRight")
    assert page.at("#rail .line").count() == count
    page.at('#rail .line.head:has-text("layer3")').click()
    assert page.at("#rail .line").count() < count
    page.at('#rail .line.head:has-text("layer3") .fold').click()
    assert page.at("#rail .line").count() == count


def test_large_networks_start_folded(show: Show) -> None:
    page = show(report("wavenet").file)
    assert page.at('#rail .line[aria-expanded="false"]').count() >= 9
    page.choose("layers.4.conv")
    assert page.layer() == "layers.4.conv"
    assert page.at("#rail .chosen").get_attribute("title").startswith("layers.4.conv")


# ---- the feature map and the input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "layer"), [("small", "layer2.0.add"), ("grid", None), ("unet", "up.1"), ("gated", "layer2.0.add")])
def test_drag_over_the_map(show: Show, name: str, layer: str | None) -> None:
    """Whatever unit the hand stops at: its numbers are those of `Field.region` and `Field.support`."""
    made = report(name, image=True)
    page = show(made.file)
    if layer:
        page.choose(layer)
    units = made.analysis[page.layer()].units
    seen = set()
    for row, column in ((0, 0), (1, units[1] - 1), (units[0] // 2, units[1] // 3), (units[0] - 1, units[1] - 1)):
        page.drag_to((row, column), units)
        assert page.unit() == (row, column)
        same_numbers(page, made.analysis)
        seen.add((page.numbers()["region"], page.picture()))
    assert len(seen) == 4


def test_arrows_on_the_map(show: Show) -> None:
    made = report("small")
    page = show(made.file)
    page.choose("layer2.0.add")
    page.at("#stage canvas.map").focus()
    row, column = page.unit()
    page.press("ArrowUp", "ArrowLeft")
    assert page.unit() == (row - 1, column - 1)
    page.press("Shift+ArrowUp", "Shift+ArrowUp", "Shift+ArrowUp")
    assert page.unit() == (0, column - 1)
    page.press("ArrowDown", "ArrowRight")
    assert page.unit() == (1, column)
    same_numbers(page, made.analysis)
    assert page.layer() == "layer2.0.add"  # arrows on the map do not walk the layers
    assert f"unit {1}, {column}" in page.at("#stage [aria-live]").text_content()


@pytest.mark.parametrize(
    ("name", "layer", "choice"),
    [("small", "layer2.0.conv1", "effective field"), ("gated", "layer2.0.gate", "reads through summaries"),
     ("ahead", "conv3", "effective field"), ("volume", "blocks.1.add", "effective field")],
)  # fmt: skip
def test_every_choice_changes_the_picture(show: Show, name: str, layer: str, choice: str) -> None:
    page = show(report(name, image=name in ("small", "gated")).file)
    page.choose(layer)
    labels = [text for text in page.texts("#stage .options label:visible") if text != "threshold"]
    assert set(labels) == {choice, "exact set", "boxes", "zoom to the field"}
    for label in labels:
        box = page.at("#stage .options label").filter(has_text=label).locator("input")
        before = page.picture()
        box.click()
        page.settle()
        assert page.picture() != before, label
        box.click()
        page.settle()
        assert page.picture() == before, label


def test_context_is_asked_for(show: Show) -> None:
    """Reads through a summary: left out, said so, and all of the image once they are asked for."""
    made = report("gated")
    page = show(made.file)
    page.choose("layer2.0.add")
    same_numbers(page, made.analysis)
    assert "through a summary" in page.at("#stage .note").text_content()
    page.at("#stage .options label").filter(has_text="summaries").locator("input").click()
    page.settle()
    assert whole(page.numbers()["pixels read"]) == made.analysis[page.layer()].support(page.unit(), context=True).count
    page.choose("conv1")
    assert page.at("#stage .options label").filter(has_text="summaries").is_hidden()


def test_threshold_changes_the_picture(show: Show) -> None:
    page = show(report("small", image=True).file)
    page.choose("layer3.0.add")
    seen = []
    for value in (0, 0.05, 0.2):
        page.slide("#stage .options input[type=range]", value)
        seen.append(page.picture())
    assert len(set(seen)) == 3


@pytest.mark.parametrize(("name", "layer"), [("small", "layer2.0.add"), ("grid", None), ("unet", "merge.0.2"), ("gated", "layer2.0.conv2")])
def test_who_sees_a_pixel(show: Show, name: str, layer: str | None) -> None:
    """A click on the input counts the units that see the pixel: the sum of `Field.projective`."""
    made = report(name)
    page = show(made.file)
    if layer:
        page.choose(layer)
    before = page.picture("#stage canvas.map")
    box = page.at("#stage canvas.input").bounding_box()
    counts = set()
    for x, y in ((0.5, 0.5), (0.42, 0.61), (0.55, 0.45)):
        page.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.settle()
        said = page.at("#stage .note").text_content()
        found = re.search(r"Pixel \((\d+), (\d+)\) reaches (\d+|no) unit", said)
        assert found, said
        pixel = int(found[1]), int(found[2])
        reached = made.analysis[page.layer()].projective(pixel)
        assert (0 if found[3] == "no" else int(found[3])) == int(np.count_nonzero(reached))
        counts.add(pixel)
        assert page.picture("#stage canvas.map") != before
    assert len(counts) == 3
    page.at("#stage canvas.input").focus()
    page.press("ArrowLeft")
    assert f"pixel={pixel[0]}%2C{pixel[1] - 1}&" in page.link()
    page.press("Enter")
    assert "Pixel" not in page.at("#stage .note").text_content()
    assert page.picture("#stage canvas.map") == before


def test_random_units_of_every_layer(show: Show) -> None:
    """Units that a link names, in every row of three networks."""
    rng = np.random.default_rng(0)
    for name in ("small", "unet", "gated"):
        made = report(name)
        page = show(made.file)
        for title in page.at("#rail .line:not(.head)").evaluate_all("(all) => all.map((l) => l.title)"):
            layer = title.split("\n")[0]
            unit = [int(rng.integers(n)) for n in made.analysis[layer].units]
            page.run("([layer, unit]) => { location.hash = new URLSearchParams({layer, unit: unit.join(',')}); }", [layer, unit])
            named = made.analysis.ops[made.analysis.find(layer)]
            page.page.wait_for_function("(layer) => document.querySelector('#stage h2').textContent === layer", arg=named)
            page.settle()
            if unit:
                assert page.unit() == tuple(unit)
            same_numbers(page, made.analysis)


# ---- findings, growth, paths, comparison ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small", "grid", "wavenet", "swin", "gated", "branches"])
def test_findings_are_those_of_python(show: Show, name: str) -> None:
    made = report(name)
    page = show(made.file)
    found = made.analysis.findings()
    assert page.texts("#findings li b") == [finding.rule for finding in found]
    said = page.texts("#findings li")
    for text, finding in zip(said, found, strict=True):
        assert finding.message in text
        assert finding.severity in page.at("#findings li").nth(found.index(finding)).get_attribute("class")
    for button in page.at("#findings button.quiet:has-text('show')").all():
        button.click()
        page.settle()
        assert button.get_attribute("aria-label") == f"Show {page.layer()}" or made.analysis.find(button.get_attribute("aria-label")[5:])


def test_growth_selects(show: Show) -> None:
    page = show(report("small").file)
    points = page.at("#growth circle.of-a")
    titles = points.evaluate_all("(all) => all.map((c) => c.querySelector('title').textContent)")
    for index in (0, 5, len(titles) - 3):
        points.nth(index).click(force=True)
        page.settle()
        assert titles[index].startswith(f"{page.layer()}: ")
        assert page.at("#growth circle.chosen").count() == 1
    sizes = {title.rsplit(": ", 1)[0]: title.rsplit(": ", 1)[1] for title in titles}
    for layer, size in sizes.items():
        expected = max(analysis("small")[layer].size)
        assert size == ("∞ px" if expected == math.inf else f"{expected} px")


@pytest.mark.parametrize("layer", ["conv1", "layer1.0.add", "layer3.0.add"])
def test_paths_are_those_of_python(show: Show, layer: str) -> None:
    page = show(report("small").file)
    page.choose(layer)
    found = analysis("small")[layer].paths(0)
    paths, sizes = re.findall(r"([\d,]+) (?:path|size)s?", page.at("#paths .remark").text_content())
    assert (whole(paths), whole(sizes)) == (found.total, len(found.sizes))
    label = page.at("#paths svg").get_attribute("aria-label")
    said = re.search(r"of sizes (\d+) to (\d+) pixels, mean ([\d.]+)", label)
    assert said and (int(said[1]), int(said[2])) == (found.sizes[0], found.sizes[-1])
    assert float(said[3]) == pytest.approx(found.mean, rel=5e-3)
    assert page.at("#paths rect.count").count() == len(found.sizes)


def test_no_plane_no_paths(show: Show) -> None:
    page = show(report("swin").file)
    assert "no" in page.at("#paths .empty").text_content().lower()


def test_compare_swaps(show: Show) -> None:
    """A and B change places; the panels follow; B can be nobody."""
    made = report("small", compare="grid")
    page = show(made.file)
    a, b = page.at("#header select").nth(0), page.at("#header select").nth(1)
    heads = page.texts("#compare thead th")
    assert [a.input_value(), b.input_value()] == ["0", "1"]
    assert len(heads) == 2
    assert page.at("#growth circle.of-b").count() > 0
    a.select_option("1")
    page.settle()
    assert [a.input_value(), b.input_value()] == ["1", "0"]
    assert page.texts("#compare thead th") == heads[::-1]
    same_numbers(page, analysis("grid"))
    b.select_option("-1")
    page.settle()
    assert page.texts("#compare thead th") == heads[1:]
    assert page.at("#growth circle.of-b").count() == 0
    page.at("#growth circle.of-a").first.click(force=True)
    page.settle()
    same_numbers(page, analysis("grid"))


def test_a_click_on_the_other_curve_shows_it(show: Show) -> None:
    page = show(report("small", compare="grid").file)
    page.at("#growth circle.of-b").last.click(force=True)
    page.settle()
    assert page.at("#header select").first.input_value() == "1"
    same_numbers(page, analysis("grid"))


def test_table_of_the_comparison(show: Show) -> None:
    from isopter.design.compare import facts

    page = show(report("small", compare="grid").file)
    rows: Any = page.at("#compare tbody tr").evaluate_all("(all) => all.map((row) => [...row.children].map((cell) => cell.textContent))")
    one, other = ([[fact.label, fact.text] for fact in facts(analysis(name), None)] for name in ("small", "grid"))
    assert rows == [[*left, right[1]] for left, right in zip(one, other, strict=True)]
