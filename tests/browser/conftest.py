"""A browser for the tests of the report: Chromium as the system has it, offline, with a fresh profile for every page.

Without Chromium the tests are skipped; with ISOPTER_BROWSER=required they fail. ISOPTER_CHROMIUM names another executable.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from driver import ARGUMENTS, Opened, opened

HERE = Path(__file__).resolve().parent
SCREENS = HERE.parent.parent / "out" / "screens"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need a browser."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


def _missing(reason: str) -> None:
    """Skip, or fail where the browser is required."""
    if os.environ.get("ISOPTER_BROWSER") == "required":
        pytest.fail(f"{reason} ISOPTER_BROWSER=required says that these tests must run.", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, without a window and without a network of its own."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing('Playwright is not installed: pip install "isopter[dev]".')
    executable = os.environ.get("ISOPTER_CHROMIUM") or shutil.which("chromium")
    if executable is None:
        _missing("Chromium is not installed: apt-get install chromium, or set ISOPTER_CHROMIUM to its executable.")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, headless=True, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Opened]]:
    """``show(file, hash="", width=1280, height=900, scheme="light")`` opens a report. Whatever goes wrong in a page fails the test."""
    contexts: list[Any] = []
    pages: list[Opened] = []

    def open_it(file: Path, hash: str = "", width: int = 1280, height: int = 900, scheme: str = "light", **options: Any) -> Opened:
        context = browser.new_context(
            offline=True, viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True, **options
        )
        contexts.append(context)
        pages.append(opened(context, file.resolve().as_uri() + hash))
        return pages[-1]

    yield open_it
    for context in contexts:
        context.close()
    faults = [fault for page in pages for fault in page.faults]
    assert not faults, faults


@pytest.fixture(scope="session")
def screens() -> Path:
    """Where pictures of the report are put, to be looked at."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    return SCREENS
