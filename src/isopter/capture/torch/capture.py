"""One forward pass, recorded: a torch module and its inputs in, a Graph out; the module is left as it was found."""

from __future__ import annotations

import contextlib
import copy
import inspect
import random
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isopter.capture.torch.naming import Trace, finish
from isopter.capture.torch.recorder import FunctionRecorder, NeedsValues, Recorder
from isopter.capture.torch.tape import map_tensors
from isopter.capture.torch.values import Weight, tensors_in
from isopter.errors import CaptureError
from isopter.graph import Graph, check


def capture(model: nn.Module, inputs: Mapping[str, Any], *, training: bool = False) -> Graph:
    """Record `model` on `inputs`, by the names of its arguments (see `name_inputs`).

    Tensors in `inputs` only lend shape and dtype, unless the model's control flow asks for values. Raises CaptureError
    with the model's own words if it fails.
    """
    try:
        return _record(model, inputs, training, meta=True)
    except CaptureError:
        raise
    except NeedsValues:
        note = "ran on real values: holds for the control path this input takes"
    except Exception as first:  # some code cannot run on the meta device; with real values it may
        note = f"could not run without values ({type(first).__name__}): recorded on real ones, holds for this control path"
    try:
        model = copy.deepcopy(model)
    except Exception as error:
        raise CaptureError(f"{type(model).__name__} must run on real values to be recorded, and cannot be copied: {error}") from error
    try:
        return _record(model, inputs, training, meta=False, note=note)
    except CaptureError:
        raise
    except Exception as error:
        shapes = ", ".join(f"{k}: {tuple(v.shape)}" for k, v in inputs.items() if isinstance(v, Tensor))
        raise CaptureError(
            f"{type(model).__name__} raised {type(error).__name__} on input {shapes}: {_first_line(error)} "
            "Check the input's shape and dtype by calling the model yourself."
        ) from error


def name_inputs(model: nn.Module, args: Sequence[Any]) -> dict[str, Any]:
    """Positional arguments by the names that `model.forward` gives them."""
    names = [p.name for p in signature(model) if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names += [f"input.{k}" for k in range(len(names), len(args))]
    return dict(zip(names, args, strict=False))


def signature(model: nn.Module) -> list[inspect.Parameter]:
    """The parameters of `model.forward`; none for one that does not tell (a traced module)."""
    try:
        return list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return []


def call_arguments(model: nn.Module, given: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Back from names to positional and keyword arguments: positional as far as the signature goes without a gap."""
    left = dict(given)
    args = []
    for p in signature(model):
        if p.name not in left or p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            break
        args.append(left.pop(p.name))
    args += [left.pop(k) for k in list(left) if k.startswith("input.")]
    return args, left


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300].rstrip(".") + "." if lines else "no message."


def _record(model: nn.Module, inputs: Mapping[str, Any], training: bool, meta: bool, note: str = "") -> Graph:
    parameters, buffers = list(model.parameters()), list(model.buffers())
    plain = [v for m in model.modules() for v in vars(m).values() if isinstance(v, Tensor)]
    recorder = Recorder(parameters, [*parameters, *buffers, *plain], meta)
    device = torch.device("meta") if meta else next((t.device for t in (*parameters, *buffers)), torch.device("cpu"))
    trace = Trace({}, {}, {})
    given: dict[str, Any] = {}
    for name, item in inputs.items():
        given[name] = map_tensors(item, lambda t: _input(t, device))
        for k, tensor in enumerate(tensors_in(given[name])):
            if tensor.dim() == 0:  # a scalar beside the image (a time step) has no space: no more than a weight
                recorder.learn(tensor, Weight())
                continue
            label = name if k == 0 else f"{name}.{k}"
            recorder.input(tensor, label)
            trace.inputs[label] = recorder.op_of(tensor) or 0
    args, kwargs = call_arguments(model, given)
    with _untouched(model, training), _module_paths(model, recorder, trace), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with FunctionRecorder(recorder), recorder:
            output = model(*args, **kwargs)
        trace.outputs = _named_outputs(output, recorder)
    if note:
        recorder.issues[(note, type(model).__name__)] += 1
    if not trace.outputs:
        raise CaptureError(f"Nothing that {type(model).__name__} returned depends on its input ({type(output).__name__}).")
    return check(finish(recorder, trace))


def _input(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type == "meta":
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    real = tensor if tensor.device.type != "meta" else torch.rand(tensor.shape).to(tensor.dtype)
    return real.detach().clone().to(device)


def _named_outputs(output: Any, recorder: Recorder) -> dict[str, int]:
    """The model's outputs: by key for a dict or an object with attributes, by position otherwise."""
    if isinstance(output, Tensor):
        items: Sequence[tuple[str, Any]] = [("output", output)]
    elif isinstance(output, Mapping):
        items = [(str(k), v) for k, v in output.items()]
    elif hasattr(output, "__dict__") and not isinstance(output, list | tuple):
        items = [(str(k), v) for k, v in vars(output).items()]
    else:
        items = [(f"output.{k}", t) for k, t in enumerate(tensors_in(output))]
    found: dict[str, int] = {}
    for name, item in items:
        for k, tensor in enumerate(tensors_in(item)):
            op = recorder.op_of(tensor)
            if op is not None:
                found[name if k == 0 else f"{name}.{k}"] = op
    return found


@contextlib.contextmanager
def _module_paths(model: nn.Module, recorder: Recorder, trace: Trace) -> Iterator[None]:
    """Follow which module call is running. Global hooks, so that the model's own hooks stay as they are."""
    names = {id(module): name for name, module in reversed(list(model.named_modules(remove_duplicate=False)))}
    calls: Counter[str] = Counter()

    def enter(module: nn.Module, args: Any) -> None:
        name = names.get(id(module))
        if name is not None:
            calls[name] += 1
            recorder.path.append(name if calls[name] == 1 else f"{name}#{calls[name]}")

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        if id(module) in names:
            made = [recorder.op_of(t) for t in tensors_in(output)]
            trace.layers[recorder.path.pop()] = {at: op for at, op in enumerate(made) if op is not None}

    hooks = (
        nn.modules.module.register_module_forward_pre_hook(enter),
        nn.modules.module.register_module_forward_hook(leave),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def plain_paths() -> Iterator[None]:
    """Attention and transformer layers run op by op, without fused shortcuts that hide their modules; no gradients."""
    fast = torch.backends.mha.get_fastpath_enabled()
    with torch.no_grad(), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)


@contextlib.contextmanager
def _untouched(model: nn.Module, training: bool) -> Iterator[None]:
    """Mode, attributes, gradients, random state and default dtype are put back."""
    modules = [(m, m.__class__, {k: _copied(v) for k, v in m.__dict__.items()}) for m in model.modules()]
    parameters = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    states = random.getstate(), np.random.get_state(), torch.get_default_dtype()
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=cuda), plain_paths():
        for module, _, _ in modules:
            module.training = training
        try:
            yield
        finally:
            for module, kind, attributes in modules:
                module.__class__ = kind
                module.__dict__.clear()
                module.__dict__.update({name: value for name, (value, _) in attributes.items()})
                for value, items in attributes.values():
                    _restore(value, items)
            for parameter, wanted, grad in parameters:
                parameter.requires_grad_(wanted)
                parameter.grad = grad
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_default_dtype(states[2])


def _copied(value: Any) -> tuple[Any, Any]:
    """An attribute and, if it is a container, what it holds."""
    return value, copy.copy(value) if isinstance(value, list | dict | set) else None


def _restore(value: Any, items: Any) -> None:
    if isinstance(value, list) and value != items:
        value[:] = items
    elif isinstance(value, dict | set) and (len(value) != len(items) or any(k not in items for k in value) or _differs(value, items)):
        value.clear()
        value.update(items)


def _differs(value: Any, items: Any) -> bool:
    return isinstance(value, dict) and any(items[k] is not v for k, v in value.items())
