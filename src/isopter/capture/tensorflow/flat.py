"""One flat graph of a concrete function: calls taken apart, variables as placeholders, nothing that no output needs.

TensorFlow works out its shapes as it is imported, with the sizes of the inputs filled in. The capture reads it, and the probe runs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.tensorflow import api
from isopter.capture.tensorflow.program import Held, Program, program_of, said
from isopter.errors import CaptureError
from isopter.graph import Shape

NODES = 200_000
"""More nodes than this, once calls are taken apart, are damage."""

DEEPEST = 40
"""Calls in calls."""

CALLS = frozenset("PartitionedCall StatefulPartitionedCall".split())
BRANCHES = frozenset("If StatelessIf Case StatelessCase".split())
LOOPS = frozenset("While StatelessWhile".split())
RUNS_PYTHON = frozenset("PyFunc PyFuncStateless EagerPyFunc".split())

HOLDS = frozenset("Placeholder VarHandleOp VariableV2 Variable".split())
"""What a tensor that is held may stand for: one that was captured, or a variable of a file."""

_DEFAULT_NAME = re.compile(r"(Stateful)?PartitionedCall(_\d+)*")


@dataclass(frozen=True, eq=False)
class Flat:
    """`nodes` of a GraphDef; `inputs` and `held` are placeholders among them, by the name of the node; `outputs` are names of tensors."""

    nodes: Sequence[Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    held: Mapping[str, Held]
    library: Mapping[str, Any]

    @cached_property
    def graph(self) -> Any:
        """The graph as TensorFlow reads it, with its shapes."""
        made = tf.compat.v1.GraphDef(node=self.nodes)
        made.versions.producer = tf.version.GRAPH_DEF_VERSION
        graph = tf.Graph()
        with graph.as_default():
            try:
                tf.graph_util.import_graph_def(made, name="")
            except (ValueError, TypeError, KeyError, tf.errors.OpError) as error:
                raise CaptureError(f"TensorFlow does not take the graph at these sizes ({said(error)}). Do they fit the model?") from error
        return graph


@dataclass(eq=False)
class Flattener:
    """Nodes so far, and what stands for the results of calls that were taken apart (`alias`, by tensor)."""

    library: Mapping[str, Any]
    decided: Mapping[str, int] = field(default_factory=dict)
    nodes: dict[str, Any] = field(default_factory=dict)
    alias: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    bodies: dict[str, tuple[list[Any], list[str], list[str]]] = field(default_factory=dict)

    def add(self, nodes: Sequence[Any], rename: Mapping[str, str], depth: int = 0) -> None:
        """Nodes of a graph or of a function's body, under other names."""
        if depth > DEEPEST:
            raise CaptureError(f"Functions call one another more than {DEEPEST} deep, or themselves.")
        for given in nodes:
            node = type(given)()
            node.CopyFrom(given)
            node.name = rename.get(given.name, given.name)
            node.attr.pop("_class", None)  # where it is placed: beside a node that may be gone
            del node.input[:]
            node.input.extend(_tensor(i, rename) for i in given.input if not i.startswith("^"))
            called, arguments = self._called(node)
            if called is None:
                self.nodes[node.name] = node
            elif node.op in LOOPS:
                for step in range(self.decided[node.name]):
                    arguments = self._call(called, arguments, f"{node.name}/{step}/", depth)
                self.alias |= {f"{node.name}:{k}": t for k, t in enumerate(arguments)}
            else:
                self.alias |= {f"{node.name}:{k}": t for k, t in enumerate(self._call(called, arguments, self._scope(node.name), depth))}
            if len(self.nodes) > NODES:
                raise CaptureError(f"The model has more than {NODES:,} nodes, once calls are taken apart.")

    def _called(self, node: Any) -> tuple[str | None, list[str]]:
        """The function that a node calls, and the tensors it gives it; None for a node of its own."""
        given = list(node.input)
        if node.op in CALLS:
            return node.attr["f"].func.name, given
        if node.op in self.library:
            return node.op, given
        if node.name in self.decided:
            at = self.decided[node.name]
            if node.op in LOOPS:
                return node.attr["body"].func.name, given
            if node.op.endswith("If"):
                return node.attr["then_branch" if at else "else_branch"].func.name, given[1:]
            return node.attr["branches"].list.func[at].name, given[1:]
        return None, given

    def _call(self, name: str, given: Sequence[str], scope: str, depth: int) -> list[str]:
        if name not in self.bodies:
            if name not in self.library:
                raise CaptureError(f"The graph calls {name!r}, a function that is not in it. Save or trace the model again.")
            self.bodies[name] = api.body_of(self.library[name], self.library)
        nodes, arguments, returned = self.bodies[name]
        if len(arguments) != len(given):
            raise CaptureError(f"{name} takes {len(arguments)} tensors, and is called with {len(given)}.")
        rename = self._renamed([node.name for node in nodes], scope)
        self.alias |= {f"{rename[a]}:0": g for a, g in zip(arguments, given, strict=True)}
        held = set(arguments)
        self.add([node for node in nodes if node.name not in held], rename, depth + 1)
        return [_tensor(t, rename) for t in returned]

    def _renamed(self, names: Sequence[str], scope: str) -> dict[str, str]:
        """New names for the nodes of a call. Of a scope of which some name is taken, all nodes go to another: ``block_1/conv``."""
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(name.partition("/")[0], []).append(name)
        rename: dict[str, str] = {}
        for first, inside in groups.items():
            repeat, own = 0, first
            while (repeat and own in groups) or any(f"{scope}{own}{name[len(first) :]}" in self.used for name in inside):
                repeat += 1
                own = f"{first}_{repeat}"
            rename |= {name: f"{scope}{own}{name[len(first) :]}" for name in inside}
            self.used.update(rename[name] for name in inside)
        return rename

    def _scope(self, call: str) -> str:
        """Where the nodes of a call go: beside it where TensorFlow itself made up its name, else under its name."""
        outer, _, own = call.rpartition("/")
        if not _DEFAULT_NAME.fullmatch(own):
            return f"{call}/"
        return f"{outer}/" if outer else ""

    def resolve(self, tensor: str) -> str:
        """The tensor of a node that is left which stands for this one."""
        seen = 0
        while tensor in self.alias:
            tensor = self.alias[tensor]
            seen += 1
            if seen > len(self.alias):
                raise CaptureError(f"The graph runs in a circle at {tensor}.")
        return tensor


def _tensor(name: str, rename: Mapping[str, str]) -> str:
    node, _, at = name.partition(":")
    return f"{rename.get(node, node)}:{at or 0}"


def flatten(source: Any, shapes: Sequence[Shape | None], decided: Mapping[str, int] | None = None) -> Flat:
    """The flat graph of a program (or of a concrete function) whose inputs have these shapes (None: its own).

    `decided`: the path of branches (1: then, 0: else; or the number of the branch) and the trips of loops that constants decide, by node.
    Raises CaptureError for a graph that cannot be followed at all.
    """
    program = source if isinstance(source, Program) else program_of(source)
    sizes = dict(zip(program.inputs, shapes, strict=True))
    return flat_of(program.nodes, program.library, sizes, program.held, program.outputs, decided or {})


def flat_of(
    nodes: Sequence[Any],
    library: Mapping[str, Any],
    inputs: Mapping[str, Shape | None],
    held: Mapping[str, Held],
    outputs: Sequence[str],
    decided: Mapping[str, int],
) -> Flat:
    """The flat graph of these nodes, some of which are placeholders: of inputs of these shapes, and of what is held."""
    work = Flattener(library, decided, used={node.name for node in nodes})
    work.add(nodes, {})
    for node in work.nodes.values():
        resolved = [work.resolve(t) for t in node.input]
        del node.input[:]
        node.input.extend(resolved)
    values = {f"{name}:0": item for name, item in held.items()}
    _variables(work, values)
    held = {name[:-2]: item for name, item in values.items() if work.nodes[name[:-2]].op in HOLDS}
    ends = [work.resolve(t) for t in outputs]
    kept = _needed(work.nodes, ends)
    for name in inputs:
        if name not in kept:
            kept[name] = work.nodes[name]
    for name, node in kept.items():
        if name in inputs and inputs[name] is not None:
            _shaped(node, inputs[name])
        elif name in held:
            _shaped(node, held[name].shape, held[name].dtype)
    return Flat(list(kept.values()), tuple(inputs), tuple(ends), {n: h for n, h in held.items() if n in kept}, library)


def _shaped(node: Any, shape: Shape | None, dtype: Any = None) -> None:
    """Make a node (a placeholder, a variable) a placeholder of this shape (None: not known), and of this dtype or its own."""
    code = node.attr["dtype"].type if dtype is None else dtype.as_datatype_enum
    _becomes(node, "Placeholder", 0)
    node.attr.clear()
    node.attr["dtype"].type = code
    node.attr["shape"].shape.CopyFrom(tf.TensorShape(shape).as_proto())


def _variables(work: Flattener, held: dict[str, Held]) -> None:
    """Reads of variables become their values; a loop or a branch gets values instead of variables."""
    for node in list(work.nodes.values()):
        mine = [held.get(t) for t in node.input]
        if not any(mine):
            continue
        first = mine[0]
        match node.op:
            case "ReadVariableOp" if first:
                _becomes(node, "Identity", 1, T=first.dtype)
            case "Identity" if first:
                node.attr["T"].type = first.dtype.as_datatype_enum
                held[f"{node.name}:0"] = first
            case "VariableShape" if first:
                _becomes(node, "Shape", 1, T=first.dtype, out_type=tf.as_dtype(node.attr["out_type"].type or tf.int32.as_datatype_enum))
            case "ResourceGather" if first:
                zero = type(node)(name=f"{node.name}/axis", op="Const")
                zero.attr["dtype"].type = tf.int32.as_datatype_enum
                zero.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0, tf.int32))
                work.nodes[zero.name] = zero
                batch = node.attr["batch_dims"].i
                index = tf.as_dtype(node.attr["Tindices"].type)
                _becomes(node, "GatherV2", 2, Tparams=first.dtype, Tindices=index, Taxis=tf.int32)
                node.attr["batch_dims"].i = batch
                node.input.append(f"{zero.name}:0")
            case _ if node.op in BRANCHES | LOOPS:
                types = node.attr["T" if node.op in LOOPS else "Tin"].list.type
                ahead = len(node.input) - len(types)
                for k, item in enumerate(mine):
                    if item is not None and k >= ahead:
                        types[k - ahead] = item.dtype.as_datatype_enum
            case _ if first and node.op not in ("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp") and _reads(node):
                _unknown(node, held)
            case _:
                pass  # a captured tensor, and no variable; or a write, which no output needs


def _reads(node: Any) -> bool:
    """Whether an op takes a variable itself, and no value."""
    found = api.definition_of(node.op)
    return found is not None and bool(found.output_arg) and any(a.type == tf.resource.as_datatype_enum for a in found.input_arg)


def _unknown(node: Any, held: dict[str, Held]) -> None:
    """What an op makes of a variable, such as the state of a generator: a tensor that is held, and of whose values nothing is known."""
    dtype = tf.as_dtype(api.definition_of(node.op).output_arg[0].type or node.attr["dtype"].type or tf.float32.as_datatype_enum)
    shapes = node.attr["_output_shapes"].list.shape
    shape = tf.TensorShape(shapes[0]) if shapes else tf.TensorShape([2] if node.op == "RngReadAndSkip" else None)
    known = tuple(shape.as_list()) if shape.is_fully_defined() else None
    _becomes(node, "Placeholder", 0, dtype=dtype)
    node.attr["shape"].shape.CopyFrom(shape.as_proto())
    held[f"{node.name}:0"] = Held(known, dtype, lambda: np.zeros(known or (), dtype.as_numpy_dtype), False)


def _becomes(node: Any, op: str, inputs: int, **types: Any) -> None:
    kept = {n: node.attr[n] for n in ("_output_shapes",) if n in node.attr}
    saved = {n: type(v).FromString(v.SerializeToString()) for n, v in kept.items()}
    node.attr.clear()
    node.op = op
    del node.input[inputs:]
    for name, value in saved.items():
        node.attr[name].CopyFrom(value)
    for name, dtype in types.items():
        node.attr[name].type = dtype.as_datatype_enum


def _needed(nodes: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
    """The nodes that outputs need, in the order they are in."""
    todo, needed = [t.partition(":")[0] for t in outputs], set()
    while todo:
        name = todo.pop()
        if name in needed:
            continue
        if name not in nodes:
            raise CaptureError(f"The graph reads {name!r}, which no node makes. It is damaged, or cut.")
        needed.add(name)
        todo += [t.partition(":")[0] for t in nodes[name].input]
    return {name: node for name, node in nodes.items() if name in needed}


def ancestors(graph: Any, tensors: Iterable[str]) -> set[str]:
    """The names of all ops that tensors are made of."""
    todo, found = [graph.get_tensor_by_name(t).op for t in tensors], set()
    while todo:
        op = todo.pop()
        if op.name not in found:
            found.add(op.name)
            todo += [t.op for t in op.inputs]
    return found
