"""Functions that a jaxpr spells out: softmax, norms, means. Seen by what each op is known to be of the ones before it (`Fact`).

A fact is certain, not a guess at names: ``exp(s) / sum(exp(s))`` is a softmax of s, whatever it is called, and so is that of ``s - m``
with m the same along the axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from isopter.capture.jax.node import Fact, Node, Tape
from isopter.capture.static import known
from isopter.capture.static.values import Const, Data, Value
from isopter.graph import Shape

LONGEST = 16
"""Functions in a row that are remembered; a longer trail is no pattern."""


def fact_of(rec: Tape, op: int) -> Fact:
    """What is known of an op; at least that it is itself."""
    return rec.facts.get(op) or Fact(op)


def noted(rec: Tape, name: str, value: Data, operands: Sequence[int]) -> Data:
    """`value`, a pointwise function of these ops, remembered as one of their common root."""
    facts = [fact_of(rec, op) for op in operands]
    if value.fixed is not None or value.faint is not None or "unread" in rec.ops[value.op].params or not facts:
        return value
    first = facts[0]
    alike = all((f.root, f.axes, f.dims, f.grouped) == (first.root, first.axes, first.dims, first.grouped) for f in facts[1:])
    shapes = {rec.ops[op].shape for op in operands}
    if alike and len(shapes) == 1 and _along(first, shapes.pop(), rec.ops[value.op].shape) and value.op not in rec.facts:
        trail = (*(t for f in facts for t in f.trail), name)
        of = first.of if len(operands) == 1 and name == "log" else -1
        rec.facts[value.op] = Fact(first.root, trail[-LONGEST:], first.axes, first.dims, of, first.grouped)
    return value


def _along(fact: Fact, before: Shape, after: Shape) -> bool:
    """Whether a result has the axes of its operand; those of a statistic that were reduced may have grown by weights."""
    if before == after:
        return True
    same = fact.axes is not None and len(before) == len(after)
    return same and all(n == m or dim is None for n, m, dim in zip(before, after, fact.dims, strict=True))


def reduced(rec: Tape, op: int, name: str, source: int, axes: tuple[int, ...]) -> int:
    """Remember that `op` is `source` reduced over `axes`."""
    fact = fact_of(rec, source)
    rank = len(rec.ops[source].shape)
    if fact.axes is None and rec.ops[fact.root].shape == rec.ops[source].shape:
        dims = tuple(a for a in range(rank) if a not in axes)
        rec.facts[op] = Fact(fact.root, (name,), axes, dims, of=source)
    return op


def placed(rec: Tape, op: int, source: int, dims: Sequence[int]) -> int:
    """Remember that axis a of `source` is axis ``dims[a]`` of `op`, whose other axes are new."""
    fact = rec.facts.get(source)
    if fact is not None and fact.axes is not None and op not in rec.facts:
        at = dict(zip(dims, fact.dims, strict=True))
        rec.facts[op] = replace(fact, dims=tuple(at.get(a) for a in range(len(rec.ops[op].shape))))
    return op


def merged(rec: Tape, op: int, source: int) -> int:
    """Remember a statistic of groups of channels, (.., groups, copies), as one of the channels: of the root before it was split."""
    fact = rec.facts.get(source)
    if fact is None or fact.axes is None or fact.grouped or rec.ops[fact.root].kind != "reshape":
        return op
    root = rec.ops[fact.root].inputs[0]
    split, whole = rec.ops[fact.root].shape, rec.ops[root].shape
    axis = next((a for a, (n, m) in enumerate(zip(whole, split, strict=False)) if n != m), len(whole) - 1)
    if split != (*whole[:axis], *split[axis : axis + 2], *whole[axis + 1 :]) or axis + 1 not in fact.axes or axis not in fact.dims:
        return op
    at = fact.dims.index(axis)
    before, after = rec.ops[source].shape, rec.ops[op].shape
    if before[at : at + 2] != split[axis : axis + 2] or after != (*before[:at], whole[axis], *before[at + 2 :]):
        return op

    def back(a: int) -> int:
        return a if a <= axis else a - 1

    dims = tuple(None if d is None else back(d) for d in (*fact.dims[: at + 1], *fact.dims[at + 2 :]))
    axes = tuple(back(a) for a in fact.axes if a != axis + 1)
    rec.facts[op] = replace(fact, root=root, axes=axes, dims=dims, of=-1, grouped=(axis, split[axis]))
    return op


def averaged(rec: Tape, name: str, data: Data, other: Const) -> Data | None:
    """A sum over axes or a window, divided by a constant: a mean, if the constant is the count."""
    op = rec.ops[data.op]
    if op.source not in ("sum", "sum_pool") or data.fixed is not None or data.faint is not None:
        return None
    numbers = other.load()
    if numbers is None or numbers.dtype.kind not in "fiu":
        return None
    with np.errstate(all="ignore"):
        divisor = 1 / numbers.astype(np.float64) if name == "mul" else numbers.astype(np.float64)
    if op.kind == "reduce":
        count = math.prod(rec.ops[op.inputs[0]].shape[a] for a in op.params["axes"])
        if divisor.ndim or not math.isclose(float(divisor), count, rel_tol=1e-4):
            return None
        made = rec.emit("reduce", op.shape, op.inputs, op.params, "mean")
        fact = rec.facts.get(data.op)
        if fact is not None:
            rec.facts[made] = replace(fact, trail=("mean",))
        return Data(made)
    if op.kind != "pool":
        return None
    params = {k: v for k, v in op.params.items() if k not in ("divisor", "counts_pad")}
    if divisor.ndim == 0 or divisor.size == 1 or bool((divisor == divisor.flat[0]).all()):
        whole = math.isclose(float(divisor.flat[0]), math.prod(params["kernel"]), rel_tol=1e-4)
        params |= {"counts_pad": True, "divisor": None if whole else float(divisor.flat[0])}
    else:
        params |= {"counts_pad": False, "divisor": None}
    return Data(rec.emit("pool", op.shape, op.inputs, params, f"avg_pool{len(params['kernel'])}d"))


def recognised(rec: Tape, node: Node, name: str) -> Value | None:
    """A pointwise function of two data operands that is the last step of a pattern."""
    first, second = node.inputs
    assert isinstance(first, Data) and isinstance(second, Data)
    if name in ("div", "sub"):
        found = _softmax(rec, first.op, second.op, name)
        if found is not None:
            return found
    if name in ("mul", "div"):
        found = _norm(rec, first.op, second.op) or (_norm(rec, second.op, first.op) if name == "mul" else None)
        return found or (_centre(rec, first.op, second.op) if name == "mul" else None) or _of_one(rec, node, name, first, second)
    if name in ("add", "sub"):
        found = _recentred(rec, first.op, second.op, name) or (_recentred(rec, second.op, first.op, name) if name == "add" else None)
        return found or _of_one(rec, node, name, first, second)
    return _of_one(rec, node, name, first, second) if name in ("maximum", "minimum") else None


def _of_one(rec: Tape, node: Node, name: str, first: Data, second: Data) -> Value | None:
    """A function of x and f(x), which is one of x: a gate such as silu."""
    a, b = fact_of(rec, first.op), fact_of(rec, second.op)
    if a.axes is not None or b.axes is not None or a.root != b.root or first.op == second.op:
        return None
    shapes = {rec.ops[op].shape for op in (first.op, second.op, a.root)} | {node.out}
    if len(shapes) > 1 or any(v.fixed is not None or v.faint is not None for v in (first, second)):
        return None
    trail = (*a.trail, *b.trail)
    if name == "mul":
        name = "silu" if trail == ("sigmoid",) else ("gelu" if {"tanh", "pow"} <= set(trail) or {"erf", "erfc"} & set(trail) else name)
    op = rec.emit("pointwise", node.out, [a.root], {}, name)
    rec.facts[op] = Fact(a.root, (*trail, name)[-LONGEST:])
    return Data(op)


def _aligned(rec: Tape, stat: Fact, op: int, shape: tuple[int, ...]) -> bool:
    """Whether a statistic stands beside the tensor it is of: each of its axes on the axis it came from, and 1 or equal along those
    that were reduced."""
    sizes = rec.ops[op].shape
    if stat.axes is None or len(stat.dims) != len(shape) or len(sizes) != len(shape):
        return False
    for axis, (dim, n) in enumerate(zip(stat.dims, shape, strict=True)):
        if dim != axis and not (dim is None and (axis in stat.axes or n == 1)):
            return False
        if axis not in stat.axes and sizes[axis] != n:
            return False
    return True


def _softmax(rec: Tape, top: int, bottom: int, name: str) -> Value | None:
    """exp(s) / sum(exp(s)), or s - log(sum(exp(s)))."""
    stat = rec.facts.get(bottom)
    shape = rec.ops[top].shape
    if stat is None or stat.axes is None or stat.of < 0 or not _aligned(rec, stat, bottom, shape):
        return None
    exponent = rec.ops[stat.of]
    if exponent.source != "exp" or exponent.kind != "pointwise" or len(exponent.inputs) != 1:
        return None
    scores = exponent.inputs[0]
    if name == "div" and (stat.trail != ("sum",) or stat.of != top):
        return None
    if name == "sub" and (stat.trail != ("sum", "log") or scores != top):
        return None
    return known.softmax(rec, rec.value_of(_unshifted(rec, scores, stat.axes)), stat.axes, "softmax" if name == "div" else "log_softmax")


def _unshifted(rec: Tape, scores: int, axes: tuple[int, ...]) -> int:
    """x, where scores are x - m with m the same along `axes`."""
    op = rec.ops[scores]
    if op.kind != "pointwise" or op.source != "sub" or len(op.inputs) != 2:
        return scores
    x, m = op.inputs
    stat = rec.facts.get(m)
    shape = rec.ops[x].shape
    if stat is None or stat.axes is None or not set(stat.axes) <= set(axes) | {a for a, n in enumerate(shape) if n == 1}:
        return scores
    if not _aligned(rec, stat, m, shape) or not set(axes) <= set(stat.axes) or rec.ops[stat.root].shape != shape:
        return scores
    return x if fact_of(rec, x).root == stat.root else scores


def _norm(rec: Tape, own: int, other: int) -> Value | None:
    """x, or x - mean(x), times a function of the variance of x (rsqrt), or over its root."""
    stat = rec.facts.get(other)
    if stat is None or stat.axes is None or not {"rsqrt", "sqrt"} & set(stat.trail):
        return None
    root = _centred(rec, own, stat)
    shape = rec.ops[root].shape
    if _centred(rec, stat.root, stat) != root or rec.ops[own].shape != shape or not _aligned(rec, stat, other, shape):
        return None
    if any(op in rec.values for op in (root, own)):
        return None
    axes, source = tuple(sorted(stat.axes)), "layer_norm" if root != own else "rms_norm"
    if stat.grouped is None:
        made = rec.emit("norm", shape, [root], {"axes": axes}, source)
        rec.factors[made] = other
        return Data(made)
    channels, groups = stat.grouped
    layout = (0, channels, *(a for a in range(1, len(shape)) if a != channels))
    inside = {layout.index(a) for a in axes} | ({1} if groups == 1 else set())
    params: dict[str, Any] = {"axes": tuple(sorted(inside))} | ({"groups": groups} if groups > 1 else {})
    if layout != tuple(range(len(shape))):
        params["layout"] = layout
    return Data(rec.emit("norm", shape, [root], params, "group_norm"))


MEANS = (("mean",), ("sum", "div"), ("sum", "mul"))
"""Trails of means."""


def _centre(rec: Tape, first: int, second: int) -> Value | None:
    """mean(x), or its negative, times a function of the variance of x: the second part of a norm that is ``x * s + (b - mean(x) * s)``."""
    for mean_op, scale_op in ((first, second), (second, first)):
        mean, scale = rec.facts.get(mean_op), rec.facts.get(scale_op)
        if mean is None or scale is None or mean.axes is None or not {"rsqrt", "sqrt"} & set(scale.trail):
            continue
        alike = (mean.axes, mean.dims, mean.grouped) == (scale.axes, scale.dims, None) and _centred(rec, scale.root, scale) == mean.root
        trail = mean.trail[:-1] if mean.trail[-1:] == ("neg",) else mean.trail
        fits = np.broadcast_shapes(rec.shape(mean_op), rec.shape(scale_op)) == rec.shape(scale_op)
        if alike and fits and trail in MEANS:
            made = rec.emit("pointwise", rec.shape(scale_op), [mean_op, scale_op], {}, "mul")
            rec.facts[made] = Fact(mean.root, (*mean.trail, "mul"), mean.axes, mean.dims)
            rec.factors[made] = scale_op
            return Data(made)
    return None


def _recentred(rec: Tape, norm: int, centre: int, name: str) -> Value | None:
    """A norm without a mean, and then its mean taken off: a norm with one, if both have the same factor."""
    op, stat = rec.ops[norm], rec.facts.get(centre)
    if op.source != "rms_norm" or stat is None or op.inputs != (stat.root,) or rec.factors.get(norm) != rec.factors.get(centre, -1):
        return None
    if ("neg" in stat.trail) != (name == "add") or not _aligned(rec, stat, centre, op.shape):
        return None
    return Data(rec.emit("norm", op.shape, op.inputs, op.params, "layer_norm"))


def _centred(rec: Tape, op: int, stat: Fact) -> int:
    """x, where op is x - mean(x) over just the axes of a statistic; else op itself."""
    made = rec.ops[op]
    if made.kind != "pointwise" or made.source != "sub" or len(made.inputs) != 2:
        return op
    root, mean = made.inputs[0], rec.facts.get(made.inputs[1])
    if mean is None or mean.root != root or (mean.axes, mean.grouped) != (stat.axes, stat.grouped) or made.shape != rec.ops[root].shape:
        return op
    return root if _aligned(rec, mean, made.inputs[1], made.shape) else op
