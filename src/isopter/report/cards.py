"""What a notebook shows of one layer and of one unit: static HTML and CSS, no script, with the exact set as a small drawing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from isopter.errors import UsageError
from isopter.report.lines import phases, printable, shape_text, times
from isopter.report.table import cut

if TYPE_CHECKING:
    from isopter.fields.field import Field
    from isopter.fields.unit import Region, Support

MOST_CELLS = 48
"""Pixels along the longer side of a set that is drawn: the document stays small, and each pixel can be seen."""

_STYLE = """<style>
.isopter-card{font:13px/1.45 system-ui,sans-serif;color:#1d2433;display:flex;gap:18px;align-items:flex-start}
.isopter-card table{font:inherit;color:inherit;border-collapse:collapse;font-variant-numeric:tabular-nums}
.isopter-card th,.isopter-card td{padding:1px 10px 1px 0;text-align:left;background:none;font-weight:400;vertical-align:top}
.isopter-card th{color:#5b6577}
.isopter-card rect{fill:#e8940f}
.isopter-card .box{fill:none;stroke:#d97706;stroke-width:1.5;vector-effect:non-scaling-stroke}
.isopter-card .image{fill:#8a93a333}
@media(prefers-color-scheme:dark){.isopter-card{color:#e3e7ee}.isopter-card th{color:#a3adbd}}
</style>"""


def field_card(field: Field) -> str:
    """Size, stride and the rest, and the set that the middle unit reads. Every text is escaped."""
    by_phase = phases(field.sizes_by_phase)
    facts = [
        ("size", times(field.size) + (f", by phase {by_phase}" if by_phase else "")),
        ("stride", times(field.stride)),
        ("start", times(field.start)),
        ("output", shape_text(field.shape)),
        ("input", shape_text(field.input_shape)),
    ]
    notes = [] if field.exactness == "exact" else [f"at most this ({field.exactness.replace('_', '-')})"]
    notes += [f"at this input size: {cut(field.why_no_plane, 160, keep='start')}"] if field.basis == "input" else []
    notes += ["also reads the image through a summary"] if field.context else []
    facts += [("notes", "; ".join(notes))] if notes else []
    return _card(field.name, facts, _middle(field))


def region_card(region: Region) -> str:
    """One unit's box. Every text is escaped."""
    facts = [("unit", _tuple(region.unit)), ("reads", _box(zip(region.lo, region.hi, strict=True)))]
    if region.unclipped is not None:
        facts.append(("on the plane", _box(region.unclipped)))
    if region.padding_share is not None:
        facts.append(("padding", f"{region.padding_share:.1%}"))
    return _card(region.layer, facts, "")


def support_card(support: Support) -> str:
    """One unit's exact set."""
    if not support.count:
        return _card("reads nothing", [], "")
    facts = [
        ("pixels", f"{support.count:,}"),
        ("density", f"{support.density:.1%}"),
        ("box", shape_text(support.mask.shape)),
        ("first pixel", _tuple(support.origin)),
    ]
    return _card("exact set", facts, drawing(support))


def drawing(support: Support, image: Sequence[int] = ()) -> str:
    """The set of up to two axes as an SVG: a rectangle for each run of pixels in a row. "" for sets that are too large, or of more axes."""
    mask = np.atleast_2d(support.mask)
    if mask.ndim != 2 or not mask.size or max(mask.shape) > MOST_CELLS:
        return ""
    top, left = (0, *support.origin)[-2:]
    height, width = mask.shape
    behind = ""
    if len(image) == support.mask.ndim:
        rows, columns = (1, *image)[-2:]
        behind = f'<rect class="image" x="{-left}" y="{-top}" width="{columns}" height="{rows}"/>'
    runs = "".join(f'<rect x="{x}" y="{y}" width="{n}" height="1"/>' for y, x, n in _runs(mask))
    scale = 168 / max(height, width)
    return (
        f'<svg width="{width * scale:.0f}" height="{max(height * scale, 12):.0f}" viewBox="0 0 {width} {height}" '
        f'preserveAspectRatio="none" shape-rendering="crispEdges" role="img" aria-label="pixels read">'
        f'{behind}{runs}<rect class="box" x="0" y="0" width="{width}" height="{height}"/></svg>'
    )


def _runs(mask: np.ndarray) -> Iterable[tuple[int, int, int]]:
    """(row, first column, length) of every run of read pixels; equal to the mask, in fewer shapes."""
    for y, row in enumerate(mask):
        turns = np.flatnonzero(np.diff(np.concatenate(([False], row, [False]))))
        yield from ((y, int(a), int(b - a)) for a, b in zip(turns[::2], turns[1::2], strict=True))


def _middle(field: Field) -> str:
    if 0 in field.units:
        return ""
    clip = not (field.basis == "plane" and field.walks.plane_is_pullable(field.op))
    if any(n > MOST_CELLS for n in field.size):
        return ""
    try:
        return drawing(field.support(tuple(n // 2 for n in field.units), clip=clip), field.input_shape)
    except UsageError:  # a field that cannot be pulled has no drawing
        return ""


def _card(name: str, facts: Sequence[tuple[str, str]], picture: str) -> str:
    rows = "".join(f"<tr><th>{escape(key)}<td>{escape(cut(value, 300, keep='start'))}" for key, value in facts)
    head = escape(cut(printable(name), 60, keep="end"))
    return f'{_STYLE}<div class="isopter-card"><div><b>{head}</b><table>{rows}</table></div>{picture}</div>'


def _box(pairs: Iterable[tuple[float, float]]) -> str:
    return f"[{', '.join(f'{low}:{high}' for low, high in pairs)}]"


def _tuple(values: Sequence[int]) -> str:
    return f"({', '.join(map(str, values))})"
