"""Relations as JSON, each written once however many edges share it.

A map is a short code: "=" Same, "*" Whole, "#" Regroup, ["w", size, stride, dilation, pad] Window, ["s", ...] Spread,
["t", rows, plane] Take, ["p", lo, hi, plane] Span, ["T", rows] Table, ["M", bits] Masked. Arrays of positions are written as
differences, which a deflated file holds for next to nothing; booleans as the slices that differ and which of them comes where.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np

from isopter.graph import Shape
from isopter.reads.axis import NOTHING, Array, AxisMap, Periodic, Same, Span, Spread, Take, Whole, Window
from isopter.reads.relation import Link, Listed, Masked, Regroup, Relation, Table


class Relations:
    """The relations met so far; `add` gives the place of one in `written`."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self._places: dict[str, int] = {}

    def add(self, relation: Relation, inner: Shape, outer: Shape) -> int:
        """The place of `relation` in `written`: that of an equal one, or a new one. It leads from the shape `inner`, read, to `outer`."""
        data = relation_data(relation, inner, outer)
        key = json.dumps(data, separators=(",", ":"))
        if key not in self._places:
            self._places[key] = len(self.written)
            self.written.append(data)
        return self._places[key]


def relation_data(relation: Relation, inner: Shape, outer: Shape) -> dict[str, Any]:
    """One relation, by which a tensor of shape `outer` reads one of shape `inner`: its links as [outs, ins, map], and `unread`, `summary`
    and `exactness` where there is something to say."""
    data: dict[str, Any] = {"links": [[list(link.outs), list(link.ins), _link_map(link, inner, outer)] for link in relation.links]}
    if relation.summary:
        data["summary"] = 1
    if relation.exactness != "exact":
        data["exactness"] = relation.exactness
    if relation.unread is not None:
        data["unread"] = bits(np.asarray(relation.unread, np.bool_))
    return data


def _link_map(link: Link, inner: Shape, outer: Shape) -> Any:
    return map_data(link.map, math.prod(inner[axis] for axis in link.ins), math.prod(outer[axis] for axis in link.outs))


def map_data(link_map: AxisMap | Regroup | Listed, n_in: int, n_out: int) -> Any:
    """The code of a map by which `n_out` positions read `n_in`. A user's own kind of axis map is written as a Take of its table, with its
    pattern on the plane: the same reads."""
    match link_map:
        case Same():
            return "="
        case Whole():
            return "*"
        case Regroup():
            return "#"
        case Window(size, stride, dilation, pad):
            return ["w", int(size), int(stride), int(dilation), int(pad)]
        case Spread(size, stride, dilation, pad):
            return ["s", int(size), int(stride), int(dilation), int(pad)]
        case Take(rows, plane):
            return ["t", positions(rows), plane_data(plane)]
        case Span(lo, hi, plane):
            return ["p", positions(lo), positions(hi), plane_data(plane)]
        case Table(rows):
            return ["T", positions(rows)]
        case Masked(pattern):
            return ["M", bits(pattern)]
        case AxisMap():
            return ["t", positions(link_map.table(n_out, n_in)), plane_data(link_map.plane)]
        case _:
            raise TypeError(f"a {type(link_map).__name__} has no code: add one here and in web/engine/maps.js")


def plane_data(plane: Periodic | None) -> list[Any] | None:
    """[jump, rows of the pattern], None in a row for what reads nothing."""
    if plane is None:
        return None
    return [int(plane.jump), [[None if v == NOTHING else int(v) for v in row] for row in plane.pattern]]


def positions(array: Array) -> dict[str, Any]:
    """Whole numbers: their shape, and each one's difference from the one before, column after column."""
    columns = np.asarray(array, np.int64).T.reshape(-1)
    return {"shape": list(array.shape), "steps": np.diff(columns, prepend=0).tolist()}


def bits(array: Array) -> dict[str, Any]:
    """Booleans: their shape, the different slices along the first axis (base64, eight to a byte), and which of them comes where."""
    if array.size == 0:
        return {"shape": list(array.shape), "bits": "", "which": []}
    slices = np.asarray(array).reshape(array.shape[0] if array.ndim > 1 else 1, -1)
    different, which = np.unique(slices, axis=0, return_inverse=True)
    packed = base64.b64encode(np.packbits(different.reshape(-1)).tobytes()).decode("ascii")
    return {"shape": list(array.shape), "bits": packed, "which": which.reshape(-1).tolist()}
