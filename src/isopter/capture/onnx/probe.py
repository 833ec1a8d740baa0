"""Probing an ONNX model with onnxruntime: perturb input pixels, and see which units of every value change.

The judge of an analysis, so it shares nothing with it but names and shapes. It runs in the precision of the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, ValueInfoProto, helper, numpy_helper

from isopter.capture.onnx.capture import Capture
from isopter.capture.onnx.file import checked_model, read_model
from isopter.capture.onnx.inputs import sized
from isopter.capture.onnx.tensors import LOADED
from isopter.capture.static.probes import Bools, Role, baseline, differs, drawn, perturbed, steps_of
from isopter.capture.static.values import Const, Weight
from isopter.capture.target import Target
from isopter.errors import CaptureError, MissingExtra
from isopter.graph import Shape

ROLES: dict[str, dict[int, Role]] = {
    "Conv": {1: "weight", 2: "zero"},
    "ConvTranspose": {1: "weight", 2: "zero"},
    "Gemm": {0: "weight", 1: "weight", 2: "zero"},
    "MatMul": {0: "weight", 1: "weight"},
    "BatchNormalization": {1: "scale", 2: "zero", 3: "zero", 4: "one"},
    "InstanceNormalization": {1: "scale", 2: "zero"},
    "LayerNormalization": {1: "scale", 2: "zero"},
    "GroupNormalization": {1: "scale", 2: "zero"},
    "LSTM": {1: "weight", 2: "weight", 3: "zero"},
    "GRU": {1: "weight", 2: "weight", 3: "zero"},
    "RNN": {1: "weight", 2: "weight", 3: "zero"},
    "PRelu": {1: "scale"},
    "Mul": {0: "scale", 1: "scale"},
    "Add": {0: "zero", 1: "zero"},
}
"""What an op's constant inputs are: weights that are drawn anew, or what is put to rest."""

FLOATS = {1: np.float32, 10: np.float16, 11: np.float64}


class OnnxProber:
    """A copy of an ONNX model with every value as an output, ready to be perturbed."""

    def __init__(self, model: Any, size: Shape | None, inputs: Any, *, weights: str = "positive", seed: int = 0) -> None:
        self.steps = steps_of(weights)
        self.runtime = runtime("Verifying an ONNX model")
        home = Path(model).expanduser() if isinstance(model, str | Path) else None
        proto = checked_model(model) if home is None else read_model(home, whole=True)
        self.model = ModelProto()
        self.model.CopyFrom(proto)
        self.home = home
        self.given = sized(proto.graph, size, inputs)
        self.capture = Capture(proto, home)
        self.capture.run(size, inputs)
        self.names = [n for n, (shape, _) in self.given.items() if shape]
        self.weights, self.seed = weights, seed
        self._session: tuple[tuple[int, tuple[str, ...]], Any] | None = None

    def changed(
        self, targets: Mapping[str, Target], origin: int, axes: tuple[int, ...], pixels: Sequence[tuple[int, ...]], probe: int
    ) -> dict[str, Bools]:
        """Which units of each target change with each pixel, shape (pixels, *units)."""
        draw, kind, step = self.steps[probe]
        values = tuple(dict.fromkeys(t.path for t in targets.values()))
        session = self._prepared(draw, values)
        base = {name: self._baseline(name, kind) for name in self.given}
        before = self._run(session, values, base)
        rows: dict[str, list[Bools]] = {key: [] for key in targets}
        for pixel in pixels:
            name = self.names[origin]
            after = self._run(session, values, base | {name: perturbed(base[name], axes, pixel, step)})
            for key, target in targets.items():
                rows[key].append(differs(before[target.path], after[target.path], target))
        return {key: np.array(row, np.bool_) for key, row in rows.items()}

    def _run(self, session: Any, values: Sequence[str], feeds: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return dict(zip(values, session.run(list(values), feeds), strict=True))
        except Exception as error:
            raise CaptureError(f"onnxruntime could not run the model ({said(error)}). Run it yourself on such an input.") from error

    def _prepared(self, draw: int, values: tuple[str, ...]) -> Any:
        if self._session is None or self._session[0] != (draw, values):
            model = ModelProto()
            model.CopyFrom(self.model)
            if self.weights == "positive":
                draw_weights(model, self.capture, self.seed + draw, draw > 0)
            shown = {o.name for o in model.graph.output}
            model.graph.output.extend(ValueInfoProto(name=v) for v in values if v not in shown)
            self._session = (draw, values), opened(self.runtime, model, self.home, as_written=True)
        return self._session[1]

    def _baseline(self, name: str, kind: str) -> npt.NDArray[Any]:
        shape, code = self.given[name]
        return baseline(shape, helper.tensor_dtype_to_np_dtype(code), kind, [self.seed, *name.encode()])


def draw_weights(model: Any, capture: Capture, seed: int, signed: bool) -> None:
    """Weights that average their inputs, biases of zero, norms at rest: written into `model`, in place of the stored ones."""
    random = np.random.default_rng(seed)
    new: dict[tuple[str, str], str] = {}
    for node in model.graph.node:
        for position, role in ROLES.get(node.op_type, {}).items():
            name = node.input[position] if position < len(node.input) else ""
            value, kind = capture.known.get(name, (None, None))
            if node.op_type in ("Add", "Mul") and not _is_per_channel(value):
                continue
            if not isinstance(value, Const | Weight) or value.shape is None or kind is None or kind.tensor_type.elem_type not in FLOATS:
                continue
            if (name, role) not in new:
                new[name, role] = f"isopter/{role}/{name}"
                made = _drawn(random, role, value, signed).astype(FLOATS[kind.tensor_type.elem_type])
                model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(made), new[name, role]))
            node.input[position] = new[name, role]


def _is_per_channel(value: object) -> bool:
    """Whether a constant is the scale or the shift of a norm, one number per channel, and neither a number nor a mask."""
    return isinstance(value, Const | Weight) and value.shape is not None and sum(n > 1 for n in value.shape) == 1


def _drawn(random: np.random.Generator, role: Role, value: Const | Weight, signed: bool) -> npt.NDArray[Any]:
    shape = value.shape or ()
    fan_in = float(max(math.prod(shape[1:]), 1)) if len(shape) > 2 else float(max(*shape, 1))
    known = value.load() if role == "weight" and isinstance(value, Const) and math.prod(shape) <= LOADED else None
    return drawn(random, role, shape, signed, fan_in, known)


def runtime(what: str) -> Any:
    """The package onnxruntime. Raises MissingExtra without it, which says that `what` needs it."""
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise MissingExtra("onnxruntime", "onnxruntime", what) from None
    return onnxruntime


def opened(package: Any, model: Any, home: Path | None, *, as_written: bool = False) -> Any:
    """A session of `model`, whose tensors may be in files beside `home`; `as_written`: no node is fused with another.

    Raises CaptureError where onnxruntime does not take it.
    """
    options = package.SessionOptions()
    options.intra_op_num_threads = 1
    if as_written:
        options.graph_optimization_level = package.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    if home is not None and hasattr(options, "add_session_config_entry"):
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(home.parent.resolve()))
    try:
        return package.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise CaptureError(f"onnxruntime does not take the model ({said(error)}). It is needed to run it.") from error


def said(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:240]
