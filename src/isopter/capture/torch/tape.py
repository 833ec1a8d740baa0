"""The tape of a recording: the ops so far, and what is known of every tensor the model has touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from isopter.capture.torch.values import Const, Data, State, Value, Weight
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


class Tape:
    """Ops in the order they ran, and the value of every tensor, aliases and later writes included.

    `meta` says whether data lives on the meta device, or is real (for control flow that depends on values).
    """

    def __init__(self, weights: Sequence[Tensor], owned: Sequence[Tensor], meta: bool) -> None:
        self.ops: list[Op] = []
        self.issues: Counter[tuple[str, str]] = Counter()
        self.path: list[str] = [""]
        self.meta = meta
        self.paused = False
        self.leaked = False
        self._weights = {id(t) for t in weights}
        self._owned = {id(t): t for t in owned}
        self._shadows: dict[int, Tensor] = {}
        self._states: dict[int, State] = {}
        self._meta: dict[int, Tensor] = {}
        self._kept: list[Tensor] = []

    # ---- what is known of a tensor -------------------------------------------------------------------------------

    def input(self, tensor: Tensor, name: str) -> None:
        """Declare `tensor` to be an input of the graph."""
        op = self.emit("input", tuple(tensor.shape), (), {}, source=name)
        self._remember(tensor, Data(op))

    def value(self, tensor: Tensor) -> Value:
        """What `tensor` holds now."""
        state = self._states.get(id(tensor))
        if state is not None:
            return self._current(state)
        return Weight() if id(tensor) in self._weights else Const(self._shadows.get(id(tensor), tensor))

    def is_owned(self, tensor: Tensor) -> bool:
        """Whether it is a parameter or buffer of the user's model."""
        return id(tensor) in self._owned

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

    def leak(self) -> None:
        """Data has left the tensors for Python: what comes back from there is not seen, and later ops are marked."""
        if not self.leaked:
            self.issue(
                "Values of the input were read in Python: exact only for the control path they chose, blind to what was computed there"
            )
        self.leaked = True

    def learn(self, tensor: Tensor, value: Value) -> None:
        """Note that the new `tensor` holds `value`."""
        self._remember(tensor, value)
        self._kept.append(tensor)

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
    """`items` with every tensor in nested tuples, lists and dicts changed."""
    if isinstance(items, Tensor):
        return change(items)
    if isinstance(items, tuple | list):
        changed = [map_tensors(i, change) for i in items]
        return type(items)(*changed) if hasattr(items, "_fields") else type(items)(changed)
    if isinstance(items, Mapping):
        return {k: map_tensors(v, change) for k, v in items.items()}
    return items
