"""The same network with other kernels, strides, dilations or paddings, or at another input size; the model is not needed.

Edits name convolutions, transposed convolutions and poolings; a layer that is called several times changes in all its calls, whichever of
them is named. Padding that kept the length of the map goes on keeping it, unless `padding` is given.

Shapes follow from what the capture saw. A window's end is padded as its front is where that gives the shape it had, else rounded up,
else padded as it takes. Resampling keeps its ratio of sizes, or the factor a program gave; adaptive pooling keeps its output size,
paddings and rolls their numbers. Slices that ran to the end go on doing so, constants in sums and products (a table of positions) change
with the map, and those of a concatenation do not. Each of these that was used at another size is an issue of the result. Views keep axes
that they neither split nor merge: whether they name sizes as numbers, a capture does not tell. Where a shape is not known (axes that are
split, a slice that ends before the end, listed positions, masks) that is an error, never a guess.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isopter.design.misfit import Misfit
from isopter.design.place import Edit, Place
from isopter.design.shapes import after
from isopter.design.subject import origin as origin_of
from isopter.errors import GraphError, UsageError
from isopter.graph import Issue, Op, Shape, check

if TYPE_CHECKING:
    from isopter.analysis import Analysis

NUMBERS = ("kernel", "stride", "dilation", "padding")

WINDOWS = ("conv", "conv_transpose", "pool")
"""Kinds that can be edited."""

MOST = 1_000_000
"""The largest number of an edit or a size: far beyond any network, and far below where whole numbers of arrays end."""

_CALL = re.compile(r"#\d+(?=\.|$)")
"""What a module path says of its call: ``head#2`` is the second call of ``head``."""


def what_if(
    analysis: Analysis,
    edits: Mapping[str, Mapping[str, int | Sequence[int]]] | None = None,
    input_size: Sequence[int] | None = None,
    *,
    input: str | None = None,
) -> Analysis:
    """The analysis of the edited network: see `Analysis.what_if`. Raises UsageError for wrong arguments, and where layers do not match."""
    from isopter.analysis import Analysis

    graph, origin = analysis.graph, origin_of(analysis, input)
    units = analysis._walk(origin).plan.units
    wanted = _wanted(analysis, edits)
    size = None if input_size is None else _size(graph.ops[origin].shape, input_size)
    ops: list[Op] = []
    notes: dict[Issue, None] = {}
    for index, op in enumerate(graph.ops):
        now, names = tuple(ops[i].shape for i in op.inputs), tuple(ops[i].name for i in op.inputs)
        place = Place(op, graph.input_shapes(op), now, names, wanted.get(index, {}), units[op.inputs[0]] if op.inputs else ())
        try:
            params, shape = after(place) if op.inputs else (op.params, size if size and index == origin else op.shape)
        except Misfit as why:
            raise UsageError(f"{op.name} stops matching: {why}.") from None
        ops.append(replace(op, params=params, shape=shape))
        notes |= dict.fromkeys(Issue(op.name, note) for note in place.notes)
    issues = (*graph.issues, *(note for note in notes if note not in graph.issues))
    try:
        found = Analysis(check(replace(graph, ops=tuple(ops), issues=issues)), analysis.axes, analysis.name)
    except GraphError as error:
        raise UsageError(f"The edited network does not fit together: {error}") from error
    found._walk(origin)
    return found


def _wanted(analysis: Analysis, edits: Mapping[str, Mapping[str, int | Sequence[int]]] | None) -> dict[int, Edit]:
    """The edits by op. Raises UsageError with what was expected."""
    if not isinstance(edits, Mapping | None):
        raise UsageError(f"edits={edits!r} must be a dict from layer names to dicts of numbers, such as {{'conv1': {{'kernel': 5}}}}.")
    wanted: dict[int, Edit] = {}
    for name, edit in (edits or {}).items():
        for index in _calls(analysis, name):
            op = analysis.graph.ops[index]
            if index in wanted:
                raise UsageError(f"edits name {op.name} twice. Give each layer one dict of numbers.")
            wanted[index] = _checked(op, name, edit)
    return wanted


def _calls(analysis: Analysis, name: str) -> list[int]:
    """The op of a layer, and those of its other calls: they share its weights."""
    index, layers = analysis.find(name), analysis.graph.layers
    if name not in layers:
        return [index]
    layer = _CALL.sub("", name)
    calls = {name: index} | {other: i for other, i in layers.items() if _CALL.sub("", other) == layer}
    return list(dict.fromkeys(_window_of(analysis, path, i) for path, i in calls.items()))


def _window_of(analysis: Analysis, path: str, index: int) -> int:
    """The op that makes a layer's output, or the only window in it: a layer of Keras may end in its bias, or its activation."""
    ops = analysis.graph.ops
    if ops[index].kind in WINDOWS:
        return index
    inside = [i for i, op in enumerate(ops) if op.kind in WINDOWS and f"{op.module}.".startswith(f"{path}.")]
    return inside[0] if len(inside) == 1 else index


def _checked(op: Op, name: str, edit: Mapping[str, int | Sequence[int]]) -> Edit:
    """The numbers of one edit, one per space axis. Raises UsageError with what was expected."""
    if not isinstance(edit, Mapping):
        raise UsageError(f"{name}: {edit!r} must be a dict of some of {', '.join(NUMBERS)}, such as {{'kernel': 5}}.")
    if op.kind not in WINDOWS:
        raise UsageError(f"{name} ends in {op.name}, a {op.kind}: only convolutions and poolings have {', '.join(NUMBERS)}.")
    unknown = sorted(map(str, set(edit) - set(NUMBERS)))
    if unknown:
        raise UsageError(f"{name} has no {', '.join(unknown)}. An edit gives some of {', '.join(NUMBERS)}.")
    found = {key: _numbers(name, key, value, len(op.params["kernel"])) for key, value in edit.items()}
    if "kernel" in found and ("taps" in op.params or "squares" in op.params):
        raise UsageError(f"{name} is a fixed filter: another kernel would need other numbers in it. Edit its stride, dilation or padding.")
    if found.get("dilation", (1,)) != (1,) * len(found.get("dilation", (1,))) and op.params.get("mode") == "avg":
        raise UsageError(f"{name} is average pooling, which has no dilation. Edit its kernel, stride or padding.")
    return found


def _numbers(name: str, key: str, value: int | Sequence[int], count: int) -> tuple[int, ...]:
    least = 0 if key == "padding" else 1
    given: Any = [value] * count if hasattr(value, "__index__") else value
    try:
        numbers = tuple(operator.index(n) for n in given)
    except TypeError:
        numbers = ()
    if isinstance(value, bool | str) or len(numbers) != count or any(isinstance(n, bool) for n in given) or min(numbers) < least:
        raise UsageError(f"{name}: {key}={value!r} must be a whole number of {least} or more, or a tuple of {count} of them.")
    if max(numbers) > MOST:
        raise UsageError(f"{name}: {key}={value!r} is too large. Give whole numbers from {least} to {MOST:,}.")
    return numbers


def _size(shape: Shape, size: Sequence[int]) -> Shape:
    try:
        given = tuple(operator.index(n) for n in size)
    except TypeError:
        given = ()
    if given and max(given) > MOST:
        raise UsageError(f"input_size={size!r} is too large. Give whole numbers from 1 to {MOST:,}.")
    if len(given) != len(shape) or min(given, default=1) < 1:
        raise UsageError(f"input_size={size!r} must give {len(shape)} whole numbers of 1 or more, as the input has: {shape}.")
    return given
