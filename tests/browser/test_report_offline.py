"""The report is one file: it asks for nothing, holds up in a sandbox, and takes whatever a model calls its layers for text."""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import pytest
from driver import Opened, listening, ready
from hostile import NAMES, hostile
from reports import MAKE, photograph, report

ROOT = Path(__file__).resolve().parents[2]

Show = Callable[..., Opened]


@pytest.mark.parametrize("name", sorted(MAKE))
def test_opens_from_disk(show: Show, name: str) -> None:
    """Every kind of network, walked from the first layer to the last, without a request and without an error."""
    page = show(report(name).file)
    assert page.at("#failure").is_hidden()
    page.at("#rail .tree").focus()
    page.press("Home")
    seen = {page.layer()}
    for _ in range(12):
        page.press("ArrowDown")
        seen.add(page.layer())
    page.press("End")
    seen.add(page.layer())
    assert len(seen) >= min(3, len(page.texts("#rail .line")))
    assert page.numbers()["size"]


def test_a_request_is_noticed(browser: Any) -> None:
    """The watch that the other tests rely on: a page that asks for something is found out."""
    context = browser.new_context(offline=True)
    page, faults = listening(context)
    page.goto("data:text/html,<img src='https://example.org/a.png'><script>throw new Error('thrown')</script>")
    Opened(page, page.main_frame, faults).until(lambda: len(faults) > 1 and any("thrown" in fault for fault in faults))
    context.close()
    assert any("example.org" in fault for fault in faults) and any("thrown" in fault for fault in faults)


@pytest.mark.parametrize("name", ["small", "wavenet", "volume", "swin"])
def test_in_a_sandboxed_frame(browser: Any, tmp_path: Path, name: str) -> None:
    """As a notebook shows it: no origin, no storage, no address of its own."""
    framed = sandboxed(browser, tmp_path, report(name, image=name == "small").file.read_text(encoding="utf-8"))
    before = framed.layer()
    framed.at("#rail .tree").focus()
    framed.press("ArrowUp")
    assert framed.layer() != before
    units, unit = framed.at("#stage canvas.map").bounding_box(), framed.unit()
    framed.page.mouse.click(units["x"] + 3, units["y"] + 3)
    framed.until(lambda: framed.unit() != unit, framed.unit)
    assert framed.numbers()["pixels read"] != "0"
    framed.page.context.close()
    assert not framed.faults


def sandboxed(browser: Any, folder: Path, html: str) -> Opened:
    """A page with the report in a frame that may run scripts and nothing else."""
    host = folder / "host.html"
    frame = f'<iframe sandbox="allow-scripts" style="width:1200px;height:900px" srcdoc="{escape(html)}"></iframe>'
    host.write_text(f"<!doctype html><title>host</title>{frame}", encoding="utf-8")
    page, faults = listening(browser.new_context(offline=True, viewport={"width": 1280, "height": 950}))
    page.goto(host.as_uri())
    found = Opened(page, page.frames[1], faults)
    ready(found)
    return found


# ---- names are text ------------------------------------------------------------------------------------------------------


def test_hostile_names_are_text(show: Show, tmp_path: Path) -> None:
    """Markup, quotes, emoji, reversed writing and 300 letters: shown as they are, in every panel, and run nowhere."""
    analysis = hostile()
    file = analysis.save_html(tmp_path / "hostile.html", title="<b>&amp;</b></title><script>window.pwned=2</script>", compare=hostile())
    page = show(file)
    rows = page.at("#rail .line")
    titles = rows.evaluate_all("(all) => all.map((row) => row.title)")
    labels = rows.evaluate_all("(all) => all.map((row) => row.getAttribute('aria-label'))")
    for name in NAMES:
        assert any(title.startswith(name + "\n") for title in titles), name
        assert any(label.startswith(name + ",") for label in labels), name
        page.choose(name)
        assert page.layer() == name
        assert page.overflow() <= 0
    assert page.run("() => document.title") == "<b>&amp;</b></title><script>window.pwned=2</script>"
    said = "\n".join(page.texts("#findings li"))
    assert [f.message for f in analysis.findings()] and all(f.message in said for f in analysis.findings())
    unharmed(page)
    saved_rows(page, tmp_path)


def test_hostile_names_in_a_sandbox(browser: Any, tmp_path: Path) -> None:
    """The same inside the attribute of a frame."""
    framed = sandboxed(browser, tmp_path, hostile().save_html(tmp_path / "hostile.html").read_text(encoding="utf-8"))
    for name in NAMES:
        framed.choose(name)
        assert framed.layer() == name
    unharmed(framed)
    framed.page.context.close()
    assert not framed.faults


def unharmed(page: Opened) -> None:
    """Nothing that a name holds became an element or ran."""
    assert page.run("() => window.pwned") is None
    assert page.at("main img, header img, main b b, main script, header script").count() == 0
    assert page.at("script").count() == 2


def saved_rows(page: Opened, folder: Path) -> None:
    """Names in the CSV of the layers are whole, and none is a formula."""
    with page.page.expect_download() as download:
        page.at("#rail .exports button").filter(has_text="CSV").click()
    download.value.save_as(folder / "layers.csv")
    with open(folder / "layers.csv", encoding="utf-8", newline="") as file:
        cells = [row[0] for row in csv.reader(file)]
    for name in NAMES:
        assert name in cells or f"'{name}" in cells, name
    assert not any(cell[0] in "=+@" for cell in cells if cell)


# ---- the same bytes ------------------------------------------------------------------------------------------------------

WRITE = """
import sys
import isopter, torch
from hostile import hostile
from examples.models import BasicBlock, ResNet
torch.manual_seed(0)
net = ResNet(BasicBlock, (1, 1), width=8, classes=3).eval()
isopter.analyze(net, (1, 3, 65, 48)).save_html(sys.argv[1], compare=hostile(), image=torch.arange(65 * 48).reshape(65, 48).numpy() % 256)
"""


def test_same_bytes_in_other_processes(tmp_path: Path) -> None:
    """Hashes of text differ from process to process; the report does not."""
    digests = set()
    for seed in ("1", "2"):
        file = tmp_path / f"{seed}.html"
        path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        subprocess.run([sys.executable, "-c", WRITE, str(file)], env=environment, check=True)
        digests.add(hashlib.sha256(file.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_same_bytes_again(tmp_path: Path) -> None:
    """Asking questions in between changes nothing."""
    made = report("small", image=True)
    before = made.file.read_bytes()
    made.analysis["layer1"].support((0, 0))
    made.analysis.findings()
    again = made.analysis.save_html(tmp_path / "again.html", image=photograph())
    assert again.read_bytes() == before
