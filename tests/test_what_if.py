"""`what_if` gives the graph that capturing the edited model gives: same shapes, same fields, same exact sets, at any size."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from examples import models
from torch import Tensor, nn

import isopter as ip
from cases import CASES, INTEGER
from lambdas import Lambda
from page_fixtures import inception, unet_nearest

Size = tuple[int, ...]


def assert_equal(found: ip.Analysis, expected: ip.Analysis) -> None:
    """Every op's shape, table row, regions and paths, and the exact sets of a few units."""
    assert found.ops == expected.ops
    assert [op.shape for op in found.graph.ops] == [op.shape for op in expected.graph.ops]
    assert found.rows() == expected.rows()
    rng = np.random.default_rng(0)
    for name in found.ops:
        one, other = found[name], expected[name]
        assert one.sizes_by_phase == other.sizes_by_phase
        for a, b in zip(one.regions(context=True), other.regions(context=True), strict=True):
            assert np.array_equal(a, b), name
        if 0 in one.units:
            continue
        unit = tuple(int(rng.integers(n)) for n in one.units)
        s, t = one.support(unit), other.support(unit)
        assert s.origin == t.origin and np.array_equal(s.mask, t.mask), (name, unit)


def changed(model: nn.Module, edits: dict[str, dict[str, Any]]) -> nn.Module:
    """A copy of the model with new modules in place of those named."""
    model = copy.deepcopy(model)
    for name, edit in edits.items():
        parent, _, last = name.rpartition(".")
        old = model.get_submodule(name)
        setattr(model.get_submodule(parent), last, _rebuilt(old, edit))
    return model.eval()


def _rebuilt(old: nn.Module, edit: dict[str, Any]) -> nn.Module:
    keys = {"kernel": "kernel_size"}
    numbers = {keys.get(k, k): v for k, v in edit.items()}
    common = {k: getattr(old, k) for k in ("kernel_size", "stride", "padding", "dilation") if hasattr(old, k)} | numbers
    if isinstance(old, nn.MaxPool2d | nn.AvgPool2d):
        return type(old)(**common, ceil_mode=old.ceil_mode)
    extra = {"output_padding": old.output_padding} if "Transpose" in type(old).__name__ else {}
    return type(old)(old.in_channels, old.out_channels, groups=old.groups, **common, **extra)


def plain(**stem: Any) -> nn.Module:
    """A few layers of each kind, named 0, 1, ..."""
    return nn.Sequential(
        nn.Conv2d(3, 4, **({"kernel_size": 3, "padding": 1} | stem)), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 5, 2),
        nn.AvgPool2d(2, ceil_mode=True), nn.ConvTranspose2d(4, 3, 3, 2, 1, output_padding=1), nn.Conv2d(3, 2, 3, padding=2, dilation=2),
    )  # fmt: skip


EDITS: list[tuple[str, Callable[[], nn.Module], Size, dict[str, dict[str, Any]], dict[str, dict[str, Any]], Size | None]] = [
    # name, model, input, what what_if is told, what the new modules are made with, other input size
    ("kernel", plain, (1, 3, 61, 48), {"0": {"kernel": 7}}, {"0": {"kernel": 7, "padding": 3}}, None),
    ("kernel per axis", plain, (1, 3, 61, 48), {"0": {"kernel": (1, 5)}}, {"0": {"kernel": (1, 5), "padding": (0, 2)}}, None),
    ("dilation", plain, (1, 3, 61, 48), {"6": {"dilation": 3}}, {"6": {"dilation": 3, "padding": 3}}, None),
    ("stride", plain, (1, 3, 61, 48), {"3": {"stride": 1}}, {"3": {"stride": 1}}, None),
    ("valid stays valid", plain, (1, 3, 61, 48), {"3": {"kernel": 3}}, {"3": {"kernel": 3}}, None),
    ("padding given", plain, (1, 3, 61, 48), {"0": {"kernel": 5, "padding": 0}}, {"0": {"kernel": 5, "padding": 0}}, None),
    ("max pool", plain, (1, 3, 61, 48), {"2": {"kernel": 5, "stride": 3}}, {"2": {"kernel": 5, "stride": 3, "padding": 2}}, None),
    ("ceil pool", plain, (1, 3, 63, 52), {"4": {"kernel": 3}}, {"4": {"kernel": 3}}, (1, 3, 99, 61)),
    ("transposed", plain, (1, 3, 61, 48), {"5": {"kernel": 5}}, {"5": {"kernel": 5, "padding": 2}}, (1, 3, 50, 71)),
    ("transposed stride", plain, (1, 3, 61, 48), {"5": {"stride": 3}}, {"5": {"stride": 3}}, None),
    ("several", plain, (1, 3, 61, 48), {"0": {"dilation": 2}, "2": {"stride": 1}, "6": {"kernel": 5}},
     {"0": {"dilation": 2, "padding": 2}, "2": {"stride": 1}, "6": {"kernel": 5, "padding": 4}}, (1, 3, 90, 33)),
    ("1x1 grows", lambda: nn.Sequential(nn.Conv1d(2, 2, 1), nn.Conv1d(2, 2, 3)), (1, 2, 30), {"0": {"kernel": 3}},
     {"0": {"kernel": 3, "padding": 1}}, (1, 2, 41)),
    ("3-D", lambda: nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.Conv3d(2, 2, 2, 2)), (1, 1, 9, 12, 8), {"0": {"dilation": (1, 2, 1)}},
     {"0": {"dilation": (1, 2, 1), "padding": (1, 2, 1)}}, (1, 1, 11, 8, 13)),
    ("grouped", lambda: nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, groups=4), nn.Conv2d(8, 8, 3, 1, 1, groups=8)), (1, 4, 12, 9),
     {"1": {"kernel": 7}}, {"1": {"kernel": 7, "padding": 3}}, (1, 4, 20, 21)),
    ("resnet18", models.resnet18, (1, 3, 97, 65), {"layer3.0.conv2": {"dilation": 2}, "conv1": {"kernel": 5}},
     {"layer3.0.conv2": {"dilation": 2, "padding": 2}, "conv1": {"kernel": 5, "padding": 2}}, (1, 3, 130, 64)),
    ("resnet18 without a stride", models.resnet18, (1, 3, 64, 64),
     {"layer4.0.conv1": {"stride": 1}, "layer4.0.downsample.0": {"stride": 1}},
     {"layer4.0.conv1": {"stride": 1}, "layer4.0.downsample.0": {"stride": 1}}, None),
    ("se_resnet", models.se_resnet, (1, 3, 65, 48),
     {"layer2.0.conv2": {"kernel": 5}}, {"layer2.0.conv2": {"kernel": 5, "padding": 2}}, (1, 3, 90, 71)),
    ("unet", lambda: models.UNet(3, 4), (1, 3, 40, 56),
     {"bottom.0": {"dilation": 2}}, {"bottom.0": {"dilation": 2, "padding": 2}}, (1, 3, 64, 24)),
    ("unet bilinear", lambda: models.UNet(2, 4, up="bilinear"), (1, 3, 48, 40), {"down.0.0": {"kernel": 7}},
     {"down.0.0": {"kernel": 7, "padding": 3}}, (1, 3, 20, 64)),
    ("unet nearest", unet_nearest, (1, 3, 36, 54), {"c": {"kernel": 5}}, {"c": {"kernel": 5, "padding": 2}}, (1, 3, 60, 18)),
    ("inception", inception, (1, 3, 37, 44), {"0.five": {"dilation": 2}}, {"0.five": {"dilation": 2, "padding": 4}}, (1, 3, 51, 50)),
    ("volume", models.highres3dnet, (1, 1, 9, 8, 10), {"stem": {"kernel": 5}}, {"stem": {"kernel": 5, "padding": 2}}, (1, 1, 12, 11, 7)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "factory", "size", "edits", "modules", "other"), EDITS, ids=[e[0] for e in EDITS])
def test_equals_the_edited_model(
    name: str, factory: Callable[[], nn.Module], size: Size, edits: dict[str, Any], modules: dict[str, Any], other: Size | None
) -> None:
    torch.manual_seed(0)
    model = factory().eval()
    analysis, edited = ip.analyze(model, size), changed(model, modules)
    assert_equal(analysis.what_if(edits), ip.analyze(edited, size))
    if other is not None:
        assert_equal(analysis.what_if(edits, other), ip.analyze(edited, other))
        assert_equal(analysis.what_if(input_size=other), ip.analyze(model, other))


def shared() -> nn.Module:
    conv = nn.Conv2d(2, 2, 3, padding=1)
    return Lambda(lambda x, conv, last: last(conv(conv(x))), conv=conv, last=nn.Conv2d(2, 2, 3))


def test_a_layer_called_twice_changes_twice() -> None:
    model = shared().eval()
    assert_equal(
        ip.analyze(model, (1, 2, 20, 16)).what_if({"conv": {"dilation": 3}}),
        ip.analyze(changed(model, {"conv": {"dilation": 3, "padding": 3}}), (1, 2, 20, 16)),
    )


@pytest.mark.parametrize("name", ["conv", "conv#2"])
def test_any_call_names_the_layer(name: str) -> None:
    """An edit of one call is an edit of all, and of the layer once."""
    analysis = ip.analyze(shared().eval(), (1, 2, 20, 16))
    edited = changed(shared(), {"conv": {"kernel": 5, "padding": 2}})
    assert_equal(analysis.what_if({name: {"kernel": 5}}), ip.analyze(edited, (1, 2, 20, 16)))
    with pytest.raises(ip.UsageError, match="twice"):
        analysis.what_if({"conv": {"kernel": 5}, "conv#2": {"kernel": 5}})


class Beside(nn.Module):
    """The first input is not what the output depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(2, 2, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.head(y)


def test_the_size_of_the_input_that_is_meant() -> None:
    analysis = ip.analyze(Beside(), inputs={"x": torch.zeros(1, 1, 5, 5), "y": torch.zeros(1, 2, 9, 9)})
    for found in (analysis.what_if(input_size=(1, 2, 12, 11)), analysis.what_if(input_size=(1, 2, 12, 11), input="y")):
        assert found["head"].shape == (1, 2, 10, 9) and found["x"].shape == (1, 1, 5, 5)
    assert analysis.what_if(input_size=(1, 1, 6, 7), input="x")["x"].shape == (1, 1, 6, 7)
    with pytest.raises(ip.LayerNotFound):
        analysis.what_if(input_size=(1, 1, 6, 7), input="z")


ASSUMED: list[tuple[str, Callable[[Tensor], Tensor], str]] = [
    ("by size", lambda x: F.interpolate(x, size=(24, 9)), "resample axis 2 by the ratio of 12 to 24, not to a fixed size"),
    ("adaptive", lambda x: F.adaptive_avg_pool2d(x, (5, 9)), "pool to 5x9 positions at any size"),
    ("table", lambda x: x + torch.ones(4, 12, 9), "have a constant, 4x12x9, that changes with the map"),
    ("prelu", lambda x: F.prelu(x, torch.ones(4)), ""),
    ("number", lambda x: x * 2 + torch.tensor(1.0), ""),
    ("gain", lambda x: x * torch.ones(4, 1, 1), ""),
    ("global", lambda x: F.adaptive_avg_pool2d(x, 1), ""),
    ("by factor", lambda x: F.interpolate(x, scale_factor=2), ""),
    ("rest", lambda x: x[:, :, 1:], "run to the end of axis 2 at any size"),
    ("pad", lambda x: F.pad(x, (0, 0, 1, 2)), "pad axis 2 by 1 in front and 2 behind at any size"),
    ("pad beside", lambda x: F.pad(x, (1, 2)), ""),
    ("roll", lambda x: torch.roll(x, 2, 2), "roll axis 2 by 2 at any size"),
    ("joined", lambda x: torch.cat([x, torch.zeros(1, 4, 1, 9)], 2), "join constants that keep their length along axis 2"),
]  # fmt: skip


@pytest.mark.parametrize(("fn", "message"), [a[1:] for a in ASSUMED], ids=[a[0] for a in ASSUMED])
def test_what_is_assumed_is_said(fn: Callable[[Tensor], Tensor], message: str) -> None:
    """An issue of the result for each assumption used at another size; none where the size is the same, or nothing is assumed."""
    analysis = ip.analyze(Lambda(fn), (1, 4, 12, 9))
    assert analysis.what_if().issues == analysis.issues == ()
    found = analysis.what_if(input_size=(1, 4, 14, 9))
    assert [issue.what for issue in found.issues] == ([f"Assumed to {message}"] if message else [])
    assert all(issue.where in analysis.ops for issue in found.issues)
    again = found.what_if(input_size=(1, 4, 16, 9))
    assert len(set(again.issues)) == len(again.issues)


def test_padding_of_one_side_is_said() -> None:
    """Padding behind alone, as "same" padding of a stride has it, follows from the size in some programs and not in others."""
    program = Lambda(lambda x, c: c(F.pad(x, (0, 1, 0, 1))), c=nn.Conv2d(2, 2, 3, 2))
    found = ip.analyze(program, (1, 2, 12, 12)).what_if(input_size=(1, 2, 13, 13))
    assert found.issues and all("behind at any size" in issue.what for issue in found.issues)


def test_the_first_of_an_axis_beside_space() -> None:
    """A class token among tokens that are no space; along space, one position may be a share of them."""
    analysis = ip.analyze(Lambda(lambda x: x[:, 0] * 2), (1, 2, 8, 8))
    found = analysis.what_if(input_size=(1, 3, 8, 8))
    assert found.ops and found.graph.ops[-1].shape == (1, 8, 8)
    assert [issue.what for issue in found.issues] == ["Assumed to take the first position of axis 1 alone at any size"]


def moves() -> Iterator[Any]:
    """Ops that follow another size, alone."""

    def one(name: str, fn: Callable[[Tensor], Tensor], size: Size = (1, 4, 12, 9), other: Size = (1, 4, 16, 21)) -> Any:
        return pytest.param(fn, size, other, id=name)

    yield one("flip", lambda x: x.flip(2))
    yield one("every second", lambda x: x[:, :, 1::2, ::3])
    yield one("from the third", lambda x: x[:, :, 2:])
    yield one("roll", lambda x: torch.roll(x, (2, -3), (2, 3)))
    for mode in ("constant", "reflect", "replicate", "circular"):
        yield one(f"pad {mode}", lambda x, mode=mode: F.pad(x, (1, 2, 3, 0), mode=mode))
    yield one("crop", lambda x: F.pad(x, (-1, -2, 0, -3)))
    yield one("transpose", lambda x: x.permute(0, 2, 3, 1))
    yield one("flatten", lambda x: x.flatten(2))
    yield one("mean", lambda x: x.mean((2, 3)))
    yield one("mean keepdim", lambda x: x * x.mean((2, 3), keepdim=True))
    yield one("softmax", lambda x: x.softmax(-1))
    yield one("layer norm", lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (4,)))
    yield one("group norm", lambda x: F.group_norm(x, 2))
    yield one("cumsum", lambda x: x.cumsum(2))
    yield one("attention", lambda x: (x.flatten(2).transpose(1, 2) @ x.flatten(2)).softmax(-1) @ x.flatten(2).transpose(1, 2))
    yield one("cat along space", lambda x: torch.cat([x, x * 2, x[:, :, ::2]], 2))
    yield one("cat with zeros", lambda x: torch.cat([x, torch.zeros(1, 2, 1, 1) + x[:, :2] * 0, x], 1))
    yield one("pixel shuffle", lambda x: F.pixel_shuffle(x, 2))
    yield one("channel shuffle", lambda x: F.channel_shuffle(x, 2))
    yield one("adaptive", lambda x: F.adaptive_avg_pool2d(x, (5, 4)))
    yield one("linear over channels", lambda x: F.linear(x.permute(0, 2, 3, 1), torch.ones(3, 4)))
    yield one("up nearest", lambda x: F.interpolate(x, scale_factor=2))
    yield one("up 1.5", lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear"))
    yield one("up by size", lambda x: F.interpolate(x, size=(2 * x.shape[2], 3 * x.shape[3]), mode="bicubic"))
    yield one("aligned", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))
    yield one("reversed channels", lambda x: x[:, [2, 0, 3, 1]])


@pytest.mark.parametrize(("fn", "size", "other"), list(moves()))
def test_other_sizes(fn: Callable[[Tensor], Tensor], size: Size, other: Size) -> None:
    model = Lambda(lambda x, conv: fn(conv(x)), conv=nn.Conv2d(4, 4, 3, padding=1)).eval()
    assert_equal(ip.analyze(model, size).what_if(input_size=other), ip.analyze(model, other))


def test_nothing_edited_is_the_same() -> None:
    analysis = ip.analyze(models.swin_block(), (1, 3, 16, 16))
    assert_equal(analysis.what_if(), analysis)
    assert_equal(analysis.what_if({}, (1, 3, 16, 16)), analysis)


def test_edits_leave_the_analysis_alone() -> None:
    analysis = ip.analyze(plain(), (1, 3, 40, 40))
    before = analysis.to_json()
    analysis.what_if({"0": {"kernel": 7}}, (1, 3, 80, 80))
    assert analysis.to_json() == before


def test_it_can_be_edited_again_and_saved(tmp_path: Any) -> None:
    analysis = ip.analyze(plain(), (1, 3, 61, 48))
    once = analysis.what_if({"0": {"kernel": 7}}).what_if({"6": {"dilation": 3}})
    once.to_json(tmp_path / "once.json")
    assert_equal(ip.load(tmp_path / "once.json"), analysis.what_if({"0": {"kernel": 7}, "6": {"dilation": 3}}))


GUESSED = re.compile(r"interpolate_.*(size|area|recompute)")
"""Cases whose output size the program gave: a ratio and a fixed size look alike."""


def test_every_operation_at_other_sizes() -> None:
    """`what_if` either refuses or says what capturing at the other size says, wherever the model itself runs at that size."""
    rng = random.Random(0)
    equal = refused = 0
    for name, factory, size in CASES:
        if name in INTEGER or name == "constant_output":
            continue
        model = factory().eval()
        other = (*size[:2], *(rng.choice((n, n + rng.randint(1, 9), 2 * n)) for n in size[2:]))
        analysis = ip.analyze(model, size)
        try:
            found = analysis.what_if(input_size=other)
        except ip.UsageError:
            refused += 1
            continue
        try:
            expected = ip.analyze(model, other)
        except ip.CaptureError:  # it adds a constant of a fixed size, or names sizes as numbers
            continue
        if not GUESSED.match(name):
            assert [op.shape for op in found.graph.ops] == [op.shape for op in expected.graph.ops], (name, size, other)
            assert found.rows() == expected.rows(), (name, size, other)
            equal += 1
    assert equal > 100 and refused > 10


# ---- what does not match -----------------------------------------------------------------------------------------------------


def broken(model: nn.Module, size: Size, message: str, edits: dict[str, Any] | None = None, other: Size | None = None) -> None:
    with pytest.raises(ip.UsageError, match=message):
        ip.analyze(model.eval(), size).what_if(edits, other)


def test_branches_that_stop_matching() -> None:
    """Named with both sizes and where they come from."""
    message = r"^layer4\.0\.add stops matching: it joins 1x512x4x4 \(from layer4\.0\.bn2\) and 1x512x2x2 \(from layer4\.0\.down"
    broken(models.resnet18(), (1, 3, 64, 64), message, {"layer4.0.conv1": {"stride": 1}})
    broken(models.UNet(3, 4), (1, 3, 40, 56), r"^cat\S* stops matching: it joins 1x\d+x11x\d+", None, (1, 3, 44, 56))


UNKNOWN: list[tuple[str, nn.Module, Size, Size, str]] = [
    ("classifier", models.vgg16(10).eval(), (1, 3, 32, 32), (1, 4, 32, 32), r"its weights take 3 channels, not 4"),
    ("linear", nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), (1, 3, 4, 4), (1, 3, 4, 5), r"its weights take 48 features, not 60"),
    ("windows", models.swin_block(), (1, 3, 16, 16), (1, 3, 24, 16), r"it splits 16 into 4x4; how it would split 24 is not known"),
    ("view", Lambda(lambda x: x.view(1, 2, 4, 2, 8)), (1, 2, 8, 8), (1, 2, 12, 8), r"^view stops matching: it splits 8 into 4x2"),
    ("constant", Lambda(lambda x: torch.cat([x, torch.ones(1, 1, 8, 8)], 1)), (1, 2, 8, 8), (1, 2, 12, 8), "with a constant"),
    ("short slice", Lambda(lambda x: x[:, :, :-2] * 2), (1, 2, 8, 8), (1, 2, 12, 8), r"takes positions 0 to 5 of 8 along axis 2"),
    ("first", Lambda(lambda x: x[:, :, 0] * 2), (1, 2, 8, 8), (1, 2, 12, 8), r"takes positions 0 to 0 of 8 along axis 2"),
    ("last", Lambda(lambda x: x[:, :, -1] * 2), (1, 2, 8, 8), (1, 2, 12, 8), r"takes positions 7 to 7 of 8 along axis 2"),
    ("index", Lambda(lambda x: x[:, :, [3, 1, 1]] * 2), (1, 2, 8, 8), (1, 2, 12, 8), r"listed positions of axis 2, which was 8 long"),
    ("mask", Lambda(lambda x, m: x.masked_fill(m, 0.0), m=torch.eye(8) > 0), (1, 2, 8, 8), (1, 2, 9, 9), r"a mask of fixed size"),
    ("odd resize", Lambda(lambda x: F.interpolate(x, size=(13, 8))), (1, 2, 8, 8), (1, 2, 9, 8), r"it resamples 8 positions to 13"),
    ("whole map", nn.AvgPool2d(7), (1, 2, 7, 7), (1, 2, 8, 8), r"it averages the whole map of 7x7"),
    ("layer norm", nn.LayerNorm(8), (1, 2, 8), (1, 2, 9), r"it normalises 8, not 9"),
    ("reflect", Lambda(lambda x: F.pad(x, (3, 3), mode="reflect")), (1, 2, 8), (1, 2, 3), r"reflect padding of 3 is more than"),
    ("too small", nn.Conv2d(2, 2, 5), (1, 2, 8, 8), (1, 2, 4, 8), r"its window spans 5 positions, and there are 4 positions"),
    ("grid", Lambda(lambda x, g: F.grid_sample(x, g, align_corners=False), g=torch.zeros(1, 4, 4, 2)),
     (1, 2, 8, 8), (1, 2, 9, 8), "not known"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "size", "other", "message"), [u[1:] for u in UNKNOWN], ids=[u[0] for u in UNKNOWN])
def test_sizes_nobody_can_know(model: nn.Module, size: Size, other: Size, message: str) -> None:
    broken(model, size, message, None, other)


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"nothing": {"kernel": 3}}, "No layer is called"),
        ({"1": {"kernel": 3}}, "only convolutions and poolings have kernel"),
        ({"0": {"size": 3}}, "0 has no size"),
        ({"0": {"kernel": 0}}, "whole number of 1 or more"),
        ({"0": {"kernel": 2.5}}, "whole number of 1 or more"),
        ({"0": {"kernel": True}}, "whole number of 1 or more"),
        ({"0": {"kernel": "3"}}, "whole number of 1 or more"),
        ({"0": {"kernel": (3, 3, 3)}}, "a tuple of 2"),
        ({"0": {"kernel": ()}}, "a tuple of 2"),
        ({"0": {"padding": -1}}, "whole number of 0 or more"),
        ({"4": {"dilation": 2}}, "average pooling, which has no dilation"),
        ({"5": {"stride": 1}}, "adds 1 outputs at the end"),
        ({"0": {"kernel": 3}, "conv2d": {"kernel": 3}}, "No layer|twice"),
        ({"0": 3}, "0: 3 must be a dict of some of kernel, stride"),
        ({"0": None}, "0: None must be a dict"),
        ([("0", {"kernel": 3})], "must be a dict from layer names"),
        ("0", "must be a dict from layer names"),
        ({"0": {"kernel": 10**30}}, "too large. Give whole numbers from 1 to 1,000,000"),
        ({"0": {"padding": (10**30, 0)}}, "too large. Give whole numbers from 0 to"),
    ],
)
def test_edits_that_are_none(edits: dict[str, Any], message: str) -> None:
    broken(plain(), (1, 3, 61, 48), message, edits)


@pytest.mark.parametrize("size", [(1, 3, 61), (1, 3, 61, 0), "1x3x61x48", (1, 3, 61, 48.5), 5])
def test_input_sizes_that_are_none(size: Any) -> None:
    broken(plain(), (1, 3, 61, 48), "input_size=.* must give 4 whole numbers", None, size)


def test_a_fixed_filter_keeps_its_kernel() -> None:
    blur = Lambda(lambda x, k: F.conv2d(x, k, padding=1), k=torch.tensor([[1.0, 0.0, 1.0]] * 3)[None, None])
    analysis = ip.analyze(blur, (1, 1, 9, 9))
    with pytest.raises(ip.UsageError, match="fixed filter"):
        analysis.what_if({analysis.ops[-1]: {"kernel": 5}})
    assert analysis.what_if({analysis.ops[-1]: {"dilation": 2}})[analysis.ops[-1]].size == (5, 5)
