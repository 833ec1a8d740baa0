"""A Keras model as it was found: what building and tracing leave on its layers is taken back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

CONTAINERS = (list, dict, set)
TRACKING = "keras.src.utils.tracking"
"""Where Keras keeps book of the variables and layers that become attributes."""


@contextlib.contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Put the attributes of `model` and of everything it holds back, whatever happens: losses, nodes, and, for a model that was not
    built, its variables and the layers that building made. Values of variables are not looked at: a trace cannot change them."""
    seen: dict[int, tuple[Any, Any, dict[str, Any] | None]] = {}
    waiting = [model]
    while waiting:
        item = waiting.pop()
        if id(item) in seen or not _holds(item):
            continue
        kept = _held(item)
        inside = dict(vars(item)) if hasattr(item, "__dict__") and not _is_proxy(item) else None
        seen[id(item)] = item, kept, inside
        waiting += inside.values() if inside is not None else ()
        waiting += kept.values() if isinstance(kept, dict) else kept or ()
    try:
        yield
    finally:
        for item, kept, inside in seen.values():
            if inside is not None and _unlike(vars(item), inside):
                vars(item).clear()
                vars(item).update(inside)
            _refill(item, kept)


def _holds(item: Any) -> bool:
    """Whether it is of the model: a layer, what tracks its variables, or a container of them."""
    kind = type(item)
    return issubclass(kind, (keras.Operation, tuple, *CONTAINERS)) or _is_proxy(item) or kind.__module__ == TRACKING


def _is_proxy(item: Any) -> bool:
    """Whether it is a dict of TensorFlow's: it says to be one, and stands for another."""
    return not issubclass(type(item), dict) and isinstance(item, dict)


def _held(item: Any) -> Any:
    """What a container holds, as a copy; its own methods are passed by, since those of tracked containers keep book. None for others."""
    if issubclass(type(item), dict):
        return dict(dict.items(item))
    if issubclass(type(item), tuple):
        return item
    if _is_proxy(item):
        return (getattr(item, "__wrapped__", None),)
    return next((kind(kind.__iter__(item)) for kind in (list, set) if issubclass(type(item), kind)), None)


def _unlike(now: dict[str, Any], before: dict[str, Any]) -> bool:
    return now.keys() != before.keys() or any(now[k] is not v for k, v in before.items())


def _refill(item: Any, kept: Any) -> None:
    kind = type(item)
    if issubclass(kind, list) and not _same(item, kept):
        list.clear(item)
        list.extend(item, kept)
    elif issubclass(kind, dict) and _unlike(dict(dict.items(item)), kept):
        dict.clear(item)
        dict.update(item, kept)
    elif issubclass(kind, set) and set(set.__iter__(item)) != kept:
        set.clear(item)
        set.update(item, kept)


def _same(now: list[Any], before: list[Any]) -> bool:
    return list.__len__(now) == len(before) and all(a is b for a, b in zip(list.__iter__(now), before, strict=True))
