"""Effective fields as the page draws them: cut to what can be seen, in 64 levels, with the numbers that the full map gave."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isopter.design.effects import checked
from isopter.erf.maps.field import EffectiveField
from isopter.erf.maps.measured import Measured
from isopter.errors import UsageError
from isopter.report.page.rows import Row, page_rows
from isopter.report.rows import field_of

if TYPE_CHECKING:
    from isopter.analysis import Analysis

LEVELS = 64
MOST_BLOCKS = {1: 2048, 2: 72, 3: 28}
"""Blocks along an axis of a map, by its number of axes: what a screen shows of it, in some 2.5 kB each."""

MOST = 20
"""So many layers have an effective field, if none are named."""


@dataclass(frozen=True)
class Drawn:
    """An effective field for the page: `facts` for JSON, and the level of each block, row-major, a byte each."""

    facts: Mapping[str, Any]
    levels: bytes


def drawn(op: int, field: EffectiveField) -> Drawn:
    """A field of op `op`: its levels are the roots of its share of the largest value, so that the faint rim is seen."""
    values, corner = _cut(np.asarray(field.map))
    step = max(1, -(-max(values.shape) // MOST_BLOCKS.get(values.ndim, 16)))
    blocks = _blocks(values, step)
    top = blocks.max(initial=0.0)
    levels = np.rint((LEVELS - 1) * np.sqrt(blocks / top)) if top > 0 else np.zeros_like(blocks)
    return Drawn(
        {
            "op": op,
            "kind": field.how,
            "unit": [int(i) for i in field.unit],
            "origin": [int(o + c) for o, c in zip(field.origin, corner, strict=True)],
            "shape": list(blocks.shape),
            "step": step,
            "center": [_number(c) for c in field.center],
            "sigma": [_number(s) for s in field.sigma],
            "side50": _number(field.side(0.5)),
            "side95": _number(field.side(0.95)),
            "ratio": _number(field.ratio),
            "statistic": field.statistic,
            "error": _number(field.relative_error) if isinstance(field, Measured) else None,
        },
        levels.astype(np.uint8).tobytes(),
    )


def fields(
    analysis: Analysis, rows: Sequence[Row], effective: Mapping[str, EffectiveField] | bool | None
) -> Iterator[tuple[int, EffectiveField]]:
    """The fields to draw, by op: those given by layer name; for None the expected ones of some rows, for False none.

    Raises UsageError where they are not of this model, or not over `analysis.origin` (see `effects.checked`).
    """
    if effective is None or effective is True:
        yield from _expected(analysis, rows)
    elif effective is not False:
        for name, field in checked(analysis, effective, analysis.origin).items():
            yield analysis.find(name), field


def worth_measuring(analysis: Analysis) -> list[str]:
    """Names of at most `MOST` layers whose effective fields a report shows: spread over the network's depth, the last one among them.

    Only what some module returns, for the live model can be asked for nothing else; of modules that end in the same row the outermost.
    """
    rows = {index for index, _, _ in page_rows(analysis, analysis.origin)}
    outermost: dict[int, str] = {}
    for name in sorted(analysis.graph.calls, key=lambda name: name.count("."), reverse=True):
        index = analysis.graph.layers[name]
        row = _row_of(analysis, index, rows)
        if row is not None and _has_map(analysis, index):
            outermost[row] = name
    return [outermost[row] for row in _spread(sorted(outermost))]


def _row_of(analysis: Analysis, index: int, rows: set[int]) -> int | None:
    """The row that shows an op, or what it changes nothing of."""
    while index not in rows:
        sources = analysis.graph.ops[index].inputs
        if len(sources) != 1:
            return None
        index = sources[0]
    return index


def _has_map(analysis: Analysis, index: int) -> bool:
    """Whether an op has units side by side, each with a field of its own."""
    field = field_of(analysis, index)
    return bool(field.units) and 0 not in field.units and all(map(math.isfinite, field.size))


def _spread(ops: Sequence[int]) -> list[int]:
    """At most `MOST` of them, evenly, with the first and the last."""
    return sorted({ops[round(k)] for k in np.linspace(0, len(ops) - 1, MOST)}) if ops else []


def _expected(analysis: Analysis, rows: Sequence[Row]) -> Iterator[tuple[int, EffectiveField]]:
    for index in _spread([index for index, _, _ in rows if _has_map(analysis, index)]):
        try:
            found = field_of(analysis, index).expected()
        except UsageError:  # the middle unit reads nothing, or no gradient reaches it
            continue
        if found.applies:
            yield index, found


def _cut(values: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The part whose level would not be 0, and where it begins."""
    seen = values > values.max(initial=0.0) * (0.5 / (LEVELS - 1)) ** 2
    box = []
    for axis in range(values.ndim):
        along = np.flatnonzero(seen.any(axis=tuple(a for a in range(values.ndim) if a != axis)))
        box.append(slice(int(along[0]), int(along[-1]) + 1) if len(along) else slice(0, 1))
    return values[tuple(box)], [s.start for s in box]


def _blocks(values: np.ndarray, step: int) -> np.ndarray:
    """Means over blocks of `step` pixels a side; the last ones are filled up with zeros."""
    padded = np.pad(values, [(0, -n % step) for n in values.shape])
    shape = [k for n in padded.shape for k in (n // step, step)]
    return np.asarray(padded.reshape(shape).mean(axis=tuple(range(1, 2 * values.ndim, 2))))


def _number(value: float) -> float | None:
    """Four digits: what is read off a screen, and the same bytes on every machine."""
    return float(f"{float(value):.4g}") if math.isfinite(value) else None
