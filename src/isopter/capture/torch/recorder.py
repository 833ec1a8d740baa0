"""The recorder: a dispatch mode that sees every ATen call of one forward pass.

Calls on data run on the meta device and are translated to ops; calls on weights run on the meta device; calls on nothing but
constants run for real, so that index tables and masks are known. The user's tensors are never moved or written.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from isopter.capture.torch import devices, functions, higher, translate, views
from isopter.capture.torch.tape import Call, NeedsValues, Tape, map_tensors
from isopter.capture.torch.translate.indexing import expand_masks
from isopter.capture.torch.values import Const, Data, Value, Weight, tensors_in
from isopter.errors import CaptureError


class Recorder(Tape, TorchDispatchMode):
    """The dispatch mode: records ops on the tape while active."""

    supports_higher_order_operators = True

    def __init__(self, weights: Sequence[Tensor], known: Sequence[Tensor], meta: bool, home: torch.device) -> None:
        Tape.__init__(self, weights, known, meta, home)
        TorchDispatchMode.__init__(self)

    def derive(self, value: Value, parent: Tensor, view: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Value:
        """The value of a view (or any pure index map) of a value."""
        if isinstance(value, Data):
            op = views.by_execution(self, value.op, tuple(parent.shape), view, shape, "view")
            return self.real(lambda: value.moved(op, tuple(parent.shape), view))
        return Const(self.real(lambda: view(value.real))) if isinstance(value, Const) else value

    # ---- the dispatch --------------------------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if self.paused:
            return func(*args, **kwargs)
        if isinstance(func, HigherOrderOperator):
            return higher.run(self, func, args, kwargs)
        with torch._C.DisableTorchFunction():
            return self._record(func, args, kwargs)

    def _record(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        tensors = [a for a in args if isinstance(a, Tensor)]
        for item in (*args, *kwargs.values()):
            if isinstance(item, list | tuple):
                tensors += [t for t in item if isinstance(t, Tensor)]
        tensors += [t for t in kwargs.values() if isinstance(t, Tensor)]
        if any(t.is_nested for t in tensors) or func._schema.name.startswith("aten::_nested"):
            raise CaptureError(
                f"{self.path[-1] or 'The model itself'} uses a nested tensor ({func._schema.name}), whose units have no common axes. "
                "Pass a model that takes padded tensors."
            )
        values = [self.value(t) for t in tensors]
        name = func._schema.name.removeprefix("aten::")
        if _is_composite(func):
            with self:  # such calls arrive whole in inference mode, and from higher-order operators
                return func.decompose(*args, **kwargs)
        if any(isinstance(v, Data) for v in values) and name not in _SHAPE_ONLY:
            owners = {self.owners[id(t)] for t in tensors if id(t) in self.owners} - {self.path[-1].partition("#")[0]}
            if len(owners) == 1:
                return self._unheard(owners.pop(), func, name, args, kwargs)
            return self._on_data(func, name, args, kwargs)
        if any(isinstance(v, Weight) for v in values) and name not in _SHAPE_ONLY:
            return self._on_weights(func, name, args, kwargs)
        return self._on_constants(func, name, args, kwargs)

    def _on_constants(self, func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run for real. Meta tensors only lend their shape; a write to a tensor of the model goes to a copy of it."""
        written = written_by(func, args, kwargs)
        viewed = [args[0]] if _is_view(func) and isinstance(args[0], Tensor) else []
        self._shadow([*written, *viewed])

        def concrete(t: Tensor) -> Tensor:
            value = self.value(t)
            if isinstance(value, Const):
                return value.real
            device = "cpu" if t.device.type == "meta" else t.device
            return torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=device)

        real_kwargs = {k: torch.device("cpu") if k == "device" and v is not None and v.type == "meta" else v for k, v in kwargs.items()}
        out = self.real(lambda: func(*map_tensors(args, concrete), **map_tensors(real_kwargs, concrete)))
        if not written:
            self.made(tensors_in(out))
        if torch.Tag.nondeterministic_seeded in func.tags:  # another draw on another run: no more known than a weight
            for tensor in written or tensors_in(out):
                self._kept.append(tensor)
                if written:
                    self.write(tensor, Weight())
                else:
                    self._remember(tensor, Weight())
        if written:
            self._kept += written
            return written[0] if isinstance(out, Tensor) else out
        if _is_view(func) and isinstance(args[0], Tensor):
            self._register_views(func, args, kwargs, out, [Const(o) for o in tensors_in(out)])
        return out

    def _shadow(self, tensors: Sequence[Tensor]) -> None:
        """Have a copy of those that are the model's own, to be written to instead."""
        for tensor in tensors:
            if self.is_foreign(tensor) and id(tensor) not in self._shadows:
                self._shadows[id(tensor)] = self.real(tensor.clone)
                self._kept.append(tensor)

    def _unheard(self, owner: str, func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A call on the weights of a module whose own call no hook heard: it is that module's."""
        repeat = sum(path.partition("#")[0] == owner for path in self.unheard)
        self.path.append(owner if not repeat else f"{owner}#{repeat + 1}")
        try:
            out = self._on_data(func, name, args, kwargs)
            made = [op for op in map(self.op_of, tensors_in(out)) if op is not None]
            self.unheard |= {self.path[-1]: made[0]} if made else {}
            return out
        finally:
            self.path.pop()

    def _on_weights(self, func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        written = written_by(func, args, kwargs)
        if written:
            if not self.meta:  # values are recorded too
                self._shadow(written)
                self.real(lambda: self._call(func, args, kwargs))
            for tensor in written:
                self._kept.append(tensor)
                self.write(tensor, Weight())
            return written[0] if func._schema.returns else None
        if self.meta and name in _READS_VALUES:
            raise NeedsValues(name, self.path[-1], of="weights")
        out = self._call(func, args, kwargs)
        outs = tensors_in(out)
        self.made(outs)
        if _is_view(func) and isinstance(args[0], Tensor):
            self._register_views(func, args, kwargs, out, [Weight()] * len(outs))
        else:
            for tensor in outs:
                self._remember(tensor, Weight())
        return out

    def _on_data(self, func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        written = written_by(func, args, kwargs)
        if name.removesuffix("_") in ("index", "index_put", "_unsafe_index", "_index_put_impl"):
            args = (args[0], self.real(lambda: expand_masks(self, list(args[1]))), *args[2:])
            if self.meta and name == "index" and any(isinstance(t, Tensor) and t.dtype == torch.bool for t in args[1]):
                raise NeedsValues(name, self.path[-1])  # a mask made of data decides the shape
        if name in _READS_VALUES:
            return self._read_values(func, name, args, kwargs)
        if name in _RESHAPED_IN_PLACE or (written and isinstance(kwargs.get("out"), Tensor)):
            return self._replace(func, name, args, kwargs)
        if written:
            return self._write_call(func, name, written, args, kwargs)
        out = self._call(func, args, kwargs)
        outs = tensors_in(out)
        call = Call(name, _bind(func, args, kwargs), outs, func)
        values = translate.translate(self, call)
        self.made(outs)
        if _is_view(func):
            self._register_views(func, args, kwargs, out, values)
        else:
            for tensor, value in zip(outs, values, strict=True):
                self._remember(tensor, value)
        return out

    def _call(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The call itself, on the tensors it really runs on."""
        return func(*map_tensors(args, self.argument), **self._arguments(kwargs))

    def _read_values(self, func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A Python number, or a tensor whose shape is decided by values: only with real data, and only as a bound."""
        if self.meta:
            raise NeedsValues(name, self.path[-1])
        out = self._call(func, args, kwargs)
        outs = tensors_in(out)
        if not outs:
            self.leak(*tensors_in(args))
        call = Call(name, _bind(func, args, kwargs), outs, func)
        for tensor, value in zip(outs, translate.opaque(self, call) if outs else [], strict=True):
            self.learn(tensor, value)
        return out

    def _replace(self, func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """``y.unsqueeze_(1)``, ``torch.cat(..., out=y)``: the functional call, whose result y then holds, in its shape."""
        functional = getattr(torch.ops.aten, name.removesuffix("_"))
        with self:
            made = functional(*args, **{k: v for k, v in kwargs.items() if k != "out"})
        target = kwargs["out"] if "out" in kwargs else args[0]
        value = self.value(made)
        if "out" not in kwargs:
            self.real(lambda: func(*args, **kwargs))
        elif target.shape != made.shape:
            self.real(lambda: target.resize_(made.shape))
        else:
            self._kept.append(target)
            self.write(target, value)
            return target
        self.learn(target, value)
        return target

    def _register_views(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any, values: Sequence[Value]) -> None:
        parent = self._state(args[0])
        self._kept.append(args[0])
        several = not isinstance(out, Tensor)
        for index, (tensor, value) in enumerate(zip(tensors_in(out), values, strict=True)):

            def view(source: Tensor, index: int = index) -> Tensor:
                made = func(source, *args[1:], **kwargs)
                return made[index] if several else made

            self._kept.append(tensor)
            self._remember(tensor, value, parent, view)

    # ---- writes --------------------------------------------------------------------------------------------------

    def _write_call(self, func: Any, name: str, written: list[Tensor], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """An in-place call is the functional one followed by a write to every tensor it changes."""
        if not self.meta:
            func(*map_tensors(args, self.argument), **self._arguments(kwargs))
        base = name.removesuffix("_")
        arguments = _bind(func, args, kwargs)
        shaped = [t if t.device.type == "meta" else self._to_meta(t) for t in written]
        values = translate.translate(self, Call(base, arguments, shaped, func))
        for tensor, value in zip(written, values, strict=True):
            self._kept.append(tensor)
            self.write(tensor, value)
        if not func._schema.returns:
            return None
        return written[0] if len(written) == 1 else tuple(written)

    def write(self, target: Tensor, value: Value) -> None:
        """`target` now holds `value`; so does the memory it views, and all other views of that."""
        state = self._state(target)
        chain = [state]
        while chain[-1].parent is not None:
            self._current(chain[-1].parent)
            chain.append(chain[-1].parent)
        root = chain[-1]
        root.version += 1
        state.value, state.version = value, root.version
        for child, parent in pairwise(chain):
            assert child.view is not None
            parent.value = views.overlay(self, parent, child.view, child.value)
            parent.version = root.version


class FunctionRecorder(TorchFunctionMode):
    """Sees a few functions before PyTorch takes them apart: a recurrent net is one op, not one per step."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        if self.recorder.paused:
            return func(*args, **(kwargs or {}))
        given = devices.moved(func, args, kwargs or {})
        if given is None:
            return args[0]
        handler = functions.HANDLERS.get(func)
        if handler is not None:
            out = handler(self.recorder, func, *given)
            if out is not NotImplemented:
                return out
        return func(*given[0], **given[1])


_SHAPE_ONLY = frozenset(
    [
        "zeros_like",
        "ones_like",
        "empty_like",
        "full_like",
        "rand_like",
        "randn_like",
        "randint_like",
        "new_zeros",
        "new_ones",
        "new_empty",
        "new_full",
        "new_empty_strided",
        "is_same_size",
        "_has_same_storage_numel",
    ]
)
"""Calls that look at a tensor's shape only: their result is a constant whatever the tensor holds."""

_READS_VALUES = frozenset(
    "_local_scalar_dense equal is_nonzero item allclose nonzero nonzero_static argwhere masked_select _unique _unique2 unique_dim "
    "unique_consecutive unique_dim_consecutive bincount histc".split()
)
"""Calls whose result, or its shape, is decided by values."""

_RESHAPED_IN_PLACE = frozenset("unsqueeze_ squeeze_ transpose_ t_ swapaxes_ swapdims_".split())
"""In-place calls that change the shape."""


@functools.lru_cache(maxsize=4096)
def _signature(func: Any) -> tuple[tuple[str, Any, bool], ...]:
    """(name, default, is it written) per argument of an overload."""
    return tuple(
        (a.name, a.default_value if a.has_default_value() else None, a.alias_info is not None and a.alias_info.is_write)
        for a in func._schema.arguments
    )


@functools.lru_cache(maxsize=4096)
def _is_composite(func: Any) -> bool:
    """Whether a call is made of others, and has no translator of its own."""
    return func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd) and not translate.knows(func)


@functools.lru_cache(maxsize=4096)
def _is_view(func: Any) -> bool:
    arguments = func._schema.arguments
    return bool(arguments) and any(r.alias_info is not None for r in func._schema.returns) and not func._schema.is_mutable


def _bind(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    bound = {}
    for position, (name, default, _) in enumerate(_signature(func)):
        bound[name] = args[position] if position < len(args) else kwargs.get(name, default)
    return bound


def written_by(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None) -> list[Tensor]:
    """The tensors that a call writes to."""
    if not func._schema.is_mutable:
        return []
    bound = _bind(func, args, kwargs or {})
    return [tensor for name, _, written in _signature(func) if written for tensor in tensors_in(bound[name])]
