"""Every one-op model of onnx loads or is refused with a reason; what onnxruntime runs, it agrees with."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("ml_dtypes")

import numpy as np  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from tests.onnx.one_op import cases  # noqa: E402

import isopter as ip  # noqa: E402

REFUSED = 60
"""More refusals than this are a loss; they are sequences, optional values, opset 1, empty axes and what depends on no input."""


def test_every_model_loads_or_is_refused_with_a_reason() -> None:
    refused, opaque, exact = [], [], 0
    for name, model in cases().items():
        try:
            found = ip.analyze(model)
        except (ip.CaptureError, ip.UsageError) as error:
            assert len(str(error)) > 20
            refused.append(name)
            continue
        unknown = [i for i in found.issues if i.what.startswith("No rule")]
        opaque += [name] if unknown else []
        exact += not found.issues
    assert len(cases()) > 1400
    assert len(refused) <= REFUSED, refused
    assert exact > 1250, exact
    assert len(opaque) < 150, opaque


FAMILIES = (
    "conv maxpool averagepool lppool globalaveragepool globalmaxpool resize upsample depthtospace spacetodepth pad slice transpose split "
    "concat gather scatter reduce softmax layer_normalization instancenorm group_normalization lrn matmul einsum lstm gru rnn cumsum "
    "convtranspose reflect wrap edge center_crop where tile expand squeeze unsqueeze reshape flatten triu attention qlinear convinteger"
).split()


SLOW = {"attention", "expand"}
"""Families of more than a hundred models; "expand" holds those of attention, taken apart."""


@pytest.mark.parametrize("family", [pytest.param(f, marks=pytest.mark.slow if f in SLOW else ()) for f in FAMILIES])
def test_onnxruntime_misses_nothing(family: str) -> None:
    """A value that changes though the analysis says that it does not read the pixel would be a miss."""
    pytest.importorskip("onnxruntime")
    checked = 0
    for name, model in cases().items():
        if family not in name.replace("basic_", ""):
            continue
        try:
            found = ip.verify(model, units=6)
        except (ip.CaptureError, ip.UsageError):  # onnxruntime lacks the op, or the model is refused
            continue
        assert found.missed == 0, (name, found)
        checked += found.checked
    assert checked


def test_ops_that_onnx_defines_by_others_are_taken_apart() -> None:
    tensors = [numpy_helper.from_array(np.array([1, 16, 16]), "s"), numpy_helper.from_array(np.ones((16, 4, 3), np.float32), "w")]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Reshape", ["c", "s"], ["t"]),
        helper.make_node("Attention", ["t", "t", "t"], ["y"], q_num_heads=1, kv_num_heads=1, is_causal=1),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in (("x", (1, 4, 18)), ("y", None))]
    graph = helper.make_graph(nodes, "causal", ends[:1], ends[1:], tensors)
    a = ip.analyze(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10))
    assert a.exact and "softmax" in {op.kind for op in a.graph.ops}
