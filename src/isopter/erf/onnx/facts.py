"""Values of one forward pass of an ONNX model: onnxruntime runs it, and onnx's own reference repeats single nodes in double precision."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from isopter.capture.onnx.capture import Capture
from isopter.capture.onnx.file import checked_model, read_model
from isopter.capture.onnx.inputs import sized
from isopter.capture.onnx.probe import opened, runtime, said
from isopter.capture.static.values import Data
from isopter.erf.facts import Facts, measured
from isopter.erf.passes import by_name, check_same, finals, given, nearest
from isopter.errors import CaptureError
from isopter.fields.plan import Plan
from isopter.graph import Shape

PRODUCTS = frozenset("Conv ConvTranspose Gemm MatMul Einsum FusedConv".split())

NARROW = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def facts(plan: Plan, model: Any, data: Any, seed: int) -> Facts:
    """See `isopter.erf.live.Measures`."""
    package = runtime("The forward pass of an ONNX model")
    home = Path(model).expanduser() if isinstance(model, str | Path) else None
    proto = checked_model(model) if home is None else read_model(home, whole=True)
    data = given(plan, data, seed)
    shapes = sized(proto.graph, None, data)
    title = home.name if home is not None else proto.graph.name or "The model"
    values = by_name(data, {name: shape for name, (shape, _) in shapes.items()}, title)
    feeds = {name: _fed(values.get(name), shape, code) for name, (shape, code) in shapes.items()}
    capture = Capture(proto, home)
    graph = capture.run(None, data)
    check_same(plan.graph, graph, title)
    return measured(plan, OnnxPass(package, capture, graph, feeds))


def _fed(value: Any, shape: Shape, code: int) -> npt.NDArray[Any]:
    """An input in the type that the model asks for; ones where none is given."""
    dtype = helper.tensor_dtype_to_np_dtype(code)
    return np.ones(shape, dtype) if value is None else np.asarray(value).astype(dtype)


class Erf(OpRun):
    """In double precision; that of onnx's reference is in single."""

    op_domain = ""

    def _run(self, x: Any) -> tuple[Any]:
        return (np.vectorize(math.erf, otypes=[np.float64])(x),)


class OnnxPass:
    """A model that was run, see `isopter.erf.live.Pass`. Values inside of functions have no names, and are not there."""

    def __init__(self, package: Any, capture: Capture, graph: Any, feeds: Mapping[str, npt.NDArray[Any]]) -> None:
        self.graph, self.model, self.feeds = graph, capture.model, feeds
        new = finals(capture.rec.ops, graph)
        self._names: dict[int, list[str]] = {}
        """By op, the values that are its: one is what it made, others are that again (Identity)."""
        for name, (value, _) in capture.known.items():
            if isinstance(value, Data) and value.op in new:
                self._names.setdefault(new[value.op], []).append(name)
        self._data = {name for name, (value, _) in capture.known.items() if isinstance(value, Data)}
        self._nodes = {name: (at, node) for at, node in enumerate(self.model.graph.node) for name in node.output if name}
        self._stored = {t.name: t for t in self.model.graph.initializer}
        self._folder = str(capture.home.parent.resolve()) if capture.home is not None else ""
        wanted = {names[-1] for names in self._names.values()} - feeds.keys()
        still = {n for node in self.model.graph.node for n in node.input if n in self._nodes and n not in self._data}
        self._values = dict(feeds) | self._run(package, capture.home, sorted(wanted | still))

    def _run(self, package: Any, home: Path | None, names: list[str]) -> dict[str, npt.NDArray[Any]]:
        model = ModelProto()
        model.CopyFrom(self.model)
        del model.graph.output[:]
        model.graph.output.extend(ValueInfoProto(name=name) for name in names)
        session = opened(package, model, home, as_written=True)
        try:
            return dict(zip(names, session.run(names, dict(self.feeds)), strict=True))
        except Exception as error:
            raise CaptureError(f"onnxruntime could not run the model on these data: {said(error)}") from error

    def value(self, op: int) -> npt.NDArray[Any] | None:
        """What an op made."""
        found = self._values.get(self._names[op][-1]) if op in self._names else None
        return found if isinstance(found, np.ndarray) and found.shape == self.graph.ops[op].shape else None

    def again(self, op: int, source: int, given: npt.NDArray[np.float64]) -> npt.NDArray[Any] | None:
        """What an op makes of another value of `source`."""
        if op not in self._names or source not in self._names:
            return None
        others = self.graph.ops[op].inputs if source in self.graph.ops[op].inputs else ()
        known = {name: self._values[self._names[i][-1]] for i in others if i in self._names for name in self._names[i]}
        known |= dict.fromkeys(self._names[source], given)
        target = self._names[op][-1]
        nodes = self._between(target, set(known))
        if not nodes or not any(n in self._names[source] for node in nodes for n in node.input):
            return None
        made = {name for node in nodes for name in node.output}
        outside = {n for node in nodes for n in node.input if n and n not in made}
        numbers = {n: known[n] if n in known else self._still(n) for n in sorted(outside)}
        if any(x is None for x in numbers.values()):
            return None
        wide = {n: x.astype(np.float64) if x.dtype.kind == "f" else x for n, x in numbers.items() if x is not None}
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                (found,) = self._evaluator(nodes, wide, target).run(None, wide)
        except Exception:  # whatever onnx's reference does not know: what it would tell stays assumed
            return None
        return found if isinstance(found, np.ndarray) else np.asarray(found)

    def _evaluator(self, nodes: list[Any], given: Mapping[str, npt.NDArray[Any]], target: str) -> ReferenceEvaluator:
        inputs = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for n, x in given.items()]
        graph = helper.make_graph([_widened(node) for node in nodes], "part", inputs, [ValueInfoProto(name=target)])
        return ReferenceEvaluator(helper.make_model(graph, opset_imports=self.model.opset_import), new_ops=[Erf])

    def weights(self, op: int) -> list[npt.NDArray[Any]]:
        """What products multiply their input by."""
        if op not in self._names:
            return []
        stop = nearest(self.graph, op, self._names)
        nodes = [node for node in self._between(self._names[op][-1], stop) if node.op_type in PRODUCTS]
        found = [self._still(n) for node in nodes for n in node.input if n and n not in self._data]
        return [x for x in found if x is not None]

    def _still(self, name: str) -> npt.NDArray[Any] | None:
        """A value that no input reaches."""
        if name in self._stored and name not in self._values:
            self._values[name] = numpy_helper.to_array(self._stored[name], self._folder)
        return self._values.get(name)

    def _between(self, target: str, stop: set[str]) -> list[Any]:
        """The nodes, in order, that lead from the values `stop` to this one."""
        found: dict[int, Any] = {}
        waiting = [target]
        while waiting:
            name = waiting.pop()
            if name in stop or name not in self._nodes or name not in self._data:
                continue
            at, node = self._nodes[name]
            if at not in found:
                found[at] = node
                waiting += list(node.input)
        return [found[at] for at in sorted(found)]


def _widened(node: Any) -> Any:
    """A node that casts to double precision where it would cast to less."""
    if node.op_type != "Cast":
        return node
    copy = NodeProto()
    copy.CopyFrom(node)
    for attribute in copy.attribute:
        if attribute.name == "to" and attribute.i in NARROW:
            attribute.i = TensorProto.DOUBLE
    return copy
