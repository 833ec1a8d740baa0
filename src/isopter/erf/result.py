"""Effective: what `effective` returns, the measured field of every layer asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isopter.erf.maps.estimate import Estimate
from isopter.erf.maps.field import EffectiveField
from isopter.erf.maps.measured import Measured
from isopter.errors import LayerNotFound
from isopter.report.lines import printable


@dataclass(frozen=True, eq=False, repr=False)
class Effective(Mapping[str, Measured]):
    """Effective fields by layer name, in the order asked for. Printing it shows a table.

    Plain numpy and Python inside: it pickles, and holds no model.
    """

    fields: Mapping[str, Measured]
    name: str = "model"

    def __getitem__(self, key: str) -> Measured:
        if key not in self.fields:
            raise LayerNotFound(key, self.fields)
        return self.fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __repr__(self) -> str:
        return "\n".join([f"{self.name} \u00b7 effective fields, input pixels", "", *table_lines(list(self.fields.values()))])

    def to_dict(self, *, map: bool = False) -> dict[str, Any]:
        """Plain data for JSON, one entry per layer (see `Measured.to_dict`); ``map=True`` adds the maps."""
        return {"name": self.name, "layers": [field.to_dict(map=map) for field in self.fields.values()]}


COLUMNS = ("layer", "size", "sigma", "95 % side", "ratio", "samples", "error")


def table_lines(fields: Sequence[EffectiveField]) -> list[str]:
    """A line per field under a head, and notes below; the last two columns only where something was measured."""
    columns = COLUMNS if any(isinstance(f, Measured) for f in fields) else COLUMNS[:-2]
    rows = [columns, *(_row(field)[: len(columns)] for field in fields)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(columns))]
    lines = ["  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(r, widths, strict=True))) for r in rows]
    return [lines[0], "\u2500" * len(lines[0]), *lines[1:], *_foot([f for f in fields if isinstance(f, Measured)])]


def _row(field: EffectiveField) -> tuple[str, ...]:
    measured = field if isinstance(field, Measured) else None
    size = "x".join("inf" if math.isinf(n) else f"{n:g}" for n in field.size) + ("*" if measured and measured.clipped else "")
    error = f"{measured.relative_error:.1%}" if measured and math.isfinite(measured.relative_error) else "?"
    sigma = " x ".join(map(_show, field.sigma))
    samples = str(measured.samples) if measured else ""
    return printable(field.layer), size, sigma, _show(field.side(0.95)), _show(field.ratio), samples, error


def _show(value: float) -> str:
    return repr(value) if isinstance(value, Estimate | int) else f"{value:.4g}"


def _foot(fields: Sequence[Measured]) -> list[str]:
    lines = ["* the theoretical field reaches beyond the image: the map is cut off there"] if any(f.clipped for f in fields) else []
    notes = {note: [f.layer for f in fields if note in f.notes] for field in fields for note in field.notes}
    lines += [f"{', '.join(map(printable, names)) if len(names) < len(fields) else 'all'}: {note}" for note, names in notes.items()]
    return ["", *lines] if lines else []
