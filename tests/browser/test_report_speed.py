"""How much the page does for what a reader does.

Times depend on the machine and on what else it does, so work is counted instead: how often any piece of the page's script is run. The
counts differ by less than a hundredth from run to run; the limits are some four times what they are. Times: benchmarks/report.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from driver import PATIENCE, Opened, listening, ready
from examples import models
from reports import photograph, report

import isopter as ip

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from report import measured

Counted = tuple[Opened, Callable[[], int]]


@contextmanager
def counted(browser: Any, file: Path) -> Iterator[Counted]:
    """An open report, and what says how many pieces of its script were run since it was asked last, opening included."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page, faults = listening(context)
    profiler = context.new_cdp_session(page)
    profiler.send("Profiler.enable")
    profiler.send("Profiler.startPreciseCoverage", {"callCount": True, "detailed": True})
    found = Opened(page, page.main_frame, faults)

    def work() -> int:
        found.settle()
        scripts = [s for s in profiler.send("Profiler.takePreciseCoverage")["result"] if s["url"].startswith("file:")]
        return sum(piece["count"] for script in scripts for function in script["functions"] for piece in function["ranges"])

    page.goto(file.resolve().as_uri())
    ready(found)
    yield found, work
    context.close()
    assert not faults, faults


def acts(page: Opened, work: Callable[[], int], layer: str) -> dict[str, int]:
    """The work for each thing that a reader does."""
    found = {"open": work()}
    page.run("(layer) => { location.hash = new URLSearchParams({layer}); }", layer)
    page.page.wait_for_function("(layer) => document.querySelector('#stage h2').textContent === layer", arg=layer)
    found["layer"] = work()
    page.at("#stage canvas.map").focus()
    work()
    page.press("ArrowUp")
    found["unit"] = work()
    page.run("() => dispatchEvent(new Event('beforeprint'))")
    found["colours"] = work()
    box = page.at("#stage canvas.input").bounding_box()
    page.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    found["pixel"] = work()
    return found


def within(found: dict[str, int], limits: dict[str, int]) -> None:
    """Every count is one, and not over its limit."""
    print("\n", found)
    assert {act: count for act, count in found.items() if not 0 < count <= limits[act]} == {}


def test_resnet18(browser: Any) -> None:
    with counted(browser, report("resnet18", image=True).file) as (page, work):
        found = acts(page, work, "layer2.1.add")
    within(found, {"open": 3_000_000, "layer": 400_000, "unit": 230_000, "colours": 140_000, "pixel": 300_000})


def test_resnet152(browser: Any, tmp_path: Path) -> None:
    """The largest network of the examples, beside its smaller sister: under a megabyte."""
    large, beside = (ip.analyze(make(), (1, 3, 512, 512)) for make in (models.resnet152, models.resnet101))
    file = large.save_html(tmp_path / "large.html", compare=beside, image=photograph((512, 512)))
    assert file.stat().st_size < 1_000_000
    with counted(browser, file) as (page, work):
        found = acts(page, work, "layer3.35.add")
    within(found, {"open": 14_000_000, "layer": 6_500_000, "unit": 3_600_000, "colours": 2_400_000, "pixel": 8_000_000})


def test_a_hand_that_is_faster_than_the_screen(browser: Any) -> None:
    """However many units a hand passes between two frames, one of them is drawn."""
    pass_over = """(count) => {
        const map = document.querySelector("#stage canvas.map"), box = map.getBoundingClientRect();
        for (let k = count; k >= 1; k--) {
            const place = { clientX: box.left + (k / (count + 1)) * box.width, clientY: box.top + box.height / 3 };
            map.dispatchEvent(new PointerEvent("pointermove", { buttons: 1, bubbles: true, ...place }));
        }
    }"""
    with counted(browser, report("resnet18", image=True).file) as (page, work):
        page.choose("layer1.0.add")
        page.run(pass_over, 1)
        work()
        page.run(pass_over, 3)
        few = work()
        page.run(pass_over, 40)
        assert work() < 2 * few


def test_the_benchmark_measures(browser: Any) -> None:
    """That each time is one, and that a unit was shown in the frame that it was asked in; not how long anything took."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(1000 * PATIENCE)
    found = measured(context, report("resnet18", image=True).file, ["layer2.1.add"])
    context.close()
    print("\n", {name: value if isinstance(value, dict) else round(value, 1) for name, value in found.items()})
    assert found["layer2.1.add"]["units seen"] > 100
    assert all(value > 0 for value in (found["drawn"], found["redraw"], found["layer2.1.add"]["drawn"]))


def test_sizes() -> None:
    """A typical report, with the expected fields of 20 layers, is under 350 kB without a picture."""
    made = ip.analyze(models.resnet50(), (1, 3, 224, 224))
    from isopter.report.page.document import document

    page = document([made], effective=[None], verified=[None])
    assert len(page.encode()) < 350_000
    assert len(document([made], effective=[False], verified=[None])) < len(page)
