"""The benchmarks of effective fields: the judge in plain PyTorch, the promises, and that every job runs."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import fields
import fields_jobs
import fields_judge as judge
import fields_page
import isopter as ip
from fields_nets import chain, ready
from jobs import JOBS

# ---- the judge ---------------------------------------------------------------------------------------------------------


def test_the_gradient_of_a_convolution_is_its_kernel() -> None:
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    x = torch.randn(1, 1, 7, 7, requires_grad=True)
    map = judge.energy(judge.gradient(conv(x), x, (3, 2), torch.ones(1, 1)))[0]
    expected = np.zeros((7, 7))
    expected[2:5, 1:4] = conv.weight.detach().numpy()[0, 0] ** 2
    np.testing.assert_allclose(map, expected, rtol=1e-6)


def test_what_goes_into_the_last_call_is_seen_before_it_is_changed_in_place() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU(inplace=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.act(x + 1) - 3)

    x = torch.tensor([[-5.0, 0.0, 4.0]])
    assert judge.into(Twice(), x, "act").tolist() == [[-3.0, -2.0, 2.0]]
    assert judge.out_of(Twice(), x, "act").tolist() == [[0.0, 1.0, 5.0]]  # the first call: the run stops there


def test_he_weights_keep_the_scale() -> None:
    """Of a transposed convolution as well: the mean square after a ReLU stays what it was."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(64, 64, 2, 2), nn.ReLU())
    judge.redraw(net)
    squares = [(net[:k](torch.randn(8, 64, 12, 12)) ** 2)[..., 2:-2, 2:-2].mean().item() for k in (2, 4)]
    assert squares == pytest.approx([1, 1], rel=0.15) and not net[0].bias.any()


def test_calibration_makes_norms_whiten_that_input() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)).eval()
    x = 5 + 3 * torch.randn(1, 1, 16, 16)
    judge.calibrate(net, x)
    y = net(x)
    assert not net.training and torch.allclose(y.mean((0, 2, 3)), torch.zeros(4), atol=1e-5)
    assert torch.allclose(y.var((0, 2, 3)), torch.ones(4), atol=1e-3)


def test_errors_of_disjoint_runs() -> None:
    """By hand: the maps (1, 0) and (0, 1) are each sqrt(2) from their mean (1/2, 1/2) in units of it: 1 at M = 1, 0 at M = 2."""
    found = judge.Convergence([1, 2])
    for _ in range(3):
        found.add(np.array([1.0, 0.0]))
        found.add(np.array([0.0, 1.0]))
    assert found.errors(np.array([2.0, 2.0])) == pytest.approx([1, 0])
    assert found.errors(np.array([1.0, 0.0])) == pytest.approx([1, np.sqrt(0.5)])  # distances 0 and sqrt(2), then sqrt(1/2)


def test_spread_of_a_box() -> None:
    assert judge.spread(np.ones((3, 4))) == pytest.approx(np.sqrt(2 / 3))


# ---- the theory, at few samples ----------------------------------------------------------------------------------------


def test_sampling_converges_to_the_expected_field_and_to_no_other() -> None:
    """Errors fall as the root of M, to under 0.12 at 100 samples; the map of half as many layers is off by 0.56."""
    found = JOBS["convergence"]("plain: 10 convolutions", "10", "100")
    assert found["errors"]["assumed"][-1] < 0.12 and -0.65 < found["exponents"]["assumed"] < -0.35
    assert found["agrees"] < 1e-9
    maps = [fields_jobs.on_image(ip.analyze(chain(depth), (1, 3, 33, 33))[str(2 * depth - 1)].expected()) for depth in (10, 5)]
    assert judge.distance(maps[1], maps[0]) > 0.5


def test_a_wrong_measurement_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """`agrees` is not zero by itself: measured on other weights it is large."""
    net, x = ready(lambda: chain(2), torch.float64), torch.randn(1, 3, 9, 9, dtype=torch.float64, requires_grad=True)
    assert fields_jobs.disagreement(net, x, "3", (4, 4)) < 1e-9
    other = ready(lambda: chain(2), torch.float64)
    judge.redraw(other)
    measure = ip.effective
    monkeypatch.setattr(ip, "effective", lambda given, *a, **k: measure(other, *a, **k))
    assert fields_jobs.disagreement(net, x, "3", (4, 4)) > 0.1


# ---- all of it, very small ---------------------------------------------------------------------------------------------


def small() -> nn.Module:
    """Stands in for ResNet-18: the same layer names."""
    layers = [nn.Sequential(nn.Conv2d(8 if i else 3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)) for i in range(4)]
    return nn.Sequential(OrderedDict((f"layer{i + 1}", layer) for i, layer in enumerate(layers)))


TINY = fields.Plan(
    {"strided: 8, of which 3 by 2": "2 4", "U-Net, max pooling": "1 2"},
    samples="2",
    overheads=("1-D, 10 dilated convolutions",),
    per_call="4",
    rounds="1",
    crops=(("layer1", "64"),),
    erfs=(("layer2", "64", "2"),),
    calibration=("3", "8", "64"),
    held=("layer1",),
)


@pytest.fixture(scope="module")
def measured() -> dict:
    lock, found = threading.Lock(), {}

    def run(name: str, *arguments: str) -> dict:
        with lock:  # processes of their own have their own generators, threads have not
            return json.loads(json.dumps(JOBS[name](*arguments), default=float))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fields_jobs, "resnet18", small)
        patch.setattr(fields, "missing", lambda peer: "not in this test")
        with pytest.warns(UserWarning, match="One sample"):
            fields.measure(found, TINY, run)
    return found


def test_every_job_runs_and_is_on_the_page(measured: dict) -> None:
    text = fields_page.write(measured)
    assert "failed" not in json.dumps(measured) and "not measured" not in text and "No result" not in text
    assert "not asked: not in this test" in text
    assert all(name in text for name in (*TINY.counts, *TINY.overheads))
    assert not re.search(r"\{\w*\}", text)


def test_exact_promises_hold_at_any_size(measured: dict) -> None:
    """Those that are no matter of time or chance."""
    assert all(result["agrees"] < 1e-9 for result in measured["convergence"].values())
    assert measured["replknet"][0][-1]["difference"] < 1e-9 and measured["cropping"][0][-1]["difference"] < 1e-4
    assert measured["held"]["layer1"]["isopter"]["canvas"]


def test_a_failed_job_meets_no_promise(measured: dict) -> None:
    def fail(name: str, *arguments: str) -> dict:
        return {"failed": f"{name} broke"}

    found: dict = {}
    fields.measure(found, replace(TINY, peers=()), fail)
    lines = fields_page.rows(found)
    assert len(lines) >= 6 and all(line[-2:] == ["not measured", "no"] for line in lines)
    assert "convergence broke" in fields_page.write(found)


def test_promises_are_met_by_what_is_measured_alone(measured: dict) -> None:
    bar = fields_page.Bar("shares", "90-99 %", {"x": 0.95}, lambda r: r["x"], "{:.0%}", 0.9, 0.99)
    assert bar.cells == ["shares", "90-99 %", "95%", "yes"]
    assert [replace(bar, result={"x": x}).cells[-1] for x in (0.89, 0.9, 0.99, 1.0, float("nan"))] == ["no", "yes", "yes", "no", "no"]
    slow = json.loads(json.dumps(measured))
    name = TINY.overheads[0]
    for factor, met in ((1.1, "yes"), (1.2, "no")):
        seconds = slow["overhead"][name]["seconds"]
        seconds["isopter"]["cpu"] = factor * seconds["plain"]["cpu"]
        assert [line[-1] for line in fields_page.rows(slow) if name in line[0]] == [met]


def test_full_and_quick_plans_name_what_there_is() -> None:
    assert list(fields.FULL.counts) == list(fields.CASES) and fields.slowest_first(fields.FULL)[0].startswith("ResNet")
    assert set(fields.QUICK.counts) < set(fields.CASES) and set(fields.QUICK.overheads) < set(fields.TIMED)
    assert max(map(int, fields.FULL.counts["plain: 10 convolutions"].split())) == 1000
