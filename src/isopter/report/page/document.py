"""The report as one HTML file: a page, its style and script, and the data, which no name in the model can break out of."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

import isopter
from isopter.report.page.fields import drawn, fields
from isopter.report.page.graph import graph_data
from isopter.report.page.picture import data_url
from isopter.report.page.rows import page_rows
from isopter.report.page.summary import how, summary

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.design.objects import Objects
    from isopter.erf.maps.field import EffectiveField
    from isopter.verification import Verification

    Effects = Mapping[str, EffectiveField] | None | bool


def document(
    analyses: Sequence[Analysis],
    *,
    effective: Sequence[Effects],
    verified: Sequence[Verification | None],
    image: Any = None,
    objects: Objects | None = None,
    title: str | None = None,
) -> str:
    """The page that shows `analyses`, the first one first; `effective` and `verified` have an entry for each. Same input, same bytes."""
    levels: list[bytes] = []
    titles = _titles([analysis.name for analysis in analyses])
    models = [_model(*given, levels) for given in zip(analyses, titles, effective, verified, strict=True)]
    size = [int(analyses[0].graph.ops[analyses[0].origin].shape[a]) for a in models[0]["graph"]["axes"]]
    data = {
        "version": isopter.__version__,
        "models": models,
        "picture": data_url(image, size) if image is not None else None,
        "objects": {"sides": _sides(objects)} if objects is not None and len(objects) else None,
    }
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
    packed = zlib.compress(len(text).to_bytes(4, "little") + text + b"".join(levels), 9)
    parts = {
        "title": escape(_text(title or f"Receptive fields of {titles[0]}")),
        "style": asset("page.css"),
        "script": asset("page.js"),
        "data": base64.b64encode(packed).decode("ascii"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda gap: parts[gap[1]], asset("page.html"))


def _model(analysis: Analysis, title: str, effective: Effects, verified: Verification | None, levels: list[bytes]) -> dict[str, Any]:
    origin = analysis.origin
    found = page_rows(analysis, origin)
    shown = dict(fields(analysis, found, effective))
    at, written = sum(map(len, levels)), []
    for op, field in shown.items():
        made = drawn(op, field)
        written.append({**made.facts, "at": at, "count": len(made.levels)})
        levels.append(made.levels)
        at += len(made.levels)
    given, theory = effective if isinstance(effective, Mapping) else None, effective is not False
    return {
        "name": analysis.name,
        "title": title,
        "graph": graph_data(analysis, origin),
        "rows": found,
        "fields": written,
        "findings": [finding.to_dict() for finding in analysis.findings(given, verified, expected=theory)],
        "table": summary(analysis, given, theory),
        "how": how(analysis, list(shown.values()), verified),
        "verified": {"ok": verified.ok, "pairs": verified.checked, "text": str(verified)} if verified is not None else None,
    }


def _sides(objects: Objects) -> list[tuple[int, int]]:
    """How many boxes have which larger side, in pixels rounded up: a box fits into a square of n pixels where that is n or less."""
    sides, counts = np.unique(np.ceil(objects.sizes.max(axis=1)).astype(np.int64), return_counts=True)
    return list(zip(sides.tolist(), counts.tolist(), strict=True))


def _titles(names: Sequence[str]) -> list[str]:
    """Names that tell the models apart."""
    return [name if names.count(name) == 1 else f"{name} ({names[: k + 1].count(name)})" for k, name in enumerate(names)]


def _text(name: str) -> str:
    """`name` without halves of surrogate pairs, which cannot be written to a file."""
    return name.encode("utf-8", "replace").decode()


def asset(name: str) -> str:
    """The text of a file that is part of the page."""
    return files("isopter.report").joinpath("assets", name).read_text(encoding="utf-8")
