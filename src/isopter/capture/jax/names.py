"""What a user would call an equation: the path of the module it is in, read from its name stack, and the names of the final graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isopter.capture.jax.marks import SCOPE
from isopter.capture.static.builder import Builder, modules_of, needed
from isopter.errors import CaptureError
from isopter.graph import Graph, Issue, check

IGNORED = ("eqx.", "jit(", "closed_call", "checkpoint", "while", "body", "cond", "scan")
"""Scopes that name a library's function or a transformation, and no part of the model."""

Key = tuple[Any, ...]
"""Where a value is made: positions of equations from the outside in, and at last which result."""


def path_of(stack: Iterable[Any], root: str | None) -> tuple[str, str | None]:
    """(path in words, module) of a name stack: the module that is heard there, if one is, and the scopes inside it.

    Example, ``isopter:layer1.0/attention`` is ("layer1.0.attention", "layer1.0"); ``ResNet/Conv_0``, with root "ResNet", ("Conv_0", None).
    """
    parts: list[str] = []
    module: str | None = None
    for scope in stack:
        name = str(getattr(scope, "name", scope))
        if type(scope).__name__ != "Scope" or name.startswith(IGNORED):
            continue
        if name.startswith(SCOPE):
            module = name[len(SCOPE) :]
            parts = [module]
        else:
            parts += [part for part in name.split("/") if part]
    if module is None and parts and parts[0] == root:
        parts = parts[1:]
    return ".".join(parts), module


@dataclass(slots=True)
class Heard:
    """What the walk noted besides the ops: results of modules by layer name, with the keys of their values; the last value that each op
    stands for; which of them are real numbers (an index or a comparison may never change); and how often each module was called."""

    modules: dict[str, tuple[int, Key]] = field(default_factory=dict)
    keys: dict[int, Key] = field(default_factory=dict)
    real: set[int] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    scoped: bool = False


def key_text(key: Key) -> str:
    """A key as the name of a value: ``12/3:0`` is the first result of equation 3 inside equation 12."""
    return "/".join(map(str, key[:-1])) + f":{key[-1]}"


def finished(rec: Builder, heard: Heard, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> Graph:
    """The graph of all that an output or a module needs.

    An op whose result a module returned, or that is all it did, is called by the module's path, others by path and operation
    (``layer1.0.add``, then ``layer1.0.add_1``). Layers are the modules; in a model without any, every op; and the outputs by name.
    """
    if not outputs:
        raise CaptureError("Nothing that the model returns depends on its input.")
    wanted = {*outputs.values(), *inputs.values(), *(op for op, _ in heard.modules.values())}
    kept = needed(rec.ops, wanted)
    new = {old: at for at, old in enumerate(kept)}
    made_by = {path: op for path, (op, _) in heard.modules.items()}
    names = _names(rec, kept, {op: name for name, op in inputs.items()}, made_by)
    ops = tuple(rec.ops[i].renamed(names[i], tuple([new[j] for j in rec.ops[i].inputs])) for i in kept)

    layers: dict[str, int] = {}
    calls: dict[str, tuple[str, int]] = {}

    def add(name: str, op: int, key: Key | None) -> None:
        if name not in layers:
            layers[name] = new[op]
            if key is not None:
                calls[name] = (key_text(key), 0)

    for path, (op, key) in heard.modules.items():
        add(path, op, key)
    if not heard.modules:
        for path, at in modules_of(ops, {new[op] for op in outputs.values()}).items():
            add(path, kept[at], heard.keys.get(kept[at]))
    if not heard.scoped:
        for op in kept:
            if rec.ops[op].kind != "input":
                add(names[op], op, heard.keys.get(op) if op in heard.real else None)
    for name, op in outputs.items():
        add(name, op, heard.keys.get(op))
    issues = tuple(Issue(where, what, uses) for (what, where), uses in rec.issues.items())
    found = tuple(dict.fromkeys(new[op] for op in outputs.values()))
    return check(Graph(ops, found, layers, {name: new[op] for name, op in inputs.items()}, calls, issues))


def _names(rec: Builder, kept: Sequence[int], given: Mapping[int, str], made_by: Mapping[str, int]) -> dict[int, str]:
    per_module = Counter(rec.ops[i].module for i in kept if i not in given)
    names: dict[int, str] = {}
    used: dict[str, int] = {}
    for index in kept:
        op = rec.ops[index]
        if index in given:
            name = given[index]
        elif op.module and (made_by[op.module] == index if op.module in made_by else per_module[op.module] == 1):
            name = op.module
        else:
            name = f"{rec.labels[index]}.{op.source}" if rec.labels[index] else op.source
        label, repeat = name, used.get(name, 0)
        while label in used or made_by.get(label, index) != index:
            repeat += 1
            label = f"{name}_{repeat}"
        used[name] = repeat
        used.setdefault(label, 0)
        names[index] = label
    return names
