"""What a translator returned, checked: it must have the shapes that are known, and leave no data unread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Data, Value
from isopter.graph import Shape


def listed(result: list[Value] | Value | int, count: int) -> list[Value]:
    """The value of each of `count` results; an op, or one value, is that of all."""
    if isinstance(result, list):
        return result
    value: Value = Data(result) if isinstance(result, int) else result
    return [value] * count


def overlooked(rec: Builder, before: int, values: list[Value], outs: Sequence[Shape | None], data: Iterable[int], forgets: bool) -> bool:
    """Whether a translator left one of the ops `data` unread (a norm whose scale is computed from the input), or made another shape.

    `before`: how many ops there were before it. `forgets`: whether it rightly drops data.
    """
    if any(isinstance(v, Data) and o is not None and rec.shape(v.op) != o for v, o in zip(values, outs, strict=False)):
        return True
    if len(values) < len(outs) or forgets:
        return len(values) < len(outs)
    used = {i for op in rec.ops[before:] for i in op.inputs} | {v.op for v in values if isinstance(v, Data)}
    return any(op not in used for op in data)
