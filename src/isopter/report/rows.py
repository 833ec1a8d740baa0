"""The table as plain data, and which of its rows a report shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from isopter.errors import LayerNotFound, UsageError
from isopter.fields.field import Field

if TYPE_CHECKING:
    from isopter.analysis import Analysis


def rows(analysis: Analysis) -> list[dict[str, Any]]:
    """One dict per op, in the order of `analysis.ops`, safe for strict JSON.

    name, kind: text. shape: the output tensor's, a list. size, stride, start: lists with one entry per space axis, in input
    pixels; infinite ones are the strings "inf" and "-inf", a stride that is no whole number is a string such as "1/2", and a
    stride that does not exist is None. basis: "plane" or "input". context: bool. exactness: "exact", "bound" or "data_dependent".
    """
    return [row(analysis, index, name) for index, name in enumerate(analysis.ops)]


def row(analysis: Analysis, index: int, name: str) -> dict[str, Any]:
    """The row of op `index`, under the name `name`."""
    op, found = analysis.graph.ops[index], field_of(analysis, index)
    return {
        "name": name,
        "kind": op.kind,
        "shape": list(op.shape),
        "size": [plain(v) for v in found.size],
        "stride": [plain(v) for v in found.stride],
        "start": [plain(v) for v in found.start],
        "basis": found.basis,
        "context": found.context,
        "exactness": found.exactness,
    }


def plain(value: float | Fraction | None) -> int | str | None:
    """A number for JSON: an int, or "inf", "-inf", "1/2"."""
    if value is None:
        return None
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else f"{value.numerator}/{value.denominator}"
    return str(value) if math.isinf(value) else int(value)


def field_of(analysis: Analysis, index: int) -> Field:
    """The field of op `index`, over the first input it depends on."""
    return analysis._field(index, analysis._origin_of(index))


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows to show, as (name, op index) in the order the model runs them; `left_out` ops see just what their input sees."""

    rows: tuple[tuple[str, int], ...]
    left_out: int = 0


def select(analysis: Analysis, *, depth: int | None = None, pattern: str | None = None, all_ops: bool = False) -> Selection:
    """Every op; those whose name or layer matches the glob `pattern`; or the outputs of the modules at `depth`.

    With neither, and unless `all_ops`, inputs and ops whose field is that of their only input are left out; what is left of a layer, a
    convolution without its bias and activation, is then called by the layer. Raises UsageError for
    a depth below 1 and LayerNotFound where nothing matches.
    """
    if depth is not None and depth < 1:
        raise UsageError(f"depth={depth} must be 1 or more: 1 shows the model's own layers.")
    if pattern is not None:
        found = Selection(_matching(analysis, pattern))
        if depth is None:
            return found
        chosen = set(_modules(analysis, depth))
        return Selection(tuple(r for r in found.rows if r in chosen) or found.rows)
    if depth is not None:
        return Selection(_modules(analysis, depth))
    everything = tuple((name, i) for i, name in enumerate(analysis.ops))
    if all_ops:
        return Selection(everything)
    inputs = set(analysis.graph.inputs)
    kept = tuple((name, i) for name, i in everything if i not in inputs and not _adds_nothing(analysis, i))
    kept = as_layers(analysis, kept) or tuple((analysis.ops[i], i) for i in analysis.graph.outputs)
    return Selection(kept, len(everything) - len(inputs | {i for _, i in kept}))


def as_layers(analysis: Analysis, kept: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """The rows with the names of layers where one row is all that is seen of a layer: its result sees the same, and has the same axes
    (in another order, maybe, or with others of length 1)."""
    ops = analysis.graph.ops
    result = {op.name: i for i, op in enumerate(ops) if op.name == op.module}
    rows = tuple(kept)
    alone = Counter(ops[i].module for _, i in rows)
    found = []
    for name, index in rows:
        path = ops[index].module
        last = result.get(path, index)
        same = alone[path] == 1 and _long(ops[last].shape) == _long(ops[index].shape) and _seen(analysis, last) == _seen(analysis, index)
        found.append((path if last > index and same else name, index))
    return tuple(found)


def _long(shape: Sequence[int]) -> list[int]:
    return sorted(n for n in shape if n > 1)


def _matching(analysis: Analysis, pattern: str) -> tuple[tuple[str, int], ...]:
    """Matches in the order of the ops; an op known by several matching names comes once."""
    if pattern in analysis._index:
        return ((pattern, analysis._index[pattern]),)
    first: dict[int, str] = {}
    for name in analysis.match(pattern):
        first.setdefault(analysis._index[name], name)
    if not first:
        raise LayerNotFound(pattern, analysis._index)
    return tuple((first[i], i) for i in sorted(first))


def _modules(analysis: Analysis, depth: int) -> tuple[tuple[str, int], ...]:
    """Module calls `depth` names deep, and shallower ones that call no module of their own."""
    paths = set(analysis.graph.layers)
    running = {part for op in analysis.graph.ops for part in _prefixes(op.module)}
    parents = {name.rpartition(".")[0] for name in paths}
    chosen = [
        (name, index)
        for name, index in analysis.graph.layers.items()
        if name in running and (name.count(".") == depth - 1 or (name.count(".") < depth - 1 and name not in parents))
    ]
    return tuple(sorted(chosen, key=lambda row: row[1]))


def _prefixes(path: str) -> Iterable[str]:
    parts = path.split(".")
    return (".".join(parts[: k + 1]) for k in range(len(parts)))


def _adds_nothing(analysis: Analysis, index: int) -> bool:
    sources = set(analysis.graph.ops[index].inputs)
    if len(sources) != 1:
        return False
    return _seen(analysis, index) == _seen(analysis, sources.pop())


def _seen(analysis: Analysis, index: int) -> tuple[object, ...]:
    f = field_of(analysis, index)
    return f.size, f.stride, f.start, f.sizes_by_phase, f.basis, f.context, f.exactness
