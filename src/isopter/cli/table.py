"""``isopter table``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from isopter.cli import pictures
from isopter.cli.common import analysis_of, color, width, write

if TYPE_CHECKING:
    from isopter.analysis import Analysis

_SUFFIXES = {".json": "json", ".csv": "csv", ".md": "md"}


def run(
    model: str,
    size: str | None,
    layer: str | None,
    depth: int | None,
    all_ops: bool,
    strict: bool,
    form: str | None,
    output: str | None,
    training: bool,
    axes: str | None,
    pretrained: bool,
) -> int:
    """Print the table, or write a picture of it. Without a form, the file's suffix decides."""
    picture = pictures.wanted(output, form)
    analysis = analysis_of(model, size, axes, training, strict, pretrained=pretrained)
    if output is not None and picture:
        chosen = None if layer is None and depth is None and not all_ops else _names(analysis, layer, depth, all_ops)
        pictures.draw(output, lambda: analysis.plot(layers=chosen))
        return 0
    form = form or _SUFFIXES.get(Path(output or "").suffix.lower(), "table")
    write(_text(analysis, form, layer, depth, all_ops, output), output)
    return 0


def _names(analysis: Analysis, pattern: str | None, depth: int | None, all_ops: bool) -> list[str]:
    from isopter.report.rows import select

    return [name for name, _ in select(analysis, depth=depth, pattern=pattern, all_ops=all_ops).rows]


def _text(analysis: Analysis, form: str, pattern: str | None, depth: int | None, all_ops: bool, output: str | None) -> str:
    from isopter.report.rows import row, select

    match form:
        case "json":  # can be loaded again, so the graph stays whole whatever rows are asked for
            data = analysis.to_dict()
            if pattern is not None or depth is not None:
                chosen = select(analysis, depth=depth, pattern=pattern).rows
                data["layers"] = [row(analysis, index, name) for name, index in chosen]
            return json.dumps(data, allow_nan=False)
        case "csv":
            from isopter.report.frames import to_csv

            every = pattern is None and depth is None
            return to_csv(analysis, select(analysis, depth=depth, pattern=pattern, all_ops=every).rows).rstrip("\n")
        case "md":
            from isopter.report.markdown import markdown

            return markdown(analysis, depth=depth, pattern=pattern, all_ops=all_ops)
        case _:
            from isopter.report.table import render

            return render(analysis, width=width(), depth=depth, pattern=pattern, all_ops=all_ops, color=color(output))
