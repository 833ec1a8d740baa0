"""From a recording to a Graph: drop ops nobody needs, and give every op the name a user would look for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from isopter.capture.torch.tape import Tape
from isopter.graph import Graph, Issue, Op


@dataclass(slots=True)
class Trace:
    """What the forward pass told besides the ops: which tensors (by position) left which module call, the model's outputs, and what was
    made by modules that only their weights betray (nobody can listen to their calls)."""

    layers: dict[str, dict[int, int]]
    outputs: dict[str, int]
    inputs: dict[str, int]
    unheard: dict[str, int] = field(default_factory=dict)


def finish(recorder: Tape, trace: Trace) -> Graph:
    """An op that is all a module call did is called by the module's path; others by path and operation
    (``layer1.0.add``, then ``layer1.0.add_1``)."""
    heard = set(trace.layers)
    trace.layers = {path: {0: op} for path, op in trace.unheard.items() if path not in heard} | trace.layers
    wanted = set(trace.outputs.values()) | {op for made in trace.layers.values() for op in made.values()}
    ops = recorder.ops
    needed = [False] * len(ops)
    for index in range(len(ops) - 1, -1, -1):
        needed[index] = needed[index] or index in wanted or ops[index].kind == "input"
        if needed[index]:
            for source in ops[index].inputs:
                needed[source] = True
    kept = [i for i, need in enumerate(needed) if need]
    new = {old: at for at, old in enumerate(kept)}

    per_call = Counter(ops[i].module for i in kept if ops[i].kind != "input")
    made_by = {path: next(iter(made.values())) for path, made in trace.layers.items() if made}
    final: list[Op] = []
    used: set[str] = set()
    for index in kept:
        op = ops[index]
        path = op.module
        if op.kind == "input":
            name = op.source
        elif path and per_call[path] == 1 and made_by.get(path) == index:
            name = path
        else:
            name = f"{path}.{op.source}" if path else op.source
        label, repeat = name, 0
        while label in used or (label in made_by and made_by[label] != index):
            repeat += 1
            label = f"{name}_{repeat}"
        used.add(label)
        final.append(replace(op, name=label, inputs=tuple(new[i] for i in op.inputs)))

    layers: dict[str, int] = {}
    calls: dict[str, tuple[str, int]] = {}
    returned = trace.layers.pop("", {})
    for path, made in trace.layers.items():
        for k, (at, old) in enumerate(made.items()):
            name = path if k == 0 else f"{path}:{k}"
            layers[name] = new[old]
            if path in heard:
                calls[name] = (path, at)
    for name, old in trace.outputs.items():
        position = next((at for at, op in returned.items() if op == old), None)
        if name not in layers and position is not None:
            calls[name] = ("", position)
        layers.setdefault(name, new[old])
    outputs = tuple(dict.fromkeys(new[op] for op in trace.outputs.values()))
    issues = tuple(Issue(where, what, uses) for (what, where), uses in recorder.issues.items())
    inputs = {name: new[op] for name, op in trace.inputs.items()}
    return Graph(tuple(final), outputs, layers, inputs, calls, issues)
