"""Which layer call is running: the one thing that the trace of a Keras model does not tell by itself."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

Around = Callable[[str, Callable[[], Any]], Any]
"""Makes a call, of the layer at this path, and returns its result: a trace tells its operations so whose they are."""


@dataclass
class Calls:
    """The calls of one run of `root`, by path: the names of the layers on the way to it, that of the model itself left out
    (``encoder.conv1``), and ``#2`` behind it for the second call of the same layer there. ``""`` is the model itself.

    `outputs`: the tensors that a call returned, in the order of its structure. `layers`: whose call it was.
    """

    root: Any
    around: Around
    outputs: dict[str, list[Any]] = field(default_factory=dict)
    layers: dict[str, Any] = field(default_factory=dict)
    running: list[tuple[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def run(self, layer: Any, call: Callable[[], Any]) -> Any:
        """The result of `call`, which is a call of `layer`."""
        if not self._follows(layer):
            return call()
        static = ".".join(filter(None, (self.running[-1][0], layer.name))) if self.running else ""
        self.counts[static] += 1
        path = static if self.counts[static] == 1 else f"{static}#{self.counts[static]}"
        self.running.append((static, layer))
        try:
            result = self.around(path, call)
        finally:
            self.running.pop()
        self.layers[path] = layer
        self.outputs[path] = [t for t in keras.tree.flatten(result) if keras.ops.is_tensor(t)]
        return result

    def _follows(self, layer: Any) -> bool:
        """Whether it is the model, or called inside of it. An operation that is no layer has a name of its own where it stands in a
        functional model; elsewhere (``keras.ops.pad`` in a layer) it is made anew for each call."""
        if not self.running:
            return layer is self.root
        if isinstance(layer, keras.Layer):
            return True
        around = self.running[-1][1]
        around = getattr(around, "_functional", None) or around  # a Sequential hides one
        return any(layer is known for known in getattr(around, "operations", ()))


class _Listening(threading.local):
    calls: Calls | None = None


_here = _Listening()
_lock = threading.Lock()
_before: list[Any] = []


@contextlib.contextmanager
def followed(root: Any, around: Around) -> Iterator[Calls]:
    """Follow the calls of layers, and of the operations that stand in functional models between them, in this thread.

    Other threads, and whoever calls a layer outside of `root`, notice nothing; the classes are as they were when the last one ends.
    """
    outer, _here.calls = _here.calls, Calls(root, around)
    with _lock:
        _before.append(None)
        if len(_before) == 1:
            _before[0] = _listen()
    try:
        yield _here.calls
    finally:
        _here.calls = outer
        with _lock:
            if len(_before) == 1:
                for kind, call in _before[0]:
                    kind.__call__ = call
                _before.clear()
            else:
                _before.pop()


def _listen() -> list[tuple[Any, Any]]:
    kinds = keras.Layer, keras.Operation
    before = [(kind, kind.__call__) for kind in kinds]
    for kind, call in before:
        kind.__call__ = _heard(call, kind is keras.Layer)
    return before


def _heard(call: Any, of_layer: bool) -> Any:
    """`call`, a method of all layers or of all operations (a layer is one, and is heard as a layer)."""

    def heard(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls = _here.calls
        symbolic = any(isinstance(a, keras.KerasTensor) for a in args)
        if calls is None or symbolic or (isinstance(self, keras.Layer) and not of_layer):
            return call(self, *args, **kwargs)
        return calls.run(self, lambda: call(self, *args, **kwargs))

    return heard
