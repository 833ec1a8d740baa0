"""One node of an ONNX graph, as a translator sees it: values in, shapes out, attributes as plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import AttributeProto, NodeProto, helper

from isopter.capture.static import node as static
from isopter.capture.static.node import Unknown
from isopter.capture.static.values import Const, Value, Weight
from isopter.errors import CaptureError

_GRAPHS = (AttributeProto.GRAPH, AttributeProto.GRAPHS)


@dataclass(frozen=True, eq=False, slots=True)
class Node(static.Node):
    """`version` is the opset of the node's domain."""

    proto: Any
    version: int
    attributes: Mapping[str, Any]

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default` where it is absent."""
        return self.attributes.get(name, default)

    def value(self, position: int) -> Value | None:
        """An input, or None where it is left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def has(self, position: int) -> bool:
        """Whether an optional input is there."""
        return self.value(position) is not None

    def const(self, position: int) -> np.ndarray | None:
        """The numbers of a constant input, else None."""
        value = self.value(position)
        return value.load() if isinstance(value, Const) else None

    def ints(self, name: str, position: int | None = None) -> tuple[int, ...] | None:
        """Whole numbers that older opsets keep in an attribute and newer ones in a constant input; None where there are neither.

        Raises `Unknown` where values decide them.
        """
        if self.attr(name) is not None:
            found = self.attr(name)
            return tuple(int(v) for v in (found if isinstance(found, list) else [found]))
        if position is None or not self.has(position):
            return None
        known = self.const(position)
        if known is None:
            raise Unknown(name)
        return tuple(int(v) for v in known.reshape(-1))

    def axis(self, default: int, position: int = 0) -> int:
        """The attribute ``axis``, counted from the front of an input."""
        rank = len(self.shape(position))
        axis = int(self.attr("axis", default))
        if not -rank <= axis < max(rank, 1):
            raise CaptureError(f"{self.label}: axis {axis} of a tensor of {rank} axes.")
        return axis % max(rank, 1)


def attributes_of(proto: Any, given: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
    """The node with references to a function's attributes filled in from `given`, and its attributes as plain Python, but for
    graphs."""
    if any(a.ref_attr_name for a in proto.attribute):
        filled = NodeProto()
        filled.CopyFrom(proto)
        del filled.attribute[:]
        for item in proto.attribute:
            if not item.ref_attr_name:
                filled.attribute.append(item)
            elif (there := (given or {}).get(item.ref_attr_name)) is not None:
                own = AttributeProto()
                own.CopyFrom(there)
                own.name = item.name
                filled.attribute.append(own)
        proto = filled
    return proto, {a.name: _plain(helper.get_attribute_value(a)) for a in proto.attribute if a.type not in _GRAPHS}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    return value


def weight_of(node: Node, position: int) -> Weight | Const | None:
    """An input that is no data: a weight or a constant."""
    value = node.value(position)
    return value if isinstance(value, Weight | Const) else None
