"""A second opinion on a capture: the model as torch.export saw it, with its own tracing and without writes in place."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

import isopter as ip
from isopter.analysis import Analysis
from isopter.fields.field import Field


def disagreements(model: nn.Module, inputs: Any, *, decompose: bool = True) -> list[str]:
    """What the live module and its exported program say differently, one line each; empty if nothing.

    `inputs`: the arguments of the model, a tensor or a tuple. Compared for every module call that both know: size, stride and
    start, the boxes of all units, exactness and context. Lines are ``NAME: WHAT live VALUE, exported VALUE``, or ``only live:
    NAMES`` and ``only exported: NAMES`` (modules that compute nothing are left out: see `passed_on`). `decompose`: export
    without views and writes in place, which is the more different of two recordings.
    """
    live, exported = both(model, inputs, decompose=decompose)
    return list(compare(live, exported, aliases(model)))


def aliases(model: nn.Module) -> dict[str, str]:
    """Paths of modules by their first path: a live recording knows a shared module by that, an export by the one it was called by."""
    first: dict[int, str] = {}
    return {path: first.setdefault(id(m), path) for path, m in model.named_modules(remove_duplicate=False)}


def both(model: nn.Module, inputs: Any, *, decompose: bool = True) -> tuple[Analysis, Analysis]:
    """The analysis of the live module, and of its exported program, in evaluation mode. Raises what torch.export raises."""
    args = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    was = [(m, m.training) for m in model.modules()]
    try:
        model.eval()
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(model, args, strict=False)
            if decompose:
                program = program.run_decompositions({})
            return ip.analyze(model, inputs=args), ip.analyze(program)
    finally:
        for module, training in was:
            module.training = training


def compare(live: Analysis, exported: Analysis, known_as: Mapping[str, str] | None = None) -> Iterator[str]:
    """The lines of `disagreements`."""
    first, second = _layers(live, known_as or {}), _layers(exported, known_as or {})
    calls = [Counter(name.partition("#")[0] for name in layers) for layers in (first, second)]
    for name in first:
        path = name.partition("#")[0]
        if name not in second:
            continue
        if calls[0][path] == calls[1][path]:
            yield from _differences(name, live, first[name], exported, second[name])
        else:  # the export forgets calls that nobody uses: any of them may be this one
            every = [op for other, ops in first.items() if other.partition("#")[0] == path for op in ops]
            yield from _unmatched(name, live, every, exported, second[name])
    unseen = passed_on(live)
    ours, theirs = [n for n in first if n not in second and n not in unseen], [n for n in second if n not in first]
    for who, names in (("live", ours), ("exported", theirs)):
        if names:
            yield f"only {who}: {', '.join(names)}"


def passed_on(live: Analysis) -> set[str]:
    """Module calls that compute nothing (nn.Identity, dropout in evaluation), or whose result depends on no input: an exported
    program has no trace of them."""
    inside = {op.module for op in live.graph.ops}
    return {name for name in live.layers if not any(path == name or path.startswith(f"{name}.") for path in inside)}


def _layers(analysis: Analysis, known_as: Mapping[str, str]) -> dict[str, list[int]]:
    """Module calls, and the ops of what they returned. Calls of one module are counted anew, in the order they finish."""
    found: dict[str, list[int]] = {}
    for name, index in analysis.graph.layers.items():
        path, _, at = name.rpartition(":")
        found.setdefault(path if path and at.isdigit() else name, []).append(index)
    calls: Counter[str] = Counter()
    counted = {}
    for name, ops in found.items():
        path = name.partition("#")[0]
        path = known_as.get(path, path)
        calls[path] += 1
        counted[path if calls[path] == 1 else f"{path}#{calls[path]}"] = ops
    return counted


def _differences(name: str, live: Analysis, ours: Sequence[int], exported: Analysis, theirs: Sequence[int]) -> Iterator[str]:
    """What a module call returned. An export knows which values leave a module, not what it returned: a view at its end moves to who
    uses it, and what a hook picked up counts too. So but for one output of one shape, the like is sought in all the call computed."""
    if len(ours) == len(theirs) == 1 and live.graph.ops[ours[0]].shape == exported.graph.ops[theirs[0]].shape:
        yield from _unlike(name, _fields(live, ours[0]), _fields(exported, theirs[0]))
        return
    inside = [i for i, op in enumerate(live.graph.ops) if op.module == name or op.module.startswith(f"{name}.")]
    yield from _unmatched(name, live, [*ours, *inside], exported, theirs)


def _unmatched(name: str, live: Analysis, ours: Sequence[int], exported: Analysis, theirs: Sequence[int]) -> Iterator[str]:
    for index in theirs:
        fields, shape = _fields(exported, index), exported.graph.ops[index].shape
        alike = (i for i in ours if live.graph.ops[i].shape == shape)
        if not any(not list(_unlike(name, _fields(live, i), fields)) for i in alike):
            yield f"{name}: nothing live is like the exported {exported.ops[index]}, of shape {shape}"


def _fields(analysis: Analysis, index: int) -> list[Field | None]:
    """The fields of an op over each of the inputs, in the order of the inputs; None where it does not depend on one."""
    walks = [analysis._walk(origin) for origin in analysis.graph.inputs]
    return [Field(walk, index, analysis.ops[index]) if walk.plan.depends(index) else None for walk in walks]


def _unlike(name: str, ours: list[Field | None], theirs: list[Field | None]) -> Iterator[str]:
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        label = name if len(ours) == 1 else f"{name} (input {k})"
        if (a is None) != (b is None):
            yield f"{label}: read by {'exported' if a is None else 'live'} alone"
        elif a is not None and b is not None:
            yield from _unlike_fields(label, a, b)


def _unlike_fields(name: str, ours: Field, theirs: Field) -> Iterator[str]:
    if "exact" not in (ours.exactness, theirs.exactness):  # two bounds, each true
        return
    for what in ("shape", "size", "stride", "start", "exactness", "context"):
        a, b = getattr(ours, what), getattr(theirs, what)
        if a != b:
            yield f"{name}: {what} live {a}, exported {b}"
    if ours.units != theirs.units:
        return
    for context in (False, True):
        for edge, mine, other in zip(("lo", "hi"), ours.regions(context=context), theirs.regions(context=context), strict=True):
            for axis, (a, b) in enumerate(zip(mine, other, strict=True)):
                if not np.array_equal(a, b):
                    note = " with context" if context else ""
                    yield f"{name}: {edge} of regions{note}, axis {axis}, differs for {int((a != b).sum())} of {a.size} units"
