"""Lists of tensors (TensorArray), as long as it is known what is in them: a sequence cut into steps, and the steps put together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isopter.capture.static import moves
from isopter.capture.static.builder import Builder
from isopter.capture.static.node import Unknown
from isopter.capture.static.values import Const, Data, Lost, Value, Weight
from isopter.capture.tensorflow.node import Node
from isopter.graph import Shape

LONGEST = 2**16
"""A list of more tensors is not followed."""


@dataclass(frozen=True, slots=True)
class Items(Lost):
    """A list whose items are known; who does not know lists sees a `Lost` that depends on the ops of all.

    `whole`: a tensor whose rows are the items, if it is one; else `items`, None where nothing was written yet.
    """

    whole: Value | None = None
    items: tuple[Value | None, ...] = ()


def of_rows(whole: Value) -> Items:
    """The list of the rows of a tensor."""
    return Items((whole.op,) if isinstance(whole, Data) else (), whole)


def of_items(items: Sequence[Value | None]) -> Items:
    """A list of these tensors."""
    ops = dict.fromkeys(op for v in items for op in ((v.op,) if isinstance(v, Data) else v.ops if isinstance(v, Lost) else ()))
    return Items(tuple(ops), None, tuple(items))


def listed(rec: Builder, node: Node) -> list[Value] | None:
    """The outputs of an op on lists; None where it is no such op, or not known what is in them."""
    function = _OPS.get(node.op)
    if function is None:
        return None
    try:
        found = function(rec, node)
    except Unknown:
        return None
    return None if found is None else [found]


def _same(rec: Builder, node: Node) -> Value | None:
    return node.inputs[0] if isinstance(node.inputs[0], Items) else None


def _from_tensor(rec: Builder, node: Node) -> Value | None:
    value, shape = node.inputs[0], node.shapes[0]
    return of_rows(value) if shape and shape[0] <= LONGEST and not isinstance(value, Lost) else None


def _reserve(rec: Builder, node: Node) -> Value | None:
    count = node.ints(1)[0]
    return of_items([None] * count) if 0 <= count <= LONGEST else None


def _empty(rec: Builder, node: Node) -> Value:
    return of_items([])


def _get(rec: Builder, node: Node) -> Value | None:
    given, at = node.inputs[0], node.ints(1)[0]
    if not isinstance(given, Items):
        return None
    if given.whole is None:
        return given.items[at] if 0 <= at < len(given.items) else None
    return _row(rec, given.whole, at, node.outs[0])


def _row(rec: Builder, whole: Value, at: int, out: Shape | None) -> Value | None:
    match whole:
        case Data(op):
            shape = rec.shape(op)
            if not 0 <= at < shape[0]:
                return None
            row = moves.squeeze(rec, moves.slice_axis(rec, op, 0, at, 1, 1), {0}) if shape[0] > 1 else moves.squeeze(rec, op, {0})
            return whole.moved(row, shape, lambda known: known[at])
        case Const(shape, load) if shape and 0 <= at < shape[0]:
            return Const(shape[1:], lambda: None if (all_ := load()) is None else np.asarray(all_[at]))
        case _:
            return Weight(out)


def _set(rec: Builder, node: Node) -> Value | None:
    given, at, value = node.inputs[0], node.ints(1)[0], node.inputs[2]
    if not isinstance(given, Items) or isinstance(value, Lost):
        return None
    items = _all(rec, given)
    if items is None or at < 0 or (at >= len(items) and not node.attr("resize_if_index_out_of_bounds", False)) or at >= LONGEST:
        return None
    items += [None] * (at + 1 - len(items))
    items[at] = value
    return of_items(items)


def _push(rec: Builder, node: Node) -> Value | None:
    given, value = node.inputs
    items = _all(rec, given) if isinstance(given, Items) and not isinstance(value, Lost) else None
    return None if items is None or len(items) >= LONGEST else of_items([*items, value])


def _all(rec: Builder, given: Items) -> list[Value | None] | None:
    """The items one by one."""
    if given.whole is None:
        return list(given.items)
    shape = rec.shape(given.whole.op) if isinstance(given.whole, Data) else getattr(given.whole, "shape", None)
    return [_row(rec, given.whole, at, shape[1:]) for at in range(shape[0])] if shape else None


def _stack(rec: Builder, node: Node) -> Value | None:
    given, out = node.inputs[0], node.outs[0]
    if not isinstance(given, Items):
        return None
    if given.whole is not None:
        return given.whole
    written = {(rec.shape(v.op) if isinstance(v, Data) else v.shape) for v in given.items if isinstance(v, Data | Const | Weight)}
    if len(written) != 1:
        return None
    shape = (len(given.items), *(written.pop() or (out or (0,))[1:]))
    rows = [(moves.unsqueeze(rec, v.op, 0), at) for at, v in enumerate(given.items) if isinstance(v, Data)]
    if not rows:
        return Weight(shape)
    params = {"axis": 0, "offsets": tuple(at for _, at in rows)}
    return Data(rec.emit("concat", shape, [op for op, _ in rows], params, "stack"))


def _length(rec: Builder, node: Node) -> Value | None:
    given = node.inputs[0]
    if not isinstance(given, Items):
        return None
    whole = given.whole
    shape = None if whole is None else rec.shape(whole.op) if isinstance(whole, Data) else getattr(whole, "shape", None)
    if whole is not None and not shape:
        return None
    return Const.of(np.asarray(shape[0] if shape else len(given.items), np.int32))


_OPS: dict[str, Callable[[Builder, Node], Value | None]] = {
    "Identity": _same,
    "TensorListFromTensor": _from_tensor,
    "TensorListReserve": _reserve,
    "EmptyTensorList": _empty,
    "TensorListGetItem": _get,
    "TensorListSetItem": _set,
    "TensorListPushBack": _push,
    "TensorListStack": _stack,
    "TensorListLength": _length,
}
"""Ops on lists that are followed."""
