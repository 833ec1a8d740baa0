"""Effective fields as text, data, archives and figures."""

from __future__ import annotations

import json
import math
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.maps import TRUTH, bell, boxes, field, measured, outer, skewed

from isopter.erf.maps.field import EffectiveField
from isopter.erf.maps.files import load_npz
from isopter.erf.maps.measured import Measured
from isopter.errors import MissingExtra, UsageError


def test_text() -> None:
    assert repr(field(outer(boxes(5), boxes(5)))) == "EffectiveField('conv', energy, sigma=(1.826, 1.826), size=(11, 11), ratio=0.7551)"
    said = repr(measured(skewed(0, 64, TRUTH), clipped=True))
    assert said.startswith("Measured('conv', energy, sigma=(") and said.endswith("samples=64, clipped)") and said.count("±") == 3


def test_to_dict() -> None:
    e = measured(skewed(0, 64, TRUTH), size=(math.inf, 21), seed=7, notes=("a note",))
    data = json.loads(json.dumps(e.to_dict(), allow_nan=False))
    assert data["size"] == ["inf", 21]
    assert data["metrics"]["sigma"] == list(e.sigma)
    assert data["errors"]["sigma"] == [s.stderr for s in e.sigma]
    assert data["metrics"]["side"]["0.95"] == e.side()
    assert data["errors"]["area_ratio"]["0.3"] == e.area_ratio(0.3).stderr
    assert data["metrics"]["ratio"] is None
    assert (data["samples"], data["seed"], data["notes"], data["clipped"]) == (64, 7, ["a note"], False)
    assert set(data["metrics"]) == set(data["errors"])
    assert "map" not in data
    assert e.to_dict(map=True)["map"] == e.map.tolist()
    empty = json.loads(json.dumps(field(np.zeros((3, 3))).to_dict(), allow_nan=False))
    assert empty["metrics"]["sigma"] == [None, None]
    assert empty["errors"] is None


def same(one: EffectiveField, other: EffectiveField) -> bool:
    """Same kind, place, map, and what needs every group of samples: errors."""
    places = [
        {k: v for k, v in vars(e).items() if k in {"layer", "origin", "center", "size", "image", "unit", "statistic"}} for e in (one, other)
    ]
    sampling = [(e.clipped, e.seed, e.notes, e.samples, e.stderr.tolist()) if isinstance(e, Measured) else None for e in (one, other)]
    alike = type(one) is type(other) and places[0] == places[1] and sampling[0] == sampling[1]
    return alike and np.array_equal(one.map, other.map) and repr(one) == repr(other)


def test_archives(tmp_path: Path) -> None:
    """What comes back says the same, errors included; so does a pickle."""
    plain = field(outer(boxes(3), boxes(4)), origin=(-2, 3), size=(math.inf, 9), center=(1.0, 6.5))
    sampled = measured(skewed(0, 37, TRUTH), clipped=True, seed=3, notes=("cut",))
    for e in (plain, sampled, sampled.rms, plain.rms):
        e.save_npz(tmp_path / "erf")
        assert same(load_npz(tmp_path / "erf"), e)
        assert same(pickle.loads(pickle.dumps(e)), e)
    with np.load(tmp_path / "erf") as archive:
        assert {"map", "origin", "meta"} <= set(archive)
    sampled.save_npz(str(tmp_path / "erf"))
    with np.load(tmp_path / "erf") as archive:
        assert archive["stderr"] == pytest.approx(sampled.stderr)


def test_archives_that_are_none(tmp_path: Path) -> None:
    good = tmp_path / "good.npz"
    measured(skewed(0, 5, TRUTH)).save_npz(good)
    whole = good.read_bytes()
    hostile = {"cut": whole[: len(whole) // 2], "text": b"hello", "empty": b"", "pickle": pickle.dumps([1])}
    for name, content in hostile.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match="is no effective field written by isopter"):
            load_npz(tmp_path / name)
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    np.savez(tmp_path / "bare.npz", meta=np.array("[]"))
    np.save(tmp_path / "one.npy", np.ones(3))
    for name in ("other.npz", "bare.npz", "one.npy"):
        with pytest.raises(UsageError, match="is no effective field written by isopter"):
            load_npz(tmp_path / name)
    with pytest.raises(UsageError, match="There is no file"):
        load_npz(tmp_path / "missing")
    with pytest.raises(UsageError, match="Cannot write"):
        field(np.ones(3)).save_npz(tmp_path / "no" / "folder")


# ---- drawing -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pyplot() -> Any:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_plot(pyplot: Any, scale: Any) -> None:
    """Pixel (row, column) of the input is drawn at y = row, x = column, and the theoretical field frames it."""
    values = np.zeros((5, 9))
    values[1, 7] = 1.0
    _, given = pyplot.subplots()
    e = field(values, origin=(10, -3), center=(12.0, 1.0), size=(5, 9))
    ax = e.plot(given, scale=scale)
    ax.figure.canvas.draw()
    assert ax is given
    image = ax.images[0]
    assert image.get_extent() == [-3.5, 5.5, 14.5, 9.5]
    at = ax.transData.transform((4.0, 11.0))  # column -3 + 7, row 10 + 1
    assert image.get_cursor_data(type("Event", (), {"x": at[0], "y": at[1]})()) == 1.0
    (frame,) = ax.patches
    assert frame.get_bbox().bounds == (-3.5, 9.5, 9, 5)
    assert "conv" in ax.get_title()
    assert pyplot.get_fignums() == [given.figure.number]


def test_plot_of_a_line_and_a_volume(pyplot: Any) -> None:
    line = measured(skewed(0, 20, bell(11, 5, 2)), origin=(3,), center=(8.0,)).plot(scale="log")
    assert line.lines[0].get_xdata().tolist() == list(range(3, 14))
    assert len(line.collections) == 1
    volume = outer(bell(5, 2, 1), bell(7, 3, 2), bell(9, 4, 2)) * np.arange(1, 6).reshape(5, 1, 1)
    ax = field(volume, origin=(10, 0, 0), center=(12.0, 3.0, 4.0)).plot()
    assert np.asarray(ax.images[0].get_array()) == pytest.approx(volume[2])
    assert "slice at axis 0: pixel 12" in ax.get_title()
    field(np.zeros((4, 4)), size=(math.inf, math.inf)).plot(scale="log").figure.canvas.draw()


class Absent:
    """A finder that hides matplotlib."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_plot_that_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="scale='cubic' is unknown"):
        field(np.ones(3)).plot(scale="cubic")
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    with pytest.raises(MissingExtra, match=r"isopter\[plot\]"):
        field(np.ones(3)).plot()
