"""Norms that a graph spells out, as layers of Keras on TensorFlow and older exporters do: seen by what each op is of one tensor.

``(x - m) * rsqrt(v + e)`` and ``x * s + (b - m * s)`` read what a norm reads, so nothing changes about fields. The theory of gradients
needs to know: of two factors that are computed it knows nothing, and of a norm that it gives values of variance 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from isopter.graph import Op, Shape


@dataclass(frozen=True, slots=True)
class Part:
    """What an op is of op `root`, whose statistics are over `axes`. `kind` is one of

    mean, centred (x - mean), square (of x, or with `centre` of x - mean), squared (mean^2), variance (the mean of squares), deviation (its
    root), factor (1 / deviation), scaled (x * factor), offset (mean * factor). `negative`: times -1. `factor`: the op of the factor.
    """

    kind: str
    root: int
    axes: Shape = ()
    centre: bool = False
    negative: bool = False
    factor: int = -1


SAME = frozenset("identity stop_gradient cast copy".split())
ROOTS = {"sqrt": "deviation", "rsqrt": "factor"}
NAMES = {True: "layer_norm", False: "rms_norm"}


def with_norms(ops: Sequence[Op]) -> list[Op]:
    """The ops, with the last one of every norm as an op of that kind. The ones before it stay, as others may read them."""
    parts: dict[int, Part] = {}
    found = list(ops)
    for at, op in enumerate(ops):
        if "unread" in op.params or op.kind not in ("pointwise", "reduce"):
            continue
        part = _statistic(op, parts) if op.kind == "reduce" else _of_one(op, parts) if len(op.inputs) == 1 else _of_two(op, parts)
        if part is None:
            continue
        if part.kind != "norm":
            parts[at] = part
        elif ops[part.root].shape == op.shape:
            found[at] = Op(op.name, "norm", op.shape, (part.root,), {"axes": part.axes}, op.module, NAMES[part.centre])
    return found


def _statistic(op: Op, parts: Mapping[int, Part]) -> Part | None:
    """A mean over axes, which stay."""
    if op.source != "mean" or not op.params["keepdim"]:
        return None
    axes, of = tuple(sorted(op.params["axes"])), parts.get(op.inputs[0])
    if of is not None and of.kind == "square" and (not of.centre or of.axes == axes):
        return Part("variance", of.root, axes, of.centre)
    return Part("mean", op.inputs[0], axes)


def _of_one(op: Op, parts: Mapping[int, Part]) -> Part | None:
    """A function of one op, and perhaps of numbers."""
    of, name = parts.get(op.inputs[0]), op.source
    squares = name in ("pow", "square") or (name == "mul" and not {"slopes", "constant"} & set(op.params))
    if of is None:
        return Part("square", op.inputs[0]) if squares else None
    if name in SAME:
        return of
    match of.kind:
        case "centred" if squares:
            return replace(of, kind="square", centre=True)
        case "mean" if squares:
            return replace(of, kind="squared")
        case "mean" | "offset" if name == "neg":
            return replace(of, negative=not of.negative)
        case "variance" if name in ROOTS or name == "add":
            return replace(of, kind=ROOTS.get(name, "variance"))
        case "deviation" if name in ("reciprocal", "add"):
            return replace(of, kind="factor" if name == "reciprocal" else "deviation")
        case "factor" if name == "mul":
            return of
        case "offset" if name in ("add", "sub"):
            return replace(of, negative=of.negative != bool(op.params.get("negative")))
    return None


def _of_two(op: Op, parts: Mapping[int, Part]) -> Part | None:
    """A function of two ops."""
    if len(op.inputs) != 2:
        return None
    first, second = op.inputs
    a, b = parts.get(first), parts.get(second)
    if op.source in ("sub", "squared_difference") and b is not None and b.kind == "mean" and b.root == first and not b.negative:
        return Part("centred" if op.source == "sub" else "square", first, b.axes, centre=True)
    if op.source == "sub" and a is not None and b is not None and (a.kind, b.kind) == ("variance", "squared"):
        return replace(a, centre=True) if _alike(a, b) and not a.centre else None
    if op.source == "mul":
        return _times(first, second, a, b) or _times(second, first, b, a)
    if op.source == "div":
        return _times(first, second, a, b, "deviation")
    if op.source in ("add", "sub"):
        return _together(a, b, op.source == "add") or (_together(b, a, True) if op.source == "add" else None)
    return None


def _times(own: int, other: int, a: Part | None, b: Part | None, kind: str = "factor") -> Part | None:
    """Something times a factor, or over a deviation."""
    if b is None or b.kind != kind:
        return None
    if a is not None and a.kind == "centred" and b.centre and _alike(a, b):
        return replace(b, kind="norm")
    if a is not None and a.kind == "mean" and _alike(a, b):
        return replace(a, kind="offset", factor=other)
    if own == b.root:
        return replace(b, kind="scaled", factor=other) if b.centre else replace(b, kind="norm")
    return None


def _together(a: Part | None, b: Part | None, added: bool) -> Part | None:
    """``x s + -(m s)`` or ``x s - m s``."""
    if a is None or b is None or (a.kind, b.kind) != ("scaled", "offset") or not _alike(a, b):
        return None
    return replace(a, kind="norm") if a.factor == b.factor and b.negative == added else None


def _alike(a: Part, b: Part) -> bool:
    return (a.root, a.axes) == (b.root, b.axes)
