"""Saved analyses: everything comes back, and a damaged file is a UsageError, never another exception and never a wrong answer."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import isopter as ip
from isopter.graph import Graph, Op
from isopter.report.serial import decode, encode, graph_from_dict, graph_to_dict


class Mixed(nn.Module):
    """Tables, rolls, slices, masks, a context read, two outputs: every kind of parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.GroupNorm(2, 4)
        self.up = nn.Upsample(scale_factor=1.5, mode="bilinear")

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Windows, written slices and a gate."""
        y = torch.roll(self.norm(self.conv(x)), (1, -2), (2, 3))
        z = y.clone()
        z[:, :, ::2] = 0
        gate = torch.sigmoid(y.mean((2, 3), keepdim=True))
        picked = z[:, :, [0, 2, 1]][:, :, :, torch.arange(9, -1, -1)]
        mask = torch.ones(10, 10).tril().bool()
        scores = (y @ y.transpose(2, 3)).masked_fill(~mask, -torch.inf).softmax(-1)
        padded = nn.functional.pad(x, (1, 2, 0, 0), mode="reflect")
        return {"gated": self.up(y * gate), "picked": picked, "attended": scores @ y, "padded": padded}


class Two(nn.Module):
    """Two inputs of different rank."""

    def forward(self, image: Tensor, sound: Tensor) -> Tensor:
        """Their sum, broadcast."""
        return nn.functional.avg_pool2d(image, 2) + nn.functional.avg_pool1d(sound, 3).mean()


MODELS: dict[str, Callable[[], ip.Analysis]] = {
    "text": lambda: ip.analyze("stem: conv 7 s2 p3, pool 3 s2 p1, [conv 3 p1, relu]*2, up 1.5 bilinear, deconv 4 s2 p1, gap, fc 10"),
    "sound": lambda: ip.analyze("[conv 3 d2 s2]*3, up 3", (1, 1, 100)),
    "mixed": lambda: ip.analyze(Mixed(), (1, 3, 10, 10)),
    "two": lambda: ip.analyze(Two(), inputs=(torch.zeros(1, 3, 8, 6), torch.zeros(1, 2, 9))),
    "axes": lambda: ip.analyze(nn.Linear(5, 5), (4, 6, 5), axes=(1,)),
    "recurrent": lambda: ip.analyze(nn.LSTM(3, 4, batch_first=True), (1, 7, 3), axes=(1,)),
}


@pytest.fixture(params=sorted(MODELS))
def analysis(request: pytest.FixtureRequest) -> ip.Analysis:
    """One analysis after another."""
    return MODELS[request.param]()


def same(a: Any, b: Any) -> bool:
    """Equality that looks into arrays and tells types apart."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


def test_round_trip(analysis: ip.Analysis, tmp_path: Path) -> None:
    """The loaded analysis has the same graph and answers the same for every op."""
    path = tmp_path / "a.json"
    analysis.to_json(path)
    loaded = ip.load(path)
    assert (loaded.name, loaded.axes, loaded.ops, loaded.layers) == (analysis.name, analysis.axes, analysis.ops, analysis.layers)
    assert (loaded.issues, loaded.outputs, loaded.inputs) == (analysis.issues, analysis.outputs, analysis.inputs)
    assert (loaded.graph.input_names, loaded.graph.calls) == (analysis.graph.input_names, analysis.graph.calls)
    for before, after in zip(analysis.graph.ops, loaded.graph.ops, strict=True):
        assert (before.name, before.kind, before.shape, before.inputs, before.module, before.source) == (
            after.name, after.kind, after.shape, after.inputs, after.module, after.source,
        )  # fmt: skip
        assert same(dict(before.params), dict(after.params)), before
    assert loaded.rows() == analysis.rows()
    for name in analysis.ops:
        a, b = analysis[name], loaded[name]
        assert (a.size, a.stride, a.start, a.sizes_by_phase) == (b.size, b.stride, b.start, b.sizes_by_phase)
        assert (a.context, a.exactness) == (b.context, b.exactness)
        for mine, other in zip(a.regions(context=True), b.regions(context=True), strict=True):
            assert all(np.array_equal(x, y) for x, y in zip(mine, other, strict=True))
        middle = tuple(n // 2 for n in a.units)
        assert np.array_equal(a.support(middle).mask, b.support(middle).mask)
    assert loaded.to_json() == analysis.to_json()
    assert repr(loaded) == repr(analysis)


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -5, 2**80, 0.5, math.inf, -math.inf, math.nan, "", "x\u00e9\n", (), (1, (2, ()), "a"), [], [1, [2]], [(1,)],
        Fraction(1, 3), Fraction(-7), {}, {2: 1}, {"list": [1]}, {(1, 2): {"a": None}, None: 0.1}, {"fraction": "1/2"},
        np.zeros((0,), np.bool_), np.ones((), np.bool_), np.arange(13).reshape(13, 1) % 3 == 0, np.zeros((3, 0, 2), np.int64),
        np.array([[1, -1], [2, np.iinfo(np.int64).min]]), np.arange(4, dtype=np.int32),
        np.array([0.1, np.inf, -np.inf, np.nan]), np.array(2.5, np.float32), np.array([[True, False], [False, False]]).T,
    ],
    ids=repr,
)  # fmt: skip
def test_values(value: Any) -> None:
    """Every plain value survives strict JSON."""
    assert same(decode(json.loads(json.dumps(encode(value), allow_nan=False))), value)


def test_numpy_scalars_become_plain() -> None:
    """A capture that leaves a numpy integer among its parameters does no harm."""
    assert encode(np.int64(3)) == 3 and encode(np.bool_(True)) is True and encode((np.float32(0.5),)) == [0.5]


@pytest.mark.parametrize("value", [object(), b"x", {1, 2}, 1j, np.array(["a"]), np.array([1j]), np.array([None]), slice(1)])
def test_other_values_are_refused(value: Any) -> None:
    """An op of the user's own may have parameters that are no plain values: the error names the op."""
    graph = Graph((Op("input", "input", (1,)), Op("mine", "pointwise", (1,), (0,), {"p": (value,)})), (1,))
    with pytest.raises(ip.UsageError, match=r"mine \(pointwise\)"):
        graph_to_dict(graph)


def test_bools_are_compact() -> None:
    """A mask costs a bit and a third per element, not five characters."""
    assert len(json.dumps(encode(np.ones((1000, 1000), np.bool_)))) < 200_000


# ---- damage ------------------------------------------------------------------------------------------------------------


def load_text(text: str | bytes, folder: Path) -> ip.Analysis:
    """What `load` makes of a file with this content."""
    path = folder / "damaged.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return ip.load(path)


@pytest.fixture(scope="module")
def good() -> str:
    """A whole file, small enough to try many damages."""
    return MODELS["mixed"]().to_json()


NOT_EVEN_CLOSE = ["", " ", "null", "1", "[]", "{}", '"x"', "{", '{"schema_version": 1}', "\x00", b"\xff\xfe", b"PK\x03\x04", "NaN"]


@pytest.mark.parametrize("content", NOT_EVEN_CLOSE)
def test_files_that_are_none(content: str | bytes, tmp_path: Path) -> None:
    """Whatever the file holds."""
    with pytest.raises(ip.UsageError):
        load_text(content, tmp_path)


@pytest.mark.parametrize("version", [0, 2, "1", None, [], 1.5])
def test_versions(version: object, good: str, tmp_path: Path) -> None:
    """Another version is named, not guessed at."""
    with pytest.raises(ip.UsageError, match="schema_version"):
        load_text(json.dumps({**json.loads(good), "schema_version": version}), tmp_path)


@pytest.mark.parametrize("key", ["schema_version", "graph", "axes", "name"])
def test_missing_keys(key: str, good: str, tmp_path: Path) -> None:
    """A part that is gone."""
    data = json.loads(good)
    del data[key]
    with pytest.raises(ip.UsageError):
        load_text(json.dumps(data), tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_truncated(share: float, good: str, tmp_path: Path) -> None:
    """Half a file is none."""
    with pytest.raises(ip.UsageError):
        load_text(good[: int(len(good) * share)], tmp_path)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in nested data."""
    found = [path] if path else []
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return found + [place for key, value in items for place in places(value, (*path, key))]


def damaged(graph: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of nested data with one value replaced, or removed if `value` is ..."""
    copy = json.loads(json.dumps(graph))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return copy


WRONG = [..., None, "x", -1, 10**30, 1.5, [], {}, [[[]]], {"array": "O", "shape": [1], "data": [1]}, True]


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_any_part_replaced(value: Any) -> None:
    """Every single value of the graph replaced by another type: ValueError or KeyError, whatever it was."""
    graph = graph_to_dict(MODELS["mixed"]().graph)
    rng = random.Random(0)
    for path in rng.sample(places(graph), 250):
        changed = damaged(graph, path, value)
        if changed == graph and json.dumps(changed) == json.dumps(graph):
            continue
        with pytest.raises((ValueError, KeyError)):
            graph_from_dict(changed)


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_any_part_replaced_and_signed(value: Any) -> None:
    """The same with a checksum that fits: nothing but ValueError and KeyError comes out of the decoder itself."""
    from isopter.report.serial import _checksum

    graph = graph_to_dict(MODELS["mixed"]().graph)
    rng = random.Random(1)
    for path in rng.sample([p for p in places(graph) if p != ("checksum",)], 150):
        changed = damaged(graph, path, value)
        changed["checksum"] = _checksum(changed)
        try:
            graph_from_dict(changed)
        except (ValueError, KeyError):
            continue


@pytest.mark.parametrize("data", [None, 1, "x", [], {}, {"ops": []}, {"checksum": "x"}])
def test_no_graph_at_all(data: Any) -> None:
    """Not even an object."""
    with pytest.raises((ValueError, KeyError)):
        graph_from_dict(data)


def test_a_changed_number_is_noticed(tmp_path: Path) -> None:
    """A kernel edited by hand would give a wrong answer: it is refused instead."""
    text = MODELS["text"]().to_json()
    assert '"kernel": [7, 7]' in text
    with pytest.raises(ip.UsageError, match="checksum"):
        load_text(text.replace('"kernel": [7, 7]', '"kernel": [9, 9]'), tmp_path)


@pytest.mark.parametrize("seed", range(20))
def test_flipped_bytes(seed: int, tmp_path: Path) -> None:
    """A flipped byte is refused, or lies outside the graph and changes no answer."""
    analysis = MODELS["text"]()
    good, rng = analysis.to_json().encode(), random.Random(seed)
    expected = analysis.rows()
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(rng.choice([1, 1, 1, 2, 8])):
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        try:
            loaded = load_text(bytes(bad), tmp_path)
            rows = loaded.rows()
            repr(loaded)
        except ip.UsageError:
            continue
        if loaded.axes is None:
            assert rows == expected


def test_deeply_nested(tmp_path: Path) -> None:
    """A file made to exhaust the stack."""
    with pytest.raises(ip.UsageError):
        load_text("[" * 100_000, tmp_path)


def test_folders_and_missing_files(tmp_path: Path) -> None:
    """No file to read."""
    with pytest.raises(ip.UsageError):
        ip.load(tmp_path / "none.json")
    with pytest.raises(ip.UsageError):
        ip.load(tmp_path)


@pytest.mark.parametrize("axes", ["hw", [0.5], [[2]], [None], [True], [9], [2, 2], {}, 2, [], "", [-9], [10**30]])
def test_damaged_axes(axes: object, good: str, tmp_path: Path) -> None:
    """Axes lie outside the graph: they are checked when the file is read."""
    with pytest.raises(ip.UsageError):
        load_text(json.dumps({**json.loads(good), "axes": axes}), tmp_path).rows()


@pytest.mark.parametrize("name", [None, 3, [], {}])
def test_damaged_name(name: object, good: str, tmp_path: Path) -> None:
    """A name is text."""
    with pytest.raises(ip.UsageError):
        load_text(json.dumps({**json.loads(good), "name": name}), tmp_path)
