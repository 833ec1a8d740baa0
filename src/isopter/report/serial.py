"""Graphs as plain data for JSON, and back without loss.

JSON knows no tuples, fractions, arrays, infinities or integer keys. A JSON list stands for a tuple; everything else is an object with
one tag: ``{"list": [...]}``, ``{"dict": [[key, value], ...]}``, ``{"fraction": "1/2"}``, ``{"float": "inf"}``,
``{"array": "int64", "shape": [...], "data": [...]}``, and for booleans ``{"bits": "<base64>", "shape": [...]}``.

A checksum covers the whole: a file changed after it was written is refused instead of answering wrongly.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from isopter.errors import UsageError
from isopter.graph import Graph, Issue, Op

_OP_KEYS = {"name", "kind", "shape", "inputs", "params", "module", "source"}
_GRAPH_KEYS = {"ops", "outputs", "layers", "input_names", "calls", "issues"}


def graph_to_dict(graph: Graph) -> dict[str, Any]:
    """The graph as dicts, lists, text and numbers. Raises UsageError for an op parameter that is no plain value."""
    data: dict[str, Any] = {
        "ops": [_op_to_dict(op) for op in graph.ops],
        "outputs": [int(i) for i in graph.outputs],
        "layers": {name: int(i) for name, i in graph.layers.items()},
        "input_names": {name: int(i) for name, i in graph.input_names.items()},
        "calls": [[name, encode(call)] for name, call in graph.calls.items()],
        "issues": [[issue.where, issue.what, issue.uses] for issue in graph.issues],
    }
    return {**data, "checksum": _checksum(data)}


def graph_from_dict(data: Mapping[str, Any]) -> Graph:
    """The graph that `graph_to_dict` described. Raises ValueError or KeyError if the data is damaged."""
    if not isinstance(data, Mapping):
        raise ValueError(f"the graph must be an object, not {type(data).__name__}")
    body = {key: data[key] for key in sorted(_GRAPH_KEYS)}
    if set(data) != _GRAPH_KEYS | {"checksum"}:
        raise ValueError(f"the graph has unknown parts: {', '.join(sorted(map(str, set(data) - _GRAPH_KEYS)))}")
    try:
        if data["checksum"] != _checksum(body):
            raise ValueError("the graph was changed after it was written (its checksum differs)")
        return Graph(
            ops=tuple(_op_from_dict(op) for op in body["ops"]),
            outputs=_ints(body["outputs"]),
            layers={_text(k): _int(v) for k, v in body["layers"].items()},
            input_names={_text(k): _int(v) for k, v in body["input_names"].items()},
            calls={_text(k): decode(v) for k, v in body["calls"]},
            issues=tuple(Issue(_text(where), _text(what), _int(uses)) for where, what, uses in body["issues"]),
        )
    except (TypeError, AttributeError, IndexError, OverflowError, RecursionError, ZeroDivisionError) as error:
        raise ValueError(f"the graph is malformed ({type(error).__name__}: {error})") from error


def _checksum(body: Mapping[str, Any]) -> str:
    canonical = json.dumps({k: body[k] for k in body if k != "checksum"}, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _op_to_dict(op: Op) -> dict[str, Any]:
    try:
        params = {key: encode(value) for key, value in op.params.items()}
    except TypeError as error:
        raise UsageError(f"{op.name} ({op.kind}) cannot be written as JSON: {error}. Give it numbers, text and arrays.") from error
    return {
        "name": op.name,
        "kind": op.kind,
        "shape": [int(n) for n in op.shape],
        "inputs": [int(i) for i in op.inputs],
        "params": params,
        "module": op.module,
        "source": op.source,
    }


def _op_from_dict(data: Mapping[str, Any]) -> Op:
    if set(data) != _OP_KEYS:
        raise ValueError(f"an op must have {', '.join(sorted(_OP_KEYS))}, and has {', '.join(sorted(map(str, data)))}")
    return Op(
        name=_text(data["name"]),
        kind=_text(data["kind"]),
        shape=_ints(data["shape"]),
        inputs=_ints(data["inputs"]),
        params={_text(key): decode(value) for key, value in data["params"].items()},
        module=_text(data["module"]),
        source=_text(data["source"]),
    )


def encode(value: Any) -> Any:
    """A parameter for JSON. Raises TypeError for what is no plain value."""
    match value:
        case None | bool() | str():
            return value
        case np.ndarray():
            return _encode_array(value)
        case np.generic():
            return encode(value.item())
        case int():
            return int(value)
        case float():
            return value if math.isfinite(value) else {"float": repr(value)}
        case Fraction():
            return {"fraction": f"{value.numerator}/{value.denominator}"}
        case tuple():
            return [encode(v) for v in value]
        case list():
            return {"list": [encode(v) for v in value]}
        case Mapping():
            return {"dict": [[encode(k), encode(v)] for k, v in value.items()]}
        case _:
            raise TypeError(f"a {type(value).__name__} is no plain value")


def decode(data: Any) -> Any:
    """What `encode` made the data from. Raises ValueError if it was made from nothing."""
    match data:
        case None | bool() | str() | int() | float():
            return data
        case list():
            return tuple(decode(v) for v in data)
        case {"list": list() as items, **rest} if not rest:
            return [decode(v) for v in items]
        case {"dict": list() as items, **rest} if not rest:
            return {decode(k): decode(v) for k, v in items}
        case {"fraction": str() as text, **rest} if not rest:
            return Fraction(text)
        case {"float": "inf" | "-inf" | "nan" as text, **rest} if not rest:
            return float(text)
        case {"bits": str() as text, "shape": shape, **rest} if not rest:
            return _decode_bits(text, _ints(shape))
        case {"array": str() as dtype, "shape": shape, "data": list() as items, **rest} if not rest:
            return _decode_array(dtype, _ints(shape), items)
        case _:
            raise ValueError(f"{str(data)[:60]} stands for no value")


def _encode_array(array: np.ndarray) -> dict[str, Any]:
    if array.dtype == np.bool_:
        bits = base64.b64encode(np.packbits(array.reshape(-1)).tobytes()).decode("ascii")
        return {"bits": bits, "shape": list(array.shape)}
    if array.dtype.kind not in "iuf":
        raise TypeError(f"an array of {array.dtype} is no plain value")
    flat = array.reshape(-1).tolist()
    return {"array": array.dtype.name, "shape": list(array.shape), "data": flat if array.dtype.kind != "f" else [encode(v) for v in flat]}


def _decode_bits(text: str, shape: tuple[int, ...]) -> np.ndarray:
    raw = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    count = math.prod(shape)
    if len(raw) != -(-count // 8):
        raise ValueError(f"{len(raw)} bytes of bits cannot fill shape {shape}")
    return np.unpackbits(raw, count=count).astype(np.bool_).reshape(shape)


def _decode_array(name: str, shape: tuple[int, ...], items: list[Any]) -> np.ndarray:
    dtype = np.dtype(name)
    if dtype.kind not in "iuf":
        raise ValueError(f"an array of {name} stands for no value")
    values = [decode(v) for v in items]
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        raise ValueError("an array must hold numbers")
    return np.array(values, dtype).reshape(shape)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} must be text")
    return value


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} must be a whole number")
    return value


def _ints(values: object) -> tuple[int, ...]:
    if not isinstance(values, list):
        raise ValueError(f"{values!r} must be a list of whole numbers")
    return tuple(_int(v) for v in values)
