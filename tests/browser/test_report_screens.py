"""Pictures of the report's main states, kept in out/screens for people to look at; and no state is wider than its window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from driver import Opened
from reports import report

Show = Callable[..., Opened]


def _at_border(page: Opened) -> None:
    page.choose("layer3.1.conv2")
    page.at("#stage canvas.map").focus()
    page.press(*["Shift+ArrowLeft"] * 3, *["ArrowUp"] * 5)


def _asked(page: Opened) -> None:
    page.choose("layer2.1.conv1")
    box = page.at("#stage canvas.input").bounding_box()
    page.page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.6)
    page.settle()


def _what_if(page: Opened) -> None:
    page.choose("layer2.0.conv1")
    page.slide("#what-if input[aria-label=kernel]", 7)
    page.slide("#what-if input[aria-label=dilation]", 2)


def _nothing(page: Opened) -> None:
    page.settle()


STATES: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[Opened], None]]] = {
    "light": ({"name": "resnet18", "image": True}, {}, _at_border),
    "dark": ({"name": "resnet18", "image": True}, {"scheme": "dark"}, _at_border),
    "pixel": ({"name": "resnet18", "image": True}, {}, _asked),
    "pixel-dark": ({"name": "resnet18", "image": True}, {"scheme": "dark"}, _asked),
    "narrow-400": ({"name": "resnet18", "image": True}, {"width": 400, "height": 800}, _nothing),
    "narrow-760": ({"name": "resnet18", "image": True}, {"width": 760}, _nothing),
    "wide": ({"name": "resnet18", "image": True}, {"width": 1920, "height": 1100}, _nothing),
    "compare": ({"name": "resnet18", "compare": "resnet34", "image": True}, {}, _nothing),
    "compare-dark": ({"name": "resnet18", "compare": "resnet34", "image": True}, {"scheme": "dark"}, _nothing),
    "what-if": ({"name": "resnet18", "image": True}, {}, _what_if),
    "holes": ({"name": "grid", "image": True}, {}, _nothing),
    "1-d": ({"name": "wavenet"}, {}, _nothing),
    "1-d-ahead": ({"name": "ahead"}, {"scheme": "dark"}, _nothing),
    "3-d": ({"name": "volume"}, {}, _nothing),
    "attention": ({"name": "swin"}, {}, _nothing),
    "unet": ({"name": "unet", "image": True}, {}, _nothing),
    "classifier": ({"name": "vgg", "image": True}, {}, lambda page: page.choose("classifier.0")),
    "two-inputs": ({"name": "two"}, {}, _nothing),
    "one-op": ({"name": "one"}, {}, _nothing),
}


@pytest.mark.parametrize("name", sorted(STATES))
def test_screen(show: Show, screens: Path, name: str) -> None:
    made, window, reach = STATES[name]
    page = show(report(**made).file, **window)
    reach(page)
    file = screens / f"{name}.png"
    page.page.screenshot(path=file, full_page=True)
    assert page.overflow() <= 0
    assert file.stat().st_size > 20_000
