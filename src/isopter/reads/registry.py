"""The registry of rules: one function per kind of op, from its numbers to what it reads.

To add a rule, write a function that takes a `Site` and returns `Reads` (for each input, the relations whose union the
op reads), and decorate it with ``@rule("kind")``. docs/add-a-rule.md walks through one.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from isopter.errors import UsageError
from isopter.graph import Graph, Op, Shape
from isopter.reads.layout import layout_of, straightened, turned
from isopter.reads.relation import Reads


@dataclass(frozen=True, slots=True)
class Site:
    """What a rule may see of an op: its kind, its numbers and the shapes around it. Never a tensor or a module."""

    kind: str
    params: Mapping[str, Any]
    inputs: tuple[Shape, ...]
    shape: Shape


Rule = Callable[[Site], Reads]

_RULES: dict[str, Rule] = {}


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    """Register the decorated function as the rule of each of `kinds`; a kind has one rule."""

    def register(function: Rule) -> Rule:
        for kind in kinds:
            if kind in _RULES:
                raise UsageError(f"The kind {kind!r} has a rule already ({_RULES[kind].__qualname__}). Choose another name.")
            _RULES[kind] = function
        return function

    return register


def kinds() -> tuple[str, ...]:
    """Every kind that has a rule, in alphabetical order."""
    _load()
    return tuple(sorted(_RULES))


def has_rule(kind: str) -> bool:
    """Whether a kind has a rule, isopter's or a user's."""
    _load()
    return kind in _RULES


def reads(graph: Graph, op: Op) -> Reads:
    """What `op` of `graph` reads, by the rule of its kind."""
    _load()
    try:
        function = _RULES[op.kind]
    except KeyError:
        raise UsageError(f"No rule for the kind {op.kind!r} (op {op.name!r}). Known: {', '.join(kinds())}.") from None
    layout = layout_of(op.params)
    if layout is None:
        return function(Site(op.kind, op.params, graph.input_shapes(op), op.shape))
    straight, shapes = straightened(op, graph.input_shapes(op))
    return turned(function(Site(op.kind, straight.params, shapes, straight.shape)), layout)


@functools.cache
def _load() -> None:
    package = importlib.import_module("isopter.reads.rules")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
