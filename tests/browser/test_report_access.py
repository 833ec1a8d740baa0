"""The report can be read by everybody: with the keyboard alone, with a screen reader, in light and in dark, on a small screen."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from driver import Opened
from reports import report

Show = Callable[..., Opened]

CHECKS = (Path(__file__).parent / "access.js").read_text(encoding="utf-8")

STATES = [("small", "grid"), ("wavenet", None), ("volume", None), ("swin", None)]


def checked(page: Opened, name: str) -> Any:
    """What one of the checks in access.js finds."""
    return page.run(f"() => {{ {CHECKS}; return {name}(); }}")


def opened(show: Show, state: tuple[str, str | None], **window: Any) -> Opened:
    name, other = state
    page = show(report(name, compare=other, image=name == "small").file, **window)
    page.at("#rail .tree").focus()
    page.press("ArrowUp")
    return page


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(show: Show, state: tuple[str, str | None], scheme: str) -> None:
    """4.5 to 1 for every text (WCAG 2.2, 1.4.3), 3 to 1 for curves and marks (1.4.11)."""
    page = opened(show, state, scheme=scheme)
    found = checked(page, "contrasts")
    assert len(found) > 60
    low = [(text, round(ratio, 2)) for text, ratio in found if ratio < 4.5]
    assert not low, low
    dim = {name: round(ratio, 2) for name, ratio in checked(page, "graphics").items() if ratio < 3}
    assert not dim, dim


def test_a_faint_text_is_noticed(show: Show) -> None:
    """A check that cannot fail proves nothing."""
    page = show(report("small").file)
    page.run("() => { document.querySelector('#how dd').style.color = '#999'; document.querySelector('h1').style.opacity = '0.4'; }")
    assert {text for text, ratio in checked(page, "contrasts") if ratio < 4.5} >= {page.page.title()}
    assert len([text for text, ratio in checked(page, "contrasts") if ratio < 4.5]) >= 2


@pytest.mark.parametrize("state", STATES)
def test_everything_has_a_name(show: Show, state: tuple[str, str | None]) -> None:
    page = opened(show, state)
    assert checked(page, "nameless") == []


@pytest.mark.parametrize("state", STATES)
def test_structure(show: Show, state: tuple[str, str | None]) -> None:
    """One first heading, no level left out, landmarks, a language, unique ids, references that lead somewhere."""
    page = opened(show, state)
    levels = page.at("h1, h2, h3, h4").evaluate_all("(all) => all.map((h) => Number(h.tagName[1]))")
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.run("() => document.documentElement.lang") == "en"
    assert page.at("main").count() == page.at("body > header").count() == 1
    assert page.run("() => document.title").strip()
    assert checked(page, "broken") == []
    assert page.at("[aria-live=polite], [role=status]").count() >= 1
    assert all(headed.strip() for headed in page.texts("h1, h2"))


@pytest.mark.parametrize("state", STATES)
def test_the_rail_is_a_tree(show: Show, state: tuple[str, str | None]) -> None:
    page = opened(show, state)
    assert checked(page, "tree") == []
    for key in ("Home", "ArrowDown", "ArrowRight", "ArrowLeft", "End"):
        page.press(key)
        active = page.at("#rail .tree").get_attribute("aria-activedescendant")
        assert active and page.at(f"#{active}").get_attribute("aria-selected") == "true"
        assert page.at("#rail [aria-selected=true]").count() == 1
    assert checked(page, "tree") == []


@pytest.mark.parametrize("width", [1280, 760, 400])
@pytest.mark.parametrize("state", STATES[:2])
def test_tab_reaches_everything_in_order(show: Show, state: tuple[str, str | None], width: int) -> None:
    """Panel after panel as they stand in the document, each control once, each with a ring that can be seen."""
    page = show(report(state[0], compare=state[1]).file, width=width)
    expected = checked(page, "reachable")
    assert len(expected) > 10
    page.run("() => document.body.focus()")
    reached = []
    for _ in range(len(expected)):
        page.page.keyboard.press("Tab")
        reached.append(checked(page, "focused"))
    assert [where for where, _, _ in reached] == expected
    assert [(where, ring) for where, ring, _ in reached if ring < 3] == []
    assert [where for where, _, visible in reached if not visible] == []


@pytest.mark.parametrize("state", STATES[:2])
def test_no_trap(show: Show, state: tuple[str, str | None]) -> None:
    """Shift and Tab leads back out of everything."""
    page = show(report(state[0], compare=state[1]).file)
    expected = checked(page, "reachable")
    page.at("#what-if button").last.focus()
    for where in reversed(expected[: len(expected) - 1]):
        page.page.keyboard.press("Shift+Tab")
        assert checked(page, "focused")[0] == where


@pytest.mark.parametrize("width", [1280, 400])
def test_targets_are_large_enough(show: Show, width: int) -> None:
    """20 pixels a side at the least, but for words in a sentence and points of a chart (their layers are in the rail too)."""
    page = show(report("small", compare="grid").file, width=width)
    assert checked(page, "small") == []


@pytest.mark.parametrize("width", [320, 400, 760, 1150, 1280, 1920])
def test_no_width_is_too_small(show: Show, width: int) -> None:
    """Never a scroll bar along the page, in any of its columns."""
    for name, other in STATES:
        page = show(report(name, compare=other).file, width=width)
        assert page.overflow() <= 0, name
        assert checked(page, "outside") == [], name


def test_colours_follow_the_system(show: Show) -> None:
    """A page that is open turns dark with the rest of the screen, its canvases too."""
    page = show(report("wavenet").file)
    light = (page.picture("#stage canvas.map"), page.picture(), page.run("() => getComputedStyle(document.body).backgroundColor"))
    page.page.emulate_media(color_scheme="dark")

    def dark() -> bool:
        now = (page.picture("#stage canvas.map"), page.picture(), page.run("() => getComputedStyle(document.body).backgroundColor"))
        return all(one != other for one, other in zip(light, now, strict=True))

    page.until(dark)
