"""Which layers are measured: names, globs and modules as the outputs of module calls, which a live model can be asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from isopter.analysis import Analysis
from isopter.errors import UsageError
from isopter.fields.field import Field


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer to measure: its name, its theory, and the module call that returns it, as which of its tensors."""

    name: str
    field: Field
    call: str
    output: int


def chosen(analysis: Analysis, layers: Any) -> tuple[Layer, ...]:
    """The layers of one or several names, globs or modules; of None the last that is a map, as the outermost module returns it.

    Raises UsageError for what no module returns, with the nearest that one does.
    """
    if layers is None:
        named = _default(analysis)
        names = {named: named}
    else:
        keys = layers if isinstance(layers, Sequence) and not isinstance(layers, str) else [layers]
        names = {label: name for key in keys for label, name in _names(analysis, key).items()}
    if not names:
        raise UsageError("layers is empty. Name at least one, or leave it out for the last that is still a map.")
    return tuple(Layer(label, analysis[label], *analysis.graph.calls[name]) for label, name in names.items())


def _names(analysis: Analysis, key: Any) -> dict[str, str]:
    """What the user calls the layers that `key` stands for, and the call that returns each."""
    calls = analysis.graph.calls
    if isinstance(key, str) and key not in analysis and (matches := analysis.match(key)):
        found = [name for name in matches if name in calls]
        return {name: name for name in found or [_returned(analysis, analysis.find(matches[0]), key)]}
    index = analysis.find(key)
    if isinstance(key, str) and key in analysis:
        return {key: key if key in calls else _returned(analysis, index, key)}
    path = "" if isinstance(key, str) else analysis._modules.get(key, "")
    name = path if path in calls else _returned(analysis, index, key)
    return {name: name}


def _returned(analysis: Analysis, index: int, key: object) -> str:
    """The module call that returns op `index`."""
    graph = analysis.graph
    made = {name: graph.layers[name] for name in graph.calls}
    same = [name for name, op in made.items() if op == index]
    if same:
        return min(same, key=len)
    if not made:
        raise UsageError(f"The calls of {analysis.name}'s modules cannot be heard: measure the model it was scripted or exported from.")
    near = min(made, key=lambda name: (made[name] < index, abs(made[name] - index), len(name)))
    raise UsageError(f"No module returns {str(key)!r}, so the live model cannot be asked for it. The nearest that one returns: {near!r}.")


def _default(analysis: Analysis) -> str:
    graph = analysis.graph
    made = {name: graph.layers[name] for name in graph.calls}
    if not made:
        return _returned(analysis, len(graph.ops) - 1, analysis.name)
    fields = {name: analysis[name] for name in made}
    able = [n for n, f in fields.items() if _is_map(f)] or list(made)
    last = max(made[name] for name in able)
    return min((name for name in able if made[name] == last), key=len)


def _is_map(field: Field) -> bool:
    """Whether it has units side by side, and channels: neither pooled to one place nor flattened to a vector."""
    return math.prod(field.units) > 1 and len(field.shape) - len(field.units) > 1
