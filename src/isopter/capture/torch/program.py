"""A program: a flat list of ATen calls with the module each came from, however it was exported; and its replay under the recorder."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from isopter.capture.torch.capture import capture
from isopter.capture.torch.naming import Trace
from isopter.capture.torch.recorder import Recorder
from isopter.capture.torch.values import tensors_in
from isopter.errors import UsageError
from isopter.graph import Graph


@dataclass(frozen=True, slots=True)
class Ref:
    """Stands in the arguments of a call for the value of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Step:
    """One call. `made` names what it returns: one name, or a list of names (nested as the result is; None: not used).

    `scope` are the labels of the module calls it ran in, outermost first, the model itself left out: ``layer1``, ``layer1.0#2``.
    """

    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    made: Any
    scope: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """One axis of an input: the length it was exported with (None: not told), and the lengths that the program allows."""

    example: int | None
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Program:
    """`steps` in order; `inputs`: axes and dtype of each tensor the user gives; `values`: everything else by name, of which
    `weights` are parameters; `outputs`: what is returned, which `build` puts into the shape that the model returned."""

    name: str
    steps: tuple[Step, ...]
    inputs: Mapping[str, tuple[tuple[Size, ...], torch.dtype]]
    values: Mapping[str, Any]
    weights: frozenset[str]
    outputs: tuple[Any, ...]
    build: Callable[[list[Any]], Any]


def target_of(op: Any) -> Callable[..., Any] | None:
    """What to call for an ATen overload or a Python operator; None for assertions, which only cost."""
    name = op._schema.name if isinstance(op, torch._ops.OpOverload) else ""
    return None if name.startswith(("aten::_assert", "aten::sym_constrain_range")) else _INSTEAD.get(op, op)


def scope_of(stack: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Labels from (key, path) of the modules around a call. The key of a module's second call ends in @1."""
    labels = []
    for key, path in stack:
        again = re.search(r"@(\d+)$", key)
        if path:
            labels.append(f"{path}#{int(again[1]) + 1}" if again else path)
    return tuple(labels)


_INSTEAD: Mapping[Any, Callable[..., Any]] = {
    torch.ops.aten.linear.default: nn.functional.linear,
    torch.ops.aten.pad.default: nn.functional.pad,
    torch.ops.aten.lstm.input: torch.lstm,
    torch.ops.aten.gru.input: torch.gru,
    torch.ops.aten.rnn_tanh.input: torch.rnn_tanh,
    torch.ops.aten.rnn_relu.input: torch.rnn_relu,
    torch.ops.aten.view.default: torch.reshape,
    torch.ops.aten.sym_size.int: lambda tensor, axis: tensor.shape[axis],
    torch.ops.aten.sym_stride.int: lambda tensor, axis: tensor.stride(axis),
    torch.ops.aten.sym_numel.default: lambda tensor: tensor.numel(),
    torch.ops.aten.sym_storage_offset.default: lambda tensor: tensor.storage_offset(),
}
"""Functions that the recorder takes whole; questions about shapes; and reshape for view, since a kernel chosen here (attention
step by step) may lay its result out otherwise than the one that was traced."""


def program_graph(program: Program, size: tuple[int, ...] | None, inputs: Any, training: bool) -> Graph:
    """The graph of a program, for inputs of its own size unless others are given. Raises UsageError where it does not allow them."""
    if training:
        raise UsageError("An exported program has its mode built in: export the model in training mode instead of giving training=True.")
    given = _named(program, inputs) if inputs is not None else _sized(program, size)
    model = type(program.name, (Replay,), {})(program)
    return capture(model, given, follow=_scopes)


class Replay(nn.Module):
    """Runs a program call by call, telling the recorder which module each call came from."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        self.listeners: tuple[Recorder, Trace] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Replay:
        copied = {name: v.detach().clone() if isinstance(v, Tensor) else v for name, v in self.program.values.items()}
        return type(self)(replace(self.program, values=copied))

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """The tensors whose values do not matter."""
        return (value for name, value in self.program.values.items() if name in self.program.weights)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The tensors whose values are known."""
        return (v for name, v in self.program.values.items() if name not in self.program.weights and isinstance(v, Tensor))

    def forward(self, **given: Any) -> Any:
        """The outputs, in the model's own structure."""
        assert self.listeners is not None
        recorder, trace = self.listeners
        env = {**self.program.values, **given}
        leaving = _escapes(self.program)
        scopes = [step.scope for step in self.program.steps[1:]]
        for step, following in zip(self.program.steps, chain(scopes, [()]), strict=False):
            recorder.path[:] = ["", *step.scope]
            _bind(step.made, step.target(*_filled(step.args, env), **_filled(step.kwargs, env)), env)
            for label in reversed(step.scope):
                if label not in following:
                    found = (env.get(name) for name in leaving.get(label, ()))
                    made = [recorder.op_of(value) if isinstance(value, Tensor) else None for value in found]
                    trace.layers.pop(label, None)
                    trace.layers[label] = {at: op for at, op in enumerate(made) if op is not None}
        recorder.path[:] = [""]
        return self.program.build([_filled(value, env) for value in self.program.outputs])


@contextlib.contextmanager
def _scopes(model: nn.Module, recorder: Recorder, trace: Trace) -> Iterator[None]:
    assert isinstance(model, Replay)
    model.listeners = recorder, trace
    try:
        yield
    finally:
        model.listeners = None


def _escapes(program: Program) -> dict[str, list[str]]:
    """For each module call, the values made in it that are used outside of it: its outputs, in the order they were made."""
    made_in: dict[str, tuple[str, ...]] = {name: step.scope for step in program.steps for name in _names(step.made)}
    uses: list[tuple[str, tuple[str, ...]]] = []
    for step in program.steps:
        uses += [(name, step.scope) for name in _refs((step.args, step.kwargs))]
    uses += [(name, ()) for name in _refs(program.outputs)]
    leaving: dict[str, set[str]] = {}
    for name, scope in uses:
        for label in made_in.get(name, ()):
            if label not in scope:
                leaving.setdefault(label, set()).add(name)
    order = {name: at for at, name in enumerate(made_in)}
    return {label: sorted(names, key=order.__getitem__) for label, names in leaving.items()}


# ---- values in nested arguments ------------------------------------------------------------------------------------------


def _refs(item: Any) -> Iterator[str]:
    if isinstance(item, Ref):
        yield item.name
    elif isinstance(item, Mapping):
        yield from chain.from_iterable(map(_refs, item.values()))
    elif isinstance(item, list | tuple):
        yield from chain.from_iterable(map(_refs, item))


def _names(made: Any) -> Iterator[str]:
    if isinstance(made, str):
        yield made
    elif isinstance(made, list):
        yield from chain.from_iterable(map(_names, made))


def _filled(item: Any, env: Mapping[str, Any]) -> Any:
    if isinstance(item, Ref):
        return env[item.name]
    if isinstance(item, Mapping):
        return {k: _filled(v, env) for k, v in item.items()}
    return type(item)(_filled(v, env) for v in item) if type(item) in (list, tuple) else item


def _bind(made: Any, result: Any, env: dict[str, Any]) -> None:
    if isinstance(made, str):
        env[made] = result
    elif isinstance(made, list):
        for name, value in zip(made, result, strict=False):
            _bind(name, value, env)


# ---- inputs --------------------------------------------------------------------------------------------------------------


def _sized(program: Program, size: tuple[int, ...] | None) -> dict[str, Tensor]:
    """Meta tensors for all inputs, `size` for the first of them."""
    given = {}
    for k, (name, (axes, dtype)) in enumerate(program.inputs.items()):
        own = tuple(axis.example for axis in axes)
        shape = size if k == 0 and size is not None else own
        if any(n is None for n in shape):
            raise UsageError(f"{program.name} does not tell the size of its input {name!r}: {_allowed(axes)}. Give input_size.")
        _fits(name, axes, shape)
        given[name] = torch.empty(shape, dtype=dtype, device="meta")  # type: ignore[arg-type]
    return given


def _named(program: Program, inputs: Any) -> dict[str, Any]:
    """The tensors of `inputs` by the names of the program's inputs: a dict by those names, or nested as the model took them."""
    if isinstance(inputs, Mapping) and set(inputs) == set(program.inputs):
        tensors = [inputs[name] for name in program.inputs]
    else:
        tensors = tensors_in(inputs)
    if len(tensors) != len(program.inputs):
        expected = ", ".join(f"{name}: {_allowed(axes)}" for name, (axes, _) in program.inputs.items())
        raise UsageError(f"{program.name} takes {len(program.inputs)} tensors, not {len(tensors)}. It takes {expected}.")
    for tensor, (name, (axes, _)) in zip(tensors, program.inputs.items(), strict=True):
        _fits(name, axes, tuple(tensor.shape))
    return dict(zip(program.inputs, tensors, strict=True))


def _fits(name: str, axes: Sequence[Size], shape: Sequence[int | None]) -> None:
    wrong = len(axes) != len(shape) or any(
        n is None or n < a.low or (a.high is not None and n > a.high) for n, a in zip(shape, axes, strict=True)
    )
    if wrong:
        asked = "x".join(map(str, shape))
        raise UsageError(
            f"The program was exported for {name} of {_allowed(axes)}, and cannot take {asked}. "
            "Leave the size out, or export it again with dynamic_shapes, or analyse the module itself."
        )


def _allowed(axes: Iterable[Size]) -> str:
    """``1x3x(4 or more)x8``."""
    return "x".join(
        str(a.low) if a.low == a.high else f"({a.low} to {a.high})" if a.high is not None else f"({a.low} or more)" for a in axes
    )
