"""The table's content as text, cell by cell: what the plain, Markdown and HTML tables have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from isopter.fields.field import Field
from isopter.report.rows import Selection, field_of, select

if TYPE_CHECKING:
    from isopter.analysis import Analysis

COLUMNS = ("layer", "op", "output", "size", "stride", "start", "notes")

MAX_ISSUES = 8
"""Issues listed under a table; `analysis.issues` has all."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row, as text."""

    layer: str
    op: str
    output: str
    size: str
    stride: str
    start: str
    notes: str

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of `COLUMNS`."""
        return (self.layer, self.op, self.output, self.size, self.stride, self.start, self.notes)


@dataclass(frozen=True, slots=True)
class Content:
    """A table before it has a form: the model's name, the rest of the head line, the rows, and what stands below them."""

    name: str
    head: str
    lines: tuple[Line, ...]
    foot: tuple[str, ...]


def content(analysis: Analysis, *, depth: int | None = None, pattern: str | None = None, all_ops: bool = False) -> Content:
    """All cells of the table. Raises as `rows.select` does."""
    chosen = select(analysis, depth=depth, pattern=pattern, all_ops=all_ops)
    lines = tuple(_line(analysis, name, index) for name, index in chosen.rows)
    return Content(printable(str(analysis.name)), _head(analysis), lines, tuple(_foot(analysis, chosen)))


def printable(text: str) -> str:
    """`text` on one line, with control characters shown as escapes: names come from models and files."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii") for c in text)


def times(values: Sequence[object]) -> str:
    """One number per axis: ``3x7``, or ``3`` where all are alike."""
    shown = ["-" if v is None else str(v) for v in values]
    return shown[0] if shown and len(set(shown)) == 1 else "x".join(shown)


def shape_text(shape: Sequence[int]) -> str:
    """A tensor's shape, ``1x3x224x224``; "scalar" for none."""
    return "x".join(map(str, shape)) or "scalar"


def phases(sizes: Sequence[Sequence[float | Fraction]]) -> str:
    """The sizes units have by their phase, such as ``{188, 204}``; "" where all units are alike."""
    if all(len(set(axis)) == 1 for axis in sizes):
        return ""
    return times([_set(sorted(set(axis))) for axis in sizes])


def _set(values: list[float | Fraction]) -> str:
    if len(values) == 1:
        return str(values[0])
    return f"{{{', '.join(map(str, values))}}}" if len(values) <= 4 else f"{{{values[0]}..{values[-1]}}}"


def _line(analysis: Analysis, name: str, index: int) -> Line:
    op, field = analysis.graph.ops[index], field_of(analysis, index)
    kind = op.source if op.kind == "pointwise" and op.source else op.kind
    return Line(
        printable(name),
        printable(kind),
        shape_text(op.shape),
        times(field.size),
        times(field.stride),
        times(field.start),
        ", ".join(_notes(analysis, index, field)),
    )


def _notes(analysis: Analysis, index: int, field: Field) -> Iterator[str]:
    by_phase = phases(field.sizes_by_phase)
    if by_phase:
        yield by_phase
    origin = analysis._origin_of(index)
    if origin != analysis.graph.inputs[0]:
        yield f"of {printable(analysis.ops[origin])}"
    if field.exactness != "exact":
        yield field.exactness.replace("_", "-")
    if field.basis == "input":
        yield "at this size"
    if field.context:
        yield "context"


def _head(analysis: Analysis) -> str:
    graph = analysis.graph
    several = len(graph.inputs) > 1
    inputs = ", ".join((f"{printable(graph.ops[i].name)} " if several else "") + shape_text(graph.ops[i].shape) for i in graph.inputs)
    ops = len(graph.ops) - len(graph.inputs)
    verdict = "exact" if analysis.exact else "bounded, not exact"
    issues = f", {_count(len(analysis.issues), 'issue')}" if analysis.issues else ""
    return f"input {inputs} \u00b7 {_count(ops, 'op')} \u00b7 {verdict}{issues}"


def _foot(analysis: Analysis, chosen: Selection) -> Iterator[str]:
    fields = [field_of(analysis, index) for _, index in chosen.rows]
    if chosen.left_out:
        one = chosen.left_out == 1
        what = "sees just what its input sees and is" if one else "see just what their input sees and are"
        yield f"{_count(chosen.left_out, 'more op')} {what} left out; all_ops=True (--all) shows {'it' if one else 'them'}."
    if len(analysis.inputs) > 1:
        yield f"Fields are those over the input {printable(analysis.inputs[0])} unless the notes say otherwise."
    if any(phases(f.sizes_by_phase) for f in fields):
        yield "{...}: the sizes of units by their phase; size is the largest."
    if any(math.isinf(v) for f in fields for v in f.size):
        yield "inf: every unit reads the whole axis."
    if any(f.context for f in fields):
        yield "context: also reads the whole image through a summary (a gate, a norm's statistics), left out of size."
    reasons = dict.fromkeys(f.why_no_plane for f in fields if f.basis == "input")
    if reasons:
        more = f" (and {len(reasons) - 1} more reasons)" if len(reasons) > 1 else ""
        yield f"at this size: no field beyond the image's borders, since {printable(next(iter(reasons)))}{more}."
    if any(f.exactness == "bound" for f in fields):
        yield "bound: the field may be smaller than said, never larger."
    if any(f.exactness == "data_dependent" for f in fields):
        yield "data-dependent: values decide what is read; this is the most."
    for issue in analysis.issues[:MAX_ISSUES]:
        yield f"issue: {printable(str(issue))}"
    if len(analysis.issues) > MAX_ISSUES:
        yield f"... and {_count(len(analysis.issues) - MAX_ISSUES, 'more issue')}, in analysis.issues."


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
