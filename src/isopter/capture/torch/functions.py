"""Functions recorded whole, before PyTorch takes them apart: recurrent nets, circular padding, linear layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isopter.capture.torch import devices
from isopter.capture.torch.tape import NeedsValues, Tape, map_tensors
from isopter.capture.torch.values import Const, Data, Weight, tensors_in


def recurrent(rec: Tape, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """``lstm(input, (h, c), weights, bias, layers, dropout, train, bidirectional, batch_first)``; GRU and RNN with h alone."""
    if kwargs or len(args) != 9 or not isinstance(args[0], Tensor):  # packed sequences: step by step
        return NotImplemented
    data, states, _, _, layers, _, _, bidirectional, batch_first = args
    states = [states] if isinstance(states, Tensor) else list(states)
    source = rec.value(data)
    if not isinstance(source, Data):
        return NotImplemented
    outs = rec.real(lambda: func(*map_tensors(args, rec.argument)))
    time = 1 if batch_first and data.dim() == 3 else 0
    if any(isinstance(rec.value(state), Data) for state in states):  # step by step: the last state reads the first one too
        return NotImplemented
    name = func.__name__
    params = {"time": time, "layers": int(layers), "bidirectional": bool(bidirectional)}
    op = rec.emit("recurrent", tuple(outs[0].shape), [source.op], params, name)
    rec.learn(outs[0], Data(op))
    for last in outs[1:]:
        shape = tuple(last.shape)
        axes = tuple(a for a in range(data.dim()) if a != 1 - time or data.dim() == 2)
        summary = rec.emit(
            "reduce", tuple(n for a, n in enumerate(data.shape) if a not in axes), [source.op], {"axes": axes, "keepdim": False}, name
        )
        if data.dim() == 3:
            summary = rec.emit("reshape", (1, shape[1], 1), [summary], {}, name)
        rec.learn(last, Data(rec.emit("pointwise", shape, [summary], {}, name)))
    return outs


def pad(rec: Tape, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Circular padding as one op: PyTorch writes it as copies of slices."""
    bound = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | dict(kwargs)
    if bound.get("mode") != "circular" or min(bound["pad"], default=0) < 0:  # cropping and wrapping at once: as copies
        return NotImplemented
    value = rec.value(bound["input"])
    if not isinstance(value, Data):
        return NotImplemented
    out = rec.real(lambda: func(*map_tensors(args, rec.argument), **kwargs))
    ndim, pads = out.dim(), list(bound["pad"])
    before = [0] * ndim
    for k in range(len(pads) // 2):
        before[ndim - 1 - k] = int(pads[2 * k])
    rec.learn(out, Data(rec.emit("pad", tuple(out.shape), [value.op], {"before": tuple(before), "mode": "circular"}, "pad")))
    return out


def linear(rec: Tape, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """A linear layer with weights is one contraction of the last axis, whatever the rank."""
    bound = dict(zip(("input", "weight", "bias"), args, strict=False)) | dict(kwargs)
    values = [rec.value(t) for t in (bound["input"], bound["weight"])]
    bias = bound.get("bias")
    if not isinstance(values[0], Data) or not isinstance(values[1], Weight | Const) or values[0].fixed is not None:
        return NotImplemented
    if bias is not None and isinstance(rec.value(bias), Data):
        return NotImplemented
    if bound["input"].dim() < 2 or not isinstance(values[1], Weight):
        return NotImplemented
    out = rec.real(lambda: func(*map_tensors(args, rec.argument), **map_tensors(kwargs, rec.argument)))
    known = {"power": float(rec.real(bound["weight"].detach().double().square().mean))} if rec.measures else {}
    op = rec.emit("matmul", tuple(out.shape), [values[0].op], {"operands": ("left",), **known}, "linear")
    rec.learn(out, Data(op))
    return out


def batch_norm(rec: Tape, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """In evaluation a scale per channel. (Taken whole because PyTorch's own meta kernel for it is the slowest of all.)"""
    names = ("input", "running_mean", "running_var", "weight", "bias", "training")
    bound = dict(zip(names, args, strict=False)) | dict(kwargs)
    value = rec.value(bound["input"])
    others = [bound.get(name) for name in ("running_mean", "running_var", "weight", "bias")]
    if bound.get("training") or not rec.meta or not isinstance(value, Data) or others[0] is None:
        return NotImplemented
    if any(rec.op_of(t) is not None for t in others if t is not None):
        return NotImplemented
    out = rec.real(lambda: torch.empty_like(rec.argument(bound["input"])))
    rec.learn(out, Data(rec.emit("pointwise", tuple(out.shape), [value.op], {}, "batch_norm")))
    return out


def item(rec: Tape, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """``x[[0, 2]]`` and ``x[[0, 2]] = y``: a list in the index becomes a real tensor before PyTorch makes a meta one of it."""
    index = args[1]
    parts = index if isinstance(index, tuple) else (index,)
    if not rec.meta or not any(isinstance(p, list | np.ndarray) for p in parts):
        return NotImplemented
    parts = tuple(torch.as_tensor(p) if isinstance(p, list | np.ndarray) and not tensors_in(p) else p for p in parts)
    return func(args[0], parts if isinstance(index, tuple) else parts[0], *args[2:])


def literal(rec: Tape, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """``torch.tensor([3, 0], device=x.device)``: a constant, so its numbers are kept, where the meta device would drop them."""
    if not rec.meta:
        return from_python(rec, func, args, kwargs)
    if func is Tensor.new_tensor:
        options = {"dtype": args[0].dtype} | dict(kwargs)
        return torch.tensor(*args[1:], **{k: v for k, v in options.items() if k != "device"})
    if isinstance(args[0] if args else kwargs.get("data"), Tensor):
        return NotImplemented
    return func(*args, **{k: v for k, v in kwargs.items() if k != "device"})


def leak(rec: Tape, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """``x.tolist()``, ``x.numpy()``: the values leave for Python, if there are any."""
    if rec.op_of(args[0]) is not None:
        if rec.meta:
            raise NeedsValues(func.__name__, rec.path[-1])
        rec.leak(args[0])
    return NotImplemented


def from_python(rec: Tape, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """``torch.tensor(numbers)`` once values have left for Python: they may be among the numbers."""
    if not rec.leaked or tensors_in((args, kwargs)):
        return NotImplemented
    out = rec.real(lambda: func(*args, **kwargs))
    rec.learn(out, Data(rec.emit("opaque", tuple(out.shape), tuple(rec.leaked), {}, func.__name__)))
    return out


def set_data(rec: Tape, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """``y.data = z``: y now holds z; a tensor of the user's model is not touched."""
    if rec.is_foreign(args[0]):
        rec.write(args[0], rec.value(args[1]))
        return None
    value = rec.value(args[1])
    rec.real(lambda: func(*map_tensors(args, rec.argument)))
    rec.learn(args[0], value)
    return None


def take_along(rec: Tape, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """A gather with broadcasting (and a device check that the recorder must go around)."""
    bound = dict(zip(("input", "indices", "dim"), args, strict=False)) | dict(kwargs)
    source, index, axis = bound["input"], bound["indices"], bound.get("dim")
    if axis is None:
        source, index, axis = source.reshape(-1), index.reshape(-1), 0
    sizes = list(np.broadcast_shapes(*([*t.shape[:axis], 1, *(t.shape[axis + 1 :] if axis != -1 else ())] for t in (source, index))))
    both = []
    for tensor in (source, index):
        sizes[axis] = tensor.shape[axis]
        both.append(tensor.expand(sizes))
    return torch.gather(both[0], axis, both[1])


Handler = Callable[[Tape, Any, tuple[Any, ...], Mapping[str, Any]], Any]

HANDLERS: dict[Any, Handler] = {
    **dict.fromkeys((torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu), recurrent),
    torch.nn.functional.pad: pad,
    torch.nn.functional.linear: linear,
    torch.nn.functional.batch_norm: batch_norm,
    **dict.fromkeys((Tensor.__getitem__, Tensor.__setitem__), item),
    **dict.fromkeys((torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor), literal),
    **dict.fromkeys((Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.__format__), leak),
    **devices.HANDLERS,
    Tensor.data.__set__: set_data,  # type: ignore[attr-defined]
    **dict.fromkeys((torch.take_along_dim, Tensor.take_along_dim), take_along),
}
