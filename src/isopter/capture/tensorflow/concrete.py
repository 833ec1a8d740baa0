"""From what a user has to a concrete function: tf.function, tf.Module, a loaded SavedModel, or the folder of one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.tensorflow.program import Program, program_of, said
from isopter.capture.tensorflow.stored import stored_program
from isopter.errors import CaptureError, UsageError
from isopter.graph import Shape


@dataclass(frozen=True, slots=True)
class Traced:
    """A program, the names of its inputs and their shapes (None: its own), and a name for the model."""

    program: Program
    names: tuple[str, ...]
    shapes: tuple[Shape | None, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What is in the folder of a SavedModel, and the names of its inputs: a model to be traced, and read once."""

    program: Program
    keys: Sequence[str]
    name: str


def load(path: Path) -> Stored:
    """A SavedModel from its folder. Raises UsageError and CaptureError as `stored_program` does."""
    program, keys = stored_program(path)
    return Stored(program, keys, path.name)


def traced(model: Any, size: Shape | None, inputs: Any, training: bool) -> Traced:
    """The concrete function of a model of TensorFlow. A model's Python is traced, as it is whenever it is called; a SavedModel has none.

    Raises UsageError for sizes that are missing or do not fit, CaptureError where the model cannot be traced or loaded.
    """
    if isinstance(model, str | Path):
        path = Path(model).expanduser()
        model = load(path)
    if isinstance(model, Stored):
        if training:
            raise UsageError("A SavedModel holds a network as it was traced. For training=True, give the tf.function or tf.Module itself.")
        return _of_program(model.program, model.keys, model.name, size, inputs)
    if isinstance(model, tf.types.experimental.ConcreteFunction):
        return _of_concrete(model, _name(model), size, inputs, training)
    if isinstance(model, tf.types.experimental.PolymorphicFunction):
        return _of_function(model, _name(model), size, inputs, training)
    if hasattr(model, "signatures") and not isinstance(model, tf.Module):
        return _stored(model, type(model).__name__.lstrip("_"), size, inputs, training)
    if not callable(model):
        raise UsageError(f"{type(model).__name__} is a tf.Module without __call__. Give one of its tf.functions, or define __call__.")
    call = type(model).__call__
    function = model.__call__ if isinstance(call, tf.types.experimental.PolymorphicFunction) else tf.function(model.__call__)
    return _of_function(function, type(model).__name__, size, inputs, training)


# ---- sizes -----------------------------------------------------------------------------------------------------------------


def _of_concrete(concrete: Any, name: str, size: Shape | None, inputs: Any, training: bool) -> Traced:
    if training:
        raise UsageError(f"{name} is a function as it was traced. For training=True, trace it so, or give the tf.function or tf.Module.")
    count = len(concrete.inputs) - len(concrete.captured_inputs)
    return _of_program(program_of(concrete), [_input_name(t) for t in concrete.inputs[:count]], name, size, inputs)


def _of_program(program: Program, keys: Sequence[str], name: str, size: Shape | None, inputs: Any) -> Traced:
    """A program whose inputs are called `keys`, at the sizes that a user gave."""
    names = tuple(keys)
    if not names:
        raise CaptureError(f"{name} has no input: every value in it is a constant.")
    own = list(program.inputs.values())
    wanted = _shapes(names, own, size, inputs)
    return Traced(program, names, tuple(_closed(n, shape, wanted.get(n)) for n, shape in zip(names, own, strict=True)), name)


def _input_name(tensor: Any) -> str:
    try:
        return str(tensor.op.get_attr("_user_specified_name").decode())
    except ValueError:
        return str(tensor.op.name)


def _shapes(names: Sequence[str], own: Sequence[Any], size: Shape | None, given: Any) -> dict[str, Shape]:
    """Shapes by name, as the user gave them."""
    if given is None:
        first = next((n for n, s in zip(names, own, strict=True) if s.rank != 0), names[0])
        return {} if size is None else {first: size}
    if isinstance(given, Mapping):
        items = dict(given)
    else:
        tensors = given if isinstance(given, tuple | list) else (given,)
        if len(tensors) > len(names):
            raise UsageError(f"{len(tensors)} inputs were given, and the model has {len(names)}: {', '.join(names)}.")
        items = dict(zip(names, tensors, strict=False))
    unknown = [n for n in items if n not in names]
    if unknown:
        raise UsageError(f"The model has no input {unknown[0]!r}. It has: {', '.join(names)}.")
    return {n: _shape_of(n, item) for n, item in items.items()}


def _shape_of(name: str, item: Any) -> Shape:
    try:
        return tuple(int(n) for n in getattr(item, "shape", item))
    except TypeError:
        raise UsageError(f"The input {name!r} is a {type(item).__name__}: expected a tensor, an array or a shape.") from None


def _advice(own: Any, given: Shape) -> str:
    """What to do about a shape that does not fit."""
    if own.is_compatible_with((1, *given)):
        return f"The batch comes first: give {(1, *given)}."
    last, first = (*given[:1], *given[2:], *given[1:2]), (*given[:1], *given[-1:], *given[1:-1])
    for where, turned in (("last", last), ("first", first)):
        if len(given) > 2 and own.is_compatible_with(turned):
            return f"Its channels come {where}: give {turned}."
    return "Give a shape that does; for others, trace or save the model with open axes (tf.TensorSpec, None for a length)."


def _closed(name: str, own: Any, given: Shape | None) -> Shape | None:
    """The shape of an input; an open first axis, the batch, is 1 unless it is said to be another."""
    if given is not None:
        if not own.is_compatible_with(given):
            raise UsageError(f"The input {name!r} of the model has the shape {own}, and {given} does not fit. {_advice(own, given)}")
        return given
    if own.rank is None:
        raise UsageError(f"The input {name!r} of the model has no shape. Give inputs={{{name!r}: shape}}, or input_size for the first.")
    sizes = own.as_list()
    closed = [1 if n is None and k == 0 and len(sizes) > 1 else n for k, n in enumerate(sizes)]
    if None in closed:
        raise UsageError(
            f"The input {name!r} of the model has the shape {own}: its open axes need a length. Give input_size (-i) for the first input, "
            "such as (1, 224, 224, 3), or inputs={name: shape} for all."
        )
    return tuple(closed)


# ---- tracing ----------------------------------------------------------------------------------------------------------------


def _of_function(function: Any, name: str, size: Shape | None, inputs: Any, training: bool) -> Traced:
    """A tf.function, traced for these inputs."""
    ready = getattr(function, "concrete_functions", None)
    if ready is not None and not hasattr(function, "python_function"):
        return _of_concrete(_fitting(ready, name, size, inputs), name, size, inputs, training)
    arguments = _arguments(function, name, training)
    if getattr(function, "input_signature", None) is not None:
        return _of_concrete(_trace(function, name, (), arguments), name, size, inputs, training=False)
    if inputs is None and size is None:
        raise UsageError(f"{name} is traced for a size: give input_size (-i), such as (1, 224, 224, 3), or inputs.")
    if isinstance(inputs, Mapping):
        return _of_concrete(_trace(function, name, (), arguments | {k: spec(k, v) for k, v in inputs.items()}), name, None, None, False)
    given = (size,) if inputs is None else inputs if isinstance(inputs, tuple | list) else (inputs,)
    specs = [spec(f"input {k}", item) for k, item in enumerate(given)]
    return _of_concrete(_trace(function, name, tuple(specs), arguments), name, None, None, False)


def spec(name: str, item: Any) -> Any:
    """A tf.TensorSpec of a tensor, an array, a spec or a shape (of float32)."""
    if isinstance(item, tf.TensorSpec):
        return tf.TensorSpec(item.shape, item.dtype)
    if hasattr(item, "shape") and hasattr(item, "dtype"):
        return tf.TensorSpec(_shape_of(name, item), item.dtype if isinstance(item.dtype, tf.DType) else tf.as_dtype(np.dtype(item.dtype)))
    return tf.TensorSpec(_shape_of(name, item), tf.float32)


def _arguments(function: Any, name: str, training: bool) -> dict[str, Any]:
    """The argument that says whether this is training, where the function has one."""
    try:
        named = inspect.signature(function.python_function).parameters
    except (TypeError, ValueError):
        named = {}  # type: ignore[assignment]
    found = next((n for n in ("training", "is_training", "train") if n in named), None)
    if found is None:
        if training:
            raise UsageError(f"training=True, and {name} has no argument called training. Give the function for training itself.")
        return {}
    return {found: training} if training or named[found].default is inspect.Parameter.empty else {}


def _trace(function: Any, name: str, specs: tuple[Any, ...], arguments: dict[str, Any]) -> Any:
    try:
        return function.get_concrete_function(*specs, **arguments)
    except Exception as error:  # whatever the model's own Python raises
        shapes = [str(tuple(s.shape)) for s in (*specs, *arguments.values()) if isinstance(s, tf.TensorSpec)]
        raise CaptureError(f"{name} failed while it was traced for inputs of {', '.join(shapes)} ({said(error)}).") from error


# ---- loaded SavedModels -----------------------------------------------------------------------------------------------------


def _stored(loaded: Any, name: str, size: Shape | None, inputs: Any, training: bool) -> Traced:
    """A loaded SavedModel: its signature ``serving_default``, its only one, or what calling it runs."""
    signatures = dict(loaded.signatures)
    concrete = signatures.get("serving_default") or (next(iter(signatures.values())) if len(signatures) == 1 else None)
    if concrete is None and signatures:
        raise UsageError(f"{name} has the signatures {', '.join(sorted(signatures))}. Give one of them: loaded.signatures[name].")
    if concrete is None:
        ready = getattr(loaded.__call__, "concrete_functions", None) if callable(loaded) else None
        if not ready:
            raise CaptureError(f"{name} has no signature, and cannot be called. Save it with tf.saved_model.save and signatures=...")
        concrete = _fitting(ready, name, size, inputs)
    return _of_concrete(concrete, name, size, inputs, training)


def _fitting(ready: Sequence[Any], name: str, size: Shape | None, inputs: Any) -> Any:
    """Of the functions that were stored, the first for these inputs; of several the one that is not for training."""
    fits = []
    for concrete in ready:
        try:
            _of_concrete(concrete, name, size, inputs, False)
            fits.append(concrete)
        except (UsageError, CaptureError) as error:
            refused = error
    if not fits:
        raise refused
    return min(fits, key=lambda c: "True" in str(c.structured_input_signature))


def _name(function: Any) -> str:
    name = getattr(function, "__name__", None) or getattr(function, "name", "") or "tf.function"
    text = name.decode() if isinstance(name, bytes) else str(name)
    return re.sub(r"^__inference_(signature_wrapper_)?(.*?)_\d+$", r"\2", text)
