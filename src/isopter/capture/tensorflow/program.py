"""What there is to read: the nodes of a graph, its functions, its inputs, and what it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.tensorflow import api
from isopter.graph import Shape

Load = Callable[[], np.ndarray]


@dataclass(frozen=True, slots=True)
class Held:
    """A tensor that a function holds: a variable's or a captured one's shape, dtype, and values when asked for. `fixed`: its values are
    part of the program (a captured constant, a table of whole numbers) and no weights."""

    shape: Shape | None
    dtype: Any
    load: Load
    fixed: bool


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """`nodes` of a GraphDef, and functions they call (`library`). `inputs` and `held` are nodes, by name: what is given at each call, with
    the shape it may have, and what is always there. `outputs` are tensors, with the names `output_names`."""

    nodes: Sequence[Any]
    library: Mapping[str, Any]
    inputs: Mapping[str, Any]
    held: Mapping[str, Held]
    outputs: Sequence[str]
    output_names: Sequence[str]


def program_of(concrete: Any) -> Program:
    """Of a concrete function. Raises CaptureError where TensorFlow cannot write down its graph."""
    proto = api.library_of(concrete)
    count = len(concrete.inputs) - len(concrete.captured_inputs)
    pairs = zip(concrete.inputs[count:], concrete.captured_inputs, strict=True)
    held = {t.op.name: item for t, given in pairs if (item := _held(given)) is not None}
    return Program(
        proto.node,
        {f.signature.name: f for f in proto.library.function},
        {t.op.name: t.shape for t in concrete.inputs[:count]},
        held,
        [t.name for t in concrete.outputs if t is not None],
        _output_names(concrete),
    )


def _output_names(concrete: Any) -> list[str]:
    """A name per output: the keys of what is returned, as far as there are some."""
    names = api.paths_of(concrete.structured_outputs)
    count = len([t for t in concrete.outputs if t is not None])
    if len(names) != count or len(set(names)) != count:
        names = [""] * count if count == 1 else [str(k) for k in range(count)]
    return [f"output_{n}" if n[:1].isdigit() else n or "output" for n in names]


def _held(tensor: Any) -> Held | None:
    """What a captured tensor holds; None for a resource that is no variable."""
    if tensor.dtype != tf.resource:
        if tensor.dtype == tf.variant:
            return None
        return Held(tuple(tensor.shape), tensor.dtype, lambda: np.asarray(tensor), True)
    spec = api.variable_spec(tensor)
    if spec is None:
        return None
    shape, dtype = spec

    def load() -> np.ndarray:
        with tf.init_scope():
            return np.asarray(tf.raw_ops.ReadVariableOp(resource=tensor, dtype=dtype))

    return Held(shape, dtype, load, not (dtype.is_floating or dtype.is_complex))


def said(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
