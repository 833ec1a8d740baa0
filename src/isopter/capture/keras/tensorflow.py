"""Keras on TensorFlow: a call is traced to a concrete function, whose ops tell by their name scope in which layer call they were made."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.keras.calls import followed
from isopter.capture.keras.factors import with_factors
from isopter.capture.keras.inputs import Arguments
from isopter.capture.keras.names import named
from isopter.capture.keras.outputs import output_names
from isopter.capture.tensorflow.capture import function_graph
from isopter.capture.tensorflow.flat import flatten
from isopter.capture.tensorflow.prepared import prepared
from isopter.capture.tensorflow.program import program_of
from isopter.graph import Graph, Issue, Op

TOKEN = re.compile(r"isopter_(\d+)[/.]")
"""A scope of ours. TensorFlow numbers the scopes of repeated calls as well, but by its own rules."""

NUMBER = re.compile(r"#\d+")
"""Which call of a layer it is. A cell that is called in a loop was called before it, too, to learn its shapes; nothing is made of that."""

MARK = "call:"
"""Before the paths of layers while the graph is made: they may be called like an output."""


def traced(model: Any, given: Arguments, training: bool) -> Graph:
    """The graph of a call of `model`; its layers have the names of Keras."""
    paths: list[str] = []
    returned: list[tuple[str, Any]] = []
    made: dict[str, list[Any]] = {}
    layers: dict[str, Any] = {}

    def around(path: str, call: Callable[[], Any]) -> Any:
        paths.append(path)
        with tf.name_scope(f"isopter_{len(paths) - 1}/"):  # the slash: this scope, wherever it is entered
            return call()

    def run(*tensors: Any) -> list[Any]:
        del paths[:]
        args, kwargs = given.call(tensors)
        with followed(model, around) as calls:
            result = model(*args, training=training, **kwargs)
        returned[:] = output_names(result)
        layers.update((MARK + path, layer) for path, layer in calls.layers.items())
        looped = {NUMBER.sub("", path) for path, own in calls.outputs.items() if not all(map(_is_ours, own))}
        made.update((path, own) for path, own in calls.outputs.items() if NUMBER.sub("", path) not in looped)
        return [tensor for _, tensor in returned] + [t for own in made.values() for t in own]

    specs = [tf.TensorSpec(s.shape, s.dtype) for s in given.tensors]
    concrete = tf.function(run, autograph=False).get_concrete_function(*specs)

    def path_of(name: str) -> str:
        found = TOKEN.match(name)
        return paths[int(found[1])] if found else ""

    graph = function_graph(concrete, [s.name for s in given.tensors], lambda op: MARK + path_of(op.name))
    return _finished(with_factors(graph, layers), [name for name, _ in returned], made, path_of)


def _is_ours(tensor: Any) -> bool:
    """Whether a tensor is of the graph that is being made, and not of the body of a loop in it (a cell of a recurrent layer)."""
    return tensor.graph is tf.compat.v1.get_default_graph()


def _finished(graph: Graph, names: list[str], made: dict[str, list[Any]], path_of: Callable[[str], str]) -> Graph:
    """The graph with the names of Keras. Its outputs are those of the model, and then what every call returned."""
    count = len(names) + sum(map(len, made.values()))
    found = [graph.layers.get("output" if count == 1 else f"output_{k}") for k in range(count)]
    outputs = {name: op for name, op in zip(names, found, strict=False) if op is not None}
    left = iter(found[len(names) :])
    by_call = {path: [next(left) for _ in tensors] for path, tensors in made.items()}

    def plain(op: Op) -> Op:
        return replace(op, module=op.module.removeprefix(MARK))

    def where(issue: Issue) -> Issue:
        place, last = path_of(issue.where), re.split(r"[/.]", issue.where)[-1]
        return replace(issue, where=(f"{place}.{last}" if place else last) if TOKEN.match(issue.where) else issue.where)

    graph = replace(graph, ops=tuple(map(plain, graph.ops)))
    return named(graph, by_call, outputs, tuple(map(where, graph.issues)))


def compiled(call: Callable[..., list[Any]], arrays: Sequence[Any]) -> Callable[..., list[Any]]:
    """`call`, a function of tensors, as the graph that it is for tensors like these. Functions that it hands to XLA are written out."""
    function = tf.function(call, autograph=False)
    concrete = function.get_concrete_function(*(tf.TensorSpec(a.shape, a.dtype) for a in arrays))
    program = program_of(concrete)
    if not any(f.attr["_XlaMustCompile"].b for f in program.library.values() if "_XlaMustCompile" in f.attr):
        run: Callable[..., list[Any]] = concrete
        return run
    flat = flatten(program, [None] * len(program.inputs))
    # convolutions are results too, so that none is fused with its bias: TensorFlow has no such kernel for those in groups
    convolutions = [op.outputs[0].name for op in flat.graph.get_operations() if op.type == "Conv2D"]
    own = prepared(flat, [*flat.outputs, *convolutions], None)
    kept = [k for k, name in enumerate(program.inputs) if name in flat.inputs]
    return lambda *given: own(*(given[k] for k in kept))[: len(flat.outputs)]
