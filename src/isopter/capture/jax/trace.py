"""Tracing: from a model and the sizes of its inputs to a jaxpr. Nothing is run, and the model is not changed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from isopter.capture.guard import user_code
from isopter.capture.jax.capture import jaxpr_graph
from isopter.capture.jax.linen import interception, without_numbers
from isopter.capture.jax.models import Subject, subject_of
from isopter.errors import UsageError
from isopter.graph import Graph, Shape

Struct: Any = jax.ShapeDtypeStruct


@dataclass(frozen=True)
class Traced:
    """A jaxpr with what its arguments are: first `weights` (arrays or shapes), then inputs of these `names` (None: no tensor of the
    image, such as a key of random numbers)."""

    closed: Any
    weights: Sequence[Any]
    inputs: Sequence[Any]
    names: Sequence[str | None]
    outputs: Sequence[str]
    name: str
    bare: bool = False

    def graph(self) -> Graph:
        """The graph of the traced model."""
        return jaxpr_graph(self.closed, [*(None for _ in self.weights), *self.names], output_names=self.outputs)


def traced(model: Any, size: Shape | None, inputs: Any, training: bool, derivatives: bool = False) -> Traced:
    """Trace a model on inputs of these sizes. Raises UsageError for inputs that do not fit, and CaptureError if the model fails.

    `derivatives`: the jaxpr will be differentiated, so functions with derivatives of their own (`jax.custom_jvp`) stay calls.
    """
    subject = user_code(lambda: subject_of(model, training), "taking the model apart") if not training else subject_of(model, training)
    args, kwargs = _arguments(subject, size, inputs)
    flatten: Any = jax.tree.flatten
    leaves, tree = flatten((subject.weights, args, kwargs))
    dynamic = [_is_array(leaf) for leaf in leaves]
    weights = len(jax.tree.leaves(subject.weights))
    outputs: list[str] = []

    def flat(*arrays: Any) -> list[Any]:
        given = iter(arrays)
        filled = tree.unflatten([next(given) if d else leaf for leaf, d in zip(leaves, dynamic, strict=True)])
        found = subject.run(filled[0], *filled[1], **filled[2])
        paths = [(path, leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(found)[0] if _is_array(leaf)]
        outputs[:] = ["output"] if len(paths) == 1 else [_dotted(path) for path, _ in paths]
        return [leaf for _, leaf in paths]

    structs = [_struct(leaf) for leaf, d in zip(leaves, dynamic, strict=True) if d]
    with without_numbers() if subject.bare else nullcontext(), interception():
        closed = user_code(lambda: jaxpr_of(flat, structs, derivatives), "tracing the model")
    own = [leaf for leaf, d in zip(leaves[:weights], dynamic[:weights], strict=True) if d]
    return Traced(closed, own, structs[len(own) :], _names(subject, args, kwargs), outputs, subject.name, subject.bare)


def jaxpr_of(function: Callable[..., Sequence[Any]], structs: Sequence[Any], derivatives: bool = False) -> Any:
    """The jaxpr of a function of arrays that returns arrays in a list: recorded, or, where that does not come to its end, traced by JAX."""
    if not derivatives:
        try:
            from isopter.capture.jax.recorder import recorded  # which other versions of JAX may not have all parts of

            return recorded(function, structs)
        except Exception:
            pass
    return jax.make_jaxpr(function)(*structs)


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def _struct(leaf: Any) -> Any:
    return Struct(tuple(leaf.shape), leaf.dtype)


def _arguments(subject: Subject, size: Shape | None, inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments of the call, the first of the shape `size` where there are no `inputs`."""
    args: tuple[Any, ...]
    if inputs is None:
        if size is None:
            raise UsageError("Give input_size (-i), the shape of the input, such as (1, 224, 224, 3), or inputs.")
        args, kwargs = (Struct(size, np.float32),), {}
    elif isinstance(inputs, Mapping):
        args, kwargs = (), dict(inputs)
    else:
        args, kwargs = (tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)), {}
    if not any(_is_array(leaf) for leaf in jax.tree.leaves((args, kwargs))):
        raise UsageError("inputs must hold arrays (or jax.ShapeDtypeStruct), as a tuple of arguments or a dict by argument name.")
    try:
        parameters = inspect.signature(subject.call).parameters
    except (TypeError, ValueError):
        return args, kwargs
    open_ = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    unknown = [k for k in kwargs if k not in parameters]
    if unknown and not open_:
        raise UsageError(f"The model has no argument {unknown[0]!r}. It has: {', '.join(parameters)}.")
    most = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters.values())
    if len(args) > most and not any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        raise UsageError(f"{len(args)} inputs were given, and the model takes {most}: {', '.join(parameters)}.")
    taken = set(list(parameters)[: len(args)]) | set(kwargs)
    return args, {**{k: v for k, v in subject.extra.items() if k not in taken}, **kwargs}


def _names(subject: Subject, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str | None]:
    """A name for each array among the inputs, in the order of the leaves: that of its argument, and where it is in it."""
    try:
        parameters = list(inspect.signature(subject.call).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    said = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = [(said[k] if k < len(said) else f"input_{k}", arg) for k, arg in enumerate(args)]
    named += [(k, kwargs[k]) for k in sorted(kwargs)]
    found: list[str | None] = []
    for name, tree in named:
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
            if _is_array(leaf):
                plain = isinstance(leaf.dtype, np.dtype) or np.dtype(leaf.dtype).kind != "V"
                found.append(f"{name}.{_dotted(path)}" if path and plain else name if plain else None)
    return found


def _dotted(path: Sequence[Any]) -> str:
    parts = (getattr(key, "key", getattr(key, "idx", getattr(key, "name", key))) for key in path)
    return ".".join(map(str, parts))
