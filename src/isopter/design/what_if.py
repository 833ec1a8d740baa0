"""The same network with other kernels, strides, dilations or paddings, or at another input size; the model is not needed.

Edits name convolutions, transposed convolutions and poolings; a layer that is called several times changes in all its calls. Padding that
kept the length of the map goes on keeping it, unless `padding` is given.

Shapes follow from what the capture saw. A window's end is padded as its front is where that gives the shape it had, else rounded up,
else padded as it takes. Resampling keeps its ratio of sizes, or the factor a program gave; adaptive pooling keeps its output size,
paddings and rolls their numbers. Slices that ran to the end go on doing so, and views keep axes that they neither split nor merge. That a
constant of fixed size is added, as a table of positions is, or that a view names sizes as numbers, a capture does not tell. Where a shape
is not known (axes that are split, a slice that ends before the end, listed positions, masks) that is an error, never a guess.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isopter.design.misfit import Misfit
from isopter.design.shapes import Edit, Place, after
from isopter.errors import GraphError, UsageError
from isopter.graph import Graph, Op, Shape, check

if TYPE_CHECKING:
    from isopter.analysis import Analysis

NUMBERS = ("kernel", "stride", "dilation", "padding")


def what_if(
    analysis: Analysis,
    edits: Mapping[str, Mapping[str, int | Sequence[int]]] | None = None,
    input_size: Sequence[int] | None = None,
) -> Analysis:
    """The analysis of the edited network: see `Analysis.what_if`. Raises UsageError for wrong arguments, and where layers do not match."""
    from isopter.analysis import Analysis

    graph = analysis.graph
    wanted: dict[int, Edit] = {}
    for name, edit in (edits or {}).items():
        for index in _calls(analysis, name):
            if index in wanted:
                raise UsageError(f"edits name {graph.ops[index].name} twice. Give each layer one dict of numbers.")
            wanted[index] = _checked(graph.ops[index], name, edit)
    ops: list[Op] = []
    for index, op in enumerate(graph.ops):
        place = Place(
            op, graph.input_shapes(op), tuple(ops[i].shape for i in op.inputs), tuple(ops[i].name for i in op.inputs), wanted.get(index, {})
        )
        try:
            params, shape = after(place) if op.inputs else (op.params, _input_shape(graph, index, input_size))
        except Misfit as why:
            raise UsageError(f"{op.name} stops matching: {why}.") from None
        ops.append(replace(op, params=params, shape=shape))
    try:
        found = Analysis(check(replace(graph, ops=tuple(ops))), analysis.axes, analysis.name)
    except GraphError as error:
        raise UsageError(f"The edited network does not fit together: {error}") from error
    found._walk(found._inputs[0])
    return found


def _calls(analysis: Analysis, name: str) -> list[int]:
    """The op of a layer, and those of its later calls: they share its weights."""
    index = analysis.find(name)
    again = re.compile(re.escape(name) + r"#\d+")
    return [index, *(i for other, i in analysis.graph.layers.items() if name in analysis.graph.layers and again.fullmatch(other))]


def _checked(op: Op, name: str, edit: Mapping[str, int | Sequence[int]]) -> Edit:
    """The numbers of one edit, one per space axis. Raises UsageError with what was expected."""
    if op.kind not in ("conv", "conv_transpose", "pool"):
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
    return numbers


def _input_shape(graph: Graph, index: int, size: Sequence[int] | None) -> Shape:
    shape = graph.ops[index].shape
    if size is None or index != graph.inputs[0]:
        return shape
    try:
        given = tuple(operator.index(n) for n in size)
    except TypeError:
        given = ()
    if len(given) != len(shape) or min(given, default=1) < 1:
        raise UsageError(f"input_size={size!r} must give {len(shape)} whole numbers of 1 or more, as the input has: {shape}.")
    return given
