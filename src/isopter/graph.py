"""The neutral graph: what a capture produces and every analysis reads. It holds no tensors and knows no framework.

An `Op` is one operation with plain-number parameters; a `Graph` is ops in topological order. Ops whose result does not
depend on an input (weights, masks, index tables) are not in the graph: their effect is in the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isopter.errors import GraphError

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Op:
    """One operation: `kind` names a rule in `isopter.reads`, `params` are its numbers, `inputs` index earlier ops.

    `module` is the path of the module call that ran it (``""`` for the model itself), `source` the framework's own name.
    """

    name: str
    kind: str
    shape: Shape
    inputs: tuple[int, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    module: str = ""
    source: str = ""

    def renamed(self, name: str, inputs: tuple[int, ...]) -> Op:
        """The same operation in another graph: of this name, of these ops."""
        return Op(name, self.kind, self.shape, inputs, self.params, self.module, self.source)


@dataclass(frozen=True, slots=True)
class Issue:
    """Something a reader of the result must know: an op that is only bounded, or a control path taken."""

    where: str
    what: str
    uses: int = 1

    def __str__(self) -> str:
        return f"{self.what} ({self.where}{f', {self.uses} uses' if self.uses > 1 else ''})"


@dataclass(frozen=True, slots=True)
class Graph:
    """Ops in topological order, and the names by which users know them.

    `outputs` are op indices; `layers` maps a module path (``layer1.0``, and ``layer1.0#2`` for its second call) to the
    op that made its output, and the names of the model's outputs to theirs; `calls` says which module call
    returned it, and at which position; `input_names` maps the argument names of the inputs to their ops.
    """

    ops: tuple[Op, ...]
    outputs: tuple[int, ...]
    layers: Mapping[str, int] = field(default_factory=dict)
    input_names: Mapping[str, int] = field(default_factory=dict)
    calls: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    issues: tuple[Issue, ...] = ()

    @property
    def inputs(self) -> tuple[int, ...]:
        return tuple(i for i, op in enumerate(self.ops) if op.kind == "input")

    def input_shapes(self, op: Op) -> tuple[Shape, ...]:
        return tuple(self.ops[i].shape for i in op.inputs)


def check(graph: Graph) -> Graph:
    """Return `graph`, or raise `GraphError` naming the first op that breaks a rule of legal graphs."""
    names: set[str] = set()
    for index, op in enumerate(graph.ops):
        where = f"op {index} ({op.name!r}, {op.kind})"
        if op.name in names:
            raise GraphError(f"{where}: the name is used twice. Names identify ops; a capture must number repeats.")
        names.add(op.name)
        if any(not isinstance(n, int) or n < 0 for n in op.shape):
            raise GraphError(f"{where}: shape {op.shape} must hold integers of 0 or more.")
        if any(not 0 <= i < index for i in op.inputs):
            raise GraphError(f"{where}: inputs {op.inputs} must be earlier ops (0..{index - 1}).")
        if (op.kind == "input") != (not op.inputs):
            raise GraphError(f"{where}: every op but an input has inputs; constants belong in params.")
        if op.kind in {"reshape"} and math.prod(op.shape) != math.prod(graph.ops[op.inputs[0]].shape):
            raise GraphError(f"{where}: a reshape of {graph.ops[op.inputs[0]].shape} cannot have shape {op.shape}.")
        if op.kind == "pointwise" and any(not _broadcasts(s, op.shape) for s in graph.input_shapes(op)):
            raise GraphError(f"{where}: inputs {graph.input_shapes(op)} do not broadcast to {op.shape}.")
    size = len(graph.ops)
    for label, index in [("output", i) for i in graph.outputs] + list(graph.layers.items()):
        if not 0 <= index < size:
            raise GraphError(f"{label} points at op {index}, but there are {size} ops.")
    if not graph.outputs:
        raise GraphError("The graph has no output: nothing the model returned depends on its input.")
    return graph


def _broadcasts(shape: Shape, to: Shape) -> bool:
    tail = to[len(to) - len(shape) :]
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(shape, tail, strict=True))
