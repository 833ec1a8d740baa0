"""The interactive report: its size, and how long the page takes for what a reader does: ``python benchmarks/report.py``.

Measured in Chromium, without a window, by the page's own clock. A redraw is counted from the event to the end of the page's work for
it, with the pixels of both canvases read back, so that drawing that the browser put off is in it; the wait for the next frame is not.
Needs Playwright and Chromium (see tests/browser/conftest.py); it prints, and writes nothing.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

LISTEN = """(() => {
    const frame = window.requestAnimationFrame.bind(window);
    window.work = { last: 0 };
    window.requestAnimationFrame = (call) => frame((now) => {
        const from = performance.now();
        call(now);
        window.work.last = performance.now() - from;
    });
    new MutationObserver((_, observer) => {
        if (!document.documentElement?.dataset.ready) return;
        observer.disconnect();
        frame(() => setTimeout(() => { window.work.ready = performance.now(); }));
    }).observe(document, { attributes: true, subtree: true });
})();"""
"""Before the page's script: notes what its frames cost, and when it has drawn itself."""

HELP = """
    const map = document.querySelector("#stage canvas.map");
    const canvases = [map, document.querySelector("#stage canvas.input")];
    const next = () => new Promise((done) => requestAnimationFrame(done));
    const idle = () => new Promise((done) => setTimeout(done));
    const point = (x, y) => {
        const box = map.getBoundingClientRect();
        const place = { clientX: box.left + x * box.width, clientY: box.top + y * box.height };
        map.dispatchEvent(new PointerEvent("pointermove", { buttons: 1, bubbles: true, ...place }));
    };
    const pixels = () => canvases.forEach((canvas) => canvas.getContext("2d").getImageData(0, 0, 1, 1));
    let seed = 7;
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
"""

CLICKS = f"""async (count) => {{
    {HELP}
    const drawn = async (x, y) => {{
        const from = performance.now();
        point(x, y);
        const handled = performance.now() - from;
        await next();
        const work = window.work.last;
        const read = performance.now();
        pixels();
        return [handled + work, handled + work + performance.now() - read];
    }};
    for (let k = 0; k < 12; k++) await drawn(random(), random());
    const found = [];
    for (let k = 0; k < count; k++) found.push(await drawn(random(), random()));
    return found;
}}"""
"""Random units of the layer shown: [ms of the page's work, the same with the pixels of both canvases read back] of each."""

DRAG = f"""async (count) => {{
    {HELP}
    const unit = () => document.querySelector("#stage .remark").textContent;
    const from = performance.now();
    const seen = new Set();
    for (let k = 0; k < count; k++) {{
        point((k % 60) / 60 + 0.004, ((k * 7) % 53) / 53 + 0.004);
        await next();
        seen.add(unit());
    }}
    return [count / (performance.now() - from) * 1000, seen.size];
}}"""
"""A hand that moves over the map once a frame: units a second, and how many different ones the page showed."""

IDLE = """async (count) => {
    const from = performance.now();
    for (let k = 0; k < count; k++) await new Promise((done) => requestAnimationFrame(done));
    return count / (performance.now() - from) * 1000;
}"""
"""Frames a second where nothing is drawn: what this browser gives on this machine, now."""

REDRAW = f"""async () => {{
    {HELP}
    const times = [];
    for (let k = 0; k < 15; k++) {{
        await idle();
        const from = performance.now();
        dispatchEvent(new Event("beforeprint"));
        pixels();
        times.push(performance.now() - from);
    }}
    return times;
}}"""
"""All that a change of light and dark draws anew: ms of each."""


def clicks(page: Any, count: int = 50) -> dict[str, float]:
    """Median and 95 % of the milliseconds from a click to the region, over `count` random units of the layer shown."""
    found = page.evaluate(CLICKS, count)
    work, drawn = ([row[k] for row in found] for k in (0, 1))
    return {"work": median(work), "drawn": median(drawn), "worst of 20": sorted(drawn)[int(0.95 * len(drawn))]}


def drag(page: Any, count: int = 300) -> tuple[float, int]:
    """Units a second of `count` moves over the feature map, one a frame, and how many different units were shown."""
    rate, seen = page.evaluate(DRAG, count)
    return rate, seen


def redraw(page: Any) -> float:
    """Median milliseconds of a full redraw."""
    return median(page.evaluate(REDRAW)[3:])


def paint(page: Any) -> tuple[float, float]:
    """Milliseconds from opening the file to the first text, and to the whole report drawn."""
    first = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
    page.wait_for_function("() => window.work.ready && performance.getEntriesByName('first-contentful-paint').length")
    return page.evaluate(first), page.evaluate("() => window.work.ready")


def measured(context: Any, file: Path, layers: list[str]) -> dict[str, Any]:
    """Everything about one report."""
    context.add_init_script(LISTEN)
    page = context.new_page()
    page.goto(file.as_uri())
    found: dict[str, Any] = {"kB": file.stat().st_size / 1000}
    found["first text"], found["drawn"] = paint(page)
    for layer in layers:
        page.evaluate("(layer) => { location.hash = new URLSearchParams({layer}); }", layer)
        page.wait_for_function("(layer) => document.querySelector('#stage h2').textContent === layer", arg=layer)
        found[layer] = clicks(page)
        found[layer]["dragged a second"], found[layer]["units seen"] = drag(page)
    found["redraw"] = redraw(page)
    found["idle frames a second"] = page.evaluate(IDLE, 120)
    return found


def reports(folder: Path) -> list[tuple[str, Path, list[str]]]:
    """Name, file, layers to click on: ResNet-18; ResNet-50 with measured fields of 20 layers; ResNet-152 at 512 beside ResNet-101."""
    import torch
    from examples import models
    from skimage import data

    import isopter

    torch.manual_seed(0)
    photo = data.astronaut()
    small = isopter.analyze(models.resnet18(), (1, 3, 224, 224))
    net = models.resnet50().eval()
    middle = isopter.analyze(net, (1, 3, 224, 224))
    names = ["conv1", "maxpool", "layer4.*.conv2", *[f"layer{k}.*.conv3" for k in (1, 2, 3, 4)]]
    fields = dict(list(isopter.effective(net, names, (1, 3, 224, 224), samples=2).items())[-20:])
    large, beside = (isopter.analyze(make(), (1, 3, 512, 512)) for make in (models.resnet152, models.resnet101))
    return [
        ("ResNet-18 at 224", small.save_html(folder / "a.html", image=photo), ["layer2.1.add", "layer4.1.add"]),
        ("ResNet-50 at 224, 20 expected fields", middle.save_html(folder / "b.html", image=photo), ["layer3.5.add"]),
        ("ResNet-50 at 224, 20 measured fields", middle.save_html(folder / "c.html", image=photo, effective=fields), ["layer3.5.add"]),
        ("ResNet-152 at 512, beside ResNet-101", large.save_html(folder / "d.html", image=photo, compare=beside), LARGE),
    ]


LARGE = ["layer3.35.add", "layer4.2.add"]


def main() -> None:
    """Print a paragraph for each report."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]
    from driver import ARGUMENTS
    from playwright.sync_api import sync_playwright

    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for name, file, layers in reports(Path(folder)):
            context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
            found = measured(context, file, layers)
            print(f"{name}: {found['kB']:.0f} kB; first text {found['first text']:.0f} ms, drawn {found['drawn']:.0f} ms; "
                  f"full redraw {found['redraw']:.1f} ms; idle frames a second {found['idle frames a second']:.0f}")  # fmt: skip
            for layer in layers:
                print(f"  {layer}: " + ", ".join(f"{what} {value:.1f}" for what, value in found[layer].items()), flush=True)
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
