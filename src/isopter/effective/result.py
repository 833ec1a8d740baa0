"""Effective: what `effective` returns, the measured field of every layer asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from isopter.effective.measured import Measured
from isopter.errors import LayerNotFound


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
        return "\n".join(
            [f"{self.name} \u00b7 effective fields, input pixels", "", *_table(list(self.fields.values())), *_foot(self.fields)]
        )

    def to_dict(self, *, map: bool = False) -> dict[str, Any]:
        """Plain data for JSON, one entry per layer (see `Measured.to_dict`); ``map=True`` adds the maps."""
        return {"name": self.name, "layers": [field.to_dict(map=map) for field in self.fields.values()]}


COLUMNS = ("layer", "size", "sigma", "95 % side", "ratio", "samples", "error")


def _table(fields: list[Measured]) -> list[str]:
    rows = [COLUMNS, *(_row(field) for field in fields)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(COLUMNS))]
    lines = ["  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(r, widths, strict=True))) for r in rows]
    return [lines[0], "\u2500" * len(lines[0]), *lines[1:]]


def _row(field: Measured) -> tuple[str, ...]:
    sigma = " x ".join(repr(s) for s in field.sigma)
    size = "x".join("inf" if math.isinf(n) else f"{n:g}" for n in field.size) + ("*" if field.clipped else "")
    error = f"{field.relative_error:.1%}" if math.isfinite(field.relative_error) else "?"
    return field.layer, size, sigma, repr(field.side(0.95)), repr(field.ratio), str(field.samples), error


def _foot(fields: Mapping[str, Measured]) -> list[str]:
    lines = (
        ["* the theoretical field reaches beyond the image: the map is cut off there"] if any(f.clipped for f in fields.values()) else []
    )
    notes = {note: [name for name, f in fields.items() if note in f.notes] for field in fields.values() for note in field.notes}
    lines += [f"{', '.join(names) if len(names) < len(fields) else 'all'}: {note}" for note, names in notes.items()]
    return ["", *lines] if lines else []
