"""The command line that the benchmarks share: measure, or take an earlier measurement, and write the page."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def command(
    summary: str, quick: str, stem: str, measure: Callable[[dict[str, Any], bool], None], write: Callable[[dict[str, Any]], str]
) -> None:
    """``[--quick] [--page FILE] [--from FILE]``: numbers go to out/STEM.json, the page to docs/STEM.md; `quick` says what --quick is."""
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--page", type=Path, help=f"where the tables go (default docs/{stem}.md; with --quick only the terminal)")
    parser.add_argument("--from", dest="source", type=Path, help="write the page from this earlier measurement")
    options = parser.parse_args()
    measured: dict[str, Any] = {}
    if options.source:
        measured = json.loads(options.source.read_text(encoding="utf-8"))
    else:
        try:
            measure(measured, options.quick)
        finally:  # what there is, is kept
            (ROOT / "out").mkdir(exist_ok=True)
            (ROOT / "out" / f"{stem}.json").write_text(json.dumps(measured, indent=1), encoding="utf-8")
    text = write(measured)
    where = options.page or (None if options.quick else ROOT / "docs" / f"{stem}.md")
    if where:
        where.write_text(text, encoding="utf-8")
    else:
        print(text)
