"""From a ModelProto to a Graph: nodes in order, functions and decided branches taken apart, everything else translated or bounded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import AttributeProto

from isopter.capture.onnx import translate
from isopter.capture.onnx.file import DEEPEST, NEWEST_TESTED, NODES, checked_model, expanded, opsets, read_model
from isopter.capture.onnx.fold import folded
from isopter.capture.onnx.functions import Known, captured, function_of, imports_of, without
from isopter.capture.onnx.infer import inferred, known_shape, known_type, sane, schema_of, tensor_type
from isopter.capture.onnx.inputs import sized
from isopter.capture.onnx.names import place_of
from isopter.capture.onnx.node import Node, attributes_of
from isopter.capture.onnx.tensors import LOADED, constant, shape_of
from isopter.capture.onnx.translate.pointwise import POINTWISE
from isopter.capture.static.builder import Builder, finish
from isopter.capture.static.values import Const, Data, Lost, Value, Weight
from isopter.errors import CaptureError, GraphError, UsageError
from isopter.graph import Graph, Shape

TOO_MANY = f"it has more than {NODES:,} nodes, once functions and branches are taken apart."

RANDOM_LIKE = frozenset("EyeLike RandomNormalLike RandomUniformLike".split())
"""Ops of the shape of another tensor, whose values they do not read."""

NORMS = frozenset("GroupNormalization InstanceNormalization LpNormalization LRN MeanVarianceNormalization RMSNormalization".split())
"""Ops of one output, of the shape of their first input. Inference leaves out that of some which are functions."""

RANDOM = frozenset("RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial".split())


def onnx_graph(model: Any, size: Shape | None, inputs: Any, training: bool) -> tuple[Graph, str]:
    """The graph of an ONNX file (by path) or ModelProto, and a name for it."""
    if training:
        raise UsageError("An ONNX model holds a network as it runs after training. For training=True, analyse the module it came from.")
    home, name = None, ""
    if isinstance(model, str | Path):
        path = Path(model).expanduser()
        home, name, model = path, path.name, read_model(path)
    else:
        model = checked_model(model)
    try:
        return Capture(model, home).run(size, inputs), name or model.graph.name or "model.onnx"
    except UsageError:
        raise
    except (CaptureError, GraphError) as error:
        raise CaptureError(f"{name or 'The model'}: {error}") from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, ZeroDivisionError) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CaptureError(f"{name or 'The model'}: it breaks the rules of ONNX ({said}). Check the file with onnx.checker.") from error


class Capture:
    """One walk over the nodes of a model."""

    def __init__(self, model: Any, home: Path | None) -> None:
        self.model = model
        self.home = home
        self.rec = Builder()
        self.made: dict[str, tuple[str, int]] = {}
        self.functions = {(f.domain, f.name, getattr(f, "overload", "")): f for f in model.functions}
        self.seen = 0
        self.known: Known = {}
        self.declared: dict[str, Any] = {}

    def run(self, size: Shape | None, inputs: Any) -> Graph:
        """Read the inputs, walk all nodes, and finish the graph."""
        graph = self.model.graph
        if expanded(self.model) > NODES:
            raise CaptureError(TOO_MANY)
        known = self.known
        names: dict[str, int] = {}
        for name, (shape, dtype) in sized(graph, size, inputs).items():
            self.rec.label = name
            value: Value = Data(self.rec.emit("input", shape, (), {}, name)) if shape else Weight(shape)
            known[name] = value, tensor_type(shape, dtype)
            if isinstance(value, Data):
                names[name] = value.op
        if not names:
            raise CaptureError("its inputs are single numbers: there is no space to see.")
        self.declared = {v.name: v.type for v in (*graph.value_info, *graph.output)}
        self._constants(graph, known)
        version = opsets(self.model.opset_import).get("", 0)
        if version > NEWEST_TESTED:
            newer = f"Opset {version} is newer than isopter knows ({NEWEST_TESTED}): ops may have changed"
            self.rec.issues[(newer, "the model itself")] += 1
        self._walk(graph.node, known, self.model.opset_import, None, "", "", 0)
        outputs: dict[str, int] = {}
        for item in graph.output:
            found = self._find(known, item.name, "the graph's outputs")
            if isinstance(found, Data):
                outputs[item.name] = found.op
            elif isinstance(found, Lost):
                self.rec.module, self.rec.label = "", item.name
                outputs[item.name] = self.rec.emit("opaque", (), found.ops, {}, "output")  # its shape is not known, and may be any
        return finish(self.rec, names, self.made, outputs)

    # ---- nodes ---------------------------------------------------------------------------------------------------------

    def _walk(self, nodes: Any, known: Known, imports: Any, given: Mapping[str, Any] | None, module: str, within: str, depth: int) -> None:
        """Translate nodes in order; `given` are a function's attributes, `module` and `within` its caller's module and label."""
        if depth > DEEPEST:
            raise CaptureError(f"{within}: functions or branches are nested more than {DEEPEST} deep, or call themselves.")
        versions = opsets(imports)
        for proto in nodes:
            self.seen += 1
            if self.seen > NODES:
                raise CaptureError(TOO_MANY)
            path, label = place_of(proto)
            label = f"{within}.{label}" if within else label
            self.rec.module, self.rec.label = module or path, label
            proto, attributes = attributes_of(proto, given)
            ins = [None if not n else self._find(known, n, f"{label} ({proto.op_type})") for n in proto.input]
            values, types = self._node(proto, attributes, ins, known, imports, versions, depth)
            for name, value, kind in zip(proto.output, values, types, strict=True):
                if not name:
                    continue
                if name in known:
                    raise CaptureError(f"{label}: the value {name!r} is made twice. The file is damaged.")
                known[name] = value, kind
                if isinstance(value, Data) and not within:
                    self.made[name] = (label if name == proto.output[0] else f"{label}:{list(proto.output).index(name)}"), value.op

    def _find(self, known: Known, name: str, who: str) -> Value:
        if name not in known:
            raise CaptureError(
                f"{who} reads {name!r}, which no earlier node makes, and which is no input or stored tensor: "
                "the graph is cyclic, cut, or not in order. Export the model again."
            )
        return known[name][0]

    def _node(
        self,
        proto: Any,
        attributes: dict[str, Any],
        ins: list[Value | None],
        known: Known,
        imports: Any,
        versions: dict[str, int],
        depth: int,
    ) -> tuple[list[Value], list[Any]]:
        label = self.rec.label
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        body = self.functions.get((proto.domain, proto.op_type, getattr(proto, "overload", "")))
        if body is not None:
            return self._call(body, proto, known, body.opset_import, depth)
        version = versions.get(domain, 1 if domain else 0)
        if not version and domain == "":
            raise CaptureError(f"{label} is an op of ai.onnx, and the file does not say of which opset.")
        schema = schema_of(proto.op_type, version, domain)
        if proto.op_type == "If" and not domain and isinstance(taken := ins[0] if ins else None, Const):
            return self._branch(proto, taken, known, imports, depth)
        shapes = tuple(self._shape(n, known) for n in proto.input)
        sane(label, proto.op_type, attributes, shapes, len(proto.output))
        types = self._types(schema, proto, known, imports)
        outs = tuple(known_shape(n, k) for n, k in zip(proto.output, types, strict=True))
        if not domain and _keeps_shape(proto.op_type) and None in outs and None not in shapes:
            outs = _broadcast(shapes[:1] if proto.op_type in NORMS else shapes, outs)
            kind = known[proto.input[0]][1]
            types = [known_type(o, k, kind) for o, k in zip(outs, types, strict=True)]
        node = Node(proto.op_type, label, tuple(ins), shapes, outs, proto, version, attributes)
        if any(a.HasField("g") or a.graphs for a in proto.attribute):
            return self._bounded(node, known, types), types
        if not any(isinstance(v, Data | Lost) for v in ins) or (not domain and _asks_no_value(node)):
            return self._still(node), types
        lost = any(isinstance(v, Lost) for v in ins)
        plain = lost or translate.knows(domain, node.op) or schema is None
        if not plain and (function := function_of(schema, proto, known)) is not None:
            return self._call(function, proto, known, imports_of(function, versions), depth)
        if lost or None in [o for n, o in zip(proto.output, outs, strict=True) if n]:
            return self._lost(node), types
        return translate.translate(self.rec, node, domain), types

    def _types(self, schema: Any, proto: Any, known: Known, imports: Any) -> list[Any]:
        still = proto.op_type == "Range" and all(isinstance(known[n][0], Const) for n in proto.input)
        found = {} if schema is None or still else inferred(schema, proto, known, imports, self.rec.label)
        types: list[Any] = []
        for name in proto.output:
            kind = found.get(name)
            if known_shape(name, kind) is None and (kind is None or kind.WhichOneof("value") in (None, "tensor_type")):
                declared = self.declared.get(name)
                kind = declared if known_shape(name, declared) is not None else kind
            types.append(kind)
        return types

    def _shape(self, name: str, known: Known) -> Shape | None:
        if not name:
            return None
        value, kind = known[name]
        if isinstance(value, Data):
            return self.rec.shape(value.op)
        return value.shape if isinstance(value, Const | Weight) else known_shape(name, kind)

    # ---- values that no op of the graph makes ----------------------------------------------------------------------------

    def _constants(self, graph: Any, known: Known) -> None:
        for tensor in graph.initializer:
            if tensor.name and tensor.name not in known:
                known[tensor.name] = constant(tensor, self.home), tensor_type(tuple(tensor.dims), tensor.data_type)
        for sparse in graph.sparse_initializer:
            shape = shape_of(sparse.values.name, sparse.dims)
            known[sparse.values.name] = Weight(shape), tensor_type(shape, sparse.values.data_type)

    def _still(self, node: Node) -> list[Value]:
        """Outputs of a node that reads no data: evaluated where it is worth it."""
        if node.op == "Constant":
            return [_constant_node(node, self.home)]
        if node.op in ("Shape", "Size") and node.shapes[0] is not None:
            return [Const.of(_shape_values(node))]
        if node.op in ("EyeLike", "CastLike") and node.outs[0] is not None:
            return [_like(node)]
        found = None if node.op in RANDOM else folded(node)
        return [Weight(o) for o in node.outs] if found is None else found

    def _lost(self, node: Node) -> list[Value]:
        """A node of values without a known shape: bounded where its own result has one again."""
        ops: dict[int, None] = {}
        for value in node.inputs:
            ops |= dict.fromkeys(value.ops if isinstance(value, Lost) else (value.op,) if isinstance(value, Data) else ())
        if any(isinstance(v, Lost) for v in node.inputs):
            why = f"{node.op} reads a value whose shape other values decide: bounded by all that one read"
        else:
            why = f"{node.op} gives a shape that values decide: what follows is bounded by all that it reads"
        results: list[Value] = []
        for shape in node.outs:
            results.append(Lost(tuple(ops)) if shape is None else Data(self.rec.opaque([shape], ops, node.op, why)[0]))
        if None in node.outs:
            self.rec.issue(why)
        return results

    # ---- graphs inside nodes -----------------------------------------------------------------------------------------------

    def _call(self, body: Any, proto: Any, known: Known, imports: Any, depth: int) -> tuple[list[Value], list[Any]]:
        """A function, taken apart where it is called."""
        label, module = self.rec.label, self.rec.module
        inner: Known = {}
        for position, name in enumerate(body.input):
            given = proto.input[position] if position < len(proto.input) else ""
            inner[name] = known[given] if given else (Weight((0,)), None)
        attributes = {a.name: a for a in body.attribute_proto} | {a.name: a for a in proto.attribute}
        nodes, absent = without(body, {n for k, n in enumerate(body.input) if k >= len(proto.input) or not proto.input[k]})
        for name in absent:
            inner.pop(name, None)
        self._walk(nodes, inner, imports or self.model.opset_import, attributes, module, label, depth + 1)
        self.rec.label, self.rec.module = label, module
        if len(body.output) < len(proto.output):
            raise CaptureError(f"{label}: the function {body.name} returns {len(body.output)} values, and {len(proto.output)} are used.")
        pairs = list(zip(body.output, proto.output, strict=False))
        values: list[Value] = [self._find(inner, name, label) if used else Weight(None) for name, used in pairs]
        return values, [inner[name][1] if used else None for name, used in pairs]

    def _branch(self, proto: Any, condition: Value, known: Known, imports: Any, depth: int) -> tuple[list[Value], list[Any]]:
        """The branch that a constant condition takes."""
        assert isinstance(condition, Const)
        label, module = self.rec.label, self.rec.module
        taken = condition.load()
        wanted = "then_branch" if taken is not None and bool(np.asarray(taken).reshape(-1)[:1].any()) else "else_branch"
        graph = next((a.g for a in proto.attribute if a.name == wanted), None)
        if graph is None or len(graph.output) != len(proto.output):
            raise CaptureError(f"{label}: its {wanted} is missing, or returns another number of values.")
        inner = dict(known)
        self._constants(graph, inner)
        self._walk(graph.node, inner, imports, None, module, label, depth + 1)
        self.rec.label, self.rec.module = label, module
        found = [(self._find(inner, o.name, label), inner[o.name][1]) for o in graph.output]
        return [value for value, _ in found], [kind for _, kind in found]

    def _bounded(self, node: Node, known: Known, types: Sequence[Any]) -> list[Value]:
        """If, Loop and Scan, whose path values decide: each result may read all that the node and its graphs read."""
        read = [v for v in node.inputs if v is not None] + [known[n][0] for n in captured(node.proto, 0) if n in known]
        ops: dict[int, None] = {}
        for value in read:
            ops |= dict.fromkeys(value.ops if isinstance(value, Lost) else (value.op,) if isinstance(value, Data) else ())
        if not ops:
            return [Weight(o) for o in node.outs]
        why = f"{node.op} is not followed: bounded by all that it reads"
        self.rec.issue(why)
        return [Lost(tuple(ops)) if o is None else Data(self.rec.emit("opaque", o, tuple(ops), {}, node.op)) for o in node.outs]


def _asks_no_value(node: Node) -> bool:
    """Whether an op looks at no more than the shape and type of the data it gets."""
    if node.op in ("Shape", "Size"):
        return node.shapes[0] is not None
    return node.op in RANDOM_LIKE or (node.op == "CastLike" and not isinstance(node.inputs[0], Data | Lost))


def _like(node: Node) -> Value:
    """A matrix of the shape of another, a constant in the type of another."""
    out = node.outs[0]
    assert out is not None
    if node.op == "EyeLike":
        return Const.of(np.eye(out[0], out[-1], k=int(node.attr("k", 0)))) if math.prod(out) <= LOADED else Weight(out)
    value = node.inputs[0]
    return value if isinstance(value, Const) else Weight(out)


def _keeps_shape(op: str) -> bool:
    """Whether an op gives the shape its inputs broadcast to: inference of old opsets leaves that out here and there."""
    return op == "Dropout" or op in POINTWISE or op in NORMS


def _broadcast(shapes: Sequence[Shape | None], outs: Sequence[Shape | None]) -> tuple[Shape | None, ...]:
    first = [s for s in shapes if s is not None][:1] if len(outs) > 1 else [s for s in shapes if s is not None]
    try:
        common = np.broadcast_shapes(*first)
    except ValueError:
        return tuple(outs)
    return tuple(common if o is None else o for o in outs)


def _shape_values(node: Node) -> np.ndarray:
    shape = node.shape(0)
    if node.op == "Size":
        return np.asarray(math.prod(shape), np.int64)
    rank = len(shape)
    start, end = int(node.attr("start", 0)), int(node.attr("end", rank))
    return np.asarray(shape[slice(start, end)], np.int64)


def _constant_node(node: Node, home: Path | None) -> Value:
    for attribute in node.proto.attribute:
        if attribute.type == AttributeProto.TENSOR:
            return constant(attribute.t, home)
        if attribute.name in ("value_float", "value_floats"):
            return Const.of(np.asarray(node.attributes[attribute.name], np.float32))
        if attribute.name in ("value_int", "value_ints"):
            return Const.of(np.asarray(node.attributes[attribute.name], np.int64))
    return Weight(node.outs[0])


