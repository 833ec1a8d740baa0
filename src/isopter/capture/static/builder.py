"""The builder of a static graph: ops so far with the module and node they came from, then a checked `Graph`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from isopter.capture.static.activations import Chain
from isopter.capture.static.norms import with_norms
from isopter.errors import CaptureError
from isopter.graph import Graph, Issue, Op, Shape, check

LONGEST = 2**24
"""No axis of a tensor is longer: the walks hold a few numbers for every position along one, and a larger one is damage."""


class Builder:
    """Ops in the order they were emitted.

    `module` is the path of the module that is being translated (``""``: none), `label` the name its node gives to what it makes; both are
    set by the capture as it goes.
    """

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.labels: list[str] = []
        self.issues: Counter[tuple[str, str]] = Counter()
        self.chains: dict[int, Chain] = {}
        self.module = ""
        self.label = ""

    def emit(self, kind: str, shape: Shape, inputs: Sequence[int], params: Mapping[str, Any], source: str) -> int:
        """Append an op and return its index. Raises CaptureError for a shape that no tensor has."""
        sizes = tuple(map(int, shape))
        if sizes and not 0 <= min(sizes) <= max(sizes) <= LONGEST:
            raise CaptureError(f"{self.label or source}: its result would have the shape {sizes}. Axes of 0 to {LONGEST:,} are read.")
        self.ops.append(Op("", kind, sizes, tuple(inputs), dict(params), self.module, source))
        self.labels.append(self.label)
        return len(self.ops) - 1

    def shape(self, op: int) -> Shape:
        """Shape of an op's result."""
        return self.ops[op].shape

    def issue(self, what: str) -> None:
        """Note something the reader of the result must know, here in the model."""
        self.issues[(what, self.label or self.module or "the model itself")] += 1

    def opaque(self, shapes: Iterable[Shape], inputs: Iterable[int], source: str, why: str = "") -> list[int]:
        """Outputs that may read all of every input, and an issue that says why; never a guess."""
        self.issue(why or f"No rule for {source}: bounded by its whole input")
        read = list(dict.fromkeys(inputs))
        return [self.emit("opaque", shape, read, {}, source) for shape in shapes]


def finish(builder: Builder, inputs: Mapping[str, int], made: Mapping[str, tuple[str, int]], outputs: Mapping[str, int]) -> Graph:
    """The graph of all that an output or a named value needs.

    `inputs` and `outputs`: ops by name. `made`: by the name of a value of the framework, the label of its node and its op. An op that is
    all a module did is called by the module's path, the last op of a node by the node's label, others by label and operation
    (``up.reshape``). Names are made unique by ``_1``, ``_2``. Every node is a layer, and so is every module that gives exactly one value
    to what is outside of it.
    """
    if not outputs:
        raise CaptureError("Nothing that the model returns depends on its input.")
    builder.ops = with_norms(builder.ops)
    kept = needed(builder.ops, {*outputs.values(), *inputs.values()})
    new = {old: at for at, old in enumerate(kept)}
    final_of = {op: label for label, op in made.values() if op in new}
    names = _names(builder, kept, inputs, final_of)
    ops = tuple(builder.ops[i].renamed(names[i], tuple([new[j] for j in builder.ops[i].inputs])) for i in kept)

    layers: dict[str, int] = {}
    calls: dict[str, tuple[str, int]] = {}
    for value, (_, op) in made.items():
        if op in new and names[op] not in layers and builder.ops[op].kind != "input":
            layers[names[op]] = new[op]
            calls[names[op]] = (value, 0)
    for path, index in modules_of(ops, {new[op] for op in outputs.values()}).items():
        layers.setdefault(path, index)
    for name, op in outputs.items():
        layers.setdefault(name, new[op])
    issues = tuple(Issue(where, what, uses) for (what, where), uses in builder.issues.items())
    found = tuple(dict.fromkeys(new[op] for op in outputs.values()))
    return check(Graph(ops, found, layers, {name: new[op] for name, op in inputs.items()}, calls, issues))


def needed(ops: Sequence[Op], wanted: Collection[int]) -> list[int]:
    """The ops that `wanted` ones are made of, and these themselves, in order."""
    need = [index in wanted for index in range(len(ops))]
    for index in range(len(need) - 1, -1, -1):
        if need[index]:
            for source in ops[index].inputs:
                need[source] = True
    return [index for index, is_needed in enumerate(need) if is_needed]


def _names(builder: Builder, kept: list[int], inputs: Mapping[str, int], final_of: Mapping[int, str]) -> dict[int, str]:
    ops = builder.ops
    within = Counter(path for i in kept if ops[i].kind != "input" for path in _paths(ops[i].module))
    alone = {path for path, count in within.items() if count == 1}
    given = {op: name for name, op in inputs.items()}
    names: dict[int, str] = {}
    used: set[str] = set()
    for index in (*sorted(kept, key=lambda i: i not in given and i not in final_of),):  # nodes first: they keep their names
        op = ops[index]
        if index in given:
            name = given[index]
        elif op.module in alone:
            name = op.module
        elif index in final_of:
            name = final_of[index]
        else:
            name = f"{builder.labels[index]}.{op.source}"
        label, repeat = name, 0
        while label in used:
            repeat += 1
            label = f"{name}_{repeat}"
        used.add(label)
        names[index] = label
    return names


def _paths(module: str) -> list[str]:
    """A module, and all that it is in: of ``a.b.c`` also ``a.b`` and ``a``."""
    parts = module.split(".") if module else []
    return [".".join(parts[: k + 1]) for k in range(len(parts))]


def modules_of(ops: Sequence[Op], outputs: set[int]) -> dict[str, int]:
    """Modules by path, with the one op whose result leaves them; those that several leave are left out."""
    leaving: dict[str, set[int]] = {}

    def note(op: int, into: str) -> None:
        path = ops[op].module
        while path:
            if into == path or into.startswith(path + "."):
                return
            leaving.setdefault(path, set()).add(op)
            path = path.rpartition(".")[0]

    for op in ops:
        for source in op.inputs:
            note(source, op.module)
    for op_index in outputs:
        note(op_index, "")
    return {path: next(iter(made)) for path, made in sorted(leaving.items(), key=lambda kv: min(kv[1])) if len(made) == 1}
