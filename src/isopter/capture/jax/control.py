"""Calls, loops and branches: calls are entered, short loops unrolled, decided branches taken; the rest is bounded by all that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from isopter.capture.jax.node import Node
from isopter.capture.jax.recurrent import recurrent
from isopter.capture.jax.translate.pointwise import POINTWISE
from isopter.capture.static import moves
from isopter.capture.static.values import Const, Data, Value, Weight

if TYPE_CHECKING:
    from isopter.capture.jax.capture import Capture

CALLS = frozenset(
    "jit pjit closed_call core_call custom_jvp_call custom_vjp_call custom_vjp_call_jaxpr remat remat2 checkpoint custom_lin xla_call "
    "core_closed_call composite custom_jvp_call_jaxpr".split()
)
"""Primitives that call one jaxpr with all of their operands."""

UNROLLED = 20_000
"""Equations of a loop once it is unrolled; longer ones are bounded."""

CASTS = frozenset("convert_element_type stop_gradient copy copy_p".split())


def inner_of(name: str, params: Any) -> ClosedJaxpr | None:
    """The jaxpr that a primitive calls, or None."""
    if name not in CALLS:
        return None
    found = next((params[k] for k in ("jaxpr", "call_jaxpr", "fun_jaxpr") if k in params), None)
    return ClosedJaxpr(found, ()) if found is not None and not isinstance(found, ClosedJaxpr) else found


_POINTWISE: dict[tuple[int, int], tuple[Any, bool]] = {}


def is_pointwise(inner: ClosedJaxpr, ins: Sequence[Value], eqn: Any) -> bool:
    """Whether a call is a function of each position of one operand by itself, and so one op: an activation."""
    data = [k for k, v in enumerate(ins) if isinstance(v, Data)]
    if len(data) != 1 or len(eqn.outvars) != 1 or eqn.invars[data[0]].aval.shape != eqn.outvars[0].aval.shape:
        return False
    value = ins[data[0]]
    if not isinstance(value, Data) or value.fixed is not None or value.faint is not None or len(inner.jaxpr.eqns) > 30:
        return False
    if any(eqn.invars[k].aval.shape for k in range(len(ins)) if k not in data):
        return False
    key = id(inner.jaxpr), data[0]
    known = _POINTWISE.get(key)
    if known is None or known[0] is not inner.jaxpr:
        if len(_POINTWISE) > 4096:
            _POINTWISE.clear()
        known = _POINTWISE[key] = inner.jaxpr, _only_pointwise(inner, eqn.outvars[0].aval.shape, {inner.jaxpr.invars[data[0]]})
    return known[1]


def _only_pointwise(inner: ClosedJaxpr, shape: tuple[int, ...], data: set[Any]) -> bool:
    """`data`: the variables that depend on the operand, so far. A choice that they do not make hides one side, and is no activation."""
    if inner.consts or not inner.jaxpr.eqns or isinstance(inner.jaxpr.outvars[0], Literal) or inner.jaxpr.outvars[0] in inner.jaxpr.invars:
        return False
    for eqn in inner.jaxpr.eqns:
        read = [not isinstance(v, Literal) and v in data for v in eqn.invars]
        if any(read):
            data.update(eqn.outvars)
        if eqn.primitive.name == "select_n" and not read[0]:
            return False
        deeper = inner_of(eqn.primitive.name, eqn.params)
        shapes = {v.aval.shape for v in (*eqn.invars, *eqn.outvars)} - {(), shape}
        if shapes or len(eqn.outvars) != 1:
            return False
        if deeper is not None:
            if not _only_pointwise(deeper, shape, {v for v, r in zip(deeper.jaxpr.invars, read, strict=True) if r}):
                return False
        elif eqn.primitive.name == "broadcast_in_dim":
            if eqn.invars[0].aval.shape not in ((), shape):
                return False
        elif eqn.primitive.name not in POINTWISE and eqn.primitive.name not in CASTS and eqn.primitive.name not in ("select_n", "clamp"):
            return False
    return True


LOOPS = frozenset(("cond", "scan", "while"))


def taken_apart(capture: Capture, node: Node, scopes: tuple[Any, ...], key: tuple[Any, ...]) -> list[Value]:
    """The results of a loop or branch."""
    one = {"cond": _cond, "scan": _scan, "while": _while}[node.op]
    return one(capture, node, scopes, key)


def _enter(capture: Capture, closed: Any, args: Sequence[Value], scopes: tuple[Any, ...], key: tuple[Any, ...]) -> list[Value]:
    return capture.walk(closed.jaxpr, capture.consts_of(closed), args, (scopes, key))


def _cond(capture: Capture, node: Node, scopes: tuple[Any, ...], key: tuple[Any, ...]) -> list[Value]:
    """The branch that a constant decides; else all that any branch reads."""
    branches = node.params["branches"]
    index = node.const(0)
    if index is not None:
        taken = min(max(int(index), 0), len(branches) - 1)
        return _enter(capture, branches[taken], node.inputs[1:], scopes, (*key, f"b{taken}"))
    return _bounded(capture, node, "A branch that values decide: bounded by all that it could read")


def _scan(capture: Capture, node: Node, scopes: tuple[Any, ...], key: tuple[Any, ...]) -> list[Value]:
    """One recurrent op where it is one, else step by step: `xs` are cut along their first axis, and the results stacked along theirs."""
    p = node.params
    closed, length = p["jaxpr"], int(p["length"])
    if "num_consts" in p:
        first, carried = p["num_consts"], p["num_carry"]
    else:
        return _bounded(capture, node, "A scan of a form that isopter does not know: bounded by all that it reads")
    whole = recurrent(capture, node)
    if whole is not None:
        return whole
    if equations(closed.jaxpr) * length > UNROLLED:
        return _bounded(capture, node, f"A loop of {length} steps is not unrolled: bounded by all that it reads")
    rec = capture.rec
    label, module = rec.label, rec.module
    consts, carry, xs = list(node.inputs[:first]), list(node.inputs[first : first + carried]), node.inputs[first + carried :]
    stacks: list[list[Value]] = [[] for _ in range(len(node.outs) - carried)]
    order = range(length - 1, -1, -1) if p["reverse"] else range(length)
    for step in order:
        rec.label, rec.module = label, module
        cut = [_step(capture, x, step) for x in xs]
        outs = _enter(capture, closed, [*consts, *carry, *cut], scopes, (*key, f"t{step}"))
        carry = outs[:carried]
        for stack, value in zip(stacks, outs[carried:], strict=True):
            stack.append(value)
    rec.label, rec.module = label, module
    if p["reverse"]:
        for stack in stacks:
            stack.reverse()
    return [*carry, *(_stacked(capture, stack, shape) for stack, shape in zip(stacks, node.outs[carried:], strict=True))]


def _step(capture: Capture, x: Value, step: int) -> Value:
    """``x[step]``."""
    if isinstance(x, Data):
        shape = capture.rec.shape(x.op)
        op = moves.slice_axis(capture.rec, x.op, 0, step, 1, 1, "slice")
        op = moves.squeeze(capture.rec, op, {0})
        return x.moved(op, shape, lambda known: known[step])
    if isinstance(x, Const):
        return Const(x.shape[1:], lambda: None if (all_ := x.load()) is None else np.asarray(all_[step]))
    return Weight(x.shape[1:] if isinstance(x, Weight) and x.shape else None)


def _stacked(capture: Capture, values: Sequence[Value], shape: tuple[int, ...]) -> Value:
    rec = capture.rec
    if not any(isinstance(v, Data) for v in values):
        if all(isinstance(v, Const) for v in values):
            return Const(shape, lambda: _all(values))
        return Weight(shape)
    rows = [(moves.unsqueeze(rec, v.op, 0), at) for at, v in enumerate(values) if isinstance(v, Data)]
    params = {"axis": 0, "offsets": tuple(at for _, at in rows)}
    return Data(rec.emit("concat", shape, [op for op, _ in rows], params, "stack"))


def _all(values: Sequence[Value]) -> np.ndarray | None:
    arrays = [v.load() for v in values if isinstance(v, Const)]
    return None if any(a is None for a in arrays) else np.stack([a for a in arrays if a is not None])


def _while(capture: Capture, node: Node, scopes: tuple[Any, ...], key: tuple[Any, ...]) -> list[Value]:
    """As long as a constant says so."""
    p = node.params
    first, second = p["cond_nconsts"], p["body_nconsts"]
    tests, consts, carry = node.inputs[:first], node.inputs[first : first + second], list(node.inputs[first + second :])
    most = UNROLLED // max(equations(p["body_jaxpr"].jaxpr), 1)
    rec = capture.rec
    label, module = rec.label, rec.module
    for step in range(most + 1):
        rec.label, rec.module = label, module
        more = _enter(capture, p["cond_jaxpr"], [*tests, *carry], scopes, (*key, f"c{step}"))[0]
        known = more.load() if isinstance(more, Const) else None
        if known is None or known.size != 1 or step == most:  # several numbers: a loop under vmap, which ends item by item
            break
        if not known.reshape(-1)[0]:
            return carry
        carry = _enter(capture, p["body_jaxpr"], [*consts, *carry], scopes, (*key, f"t{step}"))
    rec.label, rec.module = label, module
    return _bounded(capture, node, "A loop whose end values decide, or that ends item by item: bounded by all that it reads")


def _bounded(capture: Capture, node: Node, why: str) -> list[Value]:
    return [Data(op) for op in capture.rec.opaque(node.outs, node.all_data(), node.op, why)]


def equations(jaxpr: Any) -> int:
    """How many equations a jaxpr has, calls and loops counted by what is in them."""
    total = 0
    for eqn in jaxpr.eqns:
        inner = inner_of(eqn.primitive.name, eqn.params)
        if inner is None and eqn.primitive.name == "scan":
            inner = eqn.params["jaxpr"]
            total += equations(inner.jaxpr) * max(int(eqn.params["length"]), 1)
        else:
            total += 1 if inner is None else equations(inner.jaxpr)
    return total
