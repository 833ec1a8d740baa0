"""The folder of a SavedModel, read as data: a graph, its functions, and where the values of its variables are.

Nothing of it is run, not even what TensorFlow runs when it loads one (initialisers of tables and variables): a graph can read and write
files. The values of variables are read when somebody asks, from the folder alone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]
from tensorflow.core.protobuf import saved_model_pb2  # type: ignore[import-untyped]

from isopter.capture.tensorflow import api
from isopter.capture.tensorflow.flat import RUNS_PYTHON, Flattener
from isopter.capture.tensorflow.program import Held, Program, said
from isopter.errors import CaptureError, UsageError

BIGGEST = 2**31
"""A protocol buffer is no larger."""

VARIABLES = frozenset("VarHandleOp VariableV2 Variable".split())

SERVED = "serving_default"


def stored_program(path: Path) -> tuple[Program, list[str]]:
    """The program in a folder, and the names of its inputs: those of the signature ``serving_default``, or of the only one.

    Raises UsageError where there is no such file, or several signatures; CaptureError for a file that is damaged, runs Python
    (``py_function``), or has ops that TensorFlow, as it is installed, does not.
    """
    meta = _read(path / "saved_model.pb")
    signature = _signature(path.name, {k: s for k, s in meta.signature_def.items() if s.inputs and s.outputs})
    nodes, library = meta.graph_def.node, {f.signature.name: f for f in meta.graph_def.library.function}
    inputs: dict[str, Any] = {}
    keys = sorted(signature.inputs)
    for key in keys:
        tensor = signature.inputs[key]
        node, _, at = tensor.name.partition(":")
        if at not in ("", "0") or node in inputs:
            raise CaptureError(f"The input {key!r} is the tensor {tensor.name!r}, which isopter does not read. Save the model again.")
        inputs[node] = tf.TensorShape(tensor.tensor_shape)
    outputs = {key: item.name if ":" in item.name else f"{item.name}:0" for key, item in sorted(signature.outputs.items())}
    held = _held(path, nodes, library)
    return Program(nodes, library, inputs, held, list(outputs.values()), list(outputs)), keys


def _read(file: Path) -> Any:
    if not file.is_file():
        raise UsageError(f"There is no {file}. Expected the folder of a SavedModel.")
    if not 0 < file.stat().st_size < BIGGEST:
        raise CaptureError(f"{file} has {file.stat().st_size:,} bytes, and a SavedModel has 1 to {BIGGEST:,}.")
    proto = saved_model_pb2.SavedModel()
    try:
        proto.ParseFromString(file.read_bytes())
    except Exception as error:  # the parser has several kinds
        raise CaptureError(f"{file} is no SavedModel, or is damaged ({said(error)}). Save the model again.") from error
    if not proto.meta_graphs or not proto.meta_graphs[0].graph_def.node:
        raise CaptureError(f"{file} holds no graph, and is no SavedModel. Save the model again.")
    meta = next((m for m in proto.meta_graphs if "serve" in m.meta_info_def.tags), proto.meta_graphs[0])
    functions = {f.signature.name for f in meta.graph_def.library.function}
    for node in (*meta.graph_def.node, *(n for f in meta.graph_def.library.function for n in f.node_def)):
        if node.op in RUNS_PYTHON:
            raise CaptureError(f"{file}: {node.name} ({node.op}) calls Python that is not in the file. Write it with TensorFlow's ops.")
        if node.op not in functions and api.definition_of(node.op) is None:
            raise CaptureError(f"{file}: {node.name} is an op {node.op!r} that this TensorFlow does not have. Load its library first.")
    return meta


def _signature(name: str, found: Mapping[str, Any]) -> Any:
    if SERVED in found:
        return found[SERVED]
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise UsageError(
            f"{name} has the signatures {', '.join(sorted(found))}, and none is {SERVED!r}. "
            "Give one of them: tf.saved_model.load(path).signatures[name]."
        )
    raise CaptureError(f"{name} has no signature. Save it with tf.saved_model.save(model, path, signatures=...), or load it and give that.")


# ---- variables -------------------------------------------------------------------------------------------------------------


def _held(path: Path, nodes: Any, library: Mapping[str, Any]) -> dict[str, Held]:
    keys: Mapping[str, str] | None = None
    held: dict[str, Held] = {}
    for node in nodes:
        if node.op in VARIABLES:
            keys = _keys(nodes, library) if keys is None else keys
            shape, dtype = tf.TensorShape(node.attr["shape"].shape), tf.as_dtype(node.attr["dtype"].type)
            known = tuple(shape.as_list()) if shape.is_fully_defined() else None
            load = functools.partial(_value, path, keys.get(node.name, ""), node.name, known)
            held[node.name] = Held(known, dtype, load, not (dtype.is_floating or dtype.is_complex))
    return held


def _keys(nodes: Any, library: Mapping[str, Any]) -> dict[str, str]:
    """By what name the value of each variable is stored: as the graph itself would restore it."""
    work = Flattener(library, used={node.name for node in nodes})
    work.add(nodes, {})
    found: dict[str, str] = {}
    for node in work.nodes.values():
        if node.op not in ("AssignVariableOp", "Assign") or len(node.input) < 2:
            continue
        variable, value = (work.resolve(t) for t in node.input[:2])
        source, _, at = value.partition(":")
        while source in work.nodes and work.nodes[source].op == "Identity":
            source, _, at = work.resolve(work.nodes[source].input[0]).partition(":")
        restore = work.nodes.get(source)
        names = None if restore is None or restore.op != "RestoreV2" else work.nodes.get(work.resolve(restore.input[1]).partition(":")[0])
        if names is not None and names.op == "Const":
            texts = tf.make_ndarray(names.attr["value"].tensor).reshape(-1)
            if int(at or 0) < len(texts):
                found[variable.partition(":")[0]] = texts[int(at or 0)].decode("utf-8", "replace")
    return found


def _value(path: Path, key: str, name: str, shape: tuple[int, ...] | None) -> np.ndarray:
    """The value of a variable, from the files in the folder ``variables``."""
    root = path.resolve()
    files = list((path / "variables").glob("variables.*"))
    if any(not file.resolve().is_relative_to(root) for file in files):
        raise CaptureError(f"{path / 'variables'} leads out of the model's folder. Save the model again.")
    try:
        value = np.asarray(tf.train.load_checkpoint(str(path / "variables" / "variables")).get_tensor(key))
    except Exception as error:
        raise CaptureError(f"The value of the variable {name!r} is not in {path / 'variables'} ({said(error)}).") from error
    if shape is not None and value.shape != shape:
        raise CaptureError(f"The variable {name!r} has the shape {shape} in the graph, and {value.shape} in {path / 'variables'}.")
    return value
