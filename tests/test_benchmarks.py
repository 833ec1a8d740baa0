"""The benchmarks' judge: the truth it holds tools against, its verdicts, and jobs that crash or hang."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import flood
import measure
import page
import peers
import subjects


class Gated(nn.Module):
    """A 3x3 convolution whose output is weighted by its own mean."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * self.pool(x).sigmoid()


class Middle(nn.Module):
    """Two taps, 4 pixels apart to one side: what is read is not centred, and has a hole."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 4:] + x[:, :, :-4]


def truth_of(net: nn.Module, shape: tuple[int, ...], **options: int) -> flood.Truth:
    return flood.true_size(net.eval(), subjects.Network("net", lambda: net, shape, long=64, thin=8, **options))


@pytest.mark.parametrize(
    ("net", "shape", "size"),
    [
        (nn.Conv2d(1, 1, (3, 5)), (1, 1, 32, 32), (3, 5)),
        (nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2, 2)), (1, 1, 32, 32), (5, 5)),  # 1 + 2 + 1 * 2
        (nn.Conv2d(2, 2, 3, padding=8, dilation=8, groups=2), (1, 2, 32, 32), (17, 17)),
        (Middle(), (1, 1, 32), (5,)),
        (nn.Conv1d(1, 1, 71, padding=35), (1, 1, 128), (71,)),  # larger than the first image tried
    ],
)
def test_the_truth_of_nets_known_by_hand(net: nn.Module, shape: tuple[int, ...], size: tuple[int, ...]) -> None:
    found = truth_of(net, shape)
    assert found.size == size and not found.whole


def test_the_truth_after_upsampling_is_the_largest_phase() -> None:
    """After nearest upsampling by 2, a window of 3 reads 2 source pixels at every phase; one of 4 reads 2 or 3."""
    net = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv1d(1, 1, 4, padding=2))
    assert truth_of(net, (1, 1, 32), phases=2).size == (3,)


def test_the_truth_of_a_gate() -> None:
    found = truth_of(Gated(), (1, 1, 32, 32), gates=True)
    assert found == flood.Truth((3, 3), True, found.probed)


def ask_truly(net: nn.Module, shape: tuple[int, ...]) -> peers.Size:
    return (5.0, 5.0)


def ask_wrongly(net: nn.Module, shape: tuple[int, ...]) -> peers.Size:
    return (7.0, 7.0)


def ask_on_one_axis(net: nn.Module, shape: tuple[int, ...]) -> peers.Size:
    return (5.0, 7.0)


@pytest.mark.parametrize(("ask", "word"), [(ask_truly, "right"), (ask_wrongly, "wrong"), (ask_on_one_axis, "wrong")])
def test_right_is_told_from_wrong(ask, word: str) -> None:
    """A tool that gives another number than the network does is reported wrong, with its number."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2, 2)).eval()
    true = truth_of(net, (1, 1, 32, 32))
    size = ask(net, (1, 1, 32, 32))
    assert peers.verdict(size, true.size, true.whole) == word
    cell = page.answer({"truth": {"size": true.size, "whole": true.whole}, "tool": {"size": size}}, "tool")
    assert word in cell and page.shown(size) in cell


def test_everything_is_an_answer_for_gates_only() -> None:
    whole = (math.inf, math.inf)
    assert peers.verdict(whole, (3, 3), True) == "right" and peers.verdict(whole, (3, 3), False) == "wrong"


def test_refusals_and_failures_are_named() -> None:
    true = {"size": [5], "whole": False}
    rows = {"net": {"truth": true, "a": {"refused": "no rule"}, "b": {"failed": "ValueError: no"}}}
    assert page.answer(rows["net"], "a") == "refuses" and page.answer(rows["net"], "b") == "fails"
    assert page.reasons(rows, ["a", "b"]) == "- a refuses on net: `no rule`\n- b fails on net: `ValueError: no`"


@pytest.mark.parametrize(
    ("code", "timeout", "answer"),
    [
        ("print('noise'); print('{\"size\": [3]}')", 600, {"size": [3]}),
        ("raise SystemExit('no such thing')", 600, {"failed": "no such thing"}),
        ("import os; os.kill(os.getpid(), 9)", 600, {"failed": "killed by SIGKILL"}),
        ("import time; time.sleep(6000)", 3, {"failed": "no answer in 3 s"}),
        ("pass", 600, {"failed": "exit status 0, no output"}),
    ],
)
def test_a_job_that_crashes_or_hangs_costs_its_own_cell(code: str, timeout: float, answer: dict[str, object]) -> None:
    assert measure.run_job([sys.executable, "-c", code], timeout=timeout) == answer


def test_a_job_reports_its_error() -> None:
    found = measure.job("truth", "no such network", timeout=600)
    assert found == {"failed": "KeyError: 'no such network'"}


def test_exponents() -> None:
    assert measure.exponent([1, 10, 100], [3, 30, 300]) == pytest.approx(1)
    assert measure.exponent([1, 10, 100], [2, 200, 20000]) == pytest.approx(2)


def test_memory_added_is_seen() -> None:
    # In a process of its own, as the benchmarks measure: where the system cannot forget an earlier peak, one hides what stays below it.
    script = "import json, measure, numpy; print(json.dumps({'added': measure.added(lambda: numpy.ones(12_500_000))[1]}))"  # 100 MB
    result = measure.run_job([sys.executable, "-c", script], timeout=600, path=Path(measure.__file__).parent)
    assert 90 < result["added"] < 130
