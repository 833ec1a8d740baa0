"""What users have: modules, functions, SavedModels, their names and sizes, branches and loops, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import isopter as ip  # noqa: E402
from isopter.capture.tensorflow.capture import function_graph  # noqa: E402
from isopter.capture.tensorflow.concrete import traced  # noqa: E402
from isopter.capture.tensorflow.flat import flatten  # noqa: E402
from isopter.capture.tensorflow.prepared import prepared  # noqa: E402

IMAGE = (1, 16, 18, 3)


def weights(*shape: int) -> Any:
    return tf.Variable(np.random.default_rng(0).random(shape).astype(np.float32) + 0.1)


class Net(tf.Module):
    """Two convolutions in blocks, and two results."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = weights(3, 3, 3, 4), weights(3, 3, 4, 4)

    @tf.function
    def block(self, x: Any, filters: Any) -> Any:
        with tf.name_scope("block"):
            return tf.nn.relu(tf.nn.conv2d(x, filters, 2, "SAME"))

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, name="image")])
    def __call__(self, x: Any) -> dict[str, Any]:
        x = self.block(x, self.first)
        return {"map": self.block(x, self.second), "mean": tf.reduce_mean(x, (1, 2))}


def field(analysis: ip.Analysis, name: str) -> Any:
    f = analysis[name]
    return f.size, f.stride, f.start, f.exactness, f.context


# ---- where models come from ------------------------------------------------------------------------------------------------


def test_every_way_to_give_a_model_agrees(tmp_path: Path) -> None:
    net = Net()
    tf.saved_model.save(net, str(tmp_path / "net"))
    loaded = tf.saved_model.load(str(tmp_path / "net"))
    concrete = net.__call__.get_concrete_function()
    ways = [net, net.__call__, concrete, tmp_path / "net", str(tmp_path / "net"), loaded, loaded.signatures["serving_default"]]
    found = [ip.analyze(way, IMAGE) for way in ways]
    for analysis in found:
        assert list(analysis.inputs) == ["image"] and not analysis.issues
        assert {"block", "block_1", "map", "mean", "block.Conv2D"} <= set(analysis.graph.layers)
        assert field(analysis, "block") == ((3, 3), (2, 2), (0, 0), "exact", False)
        assert field(analysis, "map") == ((7, 7), (4, 4), (0, -2), "exact", False)
        assert analysis["mean"].size == (float("inf"),) * 2
    for way in (net, tmp_path / "net", loaded):
        proof = ip.verify(way, IMAGE, units=8)
        assert proof.ok and proof.checked > 1000, proof


def test_command_line(tmp_path: Path) -> None:
    tf.saved_model.save(Net(), str(tmp_path / "net"))
    command = [sys.executable, "-m", "isopter", "table", str(tmp_path / "net"), "-i", "1x16x16x3"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0 and "block_1" in made.stdout, made.stderr


def test_a_plain_module_and_its_training() -> None:
    class Plain(tf.Module):
        def __call__(self, x: Any, training: bool = False) -> Any:
            return tf.compat.v1.nn.fused_batch_norm(x, tf.ones(3), tf.zeros(3), tf.zeros(3), tf.ones(3), is_training=training)[0]

    assert not ip.analyze(Plain(), IMAGE, axes=(1, 2))["output"].context
    assert ip.analyze(Plain(), IMAGE, axes=(1, 2), training=True)["output"].context
    assert ip.verify(Plain(), IMAGE, axes=(1, 2), training=True, units=4).ok
    with pytest.raises(ip.UsageError, match="no argument called training"):
        ip.analyze(tf.function(lambda x: x + 1), IMAGE, training=True)


def test_inputs_of_several_tensors_and_types() -> None:
    two = tf.function(lambda a, b: tf.nn.conv2d(a, tf.ones((3, 3, 3, 3)), 1, "SAME") + tf.cast(b, tf.float32))
    tensors = (np.zeros(IMAGE, np.float32), np.zeros(IMAGE, np.uint8))
    for given in (tensors, {"a": tensors[0], "b": tensors[1]}, [tf.TensorSpec(IMAGE), tf.TensorSpec(IMAGE, tf.uint8)]):
        found = ip.analyze(two, inputs=given)
        assert list(found.inputs) == ["a", "b"] and found["output"].size == (3, 3)
        assert ip.verify(two, inputs=given, units=4).ok
    with pytest.raises(ip.UsageError, match="size"):
        ip.analyze(two)


def test_wrong_sizes_are_said() -> None:
    for size in ((1, 16, 16, 4), (1, 16, 16), (16,)):
        with pytest.raises(ip.UsageError, match="does not fit"):
            ip.analyze(Net(), size)
    with pytest.raises(ip.UsageError, match=r"batch comes first: give \(1, 16, 16, 3\)"):
        ip.analyze(Net(), (16, 16, 3))
    with pytest.raises(ip.UsageError, match=r"channels come last: give \(1, 16, 16, 3\)"):
        ip.analyze(Net(), (1, 3, 16, 16))
    with pytest.raises(ip.UsageError, match="open axes"):
        ip.analyze(Net())
    with pytest.raises(ip.CaptureError, match="failed while it was traced"):
        ip.analyze(tf.function(lambda x: tf.nn.conv2d(x, tf.ones((3, 3, 5, 2)), 1, "SAME")), IMAGE)
    with pytest.raises(ip.UsageError, match="without __call__"):
        ip.analyze(tf.Module(), IMAGE)
    with pytest.raises(ip.CaptureError, match="depends on its input"):
        ip.analyze(tf.function(lambda x: tf.ones(3)), IMAGE)


def test_the_model_is_left_as_it_was() -> None:
    net = Net()
    before = [v.numpy() for v in net.variables]
    ip.verify(net, IMAGE, units=4)
    assert all((a == v.numpy()).all() for a, v in zip(before, net.variables, strict=True))


# ---- the entry for other captures --------------------------------------------------------------------------------------------


def test_function_graph_names_what_it_is_told_to() -> None:
    net = Net()
    concrete = net.__call__.get_concrete_function(tf.TensorSpec(IMAGE))
    graph = function_graph(concrete, ["picture"], lambda op: "outer." + op.name.split("/")[0], shapes=[IMAGE])
    assert list(graph.input_names) == ["picture"]
    assert {"outer.block", "outer.block_1", "outer.Mean"} <= set(graph.layers)


@pytest.mark.parametrize("dtype", [None, tf.float64])
def test_the_flat_graph_computes_what_the_function_computes(dtype: Any) -> None:
    def run(x: Any) -> Any:
        for _ in tf.range(2):
            x = tf.nn.avg_pool2d(x, 3, 1, "SAME")
        x = tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2, lambda: -x)
        return tf.compat.v1.nn.fused_batch_norm(x, tf.ones(3), tf.zeros(3), is_training=True)[0] + net.block(x, filters)[:, :1, :1]

    net, filters = Net(), weights(3, 3, 3, 3)
    concrete = tf.function(run).get_concrete_function(tf.TensorSpec(IMAGE))
    x = np.random.default_rng(1).random(IMAGE).astype(np.float32)
    flat = flatten(concrete, [None])
    ours = prepared(flat, flat.outputs, dtype)
    results = []
    for function, kind in ((lambda v: ours(v)[0], dtype or tf.float32), (concrete, tf.float32)):
        given = tf.constant(x, kind)
        with tf.GradientTape() as tape:
            tape.watch(given)
            made = function(given)
            total = tf.reduce_sum(made * given)
        assert made.dtype == kind
        results.append((made, tape.gradient(total, given)))
    for mine, own in zip(*results, strict=True):
        np.testing.assert_allclose(mine, own, atol=1e-3)


# ---- branches and loops ------------------------------------------------------------------------------------------------------


def test_a_branch_that_a_size_decides_is_followed() -> None:
    @tf.function
    def run(x: Any) -> Any:
        return tf.cond(tf.shape(x)[1] > 10, lambda: tf.nn.avg_pool2d(x, 2, 2, "SAME"), lambda: tf.nn.avg_pool2d(x, 3, 3, "SAME"))

    assert ip.analyze(run, IMAGE)["output"].size == (2, 2)
    assert ip.analyze(run, (1, 9, 9, 3))["output"].size == (3, 3)


def test_a_loop_that_constants_count_is_written_out() -> None:
    @tf.function
    def run(x: Any) -> Any:
        for _ in tf.range(3):
            x = tf.nn.avg_pool2d(x, 3, 1, "SAME")
        return x

    found = ip.analyze(run, IMAGE)
    assert not found.issues and found["output"].size == (7, 7)
    assert ip.verify(run, IMAGE, units=8).ok


def test_what_values_decide_is_bounded() -> None:
    @tf.function
    def branch(x: Any) -> Any:
        return tf.cond(tf.reduce_sum(x) > 0, lambda: tf.nn.avg_pool2d(x, 3, 1, "SAME"), lambda: x * 2)

    @tf.function
    def loop(x: Any) -> Any:
        while tf.reduce_sum(x) > 1.0:
            x = tf.nn.avg_pool2d(x, 3, 1, "SAME") * 0.5
        return x

    @tf.function
    def recurrent(x: Any) -> Any:
        steps, state = tf.TensorArray(tf.float32, 80), tf.zeros((1, 4))
        for t in tf.range(80):
            state = tf.tanh(tf.reduce_mean(x, 3)[:, t % 16] @ tf.ones((18, 4)) * 0.1 + state)
            steps = steps.write(t, state)
        return tf.transpose(steps.stack(), (1, 0, 2))

    for function in (branch, loop, recurrent):
        found = ip.analyze(function, IMAGE, axes=(1, 2))
        assert found["output"].exactness == "bound" and any("is not followed" in i.what for i in found.issues)
        assert ip.verify(function, IMAGE, axes=(1, 2), units=4).missed == 0


def test_an_unknown_op_is_bounded_and_said() -> None:
    def run(x: Any) -> Any:
        y = tf.numpy_function(lambda a: a * 2, [x], tf.float32)
        y.set_shape(x.shape)
        return y

    found = ip.analyze(tf.function(run), IMAGE)
    assert found["output"].exactness == "bound" and "PyFunc" in found.issues[0].what
    with pytest.raises(ip.UnsupportedOps, match="PyFunc"):
        ip.analyze(tf.function(run), IMAGE, strict=True)


@pytest.mark.parametrize(
    "run",
    [
        lambda x: tf.math.segment_sum(tf.transpose(x, (1, 0, 2, 3)), [0] * 8 + [1] * 8),
        lambda x: tf.boolean_mask(x, x[..., 0] > 0),
        lambda x: tf.unique(tf.reshape(x, [-1]))[0],
    ],
)
def test_an_output_whose_shape_values_decide_is_bounded(run: Any) -> None:
    """It is not the field of the last op whose shape is known."""
    field = ip.analyze(tf.function(run), IMAGE, axes=(1, 2))["output"]
    assert field.exactness == "bound" and field.size == (float("inf"), float("inf"))


# ---- damaged and hostile files ---------------------------------------------------------------------------------------------


def saved(folder: Path) -> Path:
    tf.saved_model.save(Net(), str(folder))
    return folder


def test_a_file_that_runs_python_is_refused(tmp_path: Path) -> None:
    class Python(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 4, 4, 3))])
        def __call__(self, x: Any) -> Any:
            return tf.py_function(lambda a: a, [x], tf.float32)

    tf.saved_model.save(Python(), str(tmp_path))
    with pytest.raises(ip.CaptureError, match="calls Python"):
        ip.analyze(tmp_path)


@pytest.mark.parametrize("kind", ["new", "old"])
def test_a_folder_is_read_and_nothing_of_it_run(kind: str, tmp_path: Path) -> None:
    """The values of its variables are those of the model; what TensorFlow runs when it loads it (a table's initialiser) is not run."""

    class Table(Net):
        def __init__(self) -> None:
            super().__init__()
            (tmp_path / "words").write_text("a\nb\n")
            rows = tf.lookup.TextFileInitializer(
                str(tmp_path / "words"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            )
            self.table = tf.lookup.StaticVocabularyTable(rows, 1)

    net = Table() if kind == "new" else Net()
    folder = tmp_path / "net"
    if kind == "new":
        tf.saved_model.save(net, str(folder))
        for asset in (folder / "assets").iterdir():
            asset.unlink()
        with pytest.raises((tf.errors.OpError, FileNotFoundError)):
            tf.saved_model.load(str(folder))
    else:
        _old(net, folder)
    found = traced(folder, IMAGE, None, False)
    flat = flatten(found.program, found.shapes)
    x = np.random.default_rng(1).random(IMAGE).astype(np.float32)
    made = dict(zip(found.program.output_names, prepared(flat, flat.outputs, None)(x), strict=True))
    for name, value in net(x).items():
        np.testing.assert_allclose(made[name], value, rtol=1e-4)
    assert ip.analyze(folder, IMAGE)["map"].size == (7, 7)


def _old(net: Net, folder: Path) -> None:
    """As TensorFlow 1 saved, with variables of its own."""
    v1 = tf.compat.v1
    values = [v.numpy() for v in (net.first, net.second)]
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, None, None, 3), name="x")
        first, second = (v1.Variable(v, use_resource=False) for v in values)
        y = tf.nn.relu(tf.nn.conv2d(x, first, 2, "SAME"))
        z = tf.nn.relu(tf.nn.conv2d(y, second, 2, "SAME"))
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"image": x}, {"map": z, "mean": tf.reduce_mean(y, (1, 2))})


def test_values_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    folder = saved(tmp_path / "net")
    (folder / "variables").rename(tmp_path / "elsewhere")
    (folder / "variables").symlink_to(tmp_path / "elsewhere")
    assert ip.analyze(folder, IMAGE)["map"].size == (7, 7)
    with pytest.raises(ip.CaptureError, match="out of the model's folder"):
        ip.verify(folder, IMAGE, units=4)
    (folder / "variables").unlink()
    with pytest.raises(ip.CaptureError, match="is not in"):
        ip.verify(folder, IMAGE, units=4)


def test_signatures(tmp_path: Path) -> None:
    net = Net()
    one = net.__call__.get_concrete_function()
    tf.saved_model.save(net, str(tmp_path / "two"), signatures={"a": one, "b": one})
    with pytest.raises(ip.UsageError, match="signatures a, b"):
        ip.analyze(tmp_path / "two", IMAGE)
    assert ip.analyze(tf.saved_model.load(str(tmp_path / "two")).signatures["a"], IMAGE)["map"].size == (7, 7)
    with pytest.raises(ip.UsageError, match="training=True"):
        tf.saved_model.save(net, str(tmp_path / "one"))
        ip.analyze(tmp_path / "one", IMAGE, training=True)
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    with pytest.raises(ip.CaptureError, match=r"no signature|no graph"):
        ip.analyze(tmp_path / "none", IMAGE)


def test_an_op_that_is_not_there_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path) / "saved_model.pb"
    file.write_bytes(file.read_bytes().replace(b"\x06Conv2D", b"\x06ConvXY"))
    with pytest.raises(ip.CaptureError, match="ConvXY"):
        ip.analyze(tmp_path, IMAGE)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"PK\x03\x04" * 20, b"\xff" * 5000, b"\x08\x08"])
def test_no_model(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ip.CaptureError, match=r"saved_model\.pb"):
        ip.analyze(tmp_path, IMAGE)


def test_cut_and_flipped(tmp_path: Path) -> None:
    """Damaged files: an answer or one of isopter's own errors, in bounded time."""
    file = saved(tmp_path) / "saved_model.pb"
    whole, rng, refused = file.read_bytes(), np.random.default_rng(0), 0
    for k in range(24):
        raw = bytearray(whole[: len(whole) * k // 24] if k < 8 else whole)
        for at in rng.integers(len(raw), size=2 if k >= 8 else 0):
            raw[at] = rng.integers(256)
        file.write_bytes(bytes(raw))
        start = time.process_time()
        try:
            ip.analyze(tmp_path, IMAGE)
        except ip.IsopterError:
            refused += 1
        assert time.process_time() - start < 20
    assert refused > 8


def test_ops_that_touch_files_are_not_run(tmp_path: Path) -> None:
    reads = tf.function(lambda x: x + tf.strings.to_number(tf.io.read_file(str(tmp_path / "nothing"))))

    @tf.function
    def writes(x: Any) -> Any:
        tf.io.write_file(str(tmp_path / "made"), "x")
        return x * 2

    assert ip.analyze(reads, IMAGE)["output"].size == (1, 1)
    with pytest.raises(ip.CaptureError, match="acts outside"):
        ip.verify(reads, IMAGE, units=2)
    assert ip.verify(writes, IMAGE, units=2).ok
    assert not (tmp_path / "made").exists()


def test_shapes_that_no_tensor_has() -> None:
    @tf.function
    def run(x: Any) -> Any:
        return tf.pad(x, [[0, 0], [0, 2**30], [0, 0], [0, 0]])

    with pytest.raises(ip.CaptureError, match="Axes of"):
        ip.analyze(run, IMAGE)


def test_traced_names() -> None:
    assert traced(Net(), IMAGE, None, False).names == ("image",)
