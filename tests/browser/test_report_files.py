"""What goes in and out of the page: annotations and pictures dropped on it, files it saves, links to what is looked at."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from driver import Opened
from PIL import Image
from reports import analysis, report
from strip import share, whole

import isopter as ip

Show = Callable[..., Opened]

BOXES = [(10, 12), (7, 30), (30, 7), (27, 27), (28, 3), (60, 90), (51.2, 20), (200, 10), (1, 1), (16, 16)]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Boxes of known sizes, a crowd, and one without area."""
    annotations = [{"id": k, "bbox": [0, 0, w, h]} for k, (w, h) in enumerate(BOXES)]
    annotations += [{"id": 90, "bbox": [0, 0, 500, 500], "iscrowd": 1}, {"id": 91, "bbox": [3, 3, 0, 5]}]
    file = tmp_path / "objects.json"
    file.write_text(json.dumps({"annotations": annotations}), encoding="utf-8")
    return file


def covered(page: Opened, layer: str) -> None:
    """The page says which share of the boxes fits into the layer's field: their larger sides are at most its size."""
    page.choose(layer)
    size = min(analysis("small")[layer].size)
    fits = sum(max(box) <= size for box in BOXES) / len(BOXES)
    said = page.at("#coverage text.theoretical").text_content()
    assert said.startswith(f"field {size} covers ") and share(said.split("covers")[1]) == pytest.approx(fits, abs=6e-4)
    assert f"{len(BOXES)} objects" in page.at("#coverage .remark").text_content()


def test_annotations_given_in_python(show: Show, coco: Path, tmp_path: Path) -> None:
    page = show(analysis("small").save_html(tmp_path / "objects.html", objects=ip.objects.from_coco(coco)))
    for layer in ("conv1", "layer1.0.conv2", "layer3.0.add"):
        covered(page, layer)


def test_annotations_chosen_in_the_page(show: Show, coco: Path) -> None:
    page = show(report("small").file)
    assert "Give annotations" in page.at("#coverage").text_content()
    page.at("#coverage input[type=file]").set_input_files(coco)
    page.page.wait_for_selector("#coverage svg")
    for layer in ("conv1", "layer1.0.conv2", "layer3.0.add"):
        covered(page, layer)


def test_annotations_dropped_on_the_page(show: Show, coco: Path) -> None:
    page = show(report("small").file)
    drop(page, "#coverage", "objects.json", "application/json", coco.read_bytes())
    page.page.wait_for_selector("#coverage svg")
    covered(page, "layer1.0.conv2")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"annotations": []}', '{"annotations": [{"bbox": [1, 2, "3", null]}, null, 7]}'])
def test_files_that_are_no_annotations(show: Show, text: str) -> None:
    page = show(report("small").file)
    drop(page, "#coverage", "a.json", "application/json", text.encode())
    page.page.wait_for_function("() => document.querySelector('#coverage').textContent.includes('holds no COCO annotations')")


def drop(page: Opened, selector: str, name: str, kind: str, content: bytes) -> None:
    """Drop a file on an element."""
    given = [name, kind, base64.b64encode(content).decode()]
    script = """([name, type, text]) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name, {type}));
        return data;
    }"""
    data = page.page.evaluate_handle(script, given)
    page.page.dispatch_event(selector, "dragover", {"dataTransfer": data})
    page.page.dispatch_event(selector, "drop", {"dataTransfer": data})


def test_a_picture_dropped_on_the_input(show: Show) -> None:
    """It is drawn under the field; nothing is asked for on the way (the fixture sees every request)."""
    page = show(report("small").file)
    page.choose("layer1.0.conv2")
    before = page.picture()
    picture = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 200, 3), np.uint8)).save(picture, "PNG")
    old = page.at("#stage canvas.input").evaluate("(canvas) => canvas.toDataURL()")
    drop(page, "#stage .inputs", "mine.png", "image/png", picture.getvalue())
    page.page.wait_for_function("(old) => document.querySelector('#stage canvas.input').toDataURL() !== old", arg=old)
    page.choose("conv1")
    page.choose("layer1.0.conv2")
    assert page.picture() != before


COUNTED = """(selector) => {
    window.told = 0;
    new MutationObserver(() => (window.told += 1)).observe(document.querySelector(selector), {childList: true, characterData: true});
}"""
"""Counts how often something is said, the same words again included."""


def test_a_file_that_is_no_picture(show: Show) -> None:
    page = show(report("small").file)
    before = page.picture()
    page.run(COUNTED, "#stage .drop span")
    for times in (1, 2):
        drop(page, "#stage .inputs", "mine.png", "image/png", b"no picture")
        page.page.wait_for_function("(times) => window.told >= times", arg=times)
    assert page.at("#stage .drop").text_content().count("no picture") == 1
    assert page.picture() == before


# ---- saving ----------------------------------------------------------------------------------------------------------------


def saved(page: Opened, panel: str, kind: str) -> bytes:
    """What a panel's button saves."""
    with page.page.expect_download() as download:
        page.at(f"{panel} .exports button").filter(has_text=kind).click()
    assert download.value.suggested_filename.endswith(f".{kind.lower()}")
    return Path(download.value.path()).read_bytes()


def table(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))


def test_saved_picture(show: Show) -> None:
    page = show(report("small", image=True).file)
    page.choose("layer1.0.conv2")
    picture = Image.open(io.BytesIO(saved(page, "#stage", "PNG")))
    picture.load()
    box = page.at("#stage canvas.input").bounding_box()
    assert abs(picture.width - box["width"]) <= 2
    assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 100


def test_saved_pixels(show: Show) -> None:
    """The set as runs: put together it is `Field.support`."""
    for name, layer in (("grid", "conv6"), ("small", "layer2.0.add"), ("volume", "blocks.0.add"), ("ahead", "conv2")):
        made = report(name)
        page = show(made.file)
        page.choose(layer)
        head, *runs = table(saved(page, "#stage", "CSV"))
        field = made.analysis[layer]
        assert len(head) == len(field.input_shape) + 1
        found = np.zeros(field.input_shape, bool)
        for *lead, start, stop in (map(int, run) for run in runs):
            found[(*lead, slice(start, stop))] = True
        support = field.support(page.unit())
        expected = np.zeros_like(found)
        expected[tuple(slice(o, o + n) for o, n in zip(support.origin, support.mask.shape, strict=True))] = support.mask
        assert np.array_equal(found, expected)


def test_saved_layers(show: Show) -> None:
    made = report("small")
    head, *rows = table(saved(show(made.file), "#rail", "CSV"))
    assert head[:6] == ["layer", "kind", "output", "size", "stride", "start"]
    for layer, kind, output, size, *_ in rows:
        field = made.analysis[layer]
        assert output == "x".join(map(str, field.shape))
        assert size == "x".join(map(str, field.size))
        assert kind == made.analysis.graph.ops[made.analysis.find(layer)].kind


def test_saved_paths_growth_findings_and_comparison(show: Show) -> None:
    made = report("small", compare="grid")
    page = show(made.file)
    page.choose("layer2.0.add")
    _, *counts = table(saved(page, "#paths", "CSV"))
    found = made.analysis["layer2.0.add"].paths(0)
    assert counts == [[str(size), str(count)] for size, count in zip(found.sizes, found.counts, strict=True)]
    _, *points = table(saved(page, "#growth", "CSV"))
    assert {row[0] for row in points} == set(page.texts("#header select >> nth=0 >> option"))
    for model, layer, _, size, _ in points:
        expected = max(analysis("small" if model == made.analysis.name else "grid")[layer].size)
        assert size in (str(expected), "∞" if expected == float("inf") else "", "Infinity" if expected == float("inf") else "")
    _, *found_rows = table(saved(page, "#findings", "CSV"))
    assert [row[0] for row in found_rows] == [finding.rule for finding in made.analysis.findings()]
    assert [row[3].removeprefix("'") for row in found_rows] == [finding.message for finding in made.analysis.findings()]
    head, *compared = table(saved(page, "#compare", "CSV"))
    assert len(head) == 3 and len(compared) == page.at("#compare tbody tr").count()


@pytest.mark.parametrize("panel", ["#growth", "#paths"])
def test_saved_charts(show: Show, panel: str) -> None:
    """SVG that any program reads, with its colours in it."""
    page = show(report("wavenet").file, scheme="dark")
    root = ElementTree.fromstring(saved(page, panel, "SVG"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    marks = [node for node in root.iter() if node.tag.endswith(("}circle", "}rect", "}path"))]
    assert len(marks) > 5 and all("rgb" in node.get("style", "") for node in marks)
    assert "var(" not in ElementTree.tostring(root, encoding="unicode")


def test_every_save_button_saves(show: Show, coco: Path, tmp_path: Path) -> None:
    file = analysis("small").save_html(tmp_path / "all.html", objects=ip.objects.from_coco(coco))
    panels = show(file).run("() => [...document.querySelectorAll('.panel:has(.exports button)')].map((panel) => panel.id)")
    assert len(panels) >= 6
    for panel in panels:
        page = show(file)  # anew for each: Chromium holds back an eleventh file of one page
        page.choose("layer2.0.add")
        for kind in page.texts(f"#{panel} .exports button"):
            assert len(saved(page, f"#{panel}", kind)) > 20, (panel, kind)


# ---- links -----------------------------------------------------------------------------------------------------------------


def test_a_link_brings_everything_back(show: Show) -> None:
    made = report("small", compare="grid", image=True)
    page = show(made.file)
    page.choose("layer1.0.conv2")
    page.at("#stage canvas.map").focus()
    page.press("ArrowUp", "ArrowLeft", "ArrowLeft")
    page.at("#stage .options label").filter(has_text="boxes").locator("input").click()
    page.slide("#stage .options input[type=range]", 0.05)
    box = page.at("#stage canvas.input").bounding_box()
    page.page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    page.settle()
    again = show(made.file, hash=page.link())
    before, after = ((p.layer(), p.unit(), p.numbers(), p.at("#stage .note").text_content()) for p in (page, again))
    assert after == before
    for canvas in ("#stage canvas.input", "#stage canvas.map"):
        assert again.picture(canvas) == page.picture(canvas)
    page.at("#header select").first.select_option("1")
    page.settle()
    swapped = show(made.file, hash=page.link())
    assert swapped.at("#header select").first.input_value() == "1"
    assert swapped.layer() == page.layer()


@pytest.mark.parametrize("hash", [
    "#a=7&b=-3&layer=none&unit=9,9,9&pixel=4000,1&show=&floor=7", "#%%%", "#unit=999999,999999", "#unit=&pixel=-1,2",
    "#layer=__proto__&a=__proto__", "#a=1e9", "#unit=1", "#a=0&b=0",
])  # fmt: skip
def test_links_that_make_no_sense(show: Show, hash: str) -> None:
    """What does not fit is left out; the page stands."""
    page = show(report("small").file, hash=hash)
    assert whole(page.numbers()["pixels read"]) > 0
    assert re.fullmatch(r"[\w.]+", page.layer())
    page.press("ArrowUp")
    assert page.at("#failure").is_hidden()
