"""A report that is open in a browser: what a reader does with it, and what it then shows."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from typing import Any

ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--force-color-profile=srgb",
]
"""Of Chromium: nothing that it does by itself may use the network."""

HARMLESS = ("file:", "data:", "blob:", "about:")
"""What a report may read: itself."""

PATIENCE = 60.0
"""Seconds that a test waits for what must happen: a busy machine may be slow, and nobody waits where all is well."""

FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


class Opened:
    """A page, or a frame in it, that shows a report. `faults` is what went wrong: requests, errors, messages of the console."""

    def __init__(self, page: Any, frame: Any, faults: list[str]) -> None:
        self.page, self.frame, self.faults = page, frame, faults

    # ---- what a reader does --------------------------------------------------------------------------------------------

    def run(self, script: str, argument: Any = None) -> Any:
        """The value of a function in the page."""
        return self.frame.evaluate(script, argument)

    def at(self, selector: str) -> Any:
        """Elements by CSS."""
        return self.frame.locator(selector)

    def settle(self) -> None:
        """Wait until what was asked is drawn: the page draws once a frame."""
        self.run(FRAMES)

    def until(self, check: Callable[[], bool], said: Callable[[], object] = lambda: "") -> None:
        """Wait for what comes when the browser gets round to it; `said` tells what is there instead."""
        last = time.monotonic() + PATIENCE
        while not check():
            assert time.monotonic() < last, said()
            self.page.wait_for_timeout(20)
            self.settle()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.settle()

    def choose(self, layer: str) -> None:
        """Look at a layer by its name, through the search."""
        self.at("#rail input").fill(layer.splitlines()[0] if layer else "")
        self.at(f"#rail .line[title^={quoted(layer + chr(10))}]").first.click()
        self.at("#rail input").fill("")
        self.settle()

    def drag(self, selector: str, start: tuple[float, float], end: tuple[float, float], steps: int = 4) -> None:
        """Press at `start`, move to `end`, let go; both are shares (0…1) of the element's width and height."""
        box = self.at(selector).bounding_box()
        place = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.page.mouse.move(*place[0])
        self.page.mouse.down()
        self.page.mouse.move(*place[1], steps=steps)
        self.page.mouse.up()
        self.settle()

    def drag_to(self, unit: tuple[int, int], units: tuple[int, int]) -> None:
        """Drag over the feature map from its first cell to the cell of `unit`."""
        (row, column), (rows, columns) = unit, units
        self.drag("#stage canvas.map", (0.5 / columns, 0.5 / rows), ((column + 0.5) / columns, (row + 0.5) / rows))

    def slide(self, selector: str, value: float) -> None:
        """Move a slider, as a reader's hand would: value, then the input event."""
        move = "(node, value) => { node.value = value; node.dispatchEvent(new Event('input', {bubbles: true})); }"
        self.at(selector).first.evaluate(move, value)
        self.settle()

    # ---- what it shows -------------------------------------------------------------------------------------------------

    def numbers(self) -> dict[str, str]:
        """The strip of numbers."""
        pairs = "(all) => Object.fromEntries(all.map((row) => [row.querySelector('dt').textContent, row.querySelector('dd').textContent]))"
        return self.at("#numbers div").evaluate_all(pairs)

    def layer(self) -> str:
        """The layer that is looked at."""
        return self.at("#stage h2").text_content()

    def unit(self) -> tuple[int, ...]:
        """The unit that is looked at."""
        said = self.at("#stage .remark").text_content()
        if "its only unit" in said:
            return ()
        found = re.search(r"unit \(([^)]*)\)", said)
        assert found, said
        return tuple(int(i) for i in found[1].split(",") if i.strip())

    def picture(self, selector: str = "#stage canvas.input") -> str:
        """A digest of what a canvas shows."""
        return hashlib.sha256(self.at(selector).first.evaluate("(canvas) => canvas.toDataURL()").encode()).hexdigest()

    def link(self) -> str:
        """The link to what is looked at, which is written when the reader pauses: timers of one page ring in their order, however late."""
        self.settle()
        return self.run("() => new Promise((done) => setTimeout(() => done(location.hash), 250))")

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return self.run("() => document.scrollingElement.scrollWidth - innerWidth")

    def texts(self, selector: str) -> list[str]:
        return self.at(selector).all_text_contents()


def quoted(text: str) -> str:
    """A text as a CSS string."""
    return '"' + "".join(f"\\{ord(c):x} " if not c.isalnum() else c for c in text) + '"'


def opened(context: Any, url: str) -> Opened:
    """Open a report and wait until it has drawn itself."""
    page, faults = listening(context)
    page.goto(url)
    found = Opened(page, page.main_frame, faults)
    ready(found)
    return found


def ready(report: Opened) -> None:
    """Wait for the page to say so."""
    report.frame.wait_for_selector("html[data-ready]", state="attached", timeout=1000 * PATIENCE)
    report.settle()


def listening(context: Any) -> tuple[Any, list[str]]:
    """A new page, and the list that its faults will be in."""
    page, faults = context.new_page(), []
    page.set_default_timeout(1000 * PATIENCE)

    def request(asked: Any) -> None:
        if not asked.url.startswith(HARMLESS):
            faults.append(f"asked for {asked.url[:200]}")

    page.on("request", request)
    page.on("websocket", lambda socket: faults.append(f"opened a socket to {socket.url}"))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("console", lambda said: said.type in ("error", "warning") and faults.append(f"console: {said.text}"))
    return page, faults
