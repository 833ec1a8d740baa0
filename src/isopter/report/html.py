"""The table for notebooks: static HTML and CSS, no script."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from isopter.report.lines import COLUMNS, Line, content
from isopter.report.table import cut

if TYPE_CHECKING:
    from isopter.analysis import Analysis

MAX_BYTES = 20_000
"""Notebooks keep their outputs: a table must not make one large."""

_NAME = 60
_STYLE = """<style>
.isopter{font:13px/1.45 system-ui,sans-serif;color:#1d2433}
.isopter table{border-collapse:collapse;margin:6px 0;font-variant-numeric:tabular-nums}
.isopter th,.isopter td{padding:2px 10px;text-align:left;white-space:nowrap;background:none}
.isopter th{border-bottom:1px solid #8a93a5}
.isopter tr>:nth-child(n+4):nth-child(-n+6){text-align:right}
.isopter td:first-child{font-family:ui-monospace,monospace}
.isopter td:last-child,.isopter small{color:#5b6577}
@media(prefers-color-scheme:dark){.isopter{color:#e3e7ee}.isopter td:last-child,.isopter small{color:#a3adbd}}
</style>"""


def table(analysis: Analysis) -> str:
    """The table as HTML, under `MAX_BYTES` bytes: rows beyond that are counted, not shown. Every text is escaped."""
    found = content(analysis)
    title = f"<b>{_text(found.name)}</b> \u00b7 {escape(cut(found.head, 300, keep='start'))}"
    head = f'{_STYLE}<div class="isopter">{title}<table><thead>{_row(COLUMNS, "th")}</thead><tbody>'
    foot = "<br>".join(f"<small>{escape(cut(text, 160, keep='start'))}</small>" for text in found.foot)
    room = MAX_BYTES - len((head + foot).encode()) - 300
    body: list[str] = []
    for line in found.lines:
        made = _line(line)
        room -= len(made.encode())
        if room < 0:
            break
        body.append(made)
    left = len(found.lines) - len(body)
    more = f"<small>{left:,} more rows are not shown here; print(analysis) shows them all.</small><br>" if left else ""
    return f"{head}{''.join(body)}</tbody></table>{more}{foot}</div>"


def _line(line: Line) -> str:
    return _row((_text(line.layer), *(escape(cut(c, 120, keep="start")) for c in line.cells[1:])), "td")


def _row(cells: tuple[str, ...], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{cell}' for cell in cells)}"


def _text(name: str) -> str:
    return escape(cut(name, _NAME, keep="end"))
