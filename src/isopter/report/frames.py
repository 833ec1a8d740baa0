"""The table for pandas and as CSV: one row per op, one column per space axis for size, stride and start."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from isopter.errors import MissingExtra
from isopter.report.lines import shape_text
from isopter.report.rows import field_of, row

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, unused-ignore]

    from isopter.analysis import Analysis

_NUMBERS = ("size", "stride", "start")


def to_pandas(analysis: Analysis) -> pd.DataFrame:
    """Columns name, kind, shape (a tuple), size_0, ..., stride_0, ..., start_0, ..., basis, context, exactness.

    Numbers are floats where a column holds an infinity, a fraction or nothing (nan), else integers. Raises MissingExtra without
    pandas.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        raise MissingExtra("pandas", "pandas", "to_pandas") from None

    axes = _axes(analysis)
    records = []
    for index, op in enumerate(analysis.graph.ops):
        found = field_of(analysis, index)
        numbers = {f"{k}_{a}": _number(getattr(found, k), a) for k in _NUMBERS for a in range(axes)}
        flags = {"basis": found.basis, "context": found.context, "exactness": found.exactness}
        records.append({"name": op.name, "kind": op.kind, "shape": op.shape, **numbers, **flags})
    frame = pd.DataFrame.from_records(records)
    numeric = [c for c in frame.columns if c.rpartition("_")[0] in _NUMBERS]
    frame[numeric] = frame[numeric].apply(pd.to_numeric)
    return frame


def _number(values: tuple[Any, ...], axis: int) -> int | float | None:
    value = values[axis] if axis < len(values) else None
    return value if value is None or isinstance(value, int) else float(value)


def to_csv(analysis: Analysis, selected: tuple[tuple[str, int], ...] | None = None) -> str:
    """The same columns as CSV text: shape as ``1x3x224x224``, "inf", fractions as ``1/2``, nothing where there is no number.

    `selected`: (name, op index) of the rows to write, default all ops.
    """
    axes = _axes(analysis)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["name", "kind", "shape", *(f"{k}_{a}" for k in _NUMBERS for a in range(axes)), "basis", "context", "exactness"])
    for name, index in selected if selected is not None else ((name, i) for i, name in enumerate(analysis.ops)):
        cells = row(analysis, index, name)
        numbers = [_cell(cells[k], a) for k in _NUMBERS for a in range(axes)]
        writer.writerow([name, cells["kind"], shape_text(cells["shape"]), *numbers, cells["basis"], cells["context"], cells["exactness"]])
    return out.getvalue()


def _cell(values: list[int | str | None], axis: int) -> int | str:
    value = values[axis] if axis < len(values) else None
    return "" if value is None else value


def _axes(analysis: Analysis) -> int:
    """Space axes of the input that has most."""
    return max(len(field_of(analysis, i).size) for i in analysis.graph.inputs)
