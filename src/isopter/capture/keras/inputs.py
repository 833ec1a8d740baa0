"""What a Keras model is called with: its own inputs, their open axes given by the user, or arguments of `call`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from isopter.errors import UsageError
from isopter.graph import Shape

Pack = Callable[[Sequence[Any]], tuple[tuple[Any, ...], dict[str, Any]]]


@dataclass(frozen=True)
class Spec:
    """One tensor that a model is called with. A single number (shape ``()``) has no space: it is no input of the graph."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class Arguments:
    """The tensors of a call in order, and how they are packed: positional arguments, and those by name."""

    specs: tuple[Spec, ...]
    pack: Pack

    @property
    def tensors(self) -> tuple[Spec, ...]:
        """Those that have axes."""
        return tuple(s for s in self.specs if s.shape)

    def call(self, tensors: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the model, given the tensors that have axes."""
        left = list(tensors)
        return self.pack([left.pop(0) if s.shape else keras.ops.ones((), s.dtype) for s in self.specs])


def arguments(model: Any, size: Shape | None, given: Any) -> Arguments:
    """The arguments for a call of `model`.

    `size` is the shape of its first input; `given` instead shapes, or anything with a shape and a dtype, by name or in order. What is not
    given is as the model has it, with a batch of 1. Raises UsageError where a length is missing, and where one does not fit.
    """
    if given is not None and not isinstance(given, Mapping):
        given = (given,) if not isinstance(given, tuple | list) or _is_shape(given) else tuple(given)
    own = getattr(model, "inputs", None) if isinstance(model, keras.Model) else None
    if own:
        return _of_tensors(model, list(own), size, given)
    return _of_call(model, size, given)


def _of_tensors(model: Any, own: list[Any], size: Shape | None, given: Any) -> Arguments:
    """Of a model that knows its inputs: functional, or Sequential once it has a shape."""
    names = [_input_name(t) for t in own]
    items: dict[str, Any]
    if given is None:
        items = {names[0]: size} if size is not None else {}
    elif isinstance(given, Mapping):
        items = dict(given)
    elif len(given) > len(names):
        raise UsageError(f"{len(given)} inputs were given, and {model.name} has {len(names)}: {', '.join(names)}.")
    else:
        items = dict(zip(names, given, strict=False))
    unknown = [name for name in items if name not in names and name not in {t.name for t in own}]
    if unknown:
        raise UsageError(f"{model.name} has no input {unknown[0]!r}. It has: {', '.join(names)}.")
    items = {name: items.get(name, items.get(t.name)) for name, t in zip(names, own, strict=True)}
    shapes = [_fitted(model, name, tuple(t.shape), items[name]) for name, t in zip(names, own, strict=True)]
    specs = [Spec(n, s, keras.backend.standardize_dtype(t.dtype)) for n, s, t in zip(names, shapes, own, strict=True)]
    struct = own[0] if isinstance(model, keras.Sequential) else model.input

    def pack(tensors: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (keras.tree.pack_sequence_as(struct, list(tensors)) if keras.tree.is_nested(struct) else tensors[0],), {}

    return Arguments(tuple(specs), pack)


def _input_name(tensor: Any) -> str:
    """As `model.summary()` has it: that of the InputLayer. The tensor is called so too, if the user named it."""
    return str(getattr(getattr(tensor, "_keras_history", None), "operation", tensor).name)


def _advice(own: tuple[Any, ...], shape: Shape) -> str:
    """What to do about a size that does not fit."""
    if len(shape) == len(own) - 1 and all(a in (None, n) for a, n in zip(own[1:], shape, strict=True)):
        return f"The batch comes first: give {(1, *shape)}."
    turned = (*shape[:1], *shape[2:], *shape[1:2])  # from channels first to channels last
    if len(shape) == len(own) > 2 and own[-1] == shape[1] != shape[-1]:
        return f"Its channels come last: give {turned}."
    built = f"Input(shape={shape[1:]}), or input_shape={shape[1:]} in keras.applications"
    return f"Give a size that does, or build the model for this one: with {built}."


def _fitted(model: Any, name: str, own: tuple[Any, ...], item: Any) -> Shape:
    """The shape of an input: as given, or with open axes closed. A batch of 1 is Keras' own convention to leave open."""
    said = f"The input {name!r} of {model.name} has the shape {own}"
    if item is not None:
        shape = _shape(name, item)
        if len(shape) != len(own) or any(a is not None and a != n for a, n in zip(own, shape, strict=False)):
            raise UsageError(f"{said}, and {shape} does not fit. {_advice(own, shape)}")
        return shape
    shape = tuple(1 if a is None and k == 0 else a for k, a in enumerate(own))
    if None in shape:
        example = (1, *(224 if a is None else a for a in own[1:]))
        raise UsageError(f"{said}: its open axes need a length. Give input_size (-i) such as {example}, or inputs={{name: shape}} for all.")
    return shape


def _of_call(model: Any, size: Shape | None, given: Any) -> Arguments:
    """Of a subclassed model or a layer: by the arguments of its `call`."""
    names = _call_names(model)
    first = names[0] if names else "inputs"
    if given is None:
        shape = size or _built_for(model)
        if shape is None:
            raise UsageError(
                f"{type(model).__name__} {model.name!r} does not say for which input it is made. Give input_size, such as "
                "(1, 224, 224, 3), or inputs={name: shape} for several."
            )
        return Arguments((Spec(first, shape, "float32"),), lambda tensors: (tuple(tensors), {}))
    if isinstance(given, Mapping):
        specs = tuple(_spec(name, item) for name, item in given.items())
        keys = list(given)
        if set(keys) <= set(names):
            return Arguments(specs, lambda tensors: _by_name(first, dict(zip(keys, tensors, strict=True))))
        return Arguments(specs, lambda tensors: ((dict(zip(keys, tensors, strict=True)),), {}))
    if not given:
        raise UsageError("inputs is empty. Give shapes or arrays, in order or by name.")
    if len(given) > max(len(names), 1):  # a model whose `call` takes a list of tensors
        specs = tuple(_spec(f"{first}.{k}" if k else first, item) for k, item in enumerate(given))
        return Arguments(specs, lambda tensors: ((list(tensors),), {}))
    specs = tuple(_spec(name, item) for name, item in zip(names or [first], given, strict=False))
    return Arguments(specs, lambda tensors: (tuple(tensors), {}))


def _by_name(first: str, given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Keras takes the first argument by position, others by name."""
    if first not in given:
        return (), given
    return (given.pop(first),), given


def _call_names(model: Any) -> list[str]:
    try:
        parameters = inspect.signature(model.call).parameters.values()
    except (TypeError, ValueError):
        return []
    own = ("training", "mask")
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name not in own]


def _built_for(model: Any) -> Shape | None:
    """The one shape that a layer was built with, batch 1; None where there is none, or an open axis is left."""
    found = (model.get_build_config() or {}).get("input_shape") if model.built else None
    if not isinstance(found, tuple | list) or not found or any(isinstance(n, tuple | list) for n in found):
        return None
    shape = tuple(1 if n is None and k == 0 else n for k, n in enumerate(found))
    return None if None in shape else shape


def _spec(name: str, item: Any) -> Spec:
    dtype = getattr(item, "dtype", None)
    return Spec(name, _shape(name, item), "float32" if dtype is None else keras.backend.standardize_dtype(dtype))


def _is_shape(item: Any) -> bool:
    return isinstance(item, tuple | list) and bool(item) and all(hasattr(n, "__index__") and not hasattr(n, "shape") for n in item)


def _shape(name: str, item: Any) -> Shape:
    shape = getattr(item, "shape", item)
    try:
        sizes = tuple(n.__index__() for n in shape)
    except (TypeError, AttributeError):
        sizes = (-1,)
    if any(n < 0 for n in sizes) or isinstance(item, str):
        raise UsageError(f"The input {name!r} is given as {item!r}. Expected a shape such as (1, 224, 224, 3), or an array.")
    return sizes
