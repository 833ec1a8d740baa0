"""The widget from Python's side: what may be selected, and what importing isopter costs. The page's side: tests/browser/test_widget.py."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import isopter as ip
from isopter.errors import LayerNotFound, MissingExtra, UsageError

TEXT = "conv 3 p1, pool 2, conv 3 s2"


@pytest.fixture(scope="module")
def analysis() -> ip.Analysis:
    return ip.analyze(TEXT, (1, 1, 16, 20))


def test_starts_with_the_page_of_show(analysis: ip.Analysis) -> None:
    widget = analysis.widget(height=500, title="A title")
    assert (widget.selection, widget.height) == ({}, 500)
    assert widget.html == analysis.show(title="A title").html
    with pytest.raises(UsageError, match=r"compare=str must be another analysis"):
        analysis.widget(compare="conv 3")


def test_selection_is_completed_and_plain(analysis: ip.Analysis) -> None:
    """Layers by name or pattern; numpy is welcome; without a unit the middle one; {} selects nothing."""
    widget = analysis.widget()
    widget.selection = {"layer": "conv2"}
    assert widget.selection == {"layer": "conv2", "unit": [1, 2]}
    widget.selection = {"layer": "pool*", "unit": np.array([7, 0])}
    assert widget.selection == {"layer": "pool1", "unit": [7, 0]} and {type(i) for i in widget.selection["unit"]} == {int}
    widget.selection = {"layer": "input", "unit": (15, 19), "model": 0}
    assert widget.selection == {"layer": "input", "unit": [15, 19]}
    widget.selection = {}
    assert widget.selection == {}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"layer": "conv3"}, "Nearest: conv2"), ({"layer": 7}, "No layer is called"), ({"layer": ["conv1"]}, "No layer is called"),
        ({"layer": "conv*"}, "matches 2 layers"), ({"layer": "conv1", "unit": [1]}, "give 2 whole numbers"),
        ({"layer": "conv1", "unit": [16, 0]}, r"Valid: 0..15 x 0..19"), ({"layer": "conv1", "unit": [-1, 0]}, "out of range"),
        ({"layer": "conv1", "unit": [0.0, 0]}, "whole numbers"), ({"layer": "conv1", "unit": 5}, "unit 5 is no list"),
        ({"layer": "conv1", "unit": None}, "unit None is no list"), ({"layer": "conv1", "model": 1}, "none of the 1 in this report"),
        ({"layer": "conv1", "model": True}, "model True"), ({"unit": [0, 0]}, "expected"), ({"layer": "conv1", "a": 0}, "expected"),
        (["conv1"], "expected"), (None, "expected"), ("conv1", "expected"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_there_cannot_be_selected(analysis: ip.Analysis, wrong: Any, said: str) -> None:
    widget = analysis.widget()
    widget.selection = {"layer": "conv1", "unit": [0, 1]}
    with pytest.raises(UsageError, match=said):
        widget.selection = wrong
    assert widget.selection == {"layer": "conv1", "unit": [0, 1]}


def test_layer_not_found_is_what_it_is(analysis: ip.Analysis) -> None:
    with pytest.raises(LayerNotFound):
        analysis.widget().selection = {"layer": "nothing"}


def test_models_of_a_comparison(analysis: ip.Analysis) -> None:
    widget = analysis.widget(compare=[ip.analyze("conv 5", (1, 1, 16, 20))])
    widget.selection = {"layer": "conv1", "unit": [11, 15], "model": 1}
    assert widget.selection == {"layer": "conv1", "unit": [11, 15], "model": 1}
    with pytest.raises(UsageError, match=r"Valid: 0..11 x 0..15"):
        widget.selection = {"layer": "conv1", "unit": [12, 0], "model": 1}
    with pytest.raises(LayerNotFound):
        widget.selection = {"layer": "conv2", "model": 1}


def test_a_module_is_the_op_it_ends_in() -> None:
    """The page knows ops; a module's name is that of its last op. What another input made is not in the page."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
            self.other = nn.Conv2d(1, 1, 3)

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.body(x), self.other(y)

    widget = ip.analyze(Net(), inputs=(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))).widget()
    widget.selection = {"layer": "body"}
    assert widget.selection == {"layer": "body.1", "unit": [3, 3]}
    with pytest.raises(UsageError, match="other does not depend on the input x"):
        widget.selection = {"layer": "other"}


def test_a_change_is_heard(analysis: ip.Analysis) -> None:
    """As any trait; and what the page sends takes the same way."""
    widget, heard = analysis.widget(), []
    widget.observe(lambda change: heard.append(change["new"]), "selection")
    widget.set_state({"selection": {"layer": "conv1", "unit": [3, 4]}})
    assert heard == [{"layer": "conv1", "unit": [3, 4]}]


def test_importing_isopter_does_not_import_widgets() -> None:
    code = f"import sys, isopter; isopter.analyze({TEXT!r}).show(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {name.split(".")[0] for name in loaded} & {"anywidget", "ipywidgets", "traitlets", "IPython"}


@pytest.mark.parametrize("missing", ["anywidget", "traitlets"])
def test_without_anywidget(missing: str, analysis: ip.Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "isopter.report.page.widget", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtra, match=r'pip install "isopter\[widget\]"'):
        analysis.widget()
