"""One forward pass, recorded: a torch module and its inputs in, a Graph out; the module is left as it was found."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from isopter.capture.torch.belongings import twin, untouched
from isopter.capture.torch.naming import Trace, finish
from isopter.capture.torch.recorder import FunctionRecorder, Recorder
from isopter.capture.torch.surroundings import alone, no_autocast, patiently, settings
from isopter.capture.torch.tape import NeedsValues, map_tensors
from isopter.capture.torch.values import Weight, has_values, tensors_in
from isopter.errors import CaptureError
from isopter.graph import Graph, check

Follow = Callable[[nn.Module, Recorder, Trace], contextlib.AbstractContextManager[None]]
"""Tells the recorder which module call is running, and the trace what left it."""


class _Enough(BaseException):
    """All that was wanted has been recorded; no model's ``except Exception`` holds it up."""


def capture(
    model: nn.Module,
    inputs: Mapping[str, Any],
    *,
    training: bool = False,
    follow: Follow | None = None,
    listener: type[Recorder] = Recorder,
    upto: Collection[str] = (),
) -> Graph:
    """Record `model` on `inputs`, by the names of its arguments (see `name_inputs`).

    `follow` tells which module call is running, where module hooks cannot; `listener` is what records. With `upto` the recording ends
    when all these module calls have returned: what they made are its outputs. Tensors in `inputs` only lend shape and dtype, unless the
    model's control flow asks for values. Raises CaptureError with the model's own words if it fails.
    """
    with alone() as here, settings(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = initialised(model, inputs)

        def attempt(subject: nn.Module, *how: Any) -> Graph:
            with settings(), untouched(model, training) as known, contextlib.ExitStack() as also:
                if subject is not model:
                    known = also.enter_context(untouched(subject, training))
                return _record(subject, inputs, follow, listener, upto, here, known, *how)

        try:
            if listener.measures:
                raise NeedsValues("a measurement", type(model).__name__)
            return patiently(lambda: attempt(model))
        except CaptureError:
            raise
        except NeedsValues as error:
            where = error.where
            of = "the control path this input takes" if error.of == "input" else "the values that its weights have"
            note = f"ran on real values: holds for {of}"
        except Exception as first:  # some code cannot run on the meta device; with real values it may
            where = ""
            note = f"could not run without values ({type(first).__name__}): recorded on real ones, holds for this control path"
        copied, made_up = twin(model, "it must run on real values to be recorded")
        try:
            return attempt(copied, made_up, (note, where or type(model).__name__))
        except CaptureError:
            raise
        except Exception as error:
            shapes = ", ".join(f"{k}: {tuple(v.shape)}" for k, v in inputs.items() if isinstance(v, Tensor))
            raise CaptureError(
                f"{type(model).__name__} raised {type(error).__name__} on input {shapes}: {first_line(error)} "
                "Check the input's shape and dtype by calling the model yourself."
            ) from error


def initialised(model: nn.Module, inputs: Mapping[str, Any]) -> nn.Module:
    """The model itself; if it has lazy modules, a copy of it after the one pass that tells them their shapes."""
    if not any(is_lazy(p) for p in (*model.parameters(), *model.buffers())):
        return model
    copied, _ = twin(model, "its lazy modules must see an input once")
    args, kwargs = call_arguments(copied, {k: map_tensors(v, lambda t: _input(t, torch.device("cpu"))) for k, v in inputs.items()})
    try:
        copied.eval()(*args, **kwargs)
    except Exception as error:
        raise CaptureError(f"The lazy modules of {type(model).__name__} could not be initialised: {first_line(error)}") from error
    return copied


def name_inputs(model: nn.Module, args: Sequence[Any]) -> dict[str, Any]:
    """Positional arguments by the names that `model.forward` gives them."""
    names = [p.name for p in signature(model) if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not names and not any(p.kind is p.VAR_POSITIONAL for p in signature(model)):
        names = [p.name for p in signature(model) if p.kind is p.KEYWORD_ONLY]
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


def first_line(error: Exception) -> str:
    """What an exception says, in one sentence."""
    lines = str(error).strip().splitlines()
    return lines[0][:300].rstrip(".") + "." if lines else "no message."


def _record(
    model: nn.Module,
    inputs: Mapping[str, Any],
    follow: Follow | None,
    listener: type[Recorder],
    upto: Collection[str],
    here: Callable[[], bool],
    known: Sequence[Tensor],
    made_up: Sequence[Tensor] = (),
    note: tuple[str, str] | None = None,
) -> Graph:
    """One pass; on the meta device if there is no `note`, which says why not."""
    parameters = list(model.parameters())
    home = next((t.device for t in (*parameters, *model.buffers())), torch.device("cpu"))
    recorder = listener([*parameters, *made_up], known, note is None, home)
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule | torch.fx.GraphModule):
            recorder.owners |= _owners(module, name)
    trace = Trace({}, {}, {}, recorder.unheard)
    given: dict[str, Any] = {}
    for name, item in inputs.items():
        given[name] = map_tensors(item, lambda t: _input(t, home if note else torch.device("meta")))
        for k, tensor in enumerate(tensors_in(given[name])):
            if tensor.dim() == 0:  # a scalar beside the image (a time step) has no space: no more than a weight
                recorder.learn(tensor, Weight())
                continue
            label = name if k == 0 else f"{name}.{k}"
            recorder.input(tensor, label)
            trace.inputs[label] = recorder.op_of(tensor) or 0
    args, kwargs = call_arguments(model, given)
    without_autocast = contextlib.nullcontext() if note else no_autocast(here)
    paths = follow(model, recorder, trace) if follow else _module_paths(model, recorder, trace, upto, here)
    try:
        with paths, without_autocast, FunctionRecorder(recorder), recorder:
            output = model(*args, **kwargs)
        trace.outputs = _named_outputs(output, recorder)
    except _Enough:
        trace.outputs = {call: next(iter(made.values())) for call in upto if (made := trace.layers[call])}
    if note:
        recorder.issues[note] += 1
    if not trace.outputs:
        raise CaptureError(f"Nothing that {type(model).__name__} returned depends on its input ({type(output).__name__}).{_why(model)}")
    return check(finish(recorder, trace))


def _owners(flat: nn.Module, path: str) -> dict[int, str]:
    """The modules inside a script module or exported graph, by their weights; only those of one call, with a weight and a bias."""
    inner = [(f"{path}.{name}" if path else name, dict(m.named_parameters(recurse=False))) for name, m in flat.named_modules() if name]
    return {id(p): name for name, weights in inner if weights.keys() <= {"weight", "bias"} for p in weights.values()}


def _why(model: nn.Module) -> str:
    if isinstance(model, torch.jit.ScriptModule):
        return " Optimised script modules run out of PyTorch's sight: pass the module as it was before torch.jit.optimize_for_inference."
    return ""


def _input(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type == "meta":
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    return (tensor.detach().clone() if has_values(tensor) else torch.rand(tensor.shape).to(tensor.dtype)).to(device)


def _named_outputs(output: Any, recorder: Recorder) -> dict[str, int]:
    """The model's outputs: by key for a dict or an object with attributes, by position otherwise."""
    if isinstance(output, Tensor):
        items: Sequence[tuple[str, Any]] = [("output", output)]
    elif isinstance(output, Mapping):
        items = [(str(k), v) for k, v in output.items()]
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        items = [(f.name, getattr(output, f.name)) for f in dataclasses.fields(output)]
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
def _module_paths(
    model: nn.Module, recorder: Recorder, trace: Trace, upto: Collection[str], here: Callable[[], bool]
) -> Iterator[None]:
    """Follow which module call is running, and end the run with the last of `upto`. Global hooks, so that the model's own hooks stay as
    they are; `here` tells whether a call is of this run, and not of another thread, or of a run inside a hook."""
    names = {id(module): name for name, module in reversed(list(model.named_modules(remove_duplicate=False)))}
    calls: Counter[str] = Counter()

    def enter(module: nn.Module, args: Any) -> None:
        name = names.get(id(module)) if here() else None
        if name is not None:
            calls[name] += 1
            recorder.path.append(name if calls[name] == 1 else f"{name}#{calls[name]}")

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        if id(module) in names and here():
            made = [recorder.op_of(t) for t in tensors_in(output)]
            trace.layers[recorder.path.pop()] = {at: op for at, op in enumerate(made) if op is not None}
            if upto and recorder.path[1:] and trace.layers.keys() >= set(upto):
                raise _Enough

    hooks = (
        nn.modules.module.register_module_forward_pre_hook(enter),
        nn.modules.module.register_module_forward_hook(leave),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
