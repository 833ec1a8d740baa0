"""What if a window or the input were another: the page's sliders give the answers of `Analysis.what_if`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from driver import Opened
from reports import analysis, report
from strip import TIMES

import isopter as ip

Show = Callable[..., Opened]


def answer(page: Opened) -> dict[str, list[str]]:
    """The rows of the table of now and then."""
    rows = page.at("#what-if tbody tr").evaluate_all("(all) => all.map((row) => [...row.children].map((cell) => cell.textContent))")
    return {name: cells for name, *cells in rows}


def slider(page: Opened, kind: str, value: int) -> None:
    page.slide(f'#what-if input[aria-label="{kind}"]', value)


def same_answer(page: Opened, then: ip.Analysis) -> None:
    """Size, stride and shape of the layer that the page names, against Python."""
    found = answer(page)
    name = next(row for row in found if row.startswith("size of ")).removeprefix("size of ")
    field = then[name]
    size = field.size if len(set(field.size)) > 1 else field.size[:1]
    assert found[f"size of {name}"][1] == TIMES.join(map(str, size))
    assert found["stride"][1] == str(field.stride[0])
    assert found["shape"][1] == TIMES.join(map(str, field.shape))


@pytest.mark.parametrize(
    ("name", "layer", "edit"),
    [
        ("resnet18", "conv1", {"kernel": 3}),
        ("resnet18", "maxpool", {"kernel": 5}),
        ("resnet18", "layer4.1.conv1", {"kernel": 7, "dilation": 3}),
        ("grid", "conv3", {"dilation": 2, "stride": 2}),
        ("unet", "down.0.0", {"kernel": 5}),
        ("wavenet", "layers.3.residual", {"kernel": 1, "dilation": 4}),
    ],
)
def test_windows(show: Show, name: str, layer: str, edit: dict[str, int]) -> None:
    made = report(name)
    page = show(made.file)
    page.choose(layer)
    ghosts = page.at("#growth path.ghost").count()
    for kind, value in edit.items():
        slider(page, kind, value)
    now = {kind: value for kind, value in edit.items() if value != made.analysis.graph.ops[made.analysis.find(layer)].params[kind][0]}
    try:
        then: Any = made.analysis.what_if({layer: now})
    except ip.UsageError as error:
        assert said(page) in str(error)
        return
    if not now:
        return
    same_answer(page, then)
    assert ghosts == 0 and page.at("#growth path.ghost").count() == 1


def said(page: Opened) -> str:
    """Why the edited network does not fit, as the page words it."""
    return page.at("#what-if .broken").text_content()


@pytest.mark.parametrize(("name", "size"), [("resnet18", 448), ("grid", 64), ("wavenet", 2048), ("volume", 48)])
def test_input_size(show: Show, name: str, size: int) -> None:
    made = report(name)
    page = show(made.file)
    slider(page, "input size", size)
    shape = made.analysis.graph.ops[made.analysis.graph.inputs[0]].shape
    image = made.analysis[page.layer()].input_shape
    same_answer(page, made.analysis.what_if(input_size=(*shape[:2], *(round(n * size / image[0]) for n in image))))


def test_the_branch_that_breaks_is_named(show: Show) -> None:
    """A stride in one of two branches: the page names where they meet, in Python's words."""
    made = report("branches")
    page = show(made.file)
    page.choose("left")
    slider(page, "stride", 2)
    with pytest.raises(ip.UsageError) as error:
        made.analysis.what_if({"left": {"stride": 2}})
    text = page.at("#what-if .broken").text_content()
    assert text.rstrip(".") == str(error.value).rstrip(".")
    assert "stops matching" in text and "cat" in text
    assert page.at("#growth path.ghost").count() == 0
    page.at("#what-if button").filter(has_text="Reset").click()
    assert page.at("#what-if .broken").count() == 0


def test_copied_code_gives_the_same(show: Show) -> None:
    """The text of "Copy as code", run in Python, is the network of the sliders."""
    made = report("resnet18")
    page = show(made.file)
    page.choose("layer2.0.conv1")
    slider(page, "kernel", 5)
    page.choose("conv1")
    slider(page, "kernel", 9)
    slider(page, "input size", 288)
    page.at("#what-if button").filter(has_text="Copy as code").click()
    code = page.at("#what-if textarea").input_value()
    assert re.match(r"analysis\.what_if\(", code)
    then = eval(code, {"analysis": analysis("resnet18")})
    same_answer(page, then)
    assert then["conv1"].size == (9, 9)
    assert then["conv1"].input_shape == (288, 288)


def copied(page: Opened) -> str:
    page.at("#what-if button").filter(has_text="Copy as code").click()
    return page.at("#what-if textarea").input_value()


def test_a_shared_layer_changes_in_all_its_calls(show: Show) -> None:
    """Whichever call is looked at; its weights are counted once."""
    made = report("shared")
    page = show(made.file)
    for call in ("c", "c#2"):
        page.choose(call)
        slider(page, "kernel", 9 if call == "c" else 5)
    then = made.analysis.what_if({"c": {"kernel": 5}})
    same_answer(page, then)
    assert answer(page)["weights"] == ["9", "25"]
    assert copied(page) == 'analysis.what_if({"c": dict(kernel=5)})'
    page.choose("c")
    assert page.at('#what-if input[aria-label="kernel"]').input_value() == "5"


def test_what_is_assumed_is_said(show: Show) -> None:
    """In Python's words, under the table; nothing is said where nothing is assumed."""
    made = report("shared")
    page = show(made.file)
    page.choose("c")
    slider(page, "kernel", 5)
    assert page.at("#what-if .assumed").count() == 0
    slider(page, "input size", 48)
    said_here = page.at("#what-if .assumed").all_text_contents()
    assert said_here == [f"{issue}." for issue in made.analysis.what_if(input_size=(1, 1, 48, 48)).issues]
    assert len(said_here) == 2


@pytest.mark.parametrize(
    ("name", "layer", "size", "code"),
    [
        ("last axes", "conv", 48, "analysis.what_if({}, input_size=(1, 48, 60, 3))"),
        ("second", "conv", 40, 'analysis.what_if({}, input_size=(1, 3, 40, 48), input="y")'),
        ("ahead", "conv1", 804, "analysis.what_if({}, input_size=(1, 1, 804))"),
    ],
)
def test_copied_sizes_are_those_of_the_input(show: Show, name: str, layer: str, size: int, code: str) -> None:
    made = report(name)
    page = show(made.file)
    page.choose(layer)
    slider(page, "input size", size)
    assert copied(page) == code
    same_answer(page, eval(code, {"analysis": made.analysis}))


def test_reset_brings_the_network_back(show: Show) -> None:
    page = show(report("resnet18").file)
    page.choose("conv1")
    slider(page, "kernel", 11)
    assert page.at("#what-if tbody tr").count() > 3
    page.at("#what-if button").filter(has_text="Reset").click()
    page.settle()
    assert page.at("#what-if tbody tr").count() == 0
    assert page.at("#growth path.ghost").count() == 0
    assert page.at('#what-if input[aria-label="kernel"]').input_value() == "7"


def test_sliders_follow_the_keyboard(show: Show) -> None:
    """Arrow keys move a slider, not the layers."""
    page = show(report("resnet18").file)
    page.choose("layer1.0.conv1")
    page.at('#what-if input[aria-label="dilation"]').focus()
    page.press("ArrowRight", "ArrowRight")
    assert page.layer() == "layer1.0.conv1"
    same_answer(page, analysis("resnet18").what_if({"layer1.0.conv1": {"dilation": 3}}))


def test_no_window_no_sliders(show: Show) -> None:
    page = show(report("resnet18").file)
    page.choose("layer1.0.add")
    assert "Pick a convolution" in page.at("#what-if").text_content()
    assert page.at('#what-if input[type="range"]').count() == 1
