"""The plain-text table."""

from __future__ import annotations

import shutil
import textwrap
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from isopter.report.lines import COLUMNS, Content, content

if TYPE_CHECKING:
    from isopter.analysis import Analysis

GAP = "  "
MIN_NAME = 20
"""Names are cut down to this before a row's notes move to a line of their own."""

_RIGHT = frozenset({"size", "stride", "start"})
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def render(
    analysis: Analysis,
    *,
    width: int | None = None,
    depth: int | None = None,
    pattern: str | None = None,
    all_ops: bool = False,
    color: bool = False,
) -> str:
    """The table as text, without a newline at its end.

    `width`: characters per line (default: the terminal's, else 100); names and prose give way to it, numbers never do. `depth`,
    `pattern`, `all_ops`: which rows, see `rows.select`. `color`: with ANSI codes.
    """
    width = max(width if width is not None else shutil.get_terminal_size((100, 24)).columns, 20)
    return "\n".join(_lines(content(analysis, depth=depth, pattern=pattern, all_ops=all_ops), width, color))


def _lines(table: Content, width: int, color: bool) -> Iterator[str]:
    yield from _head(table, width, color)
    yield ""
    sizes = _sizes(table, width)
    shown = len(sizes)
    yield _style(_row(COLUMNS[:shown], sizes), _BOLD, color)
    yield _style("\u2500" * (sum(sizes) + len(GAP) * (shown - 1)), _DIM, color)
    for line in table.lines:
        fits = shown == len(COLUMNS) and display_width(line.notes) <= sizes[-1]
        yield _row(line.cells if fits else line.cells[:-1], sizes)
        if line.notes and not fits:
            yield from _wrapped(line.notes, width, "    ", color)
    if table.foot:
        yield ""
    for text in table.foot:
        yield from _wrapped(text, width, "", color)


def _sizes(table: Content, width: int) -> list[int]:
    """Widths of the columns. All but the first and the last are as wide as their widest cell; the notes' may be missing."""
    columns = zip(COLUMNS, *(line.cells for line in table.lines), strict=True)
    name, *middle, notes = (max(display_width(cell) for cell in column) for column in columns)
    room = width - sum(middle) - len(GAP) * len(middle)
    least = min(name, MIN_NAME)
    if not any(line.notes for line in table.lines) or room - len(GAP) - least < len(COLUMNS[-1]):
        return [min(name, max(room, least // 2)), *middle]
    given = min(name, max(room - len(GAP) - notes, least))
    return [given, *middle, min(notes, room - len(GAP) - given)]


def _head(table: Content, width: int, color: bool) -> Iterator[str]:
    room = width - display_width(table.head) - 3
    if room >= min(display_width(table.name), 20):
        yield f"{_style(cut(table.name, room, keep='start'), _BOLD, color)} \u00b7 {table.head}"
    else:
        yield _style(cut(table.name, width, keep="start"), _BOLD, color)
        yield from _wrapped(table.head, width, "", False)


def _row(cells: tuple[str, ...], sizes: list[int]) -> str:
    shown = []
    for column, cell, size in zip(COLUMNS, cells, sizes, strict=False):
        text = cut(cell, size, keep="end") if column == "layer" else cell
        blank = " " * (size - display_width(text))
        shown.append(blank + text if column in _RIGHT else text + blank)
    return GAP.join(shown).rstrip()


def _wrapped(text: str, width: int, indent: str, color: bool) -> Iterator[str]:
    deeper = indent + "  "
    wrap = textwrap.TextWrapper(width, initial_indent=indent, subsequent_indent=deeper, break_long_words=False, break_on_hyphens=False)
    for part in wrap.wrap(text):
        yield _style(part, _DIM, color)


def _style(text: str, code: str, color: bool) -> str:
    return f"{code}{text}{_PLAIN}" if color else text


def display_width(text: str) -> int:
    """Columns on a terminal: wide East Asian characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, width: int, *, keep: str) -> str:
    """`text` in at most `width` columns, with an ellipsis where its start or end was cut off."""
    if display_width(text) <= width:
        return text
    kept: list[str] = []
    room = width - 1
    for c in text if keep == "start" else reversed(text):
        room -= display_width(c)
        if room < 0:
            break
        kept.append(c)
    return "".join(kept) + "\u2026" if keep == "start" else "\u2026" + "".join(reversed(kept))
