"""From a concrete function to a Graph: ops in order, each translated, bounded, or folded into what is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.static.builder import Builder, finish
from isopter.capture.static.values import Const, Data, Lost, Value, Weight
from isopter.capture.tensorflow import translate
from isopter.capture.tensorflow.control import decision
from isopter.capture.tensorflow.flat import BRANCHES, LOOPS, Flat, flatten
from isopter.capture.tensorflow.fold import constant, folded
from isopter.capture.tensorflow.lists import listed
from isopter.capture.tensorflow.names import label_of, module_of
from isopter.capture.tensorflow.node import Node
from isopter.capture.tensorflow.program import Program, program_of
from isopter.capture.tensorflow.recurrent import recurrent
from isopter.errors import CaptureError, UsageError
from isopter.graph import Graph, Shape

ROUNDS = 20
"""How often branches that constants decide may uncover others."""

RANDOM_LIKE = frozenset("ZerosLike OnesLike Shape ShapeN Size Rank".split())
"""Ops that look at no more than the shape of what they get."""


def traced_graph(model: Any, size: Shape | None, inputs: Any, training: bool) -> tuple[Graph, str]:
    """The graph of a model of TensorFlow, and a name for it."""
    from isopter.capture.tensorflow.concrete import traced

    found = traced(model, size, inputs, training)
    try:
        return captured(found.program, found.names, None, found.shapes).graph(), found.name
    except CaptureError as error:
        raise CaptureError(f"{found.name}: {error}") from error


def function_graph(
    concrete: Any,
    input_names: Sequence[str],
    module_of: Callable[[Any], str] | None = None,
    *,
    shapes: Sequence[Shape | None] | None = None,
) -> Graph:
    """The graph of a tf.types.experimental.ConcreteFunction. Nothing is run.

    `input_names`: what to call its inputs, those that are no captured tensors, in their order. `module_of`: the module path of a
    tf.Operation, whose ``name`` is that of the function's own graph, functions that it calls taken apart; default the name scope,
    with dots. `shapes`: of each input, where the function leaves axes open.
    """
    return captured(concrete, input_names, module_of, shapes).graph()


def captured(
    source: Any,
    input_names: Sequence[str],
    module_of: Callable[[Any], str] | None = None,
    shapes: Sequence[Shape | None] | None = None,
) -> Capture:
    """The walk over the ops of a program, or of a concrete function; again, while it finds branches and loops that constants decide."""
    program = source if isinstance(source, Program) else program_of(source)
    sizes = [None] * len(input_names) if shapes is None else list(shapes)
    decided: dict[str, int] = {}
    for _ in range(ROUNDS):
        capture = Capture(flatten(program, sizes, decided), input_names, program.output_names, module_of)
        capture.walk()
        if not capture.decided:
            return capture
        decided |= capture.decided
    raise CaptureError(f"The model has branches in branches, more than {ROUNDS} deep.")


class Capture:
    """One walk over the ops of a flat graph. `known`: the value of every tensor, by its name."""

    def __init__(self, flat: Flat, inputs: Sequence[str], outputs: Sequence[str], module_of: Callable[[Any], str] | None) -> None:
        self.flat = flat
        self.names = list(inputs)
        self.output_names = list(outputs)
        self.module_of = module_of or _scope
        self.rec = Builder()
        self.known: dict[str, Value] = {}
        self.made: dict[str, tuple[str, int]] = {}
        self.inputs: dict[str, int] = {}
        self.decided: dict[str, int] = {}

    def walk(self) -> None:
        """Translate all ops in order."""
        given = dict(zip(self.flat.inputs, self.names, strict=True))
        for op in self.flat.graph.get_operations():
            if op.name in given:
                self._input(op, given[op.name])
            else:
                self._op(op)
        if not self.inputs:
            raise CaptureError("its inputs are single numbers: there is no space to see.")

    def graph(self) -> Graph:
        """The finished graph."""
        outputs: dict[str, int] = {}
        for name, tensor in zip(self.output_names, self.flat.outputs, strict=True):
            value = self.known[tensor]
            if isinstance(value, Data):
                outputs[name] = value.op
            elif isinstance(value, Lost):
                self.rec.module, self.rec.label = "", name
                outputs[name] = self.rec.emit("opaque", (), value.ops, {}, "output")  # its shape is not known, and may be any
        return finish(self.rec, self.inputs, self.made, outputs)

    def _input(self, op: Any, name: str) -> None:
        shape = _shape(op.outputs[0])
        if shape is None:
            raise UsageError(
                f"The input {name!r} has the shape {op.outputs[0].shape}: its open axes need a length. Give input_size (-i), such as "
                "(1, 224, 224, 3), or inputs={name: shape} for all."
            )
        self.rec.label, self.rec.module = name, ""
        if not shape:
            self.known[op.outputs[0].name] = Weight(shape)
            return
        self.inputs[name] = self.rec.emit("input", shape, (), {}, name)
        self.known[op.outputs[0].name] = Data(self.inputs[name])

    def _op(self, op: Any) -> None:
        before = len(self.rec.ops)
        self.rec.module, self.rec.label = self.module_of(op), label_of(op.name)
        values = [self._find(op, t) for t in op.inputs]
        shapes = tuple(v.shape if isinstance(v, Const) else _shape(t) for v, t in zip(values, op.inputs, strict=True))
        node = Node(op.type, self.rec.label, tuple(values), shapes, tuple(_shape(t) for t in op.outputs), op)
        for position, (tensor, value) in enumerate(zip(op.outputs, self._values(node), strict=True)):
            self.known[tensor.name] = value
            if isinstance(value, Data) and value.op >= before:
                self.made[tensor.name] = node.label if position == 0 else f"{node.label}:{position}", value.op

    def _find(self, op: Any, tensor: Any) -> Value:
        if tensor.name not in self.known:
            raise CaptureError(
                f"{op.name} reads {tensor.name}, which a later op makes: a loop of TensorFlow 1 ({tensor.op.type}). "
                "Trace it with tf.function in TensorFlow 2, which writes loops as While."
            )
        return self.known[tensor.name]

    def _values(self, node: Node) -> list[Value]:
        if node.made.name in self.flat.held:
            return [self._held(node)]
        if node.op == "Const":
            return [constant(node.made)]
        followed = listed(self.rec, node) or recurrent(self.rec, self.flat, node)
        if followed is not None:
            return followed
        if node.op in BRANCHES | LOOPS:
            found = decision(self.flat, node)
            if found is not None:
                self.decided[node.made.name] = found
                return [Weight(o) for o in node.outs]  # this walk is for nothing: there will be another
        if node.op in RANDOM_LIKE and None not in node.shapes and None not in node.outs:
            return _of_shapes(node)
        if node.op == "BroadcastGradientArgs" or not any(map(_depends, node.inputs)):
            return folded(node.made, node.inputs, node.outs)
        if any(isinstance(v, Lost) for v in node.inputs) or self._is_open(node) or _is_no_tensor(node):
            return self._lost(node)
        return translate.translate(self.rec, node)

    def _is_open(self, node: Node) -> bool:
        """Whether the shape of a result is not known that anybody reads."""
        pairs = zip(node.made.outputs, node.outs, strict=True)
        return any(shape is None and (tensor.consumers() or tensor.name in self.flat.outputs) for tensor, shape in pairs)

    def _held(self, node: Node) -> Value:
        held = self.flat.held[node.made.name]
        return Const(held.shape, held.load) if held.fixed and held.shape is not None else Weight(held.shape)

    def _lost(self, node: Node) -> list[Value]:
        """An op of values without a known shape, or that are no tensors: bounded where its own result has a shape again."""
        ops: dict[int, None] = {}
        for value in node.inputs:
            ops |= dict.fromkeys(value.ops if isinstance(value, Lost) else (value.op,) if isinstance(value, Data) else ())
        if node.op in BRANCHES | LOOPS:
            why = f"{node.op} is not followed: bounded by all that it reads"
        elif any(isinstance(v, Lost) for v in node.inputs):
            why = f"{node.op} reads a value whose shape other values decide: bounded by all that one read"
        elif _is_no_tensor(node):
            return [Lost(tuple(ops)) for _ in node.outs]
        else:
            why = f"{node.op} gives a shape that values decide: what follows is bounded by all that it reads"
        self.rec.issue(why)
        results: list[Value] = []
        for tensor, shape in zip(node.made.outputs, node.outs, strict=True):
            lost = shape is None or tensor.dtype in (tf.variant, tf.resource)
            results.append(Lost(tuple(ops)) if lost or shape is None else Data(self.rec.emit("opaque", shape, tuple(ops), {}, node.op)))
        return results


def _depends(value: Value) -> bool:
    return isinstance(value, Data) or (isinstance(value, Lost) and bool(value.ops))


def _scope(op: Any) -> str:
    return module_of(op.name)


def _shape(tensor: Any) -> Shape | None:
    return tuple(tensor.shape.as_list()) if tensor.shape.is_fully_defined() else None


def _is_no_tensor(node: Node) -> bool:
    """Whether a list of tensors, or a resource, comes out."""
    return node.op in BRANCHES | LOOPS or any(t.dtype in (tf.variant, tf.resource) for t in node.made.outputs)


def _of_shapes(node: Node) -> list[Value]:
    shapes: list[Shape] = [s for s in node.shapes if s is not None]
    match node.op:
        case "ZerosLike" | "OnesLike":
            number, dtype = float(node.op == "OnesLike"), node.made.outputs[0].dtype.as_numpy_dtype
            return [Const(node.out, lambda: np.full(node.out, number, dtype))]
        case "Size":
            return [Const.of(np.asarray(int(np.prod(shapes[0], dtype=np.int64)), _type(node)))]
        case "Rank":
            return [Const.of(np.asarray(len(shapes[0]), np.int32))]
        case _:
            return [Const.of(np.asarray(s, _type(node))) for s in shapes]


def _type(node: Node) -> Any:
    return node.attr("out_type", tf.int32).as_numpy_dtype
