"""What belongs to a model: all that can be reached from it, to put it back as it was, or to copy it.

Modules kept in plain lists, tensors in attributes, what the model's functions and hooks close over, random generators: a forward
pass may write to any of them. Containers that only a function or hook can reach (a list of activations) are the user's own: what
they gathered stays, unless it is a tensor of the recording.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import functools
import random
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.hooks import RemovableHandle

from isopter.capture.torch.values import has_values, tensors_in
from isopter.errors import CaptureError

_ATOMS = frozenset(
    [str, bytes, int, float, complex, bool, type(None), type, types.ModuleType, types.BuiltinFunctionType, np.ndarray, torch.dtype,
     torch.device, torch.Size, torch.layout, torch.memory_format]
)  # fmt: skip
_CONTAINERS = (dict, list, set, collections.deque)
_GENERATORS = (torch.Generator, random.Random, np.random.Generator, np.random.RandomState)


class Belongings:
    """Everything reachable from a model, each thing once, sorted by what it is.

    `stores` are the containers and objects with attributes, `empty` the containers with nothing in them; `outside` the ids of those
    that only functions and hooks reach.
    """

    def __init__(self, model: nn.Module, hooks: bool = False) -> None:
        self.modules: list[nn.Module] = []
        self.tensors: list[Tensor] = []
        self.stores: list[Any] = []
        self.empty: list[Any] = []
        self.outside: set[int] = set()
        self.functions: list[types.FunctionType] = []
        self.generators: list[Any] = []
        self.leaves: list[Any] = []
        self._seen: set[int] = set()
        self._alive: list[Any] = []
        later: list[Any] = list(_global_hooks()) if hooks else []
        self._walk([model], later, inside=True)
        self._walk(later, later, inside=False)

    def _walk(self, todo: list[Any], later: list[Any], inside: bool) -> None:
        while todo:
            item = todo.pop()
            if type(item) in _ATOMS or id(item) in self._seen:
                continue
            if inside and isinstance(item, types.FunctionType | types.MethodType | functools.partial):
                later.append(item)
                continue
            self._seen.add(id(item))
            self._alive.append(item)
            if isinstance(item, _CONTAINERS) and not item:  # most of what a module holds
                self.empty.append(item)
                if not inside:
                    self.outside.add(id(item))
            else:
                todo.extend(self._sort(item, inside))

    def _sort(self, item: Any, inside: bool) -> list[Any]:
        """Note what `item` is, and return what it holds."""
        if isinstance(item, Tensor):
            self.tensors.append(item)
            return []
        if isinstance(item, nn.Module):
            self.modules.append(item)
            return list(item.children() if isinstance(item, torch.jit.ScriptModule) else vars(item).values())
        if isinstance(item, _CONTAINERS):
            self.stores.append(item)
            if not inside:
                self.outside.add(id(item))
            return list(item.values()) if isinstance(item, dict) else list(item)
        if isinstance(item, tuple | frozenset):
            return list(item)
        if isinstance(item, types.FunctionType):
            self.functions.append(item)
            return _closed_over(item)
        if isinstance(item, types.MethodType):
            return [item.__self__]
        if isinstance(item, functools.partial):
            return [item.func, item.args, item.keywords]
        if isinstance(item, _GENERATORS):
            self.generators.append(item)
            return []
        self.leaves.append(item)
        if not isinstance(getattr(item, "__dict__", None), dict):
            return []
        self.stores.append(item)
        if not inside:
            self.outside.add(id(item))
        return list(vars(item).values())


def _global_hooks() -> Iterator[Any]:
    from torch.nn.modules import module

    for name in ("_global_forward_hooks", "_global_forward_pre_hooks"):
        yield from getattr(module, name).values()


def _closed_over(function: types.FunctionType) -> list[Any]:
    """What a function's cells and defaults hold, and the containers among the globals that it names."""
    held: list[Any] = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # an empty cell
            held.append(cell.cell_contents)
    named = (function.__globals__.get(name) for name in function.__code__.co_names)
    return held + [value for value in named if type(value) in _CONTAINERS]


@contextlib.contextmanager
def untouched(model: nn.Module, training: bool | None = None) -> Iterator[list[Tensor]]:
    """In the mode asked for, if any; afterwards modes, attributes, containers, gradients and generators are put back.

    Yields the tensors that belong to the model.
    """
    before = Belongings(model, hooks=True)
    known = {id(t) for t in before.tensors}
    kinds = [(m, m.__class__, dict(vars(m)), getattr(m, "training", None)) for m in before.modules]
    stores = [(s, _contents(s)) for s in before.stores]
    leaves = [(t, t.requires_grad, t.grad) for t in before.tensors if t.is_leaf]
    states = [(g, _state(g)) for g in before.generators]
    # A write that went to a copy still counts as one, and would stop a backward pass.
    counted = tuple(t for t in before.tensors if not (is_lazy(t) or t.is_inference()))
    versions = tuple(t._version for t in counted)
    try:
        if training is not None:
            for module in model.modules():
                module.training = training
        yield before.tensors
    finally:
        torch._C._autograd._unsafe_set_version_counter(counted, versions)
        for module, kind, attributes, was in kinds:
            if module.__class__ is not kind:
                module.__class__ = kind
            if _differs(vars(module), attributes):
                vars(module).clear()
                vars(module).update(attributes)
            if was is not None and module.training is not was:
                module.training = was
        for empty in before.empty:
            if empty and (id(empty) not in before.outside or any(id(t) not in known for t in tensors_in(empty))):
                empty.clear()
        for store, contents in stores:
            if id(store) not in before.outside or any(id(t) not in known for t in tensors_in(store)):
                _put_back(store, contents)
        for tensor, wanted, grad in leaves:
            if tensor.requires_grad is not wanted:
                tensor.requires_grad_(wanted)
            if tensor.grad is not grad:
                tensor.grad = grad
        for generator, state in states:
            _set_state(generator, state)


def _contents(store: Any) -> Any:
    return store.copy() if isinstance(store, _CONTAINERS) else dict(vars(store))


def _put_back(store: Any, contents: Any) -> None:
    if not isinstance(store, _CONTAINERS):
        if _differs(vars(store), contents):
            vars(store).clear()
            vars(store).update(contents)
    elif isinstance(store, dict):
        if _differs(store, contents):
            store.clear()
            store.update(contents)
    elif isinstance(store, set):
        if len(store) != len(contents) or any(item not in contents for item in store):
            store.clear()
            store.update(contents)
    elif len(store) != len(contents) or any(a is not b for a, b in zip(store, contents, strict=True)):
        store.clear()
        store.extend(contents)


def _differs(now: dict[Any, Any], before: dict[Any, Any]) -> bool:
    return len(now) != len(before) or any(k not in before or before[k] is not v for k, v in now.items())


def _state(generator: Any) -> Any:
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state()


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


# ---- copies ------------------------------------------------------------------------------------------------------------


def twin(model: nn.Module, purpose: str) -> tuple[nn.Module, list[Tensor]]:
    """A copy of the model that shares no tensor with it, and those of its tensors that had no values and were made up.

    What `copy.deepcopy` cannot do is done here: computed weights, tensors without values (meta, fake, uninitialised), traced
    modules, what closures hold. Locks and the like are shared. Raises CaptureError, with what the copy is needed for.
    """
    owned = Belongings(model)
    try:
        memo: dict[int, Any] = {}
        made_up: list[Tensor] = []
        _check_memory(owned)
        for tensor in owned.tensors:
            fresh = _copied(tensor)
            if fresh is not None:
                memo[id(tensor)] = fresh
                if not has_values(tensor):
                    made_up.append(fresh)
        for module in owned.modules:
            if isinstance(module, torch.jit.ScriptModule) and id(module) not in memo:
                memo[id(module)] = torch.jit._recursive.wrap_cpp_module(copy.deepcopy(module._c))
        for leaf in owned.leaves:
            if not hasattr(type(leaf), "__deepcopy__") and not _can_be_taken_apart(leaf):
                memo[id(leaf)] = leaf
        functions = [f for f in owned.functions if any(_holds_tensors(item) for item in _closed_over(f))]
        for function in functions:
            memo[id(function)] = _with_new_cells(function)
        copied = copy.deepcopy(model, memo)
        for function in functions:
            for old, new in zip(function.__closure__ or (), memo[id(function)].__closure__ or (), strict=True):
                with contextlib.suppress(ValueError):
                    new.cell_contents = copy.deepcopy(old.cell_contents, memo) if _holds_tensors(old.cell_contents) else old.cell_contents
        return copied, made_up
    except CaptureError:
        raise
    except Exception as error:
        raise CaptureError(
            f"{type(model).__name__} cannot be copied, and {purpose}: {error} Pass the module as it was before it was wrapped or sharded."
        ) from error


def _copied(tensor: Tensor) -> Tensor | None:
    """A copy of a tensor that `copy.deepcopy` refuses; None for all others."""
    if is_lazy(tensor):
        return type(tensor)(device="cpu", dtype=tensor.dtype)  # type: ignore[call-arg]
    if not has_values(tensor):
        values = torch.rand(tensor.shape, dtype=torch.float32, device="cpu").to(tensor.dtype)
    elif not tensor.is_leaf or tensor.is_inference():
        values = tensor.detach().clone()
    else:
        return None
    return nn.Parameter(values, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else values


def _check_memory(owned: Belongings) -> None:
    empty = sum(t.numel() * t.element_size() for t in owned.tensors if not is_lazy(t) and not has_values(t))
    if empty > 4e9:
        raise CaptureError(
            f"Its parameters are on the meta device, {empty / 1e9:.0f} GB of them, and real numbers are needed: the model asks for values, "
            "or is to be verified. Pass a smaller model of the same make."
        )


def _can_be_taken_apart(leaf: Any) -> bool:
    try:
        leaf.__reduce_ex__(4)
    except Exception:
        return False
    return True


def _holds_tensors(item: Any) -> bool:
    if type(item) in _ATOMS:
        return False
    inner = Belongings(item)
    return bool(inner.modules or inner.tensors or any(isinstance(leaf, RemovableHandle) for leaf in inner.leaves))


def _with_new_cells(function: types.FunctionType) -> types.FunctionType:
    cells = tuple(types.CellType() for _ in function.__closure__ or ())
    made = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, cells or None)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__dict__.update(function.__dict__)
    return made
