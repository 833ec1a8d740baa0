"""The tape of a recording: the ops so far, and what is known of every tensor the model has touched."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter, OrderedDict, UserDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from isopter.capture.torch.values import Const, Data, State, Value, Weight, has_values
from isopter.graph import Op


@dataclass(slots=True)
class Call:
    """One ATen call on data: arguments by name (defaults filled in), and the tensors it returned."""

    name: str
    arguments: dict[str, Any]
    outs: list[Tensor]
    func: Any

    def __getitem__(self, key: str) -> Any:
        return self.arguments[key]

    def get(self, key: str, default: Any = None) -> Any:
        """An argument, or `default` where it is absent or None."""
        value = self.arguments.get(key)
        return default if value is None else value


class NeedsValues(Exception):
    """The model asks for the value of a tensor that has none on the meta device: by which call, and in which module."""

    def __init__(self, call: str, where: str, of: str = "input") -> None:
        super().__init__(call)
        self.where, self.of = where, of


class Tape:
    """Ops in the order they ran, and the value of every tensor, aliases and later writes included.

    `meta` says whether data lives on the meta device, or is real (for control flow that depends on values). `home` is the device
    the model believes its data to be on. `owners` are modules whose calls no hook hears (in script modules and exported graphs), by their
    weights; what they made is noted in `unheard`. Tensors that no recorded call made are the user's: parameters among them, and those
    without values, are weights, and all are read, never written. `known` are those there before; others may hold numbers from Python.
    """

    measures = False
    """Whether this recording needs numbers, not shapes alone (see `gauge.py`)."""

    def __init__(self, weights: Sequence[Tensor], known: Sequence[Tensor], meta: bool, home: torch.device) -> None:
        self.ops: list[Op] = []
        self.issues: Counter[tuple[str, str]] = Counter()
        self.path: list[str] = [""]
        self.meta = meta
        self.home = home
        self.owners: dict[int, str] = {}
        self.unheard: dict[str, int] = {}
        self.paused = False
        self.leaked: dict[int, None] = {}
        self._weights = {id(t) for t in weights}
        self._made: set[int] = set()
        self._known = {id(t) for t in known}
        self._shadows: dict[int, Tensor] = {}
        self._states: dict[int, State] = {}
        self._meta: dict[int, Tensor] = {}
        self._kept: list[Tensor] = list(weights)

    # ---- what is known of a tensor -------------------------------------------------------------------------------

    def input(self, tensor: Tensor, name: str) -> None:
        """Declare `tensor` to be an input of the graph."""
        self.learn(tensor, Data(self.emit("input", tuple(tensor.shape), (), {}, source=name)))

    def value(self, tensor: Tensor) -> Value:
        """What `tensor` holds now."""
        state = self._states.get(id(tensor))
        if state is not None:
            return self._current(state)
        if self.leaked and id(tensor) not in self._known and self.is_foreign(tensor):  # it may hold what has left for Python
            self.learn(tensor, Data(self.emit("opaque", tuple(tensor.shape), tuple(self.leaked), {}, "from_python")))
            return self.value(tensor)
        if id(tensor) in self._weights or (self.is_foreign(tensor) and (isinstance(tensor, nn.Parameter) or not has_values(tensor))):
            return Weight()
        return Const(self._shadows.get(id(tensor), tensor))

    def is_foreign(self, tensor: Tensor) -> bool:
        """Whether no recorded call made it: it is the user's, who wants it back as it was."""
        return id(tensor) not in self._made

    def made(self, tensors: Sequence[Tensor]) -> None:
        """Note that a recorded call made these, and keep them: another tensor must not be taken for one of them."""
        self._kept += tensors
        self._made.update(map(id, tensors))

    def op_of(self, tensor: Tensor) -> int | None:
        """The op whose result `tensor` holds now, or None if it does not depend on an input."""
        value = self.value(tensor)
        return value.op if isinstance(value, Data) else None

    def _remember(self, tensor: Tensor, value: Value, parent: State | None = None, view: Callable[[Tensor], Tensor] | None = None) -> State:
        version = parent.root.version if parent is not None else 0
        state = State(tensor, value, parent, view, version)
        self._states[id(tensor)] = state
        return state

    def _state(self, tensor: Tensor) -> State:
        return self._states.get(id(tensor)) or self._remember(tensor, self.value(tensor))

    def _current(self, state: State) -> Value:
        if state.parent is not None and state.version != state.root.version:
            before = self._current(state.parent)
            assert state.view is not None
            state.value = self.derive(before, state.parent.tensor, state.view, tuple(state.tensor.shape))
            state.version = state.root.version
        return state.value

    def leak(self, *tensors: Tensor) -> None:
        """Data has left these tensors for Python: what comes back from there is not seen, and later ops are marked."""
        if not self.leaked:
            self.issue(
                "Values of the input were read in Python: exact only for the control path they chose, blind to what was computed there"
            )
        self.leaked |= dict.fromkeys(op for op in map(self.op_of, tensors) if op is not None)

    def learn(self, tensor: Tensor, value: Value) -> None:
        """Note that the new `tensor` holds `value`."""
        self._remember(tensor, value)
        self.made([tensor])

    # ---- making ops ----------------------------------------------------------------------------------------------

    def emit(self, kind: str, shape: tuple[int, ...], inputs: Sequence[int], params: Mapping[str, Any], source: str) -> int:
        """Append an op and return its index."""
        known = {**params, "leaked": True} if self.leaked else dict(params)
        self.ops.append(Op("", kind, tuple(int(n) for n in shape), tuple(inputs), known, self.path[-1], source))
        return len(self.ops) - 1

    def shape(self, op: int) -> tuple[int, ...]:
        """Shape of an op's result."""
        return self.ops[op].shape

    def derive(self, value: Value, parent: Tensor, view: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Value:
        """The value of a view (or any pure index map) of a value; the recorder knows how."""
        raise NotImplementedError

    def write(self, target: Tensor, value: Value) -> None:
        """`target` now holds `value`; the recorder knows what that means for its aliases."""
        raise NotImplementedError

    def real(self, run: Callable[[], Any]) -> Any:
        """Run something without recording it."""
        before, self.paused = self.paused, True
        try:
            return run()
        finally:
            self.paused = before

    def issue(self, what: str) -> None:
        """Note something the reader of the result must know, here in the model."""
        self.issues[(what, self.path[-1] or "the model itself")] += 1

    # ---- the meta device -----------------------------------------------------------------------------------------

    def argument(self, tensor: Tensor) -> Tensor:
        """The tensor a call really runs on: its twin on the meta device, or with real data itself (or our copy of it)."""
        return self._to_meta(tensor) if self.meta else self._shadows.get(id(tensor), tensor)

    def _arguments(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        moved: dict[str, Any] = map_tensors(kwargs, self.argument)
        if self.meta and moved.get("device") is not None:
            moved["device"] = torch.device("meta")
        return moved

    def _to_meta(self, tensor: Tensor) -> Tensor:
        if tensor.device.type == "meta":
            return tensor
        twin = self._meta.get(id(tensor))
        if twin is None:
            twin = self.real(lambda: torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta"))
            self._meta[id(tensor)] = twin
            self._kept.append(tensor)
        return twin


def map_tensors(items: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """`items` with every tensor in nested tuples, lists, dicts and dataclasses changed."""
    if isinstance(items, Tensor):
        return change(items)
    if isinstance(items, tuple | list):
        changed = [map_tensors(i, change) for i in items]
        return type(items)(*changed) if hasattr(items, "_fields") else type(items)(changed)
    if isinstance(items, dict | UserDict):
        mapping: Any = type(items)() if type(items) in (dict, OrderedDict) else copy.copy(items)
        for key, value in items.items():
            mapping[key] = map_tensors(value, change)
        return mapping
    if isinstance(items, Mapping):
        return {k: map_tensors(v, change) for k, v in items.items()}
    if dataclasses.is_dataclass(items) and not isinstance(items, type):
        record: Any = copy.copy(items)
        for field in dataclasses.fields(items):
            object.__setattr__(record, field.name, map_tensors(getattr(items, field.name), change))
        return record
    return items
