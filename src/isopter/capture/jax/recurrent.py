"""Scans over time that are one recurrent op: the step is captured once, as a graph of its own, and `isopter.capture.static.cells` says
whether step t sees all of the steps before it. Whatever does not fit is left to be written out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from isopter.capture.jax.node import Node
from isopter.capture.static.cells import STEPS, Cell, emitted, last, ordered, recurs
from isopter.capture.static.values import Const, Data, Value, Weight

if TYPE_CHECKING:
    from isopter.capture.jax.capture import Capture


def recurrent(capture: Capture, node: Node) -> list[Value] | None:
    """The results of a scan as those of recurrent ops; None where it is another loop."""
    p, rec = node.params, capture.rec
    first, carried, length = p["num_consts"], p["num_carry"], int(p["length"])
    consts, carry, xs = node.inputs[:first], node.inputs[first : first + carried], node.inputs[first + carried :]
    if not 1 < length <= STEPS or not any(isinstance(x, Data) for x in xs):
        return None
    if any(isinstance(v, Data) for v in consts) or any(isinstance(x, Const) for x in xs):
        return None  # what all steps read, or a table that tells them apart
    step = type(capture)(p["jaxpr"], capture.root)
    inner = step.rec
    shapes = [tuple(v.aval.shape) for v in p["jaxpr"].jaxpr.invars[first:]]
    if not all(shapes[:carried]):
        return None  # a count of the steps: what a step does may depend on its number
    states = [inner.emit("input", shape, (), {}, "state") for shape in shapes[:carried]]
    given: list[Value] = []
    for x, shape in zip(xs, shapes[carried:], strict=True):
        given.append(Data(inner.emit("input", shape, (), {}, "step")) if isinstance(x, Data) else Weight(shape))
    outs = step.walk(p["jaxpr"].jaxpr, step.consts_of(p["jaxpr"]), [*consts, *map(Data, states), *given], ((), ()))
    made = [_op(v) for v in outs]
    if inner.issues or inner.values or any(isinstance(v, Data) and (v.fixed is not None or v.faint is not None) for v in outs):
        return None
    steps = tuple(v.op for v in given if isinstance(v, Data))
    kept = tuple(op for op in made[carried:] if op is not None)
    if not recurs(Cell(inner.ops, steps, tuple(zip(states, made[:carried], strict=True)), kept), length):
        return None
    order = range(length - 1, -1, -1) if p["reverse"] else range(length)
    sequences = [(x.op, order) for x in xs if isinstance(x, Data)]
    before = [v.op for v in carry if isinstance(v, Data)]
    ops = {op: emitted(rec, sequences, before, inner.shape(op)[-1]) for op in dict.fromkeys(made) if op is not None}
    return [_result(capture, ops, op, node.outs[k], order if k >= carried else None) for k, op in enumerate(made)]


def _op(value: Value) -> int | None:
    return value.op if isinstance(value, Data) else None


def _result(capture: Capture, ops: dict[int, int], op: int | None, shape: tuple[int, ...], order: Sequence[int] | None) -> Value:
    """What the loop returns for an op of the step: all steps in their `order`, or, without one, what the last made."""
    if op is None:
        return Weight(shape)
    return Data(last(capture.rec, ops[op]) if order is None else ordered(capture.rec, ops[op], order))
