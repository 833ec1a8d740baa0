"""What forward passes share, whatever framework runs them: their data, and which op of the analysis each of their ops is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from isopter.erf.data.sources import drawn
from isopter.erf.frame import Frame
from isopter.errors import UsageError
from isopter.fields.plan import Plan
from isopter.graph import Graph, Op


def check_same(analysed: Graph, other: Graph, name: str) -> None:
    """Raise UsageError if a model's graph has other ops than the one that was analysed. Sizes may differ."""
    ours, theirs = ([(op.kind, op.inputs and op.source, op.inputs) for op in graph.ops] for graph in (analysed, other))
    if ours == theirs:
        return
    both = zip(analysed.ops, other.ops, ours, theirs, strict=False)
    strange = next((a.name for a, _, x, y in both if x != y), analysed.ops[-1].name)
    raise UsageError(f"{name} is not the model that was analysed, or runs otherwise on these data: the two differ at {strange}.")


def noise(plan: Plan, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Normal noise for every input, of the size that was analysed: the same image in every framework, wherever it has its channels."""
    graph = plan.graph
    frames = {
        name: Frame(graph.ops[op].shape, plan.axes) if op == plan.origin else Frame.of(graph.ops[op].shape)
        for name, op in graph.input_names.items()
    }
    return {name: drawn(seed, k, f, [f.shape[a] for a in f.axes]) for k, (name, f) in enumerate(frames.items())}


def given(plan: Plan, data: Any, seed: int) -> Any:
    """The data of a pass as arrays; where there are none, noise: of one input in order, whatever it is called, of several by name."""
    if data is not None:
        return as_arrays(data)
    made = noise(plan, seed)
    return made if len(made) > 1 else tuple(made.values())


def as_arrays(data: Any) -> Any:
    """Tensors of any library as arrays, in the tuples, lists and dicts that they come in."""
    if isinstance(data, Mapping):
        return {key: as_arrays(item) for key, item in data.items()}
    if isinstance(data, tuple | list):
        return type(data)(as_arrays(item) for item in data) if type(data) in (tuple, list) else tuple(as_arrays(item) for item in data)
    if callable(getattr(data, "detach", None)):
        data = data.detach().cpu()
    return np.asarray(data) if hasattr(data, "shape") else data


def by_name(data: Any, shapes: Mapping[str, Sequence[int] | None], title: str) -> dict[str, Any]:
    """The data of every input that has axes, which are given by name, in order, or as one array. Raises UsageError where one is missing."""
    listed = data if isinstance(data, tuple | list) else (data,)
    found = dict(data) if isinstance(data, Mapping) else dict(zip(shapes, listed, strict=False))
    missing = [name for name, shape in shapes.items() if name not in found and (shape is None or len(shape))]
    if missing:
        raise UsageError(f"{title} has the inputs {', '.join(shapes)}, and data none for {missing[0]}. Give a tuple, or a dict by name.")
    return found


def nearest(graph: Graph, op: int, names: Mapping[int, Sequence[str]]) -> set[str]:
    """The names of the values that an op is made of: of its inputs, and in place of one without a name, of what that is made of."""
    found: set[str] = set()
    waiting = list(graph.ops[op].inputs)
    while waiting:
        source = waiting.pop()
        found |= set(names.get(source, ()))
        waiting += graph.ops[source].inputs if source not in names else ()
    return found


def finals(built: Sequence[Op], graph: Graph) -> dict[int, int]:
    """The index in a finished graph of each op that a capture built; those that nothing needs are left out. An op keeps its params."""
    new = {id(op.params): at for at, op in enumerate(graph.ops)}
    return {at: new[id(op.params)] for at, op in enumerate(built) if id(op.params) in new}
