"""Sizes for the inputs of an ONNX graph: those of the file, its open axes given by the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isopter.capture.onnx.tensors import shape_of
from isopter.errors import CaptureError, UsageError
from isopter.graph import Shape

Axis = int | str | None
"""A length, the name of an open length, or an open length without a name."""


def sized(graph: Any, size: Shape | None, given: Any) -> dict[str, tuple[Shape, int]]:
    """By name, the shape and the element type of each input that is no initialiser.

    `size` is the shape of the first of them that has axes; axes of the same name have the same length everywhere. `given`: instead,
    tensors (anything with a shape) or shapes by name or in order. An open first axis, the batch, is 1 unless it is said to be another.
    Raises UsageError where sizes are missing or do not fit.
    """
    stored = {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    inputs = {v.name: _axes(v) for v in graph.input if v.name not in stored}
    if not inputs:
        raise CaptureError("it has no input: every value in it is a constant.")
    shapes = _given(inputs, given) if given is not None else {}
    if size is not None and given is None:
        first = next((name for name, (axes, _) in inputs.items() if axes), next(iter(inputs)))
        shapes = {first: size}
    bound: dict[str, int] = {}
    for name, shape in shapes.items():
        _fits(name, inputs[name][0], shape, bound)
    return {name: (_closed(name, axes, shapes.get(name), bound), dtype) for name, (axes, dtype) in inputs.items()}


def _axes(value: Any) -> tuple[tuple[Axis, ...] | None, int]:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        what = (kind or "value without a type").removesuffix("_type")
        raise CaptureError(f"its input {value.name!r} is a {what}, and isopter reads tensors.")
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None, tensor.elem_type
    axes: list[Axis] = []
    for dim in tensor.shape.dim:
        known = dim.WhichOneof("value")
        axes.append(dim.dim_param or None if known != "dim_value" else dim.dim_value if dim.dim_value > 0 else None)
    shape_of(value.name, [a for a in axes if isinstance(a, int)])
    return tuple(axes), tensor.elem_type


def _given(inputs: Mapping[str, Any], given: Any) -> dict[str, Shape]:
    if isinstance(given, Mapping):
        items = dict(given)
    else:
        tensors: Sequence[Any] = given if isinstance(given, tuple | list) else (given,)
        items = dict(zip(inputs, tensors, strict=False))
        if len(tensors) > len(inputs):
            raise UsageError(f"{len(tensors)} inputs were given, and the model has {len(inputs)}: {', '.join(inputs)}.")
    unknown = [name for name in items if name not in inputs]
    if unknown:
        raise UsageError(f"The model has no input {unknown[0]!r}. It has: {', '.join(inputs)}.")
    return {name: shape_of(name, getattr(item, "shape", item)) for name, item in items.items()}


def _fits(name: str, axes: tuple[Axis, ...] | None, shape: Shape, bound: dict[str, int]) -> None:
    if axes is None:
        return
    wrong = not _could_be(axes, shape)
    for axis, n in zip(axes, shape, strict=False):
        if isinstance(axis, str):
            wrong |= bound.setdefault(axis, n) != n
    if wrong:
        raise UsageError(f"The input {name!r} of the model has the shape {_said(axes)}, and {shape} does not fit. {_advice(axes, shape)}")


def _could_be(axes: tuple[Axis, ...], shape: Shape) -> bool:
    """Whether a shape has the axes, and the lengths that the file fixes."""
    return len(axes) == len(shape) and all(a == n for a, n in zip(axes, shape, strict=True) if isinstance(a, int))


def _advice(axes: tuple[Axis, ...], shape: Shape) -> str:
    """What to do about a shape that does not fit."""
    if _could_be(axes, (1, *shape)):
        return f"The batch comes first: give {(1, *shape)}."
    turned = (*shape[:1], *shape[-1:], *shape[1:-1])  # from channels last to channels first
    if len(shape) > 2 and turned != shape and _could_be(axes, turned):
        return f"Its channels come first: give {turned}."
    return "Give a size that does; for others, export the model with open axes, or use what_if(input_size=...) on its analysis."


def _closed(name: str, axes: tuple[Axis, ...] | None, given: Shape | None, bound: Mapping[str, int]) -> Shape:
    if given is not None:
        return given
    if axes is None:
        raise UsageError(f"The input {name!r} of the model has no shape in the file. Give inputs={{{name!r}: shape}} or input_size.")
    shape: list[int] = []
    for position, axis in enumerate(axes):
        n = axis if isinstance(axis, int) else bound.get(axis or "", 1 if position == 0 and len(axes) > 1 else 0)
        if not n:
            raise UsageError(
                f"The input {name!r} of the model has the shape {_said(axes)}: its open axes need a length. "
                "Give input_size (-i) for the first input, such as (1, 3, 224, 224), or inputs={name: shape} for all."
            )
        shape.append(n)
    return tuple(shape)


def _said(axes: Sequence[Axis]) -> str:
    return "(" + ", ".join("?" if a is None else str(a) for a in axes) + ("," if len(axes) == 1 else "") + ")"
