"""Damaged and hostile files: one clear error, in bounded time and memory, whatever is in them."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("ml_dtypes")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from tests.onnx.one_op import cases, numbers  # noqa: E402

import isopter as ip  # noqa: E402

X = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 8, 8])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)


def model(nodes: list[onnx.NodeProto], *initializers: onnx.TensorProto, functions: tuple[onnx.FunctionProto, ...] = ()) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", [X], [Y], initializer=list(initializers))
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions))


def refused(made: onnx.ModelProto, words: str) -> None:
    start = time.process_time()
    with pytest.raises((ip.CaptureError, ip.UsageError), match=words):
        ip.analyze(made)
    assert time.process_time() - start < 5


def test_cyclic() -> None:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Relu", ["b"], ["y"])]
    refused(model(nodes), "cyclic")


def test_missing_tensor() -> None:
    refused(model([helper.make_node("Conv", ["x", "w"], ["y"])]), "reads 'w'")


def test_made_twice() -> None:
    refused(model([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Relu", ["x"], ["y"])]), "twice")


def test_absurd_shapes() -> None:
    huge = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[10**18, 1, 3, 3])
    refused(model([helper.make_node("Conv", ["x", "w"], ["y"])], huge), "shape")
    shape = numpy_helper.from_array(np.array([10**9, 10**9], np.int64), "s")
    refused(model([helper.make_node("ConstantOfShape", ["s"], ["c"]), helper.make_node("Add", ["x", "c"], ["y"])], shape), "Axes of|shape")
    pads = numpy_helper.from_array(np.array([0, 0, 10**17, 0, 0, 0, 0, 0], np.int64), "p")
    refused(model([helper.make_node("Pad", ["x", "p"], ["y"])], pads), "Axes of|shape")
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[10**9, 1], pads=[10**9, 0, 10**9, 0])
    refused(model([node]), "more than isopter reads|does not fit|shape")


def test_constants_that_would_fill_memory_are_not_made() -> None:
    ends = [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in (("a", 0), ("b", 10**15), ("c", 1))]
    refused(model([helper.make_node("Range", ["a", "b", "c"], ["r"]), helper.make_node("Add", ["x", "r"], ["y"])], *ends), "Range")


def test_functions_that_call_themselves() -> None:
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    loop = helper.make_function("own", "f", ["a"], ["b"], [helper.make_node("f", ["a"], ["b"], domain="own")], imports)
    refused(model([helper.make_node("f", ["x"], ["y"], domain="own")], functions=(loop,)), "nested more than")


def test_functions_that_multiply() -> None:
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    bombs = []
    for k in range(12):
        called, domain = (f"f{k + 1}", "own") if k < 11 else ("Relu", "")
        names = ["a", *(f"v{i}" for i in range(9)), "b"]
        nodes = [helper.make_node(called, [names[i]], [names[i + 1]], domain=domain) for i in range(10)]
        bombs.append(helper.make_function("own", f"f{k}", ["a"], ["b"], nodes, imports))
    start = time.process_time()
    with pytest.raises(ip.CaptureError, match="nodes"):
        ip.analyze(model([helper.make_node("f0", ["x"], ["y"], domain="own")], functions=tuple(bombs)))
    assert time.process_time() - start < 2


def test_external_data_stays_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(np.array([2, 2, 2, 2], np.int64).tobytes())
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link").symlink_to(tmp_path / "secret")
    for location in ("../secret", str(tmp_path / "secret"), "link", "nothing"):
        tensor = TensorProto(name="s", data_type=TensorProto.INT64, dims=[4], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=location)
        path = tmp_path / "model" / "x.onnx"
        path.write_bytes(model([helper.make_node("Tile", ["x", "s"], ["y"])], tensor).SerializeToString())
        with pytest.raises(ip.CaptureError, match="folder"):
            ip.analyze(path)
    (tmp_path / "model" / "data").write_bytes(np.array([1, 1, 1, 2], np.int64).tobytes())
    tensor.external_data[0].value = "data"
    path.write_bytes(model([helper.make_node("Tile", ["x", "s"], ["y"])], tensor).SerializeToString())
    assert ip.analyze(path)["y"].shape == (1, 1, 8, 16)
    tensor.external_data.add(key="offset", value="8")
    path.write_bytes(model([helper.make_node("Tile", ["x", "s"], ["y"])], tensor).SerializeToString())
    with pytest.raises(ip.CaptureError, match="needs 32 bytes"):
        ip.analyze(path)


def test_external_weights_are_never_opened(tmp_path: Path) -> None:
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**12, 1, 2**6, 2**6], data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value="nowhere")
    made = model([helper.make_node("Conv", ["x", "w"], ["y"], pads=[40, 40, 40, 40])], weights)
    (tmp_path / "x.onnx").write_bytes(made.SerializeToString())
    assert ip.analyze(tmp_path / "x.onnx")["y"].size == (64, 64)


NO_MODELS = {"empty": b"", "zeros": b"\x00" * 100, "zip": b"PK\x03\x04" * 20, "stub": b"\x08\x08", "ff": b"\xff" * 5000}


@pytest.mark.parametrize("content", list(NO_MODELS.values()), ids=list(NO_MODELS))
def test_no_model(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ip.CaptureError, match=r"x\.onnx"):
        ip.analyze(tmp_path / "x.onnx")
    with pytest.raises(ip.UsageError):
        ip.analyze(tmp_path / "y.onnx")


def test_bytes_flipped_and_cut() -> None:
    """A few hundred damaged files: an answer or one of isopter's own errors."""
    rng, models = random.Random(0), list(cases().values())
    answered = 0
    for _ in range(400):
        raw = bytearray(rng.choice(models).SerializeToString())
        if rng.random() < 0.2:
            del raw[rng.randrange(len(raw)) :]
        for _ in range(rng.randrange(3)):
            raw[rng.randrange(len(raw))] = rng.randrange(256) if raw else 0
        made = onnx.ModelProto()
        try:
            made.ParseFromString(bytes(raw))
        except Exception:  # no protobuf at all: test_no_model
            continue
        answered += _tried(made)
    assert answered > 20


def test_numbers_changed() -> None:
    """Models whose sizes and axes are wrong: slow, greedy and crashing code lives here."""
    rng, models = random.Random(1), list(cases().values())
    wrong = (0, 1, 2, -1, -2, 7, 100, 2**31, 10**9, 2**62, -(2**63), 10**18, 65_536)
    answered = 0
    for _ in range(400):
        made = onnx.ModelProto()
        made.CopyFrom(rng.choice(models))
        places = list(numbers(made))
        for holder, name, position in rng.sample(places, min(len(places), 2)):
            if position is None:
                setattr(holder, name, rng.choice(wrong))
            else:
                getattr(holder, name)[position] = rng.choice(wrong)
        answered += _tried(made)
    assert answered > 30


def _tried(made: onnx.ModelProto) -> bool:
    start = time.process_time()
    try:
        found = ip.analyze(made)
        assert all(found[o].size is not None for o in found.outputs)
        return True
    except ip.IsopterError:
        return False
    finally:
        assert time.process_time() - start < 20
