"""The page's engine, in JavaScript, gives the answers of the Python walks: thousands of random questions, not one difference."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import isopter as ip
from isopter.reads.axis import AxisMap, Ints, Periodic
from isopter.reads.registry import Site
from isopter.reads.relation import Link, Masked, Reads, Relation, along
from isopter.report.page.graph import graph_data
from isopter.report.page.relations import bits, positions, relation_data
from page_fixtures import NAMED, fixture, write

WEB = Path(__file__).resolve().parent.parent / "web"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: the page's engine cannot run")


def run_node(fixtures: Path) -> subprocess.CompletedProcess[str]:
    """Node's test runner over the engine's tests, with these fixtures."""
    return subprocess.run(
        ["node", "--test", "--test-reporter=tap", *map(str, sorted((WEB / "test").glob("*.test.js")))],
        capture_output=True, text=True, check=False, env={**os.environ, "ISOPTER_FIXTURES": str(fixtures)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fixtures")
    assert write(folder) >= 1000
    return folder


@needs_node
def test_engine_equals_python(fixtures: Path) -> None:
    done = run_node(fixtures)
    compared = re.search(r"compared (\d+) units.*", done.stdout)
    assert compared, done.stdout[-2000:] + done.stderr[-2000:]
    print(compared[0])
    failures = re.findall(r"^not ok .*$", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and not failures, "\n".join(failures[:10]) + "\n" + _detail(done.stdout)
    assert int(compared[1]) >= 1000


def _detail(tap: str) -> str:
    first = tap.find("not ok")
    return tap[first : first + 3000]


def _spoil(part: str, found: dict[str, Any]) -> None:
    match part:
        case "support":
            next(u for u in found["units"] if u["support"])["support"]["origin"][0] += 1
        case "lo":
            found["units"][0]["lo"][0] += 1
        case "reach":
            next(iter(found["reach"][0]["ops"].values()))["count"] += 1
        case "paths":
            found["paths"][0]["counts"][0] += "0"
        case "cost":
            found["cost"]["weights"] += 1
        case "exposure":
            found["exposure"][0]["shares"][0] += 0.001
        case "whatIf":
            next(w for w in found["whatIf"] if "ops" in w)["ops"][-1]["shape"][-1] += 1
        case "extent":
            found["graph"]["ops"][-1]["extent"][0]["lo"][0] -= 1


@needs_node
def test_a_wrong_answer_is_noticed(fixtures: Path, tmp_path: Path) -> None:
    """A comparison that cannot fail proves nothing: one number changed, of whichever kind, must be reported."""
    parts = ("nothing", "support", "lo", "reach", "paths", "exposure", "whatIf", "extent", "cost")
    for part in parts:
        found = json.loads((fixtures / "gridding.json").read_text())
        _spoil(part, found)
        (tmp_path / f"{part}.json").write_text(json.dumps(found))
    done = run_node(tmp_path)
    assert done.returncode != 0
    assert set(re.findall(r"^not ok \d+ - (\S+)", done.stdout, re.MULTILINE)) == set(parts) - {"nothing"}


# ---- rules of a user's own ------------------------------------------------------------------------------------------------


class Apart(AxisMap):
    """Output i reads i - 2 and i + 3, wherever it is."""

    @property
    def plane(self) -> Periodic:
        return Periodic(1, np.array([[-2, 3]]))


class Mirrored(AxisMap):
    """Output i reads i, and what stands as far from the other end."""

    def table(self, n_out: int, n_in: int) -> Ints:
        return np.stack([np.arange(n_out), n_in - 1 - np.arange(n_out)], axis=1)


@torch.library.custom_op("isopter_page::own", mutates_args=())
def own(x: torch.Tensor, kind: int) -> torch.Tensor:
    return x.clone()


@own.register_fake
def _(x: torch.Tensor, kind: int) -> torch.Tensor:
    return torch.empty_like(x)


@ip.register("isopter_page::own")
def reads_of_own(site: Site) -> Reads:
    return ((along(4, {3: Apart() if site.params["kind"] == 0 else Mirrored()}),),)


class Own(torch.nn.Module):
    def __init__(self, kind: int) -> None:
        super().__init__()
        self.kind, self.conv = kind, torch.nn.Conv2d(1, 1, (1, 3), padding=(0, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(own(self.conv(x), self.kind))


@needs_node
def test_rules_of_ones_own_are_exact_in_the_page(tmp_path: Path) -> None:
    """Maps of other kinds than isopter's travel as what they read: inside the image and, where they have one, on the plane."""
    for kind in range(2):
        made = ip.analyze(Own(kind), (1, 1, 8, 8))
        assert made.exact and made.show().html
        found = fixture(made, random.Random(kind), 60) | {"whatIf": []}
        (tmp_path / f"own_{kind}.json").write_text(json.dumps(found, allow_nan=False))
    done = run_node(tmp_path)
    compared = re.search(r"compared (\d+) units", done.stdout)
    assert done.returncode == 0 and compared and int(compared[1]) == 120, done.stdout[-3000:] + done.stderr[-2000:]


def test_a_map_of_ones_own_is_a_take() -> None:
    """Its table for these sizes, -1 beyond the border, and its pattern on the plane."""
    written = relation_data(along(1, {0: Apart()}), (5,), (4,))["links"]
    assert written == [[[0], [0], ["t", positions(np.array([[-1, 3], [-1, 4], [0, -1], [1, -1]])), [1, [[-2, 3]]]]]]
    assert relation_data(along(1, {0: Mirrored()}), (3,), (3,))["links"][0][2] == ["t", positions(np.array([[0, 2], [1, 1], [2, 0]])), None]


# ---- the data -------------------------------------------------------------------------------------------------------------


def test_relations_are_written_once() -> None:
    """Equal reads share one relation, and the data is plain JSON that says the same each time."""
    factory, size = NAMED["resnet18"]
    analysis = ip.analyze(factory(), size)
    data = graph_data(analysis)
    used = {edge[1] for op in data["ops"] for edge in op["edges"]} - {-1}
    assert used == set(range(len(data["relations"])))
    assert len(data["relations"]) < 10
    assert json.dumps(data, allow_nan=False) == json.dumps(graph_data(ip.analyze(factory(), size)), allow_nan=False)
    assert [op["name"] for op in data["ops"]] == list(analysis.ops)


def test_ops_beside_the_input_keep_their_places() -> None:
    """Ops that hang on another input are listed, without edges and without facts."""

    class Two(torch.nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x + torch.relu(y)[:, :, ::2]

    analysis = ip.analyze(Two(), inputs={"x": torch.zeros(1, 2, 8), "y": torch.zeros(1, 2, 16)})
    for origin, size in zip(analysis.graph.inputs, (8, 16), strict=True):
        data = graph_data(analysis, origin)
        assert data["origin"] == origin and data["shape"] == [1, 2, size]
        assert [op["name"] for op in data["ops"]] == list(analysis.ops)
        alone = [op for index, op in enumerate(data["ops"]) if not analysis._walk(origin).plan.depends(index)]
        assert alone and all(op["edges"] == [] and "size" not in op for op in alone)


@pytest.mark.parametrize("shape", [(0,), (1,), (9,), (0, 3), (3, 0), (4, 7), (2, 3, 5), (3, 1, 1, 2), ()])
def test_bits_hold_every_slice(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    array = rng.random(shape) < 0.5
    found = bits(np.asarray(array))
    slices = [tuple(s) for s in np.asarray(array).reshape(shape[0] if len(shape) > 1 else 1, -1).tolist()] if array.size else []
    assert found["shape"] == list(shape)
    if slices:
        assert len(found["which"]) == len(slices)
        assert len(set(found["which"])) == len(set(slices))


def test_positions_are_differences() -> None:
    assert positions(np.array([[0, 5], [1, 6], [2, 7]])) == {"shape": [3, 2], "steps": [0, 1, 1, 3, 1, 1]}
    assert positions(np.zeros((0, 2), np.int64)) == {"shape": [0, 2], "steps": []}


def test_masks_that_repeat_are_written_once() -> None:
    """Attention in windows: thousands of windows share a handful of masks."""
    pattern = np.ones((500, 16, 16), np.bool_)
    pattern[7, 3] = False
    text = json.dumps(relation_data(Relation((Link((0, 1), (0, 2), Masked(pattern)),)), (500, 3, 16), (500, 16, 3)))
    assert len(text) < 2500
