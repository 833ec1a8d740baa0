"""One analysed network as data for the page: its ops with what they read, and the facts that need no walk.

The page follows reads itself, by the same relations as `fields`, so every unit of every layer can be asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from isopter.fields.extent import Extent, Progression, Unbounded
from isopter.fields.plan import Edge, Plan
from isopter.graph import Op
from isopter.report.page.relations import Relations
from isopter.report.rows import plain

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.fields.walks import Walks

PLAIN = -1
"""In place of a relation: every position reads its own."""


def graph_data(analysis: Analysis, origin: int | None = None) -> dict[str, Any]:
    """The model as plain data, seen from the input op `origin` (default: `analysis.origin`). The order of ops is that of `analysis.ops`.

    Ops that do not depend on that input have no edges and none of the facts about fields.
    """
    graph = analysis.graph
    origin = analysis.origin if origin is None else origin
    walks = analysis._walk(origin)
    relations = Relations()
    ops = [_op_data(analysis, walks, index, relations) for index in range(len(graph.ops))]
    return {
        "name": analysis.name,
        "origin": origin,
        "shape": _ints(graph.ops[origin].shape),
        "axes": _ints(walks.plan.axes),
        "ops": ops,
        "relations": relations.written,
        "outputs": _ints(graph.outputs),
        "layers": {name: int(index) for name, index in graph.layers.items()},
        "issues": [str(issue) for issue in graph.issues],
    }


def _op_data(analysis: Analysis, walks: Walks, index: int, relations: Relations) -> dict[str, Any]:
    plan, op = walks.plan, analysis.graph.ops[index]
    data: dict[str, Any] = {
        "name": op.name,
        "kind": op.kind,
        "source": op.source,
        "module": op.module,
        "shape": _ints(op.shape),
        "units": _ints(plan.units[index]),
        "inputs": _ints(op.inputs),
        "edges": [
            [edge.source, PLAIN if edge.plain else _relation(edge, plan, relations), int(edge.local)] for edge in plan.edges[index] or ()
        ],
    }
    window = window_data(op)
    if window is not None:
        data["window"] = window
    if numbers := params_data(op, but=window or {}):
        data["params"] = numbers
    for key, mark in (("leaked", "leaked"), ("squares", "fixed")):  # values read by Python; a filter of fixed numbers
        if op.params.get(key):
            data[mark] = 1
    if not plan.depends(index):
        return data
    field = analysis._field(index, plan.origin)
    return data | {
        "extent": [extent_data(extent) for extent in walks.extent(index)],
        "size": [plain(v) for v in field.size],
        "stride": [plain(v) for v in field.stride],
        "start": [plain(v) for v in field.start],
        "basis": field.basis,
        "context": field.context,
        "whole": walks.whole(index, False),
        "exactness": field.exactness,
        "plane": walks.plane_is_pullable(index),
    }


def _relation(edge: Edge, plan: Plan, relations: Relations) -> int:
    return relations.add(edge.relation, plan.graph.ops[edge.source].shape, plan.graph.ops[edge.target].shape)


def extent_data(extent: Extent) -> dict[str, Any] | str:
    """A progression (carrier, jump, lo and hi per phase; None where a phase reads nothing), "inf", or why there is no plane."""
    if isinstance(extent, Progression):
        lo, hi = extent.by_phase()
        reads = [bool(low < high) for low, high in zip(lo, hi, strict=True)]
        return {
            "c": int(extent.carrier),
            "j": int(extent.jump),
            "lo": [int(v) if r else None for v, r in zip(lo, reads, strict=True)],
            "hi": [int(v) if r else None for v, r in zip(hi, reads, strict=True)],
        }
    return "inf" if isinstance(extent, Unbounded) else extent.why


def window_data(op: Op) -> dict[str, Any] | None:
    """Kernel, stride, dilation, left pad (one number per space axis) and groups of a convolution or pooling; else None."""
    if op.kind not in ("conv", "conv_transpose", "pool") or "taps" in op.params:
        return None
    numbers = {key: _ints(op.params[key]) for key in ("kernel", "stride", "dilation", "pad")}
    return numbers | {"groups": int(op.params.get("groups", 1))}


HERE = frozenset(
    "mode ceil axes axis steps align_corners antialias before shifts start step keepdim offsets groups reverse time layers bidirectional "
    "operands perm pairs outs ins kernel stride dilation pad taps same_taps constant layout".split()
)
"""The numbers of an op by which its shape and its reads follow another size."""


def params_data(op: Op, but: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of an op that the page's what-if needs, less those in `but`; of masks only the shape, of patterns that there is one."""
    data: dict[str, Any] = {key: value for key, value in op.params.items() if key in HERE and key not in but}
    if "shifts" in data:
        data["shifts"] = [[axis, shift] for axis, shift in data["shifts"].items()]
    if op.kind == "resample":
        simple = [None if step is None else Fraction(step).limit_denominator(10_000) for step in op.params["steps"]]
        data["steps"] = [None if step is None else float(step) for step in op.params["steps"]]
        data["fractions"] = [None if f is None else [f.numerator, f.denominator] for f in simple]
    for key in ("unread", "covered"):
        if op.params.get(key) is not None:
            data["mask"] = _ints(np.shape(op.params[key]))
    if any(op.params.get(key) is not None for key in ("left_pattern", "right_pattern")):
        data["patterned"] = True
    return data


def _ints(values: Any) -> list[int]:
    return [int(v) for v in values]
