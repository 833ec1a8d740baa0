"""Keras on JAX: a call is traced to a jaxpr, in which every layer call is marked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import keras

from isopter.capture.jax.capture import jaxpr_graph
from isopter.capture.jax.marks import SCOPE
from isopter.capture.jax.trace import jaxpr_of
from isopter.capture.keras.calls import followed
from isopter.capture.keras.inputs import Arguments
from isopter.capture.keras.names import named
from isopter.capture.keras.outputs import output_names
from isopter.graph import Graph


def traced(model: Any, given: Arguments, training: bool) -> Graph:
    """The graph of a call of `model`; its layers have the names of Keras. Its variables are constants of the trace, whose numbers are read
    where a few of them matter, and what it writes to them is forgotten."""
    names: list[str] = []
    paths: list[str] = []

    def run(*tensors: Any) -> list[Any]:
        args, kwargs = given.call(tensors)
        with keras.StatelessScope(), followed(model, heard_as) as calls:
            result = model(*args, training=training, **kwargs)
        returned = output_names(result)
        names[:] = [name for name, _ in returned]
        paths[:] = [path for path, tensors in calls.outputs.items() for _ in tensors]
        return [tensor for _, tensor in returned] + [t for tensors in calls.outputs.values() for t in tensors]

    def heard_as(path: str, call: Callable[[], Any]) -> Any:
        if not path:
            return call()
        with jax.named_scope(SCOPE + path):
            return call()

    closed = jaxpr_of(run, [jax.ShapeDtypeStruct(s.shape, s.dtype) for s in given.tensors])  # type: ignore[no-untyped-call]
    keys = [f"output_{k}" for k in range(len(names) + len(paths))]
    graph = jaxpr_graph(closed, [s.name for s in given.tensors], None, keys)
    found = [graph.layers.get(key) for key in keys]
    outputs = {name: op for name, op in zip(names, found, strict=False) if op is not None}
    made: dict[str, list[int | None]] = {}
    for path, op in zip(paths, found[len(names) :], strict=True):
        made.setdefault(path, []).append(op)
    return named(graph, made, outputs, graph.issues)


def wide() -> contextlib.AbstractContextManager[Any]:
    """A while in which arrays may be of 64 bits, in this thread."""
    allowed: contextlib.AbstractContextManager[Any] = jax.enable_x64(True)
    return allowed


def compiled(call: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """`call`, a function of arrays, compiled when it is first called with arrays of these sizes."""
    made: Callable[..., list[Any]] = jax.jit(call)
    return made
