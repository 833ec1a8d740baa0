"""Shapes by onnx's own inference, node by node, with every number that is known by then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TypeProto, defs, helper, numpy_helper, shape_inference

from isopter.capture.onnx.tensors import shape_of
from isopter.capture.static.values import Const, Value
from isopter.errors import CaptureError
from isopter.graph import Shape

TOLD = 1024
"""Entries of a constant that inference is told at most: it asks for shapes, axes and counts."""

_ASKS_FLOATS = frozenset("Resize Upsample Range".split())


def tensor_type(shape: Shape | None, dtype: int) -> Any:
    """The type of a tensor."""
    return helper.make_tensor_type_proto(dtype, shape)


def known_shape(name: str, kind: Any) -> Shape | None:
    """The shape a type tells, if it tells all of it."""
    if kind is None or kind.WhichOneof("value") != "tensor_type" or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    if any(d.WhichOneof("value") != "dim_value" for d in dims):
        return None
    return shape_of(name, (d.dim_value for d in dims))


def known_type(shape: Shape | None, kind: Any, like: Any) -> Any:
    """The type of a tensor of this shape: `kind` where that is known, with elements like those of another type where they are not."""
    if shape is None or like is None or (kind is not None and kind.WhichOneof("value") not in (None, "tensor_type")):
        return kind
    own = 0 if kind is None else kind.tensor_type.elem_type
    return tensor_type(shape, own or like.tensor_type.elem_type)


def schema_of(op: str, version: int, domain: str) -> Any:
    """What onnx knows of an op of this opset, or None."""
    try:
        return defs.get_schema(op, version, domain)
    except defs.SchemaError:
        return None


_LOOSE = frozenset("ConcatFromSequence DequantizeLinear Flatten OneHot QuantizeLinear SequenceAt SplitToSequence Unsqueeze".split())
"""Ops whose axis may lie outside of their first input."""


def sane(label: str, op: str, attributes: Mapping[str, Any], shapes: Sequence[Shape | None], outputs: int) -> None:
    """Raise CaptureError for axes that no tensor has: onnx's inference does not always look, and would read memory that is not there."""
    first = shapes[0] if shapes else None
    rank = 64 if first is None or op in _LOOSE else max(len(first), 1)
    for name in ("axis", "axes", "perm", "batch_axis", "time_axis", "batch_dims"):
        given = attributes.get(name, [])
        axes = given if isinstance(given, list) else [given]
        if any(isinstance(a, int) and not -rank <= a < rank + (name == "batch_dims") for a in axes):
            raise CaptureError(f"{label}: {op} along axis {given} of a tensor of {rank} axes. The file is damaged.")
    if op == "Split" and (attributes.get("num_outputs", outputs) != outputs or len(attributes.get("split", range(outputs))) != outputs):
        raise CaptureError(f"{label}: Split has {outputs} outputs, and another number of parts. The file is damaged.")


def inferred(schema: Any, node: Any, known: Mapping[str, tuple[Value, Any]], imports: Any, label: str) -> dict[str, Any]:
    """Types of the node's outputs, as far as they follow. Raises CaptureError, in onnx's words, where the inputs do not fit the op."""
    holds_graphs = any(a.HasField("g") or a.graphs for a in node.attribute)
    names = known if holds_graphs else dict.fromkeys(n for n in node.input if n)
    types = {name: kind for name in names if (kind := _type_of(*known[name])) is not None}
    if any(n and n not in types for n in node.input):
        return {}
    told = {name: tensor for name in node.input if name and (tensor := _told(node.op_type, known[name][0])) is not None}
    try:
        found = shape_inference.infer_node_outputs(schema, node, types, told, opset_imports=imports)
    except Exception as error:
        said = " ".join(str(error).split())[:240]
        raise CaptureError(f"{label}: {node.op_type} does not fit its inputs ({said}). Check the file with onnx.checker.") from error
    return {name: kind for name, kind in found.items() if isinstance(kind, TypeProto)}


def _type_of(value: Value, kind: Any) -> Any:
    """The type that inference gave, or else that of the numbers that are known by now (of a range)."""
    if kind is not None or not isinstance(value, Const) or (array := value.load()) is None:
        return kind
    return tensor_type(array.shape, helper.np_dtype_to_tensor_dtype(array.dtype))


def _told(op: str, value: Value) -> Any:
    if not isinstance(value, Const) or math.prod(value.shape) > TOLD:
        return None
    known = value.load()
    if known is None or known.dtype.kind not in ("iufb" if op in _ASKS_FLOATS else "iub"):
        return None
    return numpy_helper.from_array(np.asarray(known, order="C"))
