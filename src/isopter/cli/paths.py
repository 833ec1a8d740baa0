"""``isopter paths``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from isopter.cli import pictures
from isopter.cli.common import analysis_of, as_json, finite, width, write
from isopter.report.lines import printable

if TYPE_CHECKING:
    from isopter.fields.field import Field
    from isopter.fields.paths import PathDistribution

MAX_BARS = 24
"""Bars of the histogram; neighbouring sizes share one beyond that."""

MAX_DIGITS = 24
"""Longer counts are shortened beside their bars; the total, and JSON, keep every digit."""


def run(
    model: str,
    layer: str,
    size: str | None,
    axis: int,
    form: str | None,
    output: str | None,
    training: bool,
    axes: str | None,
    pretrained: bool,
) -> int:
    """Print the distribution of field sizes over paths, or write a picture of it."""
    picture = pictures.wanted(output, form)
    field = analysis_of(model, size, axes, training, pretrained=pretrained)[layer]
    found = field.paths(axis)
    if output is not None and picture:
        pictures.draw(output, found.plot)
        return 0
    if form == "json":
        data = {
            "layer": field.name,
            "axis": axis,
            "sizes": list(found.sizes),
            "counts": list(found.counts),
            "unbounded": found.unbounded,
            "total": found.total,
            "mean": finite(found.mean),
            "sd": finite(found.sd),
        }
        write(as_json(data), output)
    else:
        write("\n".join(_lines(field, found, axis, min(width(), 100))), output)
    return 0


def _lines(field: Field, found: PathDistribution, axis: int, room: int) -> Iterator[str]:
    yield f"{printable(field.name)}, axis {axis}: {found.total:,} path{'' if found.total == 1 else 's'}"
    if found.counts:
        yield f"mean {_short(found.mean)}, sd {_short(found.sd)} input pixels"
    if found.unbounded:
        yield f"{found.unbounded:,} of them read the whole axis"
    bars = list(_binned(found))
    if not bars:
        return
    yield ""
    labels = [f"{low}" if low == high else f"{low}-{high}" for low, high, _ in bars]
    counts = [_count(n) for _, _, n in bars]
    left, right, most = max(map(len, labels)), max(map(len, counts)), max(n for _, _, n in bars)
    space = max(room - left - right - 4, 10)
    for label, count, (_, _, n) in zip(labels, counts, bars, strict=True):
        length = max(space * n // most, 1 if n else 0)  # in whole numbers: counts are far beyond floats
        yield f"{label:>{left}}  {count:>{right}}  {'#' * length}".rstrip()


def _binned(found: PathDistribution) -> Iterator[tuple[int, int, int]]:
    """(smallest size, largest size, paths) per bar."""
    if len(found.sizes) <= MAX_BARS:
        yield from ((s, s, n) for s, n in zip(found.sizes, found.counts, strict=True))
        return
    first, last = found.sizes[0], found.sizes[-1]
    step = -(-(last - first + 1) // MAX_BARS)
    for low in range(first, last + 1, step):
        high = min(low + step - 1, last)
        yield low, high, sum(n for s, n in zip(found.sizes, found.counts, strict=True) if low <= s <= high)


def _count(n: int) -> str:
    if n < 10**MAX_DIGITS:
        return f"{n:,}"
    power = len(str(n)) - 1
    return f"{n // 10 ** (power - 3) / 1000:.3f}e{power}"


def _short(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"
