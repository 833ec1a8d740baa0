"""Primitives that only move positions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from isopter.capture.jax.node import Node, Tape
from isopter.capture.jax.translate import Translated, patterns, primitive
from isopter.capture.jax.translate.along import interpolated
from isopter.capture.static import moves, shapes
from isopter.capture.static.node import Unknown
from isopter.capture.static.values import Data, Value
from isopter.graph import Shape


@primitive("reshape")
def reshape(rec: Tape, node: Node) -> Translated:
    """The same elements under another shape; axes of length 1 that come and go are told by their neighbours."""
    value, out = node.carried(), node.out
    if node.params.get("dimensions") is not None:
        raise Unknown("an order of axes")
    repeated = _repeated(rec, value, out)
    if repeated is not None:
        return repeated
    shape = node.shapes[0]
    pairs = _ones(shape, out)
    if pairs is None:
        made = patterns.merged(rec, moves.reshape(rec, value.op, out), value.op)
        return value.moved(made, shape, lambda x: x.reshape(out))
    op = moved_axes(rec, value.op, out, pairs)
    return value.moved(op, shape, lambda x: x.reshape(out))


def _ones(shape: Shape, out: Shape) -> tuple[tuple[int, int], ...] | None:
    """(output axis, input axis) of a reshape that only adds or drops axes of length 1; None for others."""
    long_in = [a for a, n in enumerate(shape) if n != 1]
    long_out = [a for a, n in enumerate(out) if n != 1]
    if shape == out or [shape[a] for a in long_in] != [out[a] for a in long_out]:
        return None
    pairs = list(zip(long_out, long_in, strict=True))
    edges = [(-1, -1), *pairs, (len(out), len(shape))]
    for (o, i), (p, j) in itertools.pairwise(edges):  # axes of 1 between the same neighbours, from the left
        pairs += zip(range(o + 1, p), range(i + 1, j), strict=False)
    return tuple(sorted(pairs))


def moved_axes(rec: Tape, op: int, out: Shape, pairs: Sequence[tuple[int, int]]) -> int:
    """`op` with axes of length 1 added or dropped; output axis o is input axis i for each pair (o, i)."""
    if rec.ops[op].shape == out:
        return op
    made = rec.emit("reshape", out, [op], {"pairs": tuple(pairs)}, "reshape")
    to = {i: o for o, i in pairs}
    fact = rec.facts.get(op)
    if fact is not None and fact.axes is not None and len(to) == len(rec.ops[op].shape):
        patterns.placed(rec, made, op, [to[i] for i in range(len(to))])
    return made


def _repeated(rec: Tape, value: Data, out: Shape) -> Value | None:
    """Positions repeated one by one along an axis (``jnp.repeat``), which is interpolation by the nearest: a new axis of copies, merged."""
    op, fact = rec.ops[value.op], rec.facts.get(value.op)
    if op.source != "repeat" or value.fixed is not None or value.faint is not None or len(op.shape) != len(out) + 1:
        return None
    if fact is not None and fact.axes is not None:
        return None  # a statistic on its way back to what it is of
    axis = op.params["new"]
    before = rec.ops[op.inputs[0]].shape
    merged = (*op.shape[: axis - 1], op.shape[axis - 1] * op.shape[axis], *op.shape[axis + 1 :])
    if axis == 0 or merged != out or op.shape[axis - 1] < 1:
        return None
    others = [(a - (a > axis), a) for a in range(len(before)) if a != axis]
    source = moved_axes(rec, op.inputs[0], (*before[:axis], *before[axis + 1 :]), others)
    return Data(interpolated(rec, source, axis - 1, out[axis - 1], "nearest", False))


@primitive("broadcast_in_dim")
def broadcast(rec: Tape, node: Node) -> Translated:
    """New axes, and axes of length 1 made longer."""
    value, shape, out = node.carried(), node.shapes[0], node.out
    dims = [int(d) for d in node.params["broadcast_dimensions"]]
    thin = [1] * len(out)
    for axis, dim in enumerate(dims):
        thin[dim] = shape[axis]
    op = moved_axes(rec, value.op, tuple(thin), [(d, a) for a, d in enumerate(dims)])
    grown = [a for a in range(len(out)) if thin[a] != out[a]]
    if len(grown) == 1 and grown[0] not in dims:
        made = rec.emit("pointwise", out, [op], {"new": grown[0]}, "repeat")
    else:
        made = moves.expand(rec, op, out)
    if made != op:
        patterns.placed(rec, made, op, range(len(out)))
    return value.moved(made, shape, lambda x: np.broadcast_to(x.reshape(thin), out))


@primitive("squeeze")
def squeeze(rec: Tape, node: Node) -> Translated:
    """Without some axes of length 1."""
    value, shape = node.carried(), node.shapes[0]
    gone = {int(d) % len(shape) for d in node.params["dimensions"]}
    kept = [a for a in range(len(shape)) if a not in gone]
    op = moved_axes(rec, value.op, node.out, list(enumerate(kept)))
    return value.moved(op, shape, lambda x: x.reshape(node.out))


@primitive("expand_dims")
def expand_dims(rec: Tape, node: Node) -> Translated:
    """With new axes of length 1."""
    value = node.carried()
    new = {int(d) % len(node.out) for d in node.params["dimensions"]}
    kept = [a for a in range(len(node.out)) if a not in new]
    op = moved_axes(rec, value.op, node.out, [(o, i) for i, o in enumerate(kept)])
    return value.moved(op, node.shapes[0], lambda x: x.reshape(node.out))


@primitive("transpose")
def transpose(rec: Tape, node: Node) -> Translated:
    """The axes in another order."""
    value, order = node.carried(), [int(a) for a in node.params["permutation"]]
    return value.moved(turned(rec, value.op, order), node.shapes[0], lambda x: x.transpose(order))


def turned(rec: Tape, op: int, order: Sequence[int]) -> int:
    """A transpose; one of a transpose is one, or none."""
    before = rec.ops[op]
    if before.kind == "transpose":
        order = [before.params["perm"][a] for a in order]
        op = before.inputs[0]
    return moves.transpose(rec, op, order)


@primitive("rev")
def reverse(rec: Tape, node: Node) -> Translated:
    """Backwards along some axes."""
    return shapes.flip(rec, node.carried(), [int(a) for a in node.params["dimensions"]])


@primitive("slice")
def slice_(rec: Tape, node: Node) -> Translated:
    """Per axis a start and a step."""
    p = node.params
    strides = p["strides"] or (1,) * len(node.out)
    cuts = {a: (int(s), int(t), n) for a, (s, t, n) in enumerate(zip(p["start_indices"], strides, node.out, strict=True))}
    return cut(rec, node.inputs[0], cuts, "slice")


def cut(rec: Tape, value: Value, cuts: Mapping[int, tuple[int, int, int]], source: str) -> Data:
    """Per axis (start, step, count)."""
    assert isinstance(value, Data)
    shape, op = rec.ops[value.op].shape, value.op
    for axis, (start, step, count) in cuts.items():
        op = moves.slice_axis(rec, op, axis, start, step, count, source)
    index = tuple(slice(*_range(cuts[a], n)) if a in cuts else slice(None) for a, n in enumerate(shape))
    return value.moved(op, shape, lambda x: x[index])


def _range(how: tuple[int, int, int], n: int) -> tuple[int, int, int]:
    start, step, count = how
    return start, min(start + step * count, n), step


@primitive("dynamic_slice")
def dynamic_slice(rec: Tape, node: Node) -> Translated:
    """From constant starts, moved into the array where they lie outside; else bounded by the axes whose start values decide."""
    value, shape = node.carried(), node.shapes[0]
    starts = [node.const(1 + a) for a in range(len(shape))]
    open_ = [a for a, s in enumerate(starts) if s is None and shape[a] != node.out[a]]
    if not open_:
        cuts = {}
        for axis, (start, n, m) in enumerate(zip(starts, shape, node.out, strict=True)):
            cuts[axis] = (0 if start is None else min(max(int(start), 0), n - m), 1, m)
        return cut(rec, value, cuts, "slice")
    rec.issue("A slice whose start values decide: bounded by the whole axis")
    inputs = list(dict.fromkeys([value.op, *node.all_data()]))
    return rec.emit("chosen", node.out, inputs, {"axes": tuple(open_)}, "dynamic_slice")


@primitive("dynamic_update_slice")
def dynamic_update_slice(rec: Tape, node: Node) -> Translated:
    """Written over at constant starts."""
    shape, size = node.shapes[0], node.shapes[1]
    starts = [node.const(2 + a) for a in range(len(shape))]
    if any(s is None and n != m for s, n, m in zip(starts, shape, size, strict=True)):
        raise Unknown("a place")
    at = [0 if s is None else min(max(int(s), 0), n - m) for s, n, m in zip(starts, shape, size, strict=True)]
    covered = np.ones((1,) * len(shape), np.bool_)
    for axis, (start, n, m) in enumerate(zip(at, shape, size, strict=True)):
        if n != m:
            inside = (np.arange(n) >= start) & (np.arange(n) < start + m)
            covered = covered & inside.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    base, new = node.data(0), node.data(1)
    inputs = [] if base is None else [base]
    if new is not None:
        inputs.append(moves.pad(rec, new, at, [n - m - s for n, m, s in zip(shape, size, at, strict=True)]))
    return rec.emit("overlay", shape, inputs, {"covered": covered, "base": base is not None, "value": new is not None}, "update")


@primitive("concatenate")
def concatenate(rec: Tape, node: Node) -> Translated:
    """Side by side along an axis."""
    axis = int(node.params["dimension"])
    made = shapes.concat(rec, node.inputs, node.shapes, axis, node.out, lambda ops, offsets: _mirrored(rec, ops, offsets, node, axis))
    if made is None:
        raise Unknown("an empty operand")
    return made


def _mirrored(rec: Tape, inputs: Sequence[int], offsets: Sequence[int], node: Node, axis: int) -> int | None:
    """Pieces of one tensor side by side: padding by reflection or by the edge, or a roll, which JAX puts together from slices. As an
    explicit list of positions, with the plane of the piece in the middle."""
    rows = np.full(node.out[axis], -1, np.int64)
    root: int | None = None
    whole = 0
    for op, offset in zip(inputs, offsets, strict=True):
        source, index = _positions(rec, op, axis)
        if root is None:
            root = source
        if source != root:
            return None
        rows[offset : offset + len(index)] = index
        whole = max(whole, len(index))
    assert root is not None
    n = rec.ops[root].shape[axis]
    if len(inputs) < 2 or rec.ops[root].shape[:axis] + rec.ops[root].shape[axis + 1 :] != node.out[:axis] + node.out[axis + 1 :]:
        return None
    step = np.diff(rows)
    runs = np.flatnonzero(step == 1)
    if not len(runs):
        return None
    if (rows == (np.arange(len(rows)) + rows[0]) % max(n, 1)).all() and len(rows) == n:
        return rec.emit("roll", node.out, [root], {"shifts": {axis: int(-rows[0]) % n}}, "roll")
    middle = _longest(step == 1)
    shift = int(rows[middle] - middle)
    return moves.take(rec, root, axis, rows, "pad", jump=1, pattern=np.array([[shift]]))


def _longest(run: np.ndarray) -> int:
    """Where the longest run of True begins."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], run.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    return int(starts[np.argmax(ends - starts)])


def _positions(rec: Tape, op: int, axis: int) -> tuple[int, np.ndarray]:
    """The tensor that `op` is cut from along one axis, and which of its positions it is."""
    made = rec.ops[op]
    index = np.arange(made.shape[axis])
    while True:
        if made.kind == "slice" and made.params["axis"] == axis:
            index = made.params["start"] + made.params["step"] * index
        elif made.kind == "take" and made.params["axis"] == axis and made.params["index"].shape[1] == 1:
            index = made.params["index"][index, 0]
        elif made.source in ("expand", "repeat") and made.kind == "pointwise" and rec.ops[made.inputs[0]].shape[axis] == 1:
            if len(rec.ops[made.inputs[0]].shape) != len(made.shape):
                return op, index
            index = np.zeros_like(index)
        else:
            return op, index
        op = made.inputs[0]
        made = rec.ops[op]


@primitive("stack")
def stack(rec: Tape, node: Node) -> Translated:
    """Side by side along a new axis."""
    return shapes.stack(rec, node.inputs, int(node.params["axis"]), node.out)


@primitive("unstack")
def unstack(rec: Tape, node: Node) -> list[Value]:
    """One result for each position of an axis."""
    axis = int(node.params["axis"])
    found: list[Value] = []
    for at, out in enumerate(node.outs):
        op = cut(rec, node.inputs[0], {axis: (at, 1, 1)}, "unstack").op
        kept = [a for a in range(len(out) + 1) if a != axis]
        found.append(Data(moved_axes(rec, op, out, list(enumerate(kept)))))
    return found


@primitive("tile")
def tile(rec: Tape, node: Node) -> Translated:
    """Repeated as a whole along each axis."""
    op = node.source()
    for axis, count in enumerate(node.params["reps"]):
        n = rec.ops[op].shape[axis]
        if count != 1:
            op = moves.take(rec, op, axis, np.arange(n * int(count)) % max(n, 1), "tile")
    return op


@primitive("pad")
def pad(rec: Tape, node: Node) -> Translated:
    """Each axis (before, after, between): new positions that read nothing, between any two, and around (negative: cropped)."""
    op, config = node.source(), node.params["padding_config"]
    if node.data(1) is not None:
        raise Unknown("a padding value")
    for axis, (_, _, between) in enumerate(config):
        if between:
            op = dilated(rec, op, axis, int(between) + 1)
    before, after = [int(c[0]) for c in config], [int(c[1]) for c in config]
    return moves.pad(rec, op, before, after)


def dilated(rec: Tape, op: int, axis: int, stride: int) -> int:
    """Holes between neighbours: position ``i * stride`` is position i."""
    n = rec.ops[op].shape[axis]
    m = max((n - 1) * stride + 1, 0)
    rows = np.where(np.arange(m) % stride == 0, np.arange(m) // stride, -1)
    pattern = np.full((stride, 1), np.iinfo(np.int64).min)
    pattern[0] = 0
    return moves.take(rec, op, axis, rows, "dilate", jump=1, pattern=pattern)
