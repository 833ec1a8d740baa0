"""The final names of a graph: layers as Keras calls them, every op by the layer call that ran it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from isopter.graph import Graph, Issue, check

Made = Mapping[str, Sequence[int | None]]
"""By the path of a layer call (``""``: the model), the ops of the tensors that it returned; None for one that depends on no input."""


def named(graph: Graph, made: Made, outputs: Mapping[str, int], issues: Sequence[Issue]) -> Graph:
    """`graph`, whose ops say in `module` which layer call ran them, with the names of Keras.

    An op whose result a call returned is called by its path, others by path and operation (``conv1.convolution``, then
    ``conv1.convolution_1``). The layers are the calls (a second tensor that one returned is ``path:1``), and the outputs by name.
    """
    names = _names(graph, {path: r[0] for path, r in made.items() if path and r and r[0] is not None})
    layers: dict[str, int] = {}
    calls: dict[str, tuple[str, int]] = {}
    for path, results in made.items():
        for at, op in enumerate(results):
            if path and op is not None:
                name = path if at == 0 else f"{path}:{at}"
                layers[name], calls[name] = op, (path, at)
    returned = {op: at for at, op in reversed(list(enumerate(made.get("", ()))))}
    for name, index in outputs.items():
        if name not in layers and index in returned:
            calls[name] = "", returned[index]
        layers.setdefault(name, index)
    renamed = tuple(replace(op, name=names[k]) for k, op in enumerate(graph.ops))
    return check(Graph(renamed, tuple(dict.fromkeys(outputs.values())), layers, graph.input_names, calls, tuple(issues)))


def _names(graph: Graph, made_by: Mapping[str, int]) -> dict[int, str]:
    names = {index: name for name, index in graph.input_names.items()}
    used = set(names.values())
    for index, op in enumerate(graph.ops):
        if index in names:
            continue
        returned = op.module and made_by.get(op.module) == index
        name = op.module if returned else f"{op.module}.{op.source}" if op.module else op.source
        label, repeat = name, 0
        while label in used or made_by.get(label, index) != index:
            repeat += 1
            label = f"{name}_{repeat}"
        used.add(label)
        names[index] = label
    return names
