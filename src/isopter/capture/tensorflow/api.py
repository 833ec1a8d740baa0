"""The parts of TensorFlow that isopter uses and that are not public, each behind a function of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]
from tensorflow.python.eager import context, execute  # type: ignore[import-untyped]
from tensorflow.python.framework import kernels, op_def_registry  # type: ignore[import-untyped]
from tensorflow.python.util import nest  # type: ignore[import-untyped]

from isopter.errors import CaptureError
from isopter.graph import Shape


def body_of(function: Any, library: Mapping[str, Any]) -> tuple[list[Any], list[str], list[str]]:
    """A FunctionDef as nodes of a graph, the names of its arguments (placeholders among the nodes), and the tensors that it returns.

    In a function a tensor is called by the name of an output and a position in it (``split:output:2``), in a graph by a number
    (``split:2``). `library`: other functions, which may be ops of this one.
    """
    flat: dict[str, str] = {}
    nodes: list[Any] = []
    for argument in function.signature.input_arg:
        node = tf.compat.v1.NodeDef(name=argument.name, op="Placeholder")
        node.attr["dtype"].type = argument.type
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(None).as_proto())
        nodes.append(node)
        flat[argument.name] = f"{argument.name}:0"
    for given in function.node_def:
        definition = library[given.op].signature if given.op in library else op_def_registry.get(given.op)
        if definition is None:
            raise CaptureError(f"{given.name} is an op {given.op!r} that this TensorFlow does not have. Load its library first.")
        start = 0
        for out in definition.output_arg:
            length = len(given.attr[out.type_list_attr].list.type) if out.type_list_attr else 1
            length = given.attr[out.number_attr].i if out.number_attr else length
            flat |= {f"{given.name}:{out.name}:{k}": f"{given.name}:{start + k}" for k in range(length)}
            start += length
    for given in function.node_def:
        node = tf.compat.v1.NodeDef()
        node.CopyFrom(given)
        del node.input[:]
        node.input.extend(_flat(flat, name, function) for name in given.input if not name.startswith("^"))
        nodes.append(node)
    arguments = [argument.name for argument in function.signature.input_arg]
    return nodes, arguments, [_flat(flat, function.ret[out.name], function) for out in function.signature.output_arg]


def _flat(names: Mapping[str, str], name: str, function: Any) -> str:
    found = names.get(name) or names.get(f"{name}:0")
    if found is None:
        raise CaptureError(f"The function {function.signature.name} reads {name!r}, which nothing in it makes. It is damaged.")
    return found


def variable_spec(handle: Any) -> tuple[Shape | None, Any] | None:
    """Shape and dtype of the variable behind a resource; None where it is none (a table, an iterator)."""
    data = getattr(handle, "_handle_data", None)
    if data is None or not data.is_set or len(data.shape_and_type) != 1:
        return None
    shape = tf.TensorShape(data.shape_and_type[0].shape)
    return (tuple(shape.as_list()) if shape.is_fully_defined() else None), tf.as_dtype(data.shape_and_type[0].dtype)


def paths_of(structure: Any) -> list[str]:
    """The path of every tensor in nested tuples, lists and dicts, with dots."""
    return [path.replace("/", ".") for path, leaf in nest.flatten_with_joined_string_paths(structure) if leaf is not None]


def definition_of(kind: str) -> Any:
    """The OpDef of a type of op; None where TensorFlow, as it is installed and loaded, has none."""
    return op_def_registry.get(kind)


def kernels_of(kind: str) -> list[Any]:
    """The kernels that are registered for a type of op."""
    return list(kernels.get_registered_kernels_for_op(kind).kernel)


def run_op(op: Any, arrays: Sequence[Any]) -> list[np.ndarray]:
    """What an op of a graph makes of these arrays, at once and on the CPU."""
    attributes: list[Any] = []
    for attribute in op.op_def.attr:
        if not attribute.name.startswith("_"):
            attributes += [attribute.name, _plain(op.get_attr(attribute.name))]
    with tf.init_scope(), tf.device("CPU:0"):
        tensors = [tf.constant(a, dtype=i.dtype) for a, i in zip(arrays, op.inputs, strict=True)]
        made = execute.execute(op.type.encode(), len(op.outputs), tensors, tuple(attributes), context.context())
    return [np.asarray(m.numpy()) for m in made]


def _plain(value: Any) -> Any:
    if isinstance(value, tf.dtypes.DType):
        return value.as_datatype_enum
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if hasattr(value, "unknown_rank"):
        return tf.TensorShape(value).as_list() if not value.unknown_rank else None
    return value


def make_op(kind: str, inputs: Sequence[Any], dtypes: Sequence[Any], attributes: dict[str, Any]) -> list[Any]:
    """An op of any type in the graph that is being traced, from its attributes as they stand in a GraphDef."""
    graph = tf.compat.v1.get_default_graph()
    made = graph._create_op_internal(kind, list(inputs), dtypes=list(dtypes), attrs=attributes, compute_device=False)
    return list(made.outputs)


def library_of(concrete: Any) -> Any:
    """The GraphDef of a concrete function, with the shapes that Python set, and the functions it calls."""
    try:
        return concrete.graph.as_graph_def(add_shapes=True)
    except (ValueError, RuntimeError) as error:
        raise CaptureError(f"TensorFlow cannot write down the graph of the function ({error}).") from error
