"""Loops over time: a While that takes a step of a list, changes a state by it, and writes a step of another list, is one recurrent op.

How often it runs and which items it takes and writes is counted with numbers; what a step reads is captured once, and looked at by
`isopter.capture.static.cells`. Whatever does not fit is left to be written out, or bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.static.builder import Builder
from isopter.capture.static.cells import STEPS, Cell, emitted, last, ordered, recurs
from isopter.capture.static.values import Const, Data, Lost, Value, Weight
from isopter.capture.tensorflow import translate
from isopter.capture.tensorflow.control import Body
from isopter.capture.tensorflow.flat import BRANCHES, LOOPS, Flat, ancestors
from isopter.capture.tensorflow.fold import constant, folded
from isopter.capture.tensorflow.lists import Items, of_rows
from isopter.capture.tensorflow.node import Node
from isopter.errors import CaptureError
from isopter.graph import Shape


class _Unlike(Exception):
    """The loop is no recurrent net."""


@dataclass(eq=False)
class _Step:
    """The body of a loop as it is captured. `taken`: per sequence its op here, the list it is cut from (number of the argument) and the
    tensor that says where; `written`: per list that is written, by argument, the op that is, and the tensor that says where."""

    rec: Builder = field(default_factory=Builder)
    taken: list[tuple[int, int, str]] = field(default_factory=list)
    written: dict[int, tuple[int, str]] = field(default_factory=dict)
    states: dict[int, int] = field(default_factory=dict)
    known: dict[str, Value] = field(default_factory=dict)


def recurrent(rec: Builder, flat: Flat, node: Node) -> list[Value] | None:
    """What such a loop returns; None where it is another loop."""
    if node.op not in LOOPS or not any(isinstance(v, Items) and isinstance(v.whole, Data) for v in node.inputs):
        return None
    try:
        return _Loop(flat, node).emit(rec)
    except (_Unlike, CaptureError):
        return None


class _Loop:
    def __init__(self, flat: Flat, node: Node) -> None:
        self.node = node
        self.condition = Body(flat, node, node.attr("cond").name)
        self.body = Body(flat, node, node.attr("body").name)
        graph = self.body.flat.graph
        self.back = [_root(graph.get_tensor_by_name(t)) for t in self.body.flat.outputs]
        self.arguments = [f"{a}:0" for a in self.body.arguments]
        self.kept = {k for k, (a, b) in enumerate(zip(self.arguments, self.back, strict=True)) if a == b.name}
        self.counters = self._counters()
        self.step = self._captured()

    def emit(self, rec: Builder) -> list[Value]:
        """The recurrent ops, and the values that the loop returns."""
        step, node = self.step, self.node
        places, counted = self._counted([t for _, _, t in step.taken] + [t for _, t in step.written.values()])
        steps = len(places)
        made = {k: v.op for k in step.states if isinstance(v := step.known.get(self.back[k].name), Data)}
        cell = Cell(
            step.rec.ops,
            tuple(op for op, _, _ in step.taken),
            tuple((source, made.get(k)) for k, source in step.states.items()),
            tuple(op for op, _ in step.written.values()),
        )
        if not steps or not recurs(cell, steps):
            raise _Unlike
        sequences = []
        for at, (_, k, _) in enumerate(step.taken):
            value = node.inputs[k]
            whole = value.whole if isinstance(value, Items) else None
            order = [place[at] for place in places]
            if not isinstance(whole, Data) or min(order) < 0 or max(order) >= rec.shape(whole.op)[0]:
                raise _Unlike
            sequences.append((whole.op, order))
        first = [v.op for k in step.states if isinstance(v := node.inputs[k], Data)]
        ops: dict[int, int] = {}

        def of(op: int) -> int:
            if op not in ops:
                ops[op] = emitted(rec, sequences, first, step.rec.shape(op)[-1])
            return ops[op]

        values: list[Value] = []
        for k, given in enumerate(node.inputs):
            if k in self.kept:
                values.append(given)
            elif k in step.written:
                at = len(step.taken) + list(step.written).index(k)
                length = len(given.items) if isinstance(given, Items) and given.whole is None else 0
                order = [-1] * length
                for number, place in enumerate(places):
                    if not 0 <= place[at] < length:
                        raise _Unlike
                    order[place[at]] = number
                values.append(of_rows(Data(ordered(rec, of(step.written[k][0]), order))))
            elif k in made:
                values.append(Data(last(rec, of(made[k]))))
            else:
                values.append(counted.get(k, Weight(node.outs[k])))
        return values

    # ---- numbers ----------------------------------------------------------------------------------------------------------

    def _counters(self) -> set[int]:
        """The arguments that decide how often the loop runs and which items it takes: numbers that no data changes."""
        graph = self.body.flat.graph
        todo = _arguments(self.condition, [self.condition.flat.outputs[0]])
        for op in graph.get_operations():
            if op.type in ("TensorListGetItem", "TensorListSetItem"):
                todo |= _arguments(self.body, [op.inputs[1].name])
        found: set[int] = set()
        while todo - found:
            k = (todo - found).pop()
            found.add(k)
            todo |= _arguments(self.body, [self.back[k].name])
        if any(not isinstance(self.node.inputs[k], Const) for k in found):
            raise _Unlike
        return found

    def _counted(self, watched: Sequence[str]) -> tuple[list[list[int]], dict[int, Value]]:
        """Per trip the numbers of these tensors, and the counters after the last."""
        state = {k: self.node.inputs[k] for k in self.counters}
        after = [self.back[k].name for k in self.counters]
        condition, body = (_Numbers(b, w) for b, w in ((self.condition, self.condition.flat.outputs[:1]), (self.body, [*after, *watched])))
        places: list[list[int]] = []
        while bool(_number(condition.run(state)[0])):
            found = body.run(state)
            places.append([_number(v) for v in found[len(after) :]])
            state = dict(zip(self.counters, found, strict=False))
            if len(places) > STEPS:
                raise _Unlike
        return places, state

    # ---- what a step reads ------------------------------------------------------------------------------------------------

    def _captured(self) -> _Step:
        """The body, captured as a graph of its own."""
        step, node, graph = _Step(), self.node, self.body.flat.graph
        for k, (name, value) in enumerate(zip(self.arguments, node.inputs, strict=True)):
            step.known[name] = self._argument(step, k, value)
        numbers = {self.arguments[k] for k in self.counters}
        for op in graph.get_operations():
            if op.outputs and op.outputs[0].name in step.known:
                continue
            if any(t.name in numbers for t in op.inputs) and not _is_list(op):
                if any(isinstance(step.known[t.name], Data) for t in op.inputs):
                    raise _Unlike  # what a step does depends on its number
                numbers |= {t.name for t in op.outputs}
            self._op(step, op)
        if any(step.rec.issues):
            raise _Unlike
        return step

    def _argument(self, step: _Step, k: int, value: Value) -> Value:
        if k in self.counters:
            return Weight(self.node.shapes[k])
        if isinstance(value, Lost):
            return Lost(())
        if k in self.kept:
            if isinstance(value, Data):
                raise _Unlike
            return value
        shape = self.node.shapes[k]
        if not shape:
            return Weight(shape)  # another counter, of which nothing depends; `recurs` would not find it among the states
        step.states[k] = step.rec.emit("input", shape, (), {}, "state")
        return Data(step.states[k])

    def _op(self, step: _Step, op: Any) -> None:
        values = [step.known[t.name] for t in op.inputs]
        outs = [tuple(t.shape.as_list()) if t.shape.is_fully_defined() else None for t in op.outputs]
        made: list[Value]
        if op.type == "Const":
            made = [constant(op)]
        elif op.type == "TensorListGetItem":
            made = [self._taken(step, op, outs[0])]
        elif op.type == "TensorListSetItem":
            self._written(step, op, values[2])
            made = [Lost(())]
        elif op.type == "Identity":
            made = values[:1]
        elif not any(isinstance(v, Data | Lost) for v in values):
            made = folded(op, values, outs)
        elif any(isinstance(v, Lost) for v in values) or None in outs or op.type in BRANCHES | LOOPS:
            raise _Unlike
        else:
            shapes = tuple(v.shape if isinstance(v, Const) else o for v, o in zip(values, map(_shape, op.inputs), strict=True))
            made = translate.translate(step.rec, Node(op.type, op.name, tuple(values), shapes, tuple(outs), op))
        step.known |= {t.name: v for t, v in zip(op.outputs, made, strict=True)}

    def _taken(self, step: _Step, op: Any, shape: Shape | None) -> Value:
        k = self._list(op.inputs[0])
        value = self.node.inputs[k]
        if k not in self.kept or not isinstance(value, Items) or value.whole is None:
            raise _Unlike
        if not isinstance(value.whole, Data):
            if op.outputs[0].dtype == tf.bool:
                raise _Unlike  # a constant mask, which tells steps apart
            return Weight(shape)
        if not shape:
            raise _Unlike
        index = step.rec.emit("input", shape, (), {}, "step")
        step.taken.append((index, k, op.inputs[1].name))
        return Data(index)

    def _written(self, step: _Step, op: Any, value: Value) -> None:
        k = self._list(op.inputs[0])
        if k in self.kept or k in step.written or self.back[k].op.name != op.name or not isinstance(value, Data):
            raise _Unlike
        step.written[k] = value.op, op.inputs[1].name

    def _list(self, tensor: Any) -> int:
        name = _root(tensor).name
        if name not in self.arguments:
            raise _Unlike
        return self.arguments.index(name)


class _Numbers:
    """The ops of a body that tensors are made of, evaluated of counters alone."""

    def __init__(self, body: Body, watched: Sequence[str]) -> None:
        self.body, self.watched = body, list(watched)
        needed = ancestors(body.flat.graph, watched)
        self.ops = [op for op in body.flat.graph.get_operations() if op.name in needed and op.name not in body.arguments]

    def run(self, state: Mapping[int, Value]) -> list[Value]:
        """The watched tensors."""
        found = {f"{self.body.arguments[k]}:0": v for k, v in state.items()}
        for op in self.ops:
            outs = [_shape(t) for t in op.outputs]
            made = [constant(op)] if op.type == "Const" else folded(op, [found[t.name] for t in op.inputs], outs)
            found |= {t.name: v for t, v in zip(op.outputs, made, strict=True)}
        return [found[t] for t in self.watched]


def _arguments(body: Body, tensors: Iterable[str]) -> set[int]:
    needed = ancestors(body.flat.graph, tensors)
    return {k for k, name in enumerate(body.arguments) if name in needed}


def _number(value: Value) -> int:
    known = value.load() if isinstance(value, Const) else None
    if known is None or np.size(known) != 1:
        raise _Unlike
    return int(np.asarray(known).reshape(-1)[0])


def _root(tensor: Any) -> Any:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def _is_list(op: Any) -> bool:
    return op.type in ("TensorListGetItem", "TensorListSetItem")


def _shape(tensor: Any) -> Shape | None:
    return tuple(tensor.shape.as_list()) if tensor.shape.is_fully_defined() else None
