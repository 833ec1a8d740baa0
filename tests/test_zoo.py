"""The zoo's own machinery, on networks that need no library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from zoo.entry import Entry
from zoo.families.audio import TCN, Demucs
from zoo.run import read
from zoo.table import failures, write
from zoo.trial import tried

SMALL = Entry("audio", "TCN", "small", lambda: (TCN(width=4, levels=3), (1, 1, 200)), convolutional=True)


class Histogram(nn.Module):
    """Reads all by a way that has no rule."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.histc(x, 4).expand(1, 4, 4)


def bounded(**options: bool) -> dict[str, Any]:
    return tried(Entry("here", "family", "net", lambda: (Histogram(), (1, 1, 8)), proved=False, **options))


@pytest.mark.parametrize(
    "entry", [SMALL, Entry("audio", "Demucs", "small", lambda: (Demucs(width=2, depth=2), (1, 1, 300)))], ids=lambda e: e.family
)
def test_a_network_is_proved(entry: Entry) -> None:
    record = tried(entry)
    assert failures([record]) == []
    assert record["exact"] and record["pairs"] > 1000 and record["unlike"] == []
    json.dumps(record)


def test_an_error_is_recorded() -> None:
    record = tried(Entry("here", "family", "net", lambda: (nn.Linear(3, 4), (1, 5))))
    assert record["stage"] == "capture"
    assert "5" in failures([record])[0]


def test_a_convolutional_network_must_be_exact() -> None:
    assert "No rule for aten.histc" in failures([bounded(convolutional=True)])[0]
    assert failures([bounded()]) == []


def test_a_miss_is_a_failure() -> None:
    record = {"name": "a:b", "convolutional": False, "exact": True, "issues": {}, "missed": 1, "excess": 0, "wrong": ["layer: 1 missed"]}
    assert failures([record]) == ["a:b: layer: 1 missed"]
    assert failures([{**record, "missed": 0, "unlike": ["layer: size"]}]) == ["a:b: the exported program says otherwise: layer: size"]


def test_a_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "zoo.jsonl"
    path.write_text('{"name": "a:b", "ops": 1}\n{"name": "a:b", "ops": 2}\n{"name": "c:d", "o', encoding="utf-8")
    assert read(path) == {"a:b": {"name": "a:b", "ops": 2}}
    assert read(tmp_path / "none") == {}


def test_the_page(tmp_path: Path) -> None:
    records = [tried(SMALL), {**tried(SMALL), "name": "audio:broken", "error": "Boom: a | b", "stage": "build"}]
    write(records, {"audio": "by hand"}, "2.0", 7, tmp_path / "zoo.md")
    page = (tmp_path / "zoo.md").read_text(encoding="utf-8")
    assert "| audio | by hand | 2 | " in page
    assert "- audio:broken: build: Boom: a / b" in page
