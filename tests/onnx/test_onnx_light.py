"""Large files are read without the bytes of their tensors: the same model, and the same errors, as from all of the file."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("ml_dtypes")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from tests.onnx.one_op import cases  # noqa: E402

import isopter as ip  # noqa: E402
from isopter.capture.onnx import light  # noqa: E402
from isopter.capture.onnx.tensors import constant  # noqa: E402


def network(*tensors: TensorProto) -> onnx.ModelProto:
    """A convolution over all of these in turn, with other fields before, between and after them."""
    nodes = [helper.make_node("Conv", ["x" if k == 0 else f"h{k}", t.name], [f"h{k + 1}"], name=f"c{k}") for k, t in enumerate(tensors)]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 4, 40, 40]), (f"h{len(tensors)}", None)))
    made = helper.make_model(helper.make_graph(nodes, "g", [x], [y], tensors), opset_imports=[helper.make_opsetid("", 17)])
    made.metadata_props.add(key="a", value="b" * 300)
    return made


def filters(name: str, seed: int, holes: bool = False) -> TensorProto:
    weights = np.random.default_rng(seed).standard_normal((4, 4, 9, 9)).astype(np.float32)
    if holes:
        weights[:, :, ::2, 1::2] = 0
    return numpy_helper.from_array(weights, name)


def filled(made: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """The model with the bytes that were stepped over in their places."""
    for tensor in made.graph.initializer:
        if any(item.key == light.HERE for item in tensor.external_data):
            array = constant(tensor, path).load()
            assert array is not None
            del tensor.external_data[:]
            tensor.ClearField("data_location")
            tensor.raw_data = array.tobytes()
    return made


def parsed(raw: bytes) -> onnx.ModelProto | None:
    made = onnx.ModelProto()
    try:
        made.ParseFromString(raw)
    except Exception:
        return None
    return made


def test_the_same_model_without_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light, "WHOLE", 0)
    whole = network(filters("a", 1), filters("b", 2), numpy_helper.from_array(np.ones((4, 4, 1, 1), np.float32), "c"))
    path = tmp_path / "x.onnx"
    path.write_bytes(whole.SerializeToString())
    found = light.light_bytes(path, path.stat().st_size)
    assert len(found) < 2000 < 2 * 4 * 4 * 81 * 4 < path.stat().st_size
    assert filled(onnx.ModelProto.FromString(found), path) == whole
    assert ip.analyze(path)["c1"].size == (17, 17)


def test_filters_with_holes_are_seen_in_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light, "WHOLE", 0)
    made = network(filters("a", 1, holes=True))
    (tmp_path / "x.onnx").write_bytes(made.SerializeToString())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.onnx").symlink_to(tmp_path / "x.onnx")
    counts = [ip.analyze(m)["c0"].support((9, 9)).count for m in (made, tmp_path / "x.onnx", tmp_path / "elsewhere" / "link.onnx")]
    assert counts == [81 - 20] * 3


@pytest.mark.parametrize("delta", [-4, 4])
def test_bytes_of_another_number_are_damage(delta: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = filters("a", 1, holes=True)
    tensor.raw_data = tensor.raw_data[:delta] if delta < 0 else tensor.raw_data + b"\0" * delta
    path = tmp_path / "x.onnx"
    path.write_bytes(network(tensor).SerializeToString())
    for whole in (0, 2**20):
        monkeypatch.setattr(light, "WHOLE", whole)
        with pytest.raises(ip.CaptureError, match="damaged"):
            ip.analyze(path)


@pytest.mark.parametrize("count", [5, 6])
def test_numbers_that_share_a_byte(count: int, tmp_path: Path) -> None:
    tensor = helper.make_tensor("t", TensorProto.INT4, [count], range(-2, count - 2))
    path = tmp_path / "x.onnx"
    raw = tensor.raw_data or numpy_helper.from_array(numpy_helper.to_array(tensor), "t").raw_data
    (tmp_path / "data").write_bytes(b"?" * 7 + raw + b"?")
    beside = TensorProto(name="t", data_type=TensorProto.INT4, dims=[count], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "data"), ("offset", "7"), ("length", str((count + 1) // 2))):
        beside.external_data.add(key=key, value=value)
    for stored in (tensor, beside):
        value = constant(stored, path)
        assert [int(v) for v in value.load()] == list(range(-2, count - 2))
        assert [int(v) for v in value.first(3)] == [-2, -1, 0]


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light, "WHOLE", 0)
    path = tmp_path / "x.onnx"
    path.write_bytes(network(filters("a", 1)).SerializeToString())
    made = onnx.ModelProto.FromString(light.light_bytes(path, path.stat().st_size))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ip.CaptureError, match="needs 5,184 bytes"):
        constant(made.graph.initializer[0], path).load()


def test_what_is_unusual_is_left_to_the_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged files give what they give when all of them is parsed."""
    monkeypatch.setattr(light, "WHOLE", 0)
    monkeypatch.setattr(light, "SMALL", 8)
    rng, path = random.Random(2), tmp_path / "x.onnx"
    models = [m.SerializeToString() for m in cases().values() if m.graph.initializer and len(m.SerializeToString()) < 20_000]
    same = stepped = 0
    for _ in range(500):
        raw = bytearray(rng.choice(models))
        if rng.random() < 0.2:
            del raw[rng.randrange(1, len(raw)) :]
        for _ in range(rng.randrange(4)):
            raw[rng.randrange(len(raw))] = rng.choice((0, 1, 0x4A, 0x3A, 0x2A, 0xFF, 0x80, rng.randrange(256)))
        path.write_bytes(raw)
        whole, part = parsed(bytes(raw)), parsed(light.light_bytes(path, len(raw)))
        assert (whole is None) == (part is None), bytes(raw)
        if whole is None or part is None:
            continue
        stepped += len(part.SerializeToString()) != len(whole.SerializeToString())
        for one, other in zip(whole.graph.initializer, part.graph.initializer, strict=True):
            here = {item.key: int(item.value or 0) for item in other.external_data if item.key in (light.HERE, "offset", "length")}
            if light.HERE in here:
                assert one.raw_data == raw[here["offset"] : here["offset"] + here["length"]]
                del other.external_data[-3:]
                other.ClearField("data_location")
                other.raw_data = one.raw_data
        assert part.SerializeToString(deterministic=True) == whole.SerializeToString(deterministic=True)
        same += 1
    assert same > 200 and stepped > 80
