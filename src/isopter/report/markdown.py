"""The table as Markdown (GitHub's pipe tables)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from isopter.report.lines import COLUMNS, content

if TYPE_CHECKING:
    from isopter.analysis import Analysis


def markdown(analysis: Analysis, *, depth: int | None = None, pattern: str | None = None, all_ops: bool = False) -> str:
    """The table as Markdown, without a newline at its end; rows as in `table.render`."""
    table = content(analysis, depth=depth, pattern=pattern, all_ops=all_ops)
    lines = [f"**{escape(table.name)}** \u00b7 {escape(table.head)}", "", _row(COLUMNS), "|---|---|---|--:|--:|--:|---|"]
    lines += [_row([escape(cell) for cell in line.cells]) for line in table.lines]
    if table.foot:
        lines += ["", *(f"- {escape(text)}" for text in table.foot)]
    return "\n".join(lines)


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", text.replace("&", "&amp;"))
