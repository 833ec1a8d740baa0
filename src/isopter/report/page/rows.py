"""The rows of the page's layer list: the ops worth a line, and which of them each follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isopter.report.rows import as_layers, select

if TYPE_CHECKING:
    from isopter.analysis import Analysis

ALWAYS = frozenset({"conv", "conv_transpose", "pool", "matmul"})
"""Kinds that have a row though their field is that of their input (a 1x1 convolution)."""

Row = tuple[int, str, tuple[int, ...]]
"""Op index, label, and the rows whose ops it reads, directly or through ops that have no row."""


def page_rows(analysis: Analysis, origin: int) -> list[Row]:
    """In the order the model runs them; only ops that depend on the input op `origin`. Never empty."""
    plan = analysis._walk(origin).plan
    worth = {index for _, index in select(analysis).rows} | {i for i, op in enumerate(analysis.graph.ops) if op.kind in ALWAYS}
    chosen = {index: name for name, index in as_layers(analysis, ((analysis.ops[i], i) for i in sorted(worth)))}
    kept = [index for index in sorted(chosen) if index != origin and plan.depends(index)] or [origin]
    row_of = {index: row for row, index in enumerate(kept)}
    before: dict[int, frozenset[int]] = {}
    found: list[Row] = []
    for index in range(len(analysis.graph.ops)):
        above = frozenset[int]().union(*(before.get(edge.source, frozenset()) for edge in plan.edges[index] or ()))
        if index in row_of:
            found.append((index, chosen.get(index, analysis.ops[index]), tuple(sorted(above))))
            above = frozenset({row_of[index]})
        before[index] = above
    return found
