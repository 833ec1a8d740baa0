"""Functions recorded whole, before PyTorch takes them apart: recurrent nets, circular padding, linear layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from isopter.capture.torch.values import Const, Data, Weight

if TYPE_CHECKING:
    from isopter.capture.torch.recorder import Recorder


def recurrent(rec: Recorder, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """``lstm(input, (h, c), weights, bias, layers, dropout, train, bidirectional, batch_first)``; GRU and RNN with h alone."""
    if kwargs or len(args) != 9 or not isinstance(args[0], Tensor):  # packed sequences: step by step
        return NotImplemented
    data, states, _, _, layers, _, _, bidirectional, batch_first = args
    states = [states] if isinstance(states, Tensor) else list(states)
    source = rec.value(data)
    if not isinstance(source, Data):
        return NotImplemented
    outs = rec.real(lambda: func(*_arguments(rec, args)))
    time = 1 if batch_first and data.dim() == 3 else 0
    inputs = [source.op, *(v.op for v in map(rec.value, states) if isinstance(v, Data))]
    name = func.__name__
    params = {"time": time, "layers": int(layers), "bidirectional": bool(bidirectional)}
    op = rec.emit("recurrent", tuple(outs[0].shape), inputs, params, name)
    rec.learn(outs[0], Data(op))
    for last in outs[1:]:
        shape = tuple(last.shape)
        axes = tuple(a for a in range(data.dim()) if a != 1 - time or data.dim() == 2)
        summary = rec.emit("reduce", tuple(n for a, n in enumerate(data.shape) if a not in axes), [source.op], {"axes": axes, "keepdim": False}, name)
        if data.dim() == 3:
            summary = rec.emit("reshape", (1, shape[1], 1), [summary], {}, name)
        rec.learn(last, Data(rec.emit("pointwise", shape, [summary], {}, name)))
    return outs


def pad(rec: Recorder, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Circular padding as one op: PyTorch writes it as copies of slices."""
    bound = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | dict(kwargs)
    if bound.get("mode") != "circular":
        return NotImplemented
    value = rec.value(bound["input"])
    if not isinstance(value, Data):
        return NotImplemented
    out = rec.real(lambda: func(*_arguments(rec, args), **kwargs))
    ndim, pads = out.dim(), list(bound["pad"])
    before = [0] * ndim
    for k in range(len(pads) // 2):
        before[ndim - 1 - k] = int(pads[2 * k])
    rec.learn(out, Data(rec.emit("pad", tuple(out.shape), [value.op], {"before": tuple(before), "mode": "circular"}, "pad")))
    return out


def linear(rec: Recorder, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
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
    out = rec.real(lambda: func(*_arguments(rec, args), **{k: rec.argument(v) if isinstance(v, Tensor) else v for k, v in kwargs.items()}))
    op = rec.emit("matmul", tuple(out.shape), [values[0].op], {"operands": ("left",)}, "linear")
    rec.learn(out, Data(op))
    return out


def batch_norm(rec: Recorder, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """In evaluation a scale per channel. (Taken whole because PyTorch's own meta kernel for it is the slowest of all.)"""
    names = ("input", "running_mean", "running_var", "weight", "bias", "training")
    bound = dict(zip(names, args, strict=False)) | dict(kwargs)
    value = rec.value(bound["input"])
    if bound.get("training") or not rec.meta or not isinstance(value, Data) or bound.get("running_mean") is None:
        return NotImplemented
    out = rec.real(lambda: torch.empty_like(rec.argument(bound["input"])))
    rec.learn(out, Data(rec.emit("pointwise", tuple(out.shape), [value.op], {}, "batch_norm")))
    return out


def _arguments(rec: Recorder, args: Any) -> Any:
    if isinstance(args, Tensor):
        return rec.argument(args)
    return type(args)(_arguments(rec, a) for a in args) if isinstance(args, list | tuple) else args


Handler = Callable[["Recorder", Any, tuple[Any, ...], Mapping[str, Any]], Any]

HANDLERS: dict[Any, Handler] = {
    **dict.fromkeys((torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu), recurrent),
    torch.nn.functional.pad: pad,
    torch.nn.functional.linear: linear,
    torch.nn.functional.batch_norm: batch_norm,
}
