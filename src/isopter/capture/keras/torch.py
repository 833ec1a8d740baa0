"""Keras on PyTorch: a model is a torch module then, and the recorder of PyTorch hears it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from isopter.capture.keras.calls import followed
from isopter.capture.keras.inputs import Arguments
from isopter.capture.torch import capture as recording
from isopter.graph import Graph


class _Call(torch.nn.Module):
    """A call of a Keras model, whose arguments are tensors."""

    def __init__(self, model: Any, given: Arguments, training: bool) -> None:
        super().__init__()
        self.model, self.given, self.as_in_training = model, given, training

    def forward(self, *tensors: Any) -> Any:
        args, kwargs = self.given.call(tensors)
        return self.model(*args, training=self.as_in_training, **kwargs)


def traced(model: Any, given: Arguments, training: bool) -> Graph:
    """The graph of a call of `model`; its layers have the names of Keras."""
    inputs = {
        f"input.{k}": torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device="meta") for k, spec in enumerate(given.tensors)
    }

    @contextlib.contextmanager
    def follow(subject: torch.nn.Module, recorder: Any, trace: Any) -> Iterator[None]:
        def around(path: str, call: Callable[[], Any]) -> Any:
            recorder.path.append(path)
            try:
                return call()
            finally:
                recorder.path.pop()

        with followed(subject.model, around) as calls:
            yield
        for path, tensors in calls.outputs.items():
            made = [recorder.op_of(t) for t in tensors]
            trace.layers[path] = {at: op for at, op in enumerate(made) if op is not None}

    graph = recording.capture(_Call(model, given, training), inputs, training=training, follow=follow)
    return _named(graph, [spec.name for spec in given.tensors])


def _named(graph: Graph, names: list[str]) -> Graph:
    """The graph, whose inputs are called as Keras calls them, and the results of layers as the layers."""
    taken = {op.name for op in graph.ops}
    new = {index: name if name not in taken else f"{name}.input" for name, index in zip(names, graph.input_names.values(), strict=True)}
    new |= {index: path for path, index in graph.layers.items() if graph.ops[index].module == path and path not in taken}
    ops = tuple(replace(op, name=new.get(index, op.name)) for index, op in enumerate(graph.ops))
    return replace(graph, ops=ops, input_names={new[index]: index for index in graph.input_names.values()})


@contextlib.contextmanager
def at_rest() -> Iterator[None]:
    """A while in which nothing is kept for gradients, and one thread computes: sums are in the same order every time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(threads)
