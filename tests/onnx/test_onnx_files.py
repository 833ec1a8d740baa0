"""What a user does with an ONNX file: sizes, names, the command line, masks, functions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import isopter as ip  # noqa: E402
from isopter.capture.onnx.names import place_of  # noqa: E402


def model(nodes: list[onnx.NodeProto], shape: list[int | str | None], *stored: tuple[str, np.ndarray], opset: int = 17) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(a, n) for n, a in stored])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def conv(shape: list[int | str | None], **attributes: object) -> onnx.ModelProto:
    filters = np.ones((4, 3, 3, 3), np.float32)
    return model([helper.make_node("Conv", ["x", "w"], ["y"], name="c", **attributes)], shape, ("w", filters))


def test_open_axes_get_their_size_from_the_user() -> None:
    made = conv(["batch", 3, "side", "side"], strides=[2, 2])
    assert ip.analyze(made, (1, 3, 33, 33))["c"].shape == (1, 4, 16, 16)
    assert ip.analyze(made, inputs={"x": (2, 3, 9, 9)})["c"].shape == (2, 4, 4, 4)
    with pytest.raises(ip.UsageError, match="open axes"):
        ip.analyze(made)
    with pytest.raises(ip.UsageError, match="does not fit"):
        ip.analyze(made, (1, 3, 33, 34))
    with pytest.raises(ip.UsageError, match=r"batch comes first: give \(1, 3, 33, 33\)"):
        ip.analyze(made, (3, 33, 33))
    with pytest.raises(ip.UsageError, match=r"channels come first: give \(1, 3, 33, 33\)"):
        ip.analyze(made, (1, 33, 33, 3))
    with pytest.raises(ip.UsageError, match="does not fit"):
        ip.analyze(made, (1, 3, 33))
    assert ip.analyze(conv(["batch", 3, 8, 8]))["c"].shape == (1, 4, 6, 6)


@pytest.mark.parametrize("n", [7, 8, 9, 224, 225])
def test_same_padding_follows_the_size(n: int) -> None:
    total = max((-(-n // 2) - 1) * 2 + 3 - n, 0)
    for auto, start in (("SAME_UPPER", -(total // 2)), ("SAME_LOWER", -(total - total // 2)), ("VALID", 0)):
        field = ip.analyze(conv([1, 3, n, n], strides=[2, 2], auto_pad=auto))["c"]
        assert (field.size, field.stride, field.start) == ((3, 3), (2, 2), (start, start))


def test_a_filter_with_holes_does_not_read_them() -> None:
    filters = np.array([-1, 0, 1], np.float32).reshape(1, 1, 1, 3)
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="edge")
    assert ip.analyze(model([node], [1, 1, 8, 8], ("w", filters)))["edge"].support((4, 3)).count == 2


@pytest.mark.parametrize("mask", [-np.inf, -1e9])
def test_a_causal_mask_hides_what_it_hides(mask: float) -> None:
    """Scores of tokens, an additive mask, softmax, and the product with the tokens."""
    hidden = np.triu(np.full((6, 6), mask, np.float32), 1)
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "t"], ["s"]),
        helper.make_node("Add", ["s", "m"], ["a"]),
        helper.make_node("Softmax", ["a"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "x"], ["y"]),
    ]
    found = ip.analyze(model(nodes, [1, 6, 4], ("m", hidden)), axes=(1,))
    assert [found["y"].support((i,)).count for i in range(6)] == [1, 2, 3, 4, 5, 6]


def test_a_decided_branch_is_followed_and_another_bounded() -> None:
    def branch(name: str, op: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 8, 8])
        return helper.make_graph([helper.make_node(op, ["x"], [name])], name, [], [out])

    node = helper.make_node("If", ["c"], ["y"], name="if", then_branch=branch("a", "Relu"), else_branch=branch("b", "Neg"))
    decided = ip.analyze(model([node], [1, 1, 8, 8], ("c", np.array(True))))
    assert decided[decided.outputs[0]].size == (1, 1) and not decided.issues
    asked = [helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0), helper.make_node("Cast", ["s"], ["c"], to=TensorProto.BOOL), node]
    bounded = ip.analyze(model(asked, [1, 1, 8, 8]))
    assert bounded["if"].exactness == "bound" and "If is not followed" in bounded.issues[0].what


def test_an_unknown_op_is_bounded_and_said() -> None:
    made = model([helper.make_node("Mystery", ["x"], ["h"], domain="own", name="m"), helper.make_node("Relu", ["h"], ["y"])], [1, 1, 8, 8])
    made.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, 1, 8, 8]))
    made.opset_import.append(helper.make_opsetid("own", 1))
    assert ip.analyze(made)["m"].exactness == "bound"
    with pytest.raises(ip.UnsupportedOps, match=r"own\.Mystery"):
        ip.analyze(made, strict=True)


@pytest.mark.parametrize(
    ("name", "op", "place"),
    [
        ("/layer1/layer1.0/conv1/Conv", "Conv", "layer1.0.conv1"),
        ("/conv1/Conv_1", "Conv", "conv1"),
        ("/Add", "Add", ""),
        ("/a//Conv", "Conv", ""),
        ("resnet/conv/Conv2D", "Conv", ""),
        ("", "Conv", ""),
    ],
)
def test_module_paths(name: str, op: str, place: str) -> None:
    assert place_of(helper.make_node(op, ["x"], ["y"], name=name))[0] == place


def test_command_line(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(conv(["n", 3, "h", "w"]).SerializeToString())
    command = [sys.executable, "-m", "isopter", "table", str(path), "-i", "1x3x20x20"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0 and "18" in made.stdout, made.stderr
