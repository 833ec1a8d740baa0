"""A slow browser: frames, pictures and files come late, and the reader does not wait for them.

What comes late here is held back until the test lets it go; what a reader does "before the next frame" is done in one task of the page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driver import Opened, listening, opened, ready
from PIL import Image
from reports import analysis, report
from test_report_files import drop, table
from test_report_what_if import copied

Show = Callable[..., Opened]

HOLD = """
window.held = [];
const {get, set} = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
const read = (image) => new Promise((done) => ["load", "error"].forEach((end) => image.addEventListener(end, () => setTimeout(done))));
Object.defineProperty(HTMLImageElement.prototype, "src", {get, set(url) { held.push(() => (set.call(this, url), read(this))); }});
const text = Blob.prototype.text;
Blob.prototype.text = function () {
  return new Promise((done) => held.push(() => (done(text.call(this)), text.call(this))));
};
"""
"""Pictures and files are not read before `held[k]()` is called, k = 0 for the first of them; it ends when the page has heard of it."""


@pytest.fixture
def held(browser: Any) -> Any:
    """A browser's window in which pictures and files are held back."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    context.add_init_script(HOLD)
    yield context
    context.close()


def let_go(page: Opened, index: int) -> None:
    page.page.wait_for_function("(index) => held.length > index", arg=index)
    page.run("(index) => held[index]()", index)


def png(shade: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 20, 3), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_ready_is_with_the_picture(held: Any) -> None:
    """The report is there before its picture, and says that it is ready when both are."""
    page, faults = listening(held)
    page.goto(report("small", image=True).file.resolve().as_uri())
    late = Opened(page, page.main_frame, faults)
    page.wait_for_function("() => document.querySelector('#stage h2')?.textContent")
    late.settle()
    without = late.picture()
    assert late.run("() => document.documentElement.dataset.ready") is None
    let_go(late, 0)
    ready(late)
    assert late.picture() != without
    assert not faults


def test_a_model_chosen_before_the_picture_comes(held: Any) -> None:
    """The picture finds another model than the one it was asked for, before any frame could show that one."""
    page, faults = listening(held)
    page.goto(report("grid", compare="small", image=True).file.resolve().as_uri())
    late = Opened(page, page.main_frame, faults)
    page.wait_for_function("() => document.querySelector('#stage h2')?.textContent")
    late.run(f"""async () => {{
        const frame = window.requestAnimationFrame;
        window.requestAnimationFrame = () => 1;
        {CHOOSE}
        await held[0]();
        window.requestAnimationFrame = frame;
    }}""")
    ready(late)
    assert late.layer() in analysis("small").ops and not faults


def test_of_two_pictures_the_last_is_shown(held: Any) -> None:
    """Though the first is decoded after it; and what cannot be read says nothing any more."""
    page = opened(held, report("small").file.resolve().as_uri())
    for content in (png(40), b"no picture", png(220)):
        drop(page, "#stage .inputs", "mine.png", "image/png", content)
    before = page.picture()
    let_go(page, 2)
    page.settle()
    shown = page.picture()
    assert shown != before
    for index in (0, 1):
        let_go(page, index)
    page.settle()
    assert page.picture() == shown
    assert "no picture" not in page.at("#stage .drop").text_content()
    assert not page.faults


def test_of_two_files_the_last_is_counted(held: Any) -> None:
    page = opened(held, report("small").file.resolve().as_uri())
    for boxes in (3, 2):
        text = '{"annotations": [' + ",".join(['{"bbox": [0, 0, 9, 9]}'] * boxes) + "]}"
        drop(page, "#coverage", "a.json", "application/json", text.encode())
    for index in (1, 0):
        let_go(page, index)
    page.settle()
    assert "2 objects" in page.at("#coverage .remark").text_content()
    assert not page.faults


def test_a_good_file_takes_back_what_was_said_of_a_bad_one(show: Show) -> None:
    page = show(report("small").file)
    drop(page, "#coverage", "a.json", "application/json", b"[]")
    page.until(lambda: "holds no" in page.at("#coverage").text_content())
    drop(page, "#coverage", "a.json", "application/json", b'{"annotations": [{"bbox": [0, 0, 9, 9]}]}')
    page.page.wait_for_selector("#coverage svg")
    assert "holds no" not in page.at("#coverage").text_content()


# ---- before the next frame -------------------------------------------------------------------------------------------------

CHOOSE = """
    const model = document.querySelector("#header select");
    model.value = "1";
    model.dispatchEvent(new Event("change", {bubbles: true}));
"""
"""Choose the other model."""

KEY = 'const key = (selector, key) => document.querySelector(selector).dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));'


@pytest.mark.parametrize("what", ["#rail .line:last-child", "#findings button.quiet[aria-label^=Show]"])
def test_a_click_right_after_another_model_was_chosen(show: Show, what: str) -> None:
    """What can be clicked is always of the model that is looked at."""
    page = show(report("small", compare="grid").file)
    clicked = page.run(f"""(what) => {{
        {CHOOSE}
        const node = [...document.querySelectorAll(what)].at(-1);
        node?.click();
        return node && (node.title || node.getAttribute("aria-label").slice(5)).split("\\n")[0];
    }}""", what)  # fmt: skip
    page.settle()
    assert clicked and page.layer() == analysis("grid").ops[analysis("grid").find(clicked)]
    assert page.at("#header select").first.input_value() == "1"


def test_a_slider_moved_right_after_another_layer_was_chosen(show: Show) -> None:
    """It changes the layer that it was drawn for."""
    page = show(report("small").file)
    page.choose("conv1")
    page.run("""() => {
        document.querySelector('#rail .line[title^="layer1.0.add"]').click();
        const slider = document.querySelector('#what-if input[aria-label=kernel]');
        slider.value = 5;
        slider.dispatchEvent(new Event("input", {bubbles: true}));
    }""")
    page.settle()
    assert page.layer() == "layer1.0.add"
    assert copied(page) == 'analysis.what_if({"conv1": dict(kernel=5)})'


def test_a_file_saved_right_after_another_unit_was_chosen(show: Show) -> None:
    """Name and content are of the same unit: the new one."""
    made = report("small")
    page = show(made.file)
    page.choose("layer1.0.conv2")
    with page.page.expect_download() as download:
        page.run(f"""() => {{
            {KEY}
            key("#stage canvas.map", "ArrowUp");
            [...document.querySelectorAll("#stage .exports button")].find((b) => b.textContent === "CSV").click();
        }}""")
    page.settle()
    assert download.value.suggested_filename == f"layer1.0.conv2-{'-'.join(map(str, page.unit()))}.csv"
    _, *runs = table(Path(download.value.path()).read_bytes())
    support = made.analysis["layer1.0.conv2"].support(page.unit())
    assert sum(int(stop) - int(start) for _, start, stop in runs) == support.count
    assert min(int(row) for row, _, _ in runs) == support.origin[0]


def test_a_pixel_asked_right_after_another_unit_was_chosen(show: Show) -> None:
    """Enter asks about the middle of the field of the unit that is chosen, not of the one before."""
    made = report("small")
    page = show(made.file)
    page.choose("layer1.0.conv2")
    page.run(f"""() => {{ {KEY} key("#stage canvas.map", "ArrowUp"); key("#stage canvas.input", "Enter"); }}""")
    page.settle()
    region = made.analysis["layer1.0.conv2"].region(page.unit())
    middle = tuple((lo + hi - 1) // 2 for lo, hi in region.unclipped)
    found = re.search(r"Pixel \((\d+), (\d+)\)", page.at("#stage .note").text_content())
    assert found and (int(found[1]), int(found[2])) == middle


# ---- what only looks otherwise ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["width", "dark", "print"])
def test_a_new_look_undoes_nothing(show: Show, how: str) -> None:
    """A window that is widened (or gets a scroll bar), colours that follow the system, a page that is printed: the reader's things stay."""
    page = show(report("small", image=True).file)
    page.choose("conv1")
    page.slide('#what-if input[aria-label="kernel"]', 5)
    page.at("#rail .tree").focus()
    page.press("ArrowUp")
    page.at('#rail .line.head:has-text("layer3")').click()
    page.settle()

    def things() -> Any:
        sliders = page.at("#what-if input").evaluate_all("(all) => all.map((slider) => slider.value)")
        return page.texts("#rail .line .name"), page.at("#rail input").input_value(), sliders, page.texts("#what-if tbody"), page.layer()

    for search in ("", "conv"):
        page.at("#rail input").fill(search)
        page.settle()
        before, picture, wide = things(), page.picture(), page.run(WIDTH)
        if how == "width":
            page.page.set_viewport_size({"width": 1100 if search else 1700, "height": 900})
            page.until(lambda wide=wide: page.run(WIDTH) != wide)
        elif how == "dark":
            page.page.emulate_media(color_scheme="light" if search else "dark")
            page.until(lambda picture=picture: page.picture() != picture)
        else:
            page.run("() => dispatchEvent(new Event('beforeprint'))")
        page.settle()
        assert things() == before


WIDTH = "() => document.querySelector('#stage canvas.input').width"


def test_the_canvas_follows_the_window(show: Show) -> None:
    """Sharp at its new width, and no loop of observers on the way (the fixture sees errors)."""
    page = show(report("small", image=True).file)
    for width in (1700, 1000, 1280):
        page.page.set_viewport_size({"width": width, "height": 900})
        page.until(lambda: abs(page.run(WIDTH) - page.at("#stage canvas.input").bounding_box()["width"]) <= 1)


# ---- links -----------------------------------------------------------------------------------------------------------------


def test_a_link_to_the_other_model_alone(show: Show) -> None:
    """B is nobody, as the link says, though A was B before."""
    page = show(report("small", compare="grid").file, hash="#a=1&b=-1")
    assert [page.at("#header select").nth(k).input_value() for k in (0, 1)] == ["1", "-1"]
    assert page.at("#growth circle.of-b").count() == 0


def test_a_picture_fits_the_model_that_is_shown(show: Show) -> None:
    """Whichever model was shown when it came: the other one's input has another shape."""
    file = report("small", compare="grid", image=True).file
    page = show(file)
    page.at("#header select").first.select_option("1")
    page.settle()
    assert show(file, hash=page.link()).picture() == page.picture()
