"""Findings: numbers from the literature, tiles of real networks, brute force on random ones, and models made to break them."""

from __future__ import annotations

import itertools
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from examples import models
from torch import Tensor, nn

import isopter as ip
from isopter.design.findings import Finding, finding, rules
from isopter.design.page import page
from isopter.design.rules.holes import densities
from isopter.design.solid import solid
from isopter.design.subject import subject
from isopter.design.tiles import halo
from isopter.errors import LayerNotFound, UsageError
from isopter.fields.exposure import mean_padding
from networks import random_network

VGG11 = "conv 3 p1, maxpool 2, conv 3 p1, maxpool 2, [conv 3 p1]*2, maxpool 2, [conv 3 p1]*2, maxpool 2, [conv 3 p1]*2, maxpool 2"


def found(analysis: ip.Analysis, rule: str, **options: object) -> Finding | None:
    """What one rule finds; every finding must be plain data, and about a layer that exists."""
    every = analysis.findings(**options)  # type: ignore[arg-type]
    assert len({f.rule for f in every}) == len(every)
    for f in every:
        assert f.severity in ("problem", "note", "good")
        assert f.layer == "" or f.layer in analysis
        json.dumps(f.to_dict(), allow_nan=False)
        assert f.message and f.message.endswith(".") and f.message in str(f)
    return next((f for f in every if f.rule == rule), None)


def numbers(analysis: ip.Analysis, rule: str, **options: object) -> dict:
    f = found(analysis, rule, **options)
    assert f is not None
    return dict(f.numbers)


def torched(model: nn.Module, *size: int) -> ip.Analysis:
    return ip.analyze(model.eval(), size)


# ---- RF101: Richter et al. 2021 --------------------------------------------------------------------------------------------


def test_vgg11_at_32_pixels_has_three_unproductive_layers() -> None:
    f = numbers(ip.analyze(VGG11, (1, 3, 32, 32)), "RF101")
    assert (f["first"], f["size"], f["image"]) == ("conv5", [46, 46], [32, 32])
    assert f["border"] == "conv6" and f["unproductive"] == ["conv6", "conv7", "conv8"]  # conv4_2, conv5_1, conv5_2
    assert found(ip.analyze(VGG11, (1, 3, 32, 32)), "RF101").severity == "problem"
    assert found(ip.analyze(VGG11, (1, 3, 224, 224)), "RF101") is None


@pytest.mark.parametrize(("n", "border"), [(45, "conv6"), (46, "conv6"), (47, "conv7"), (62, "conv7"), (70, "conv7"), (71, "conv8")])
def test_a_layer_is_unproductive_from_the_pixel_on(n: int, border: str) -> None:
    """The fields into conv6, conv7 and conv8 of VGG-11 are 46, 70 and 102 pixels."""
    assert numbers(ip.analyze(VGG11, (1, 3, n, n)), "RF101")["border"] == border


def test_a_layer_that_widens_one_open_axis_is_productive() -> None:
    """An image of 32 x 512: along its width everything is new."""
    f = found(ip.analyze(VGG11, (1, 3, 32, 512)), "RF101")
    assert f.numbers["border"] is None and f.severity == "note" and f.numbers["first"] == "conv5"
    tall = ip.analyze("[conv 9x1 p4x0]*5", (1, 3, 16, 512))
    assert numbers(tall, "RF101")["border"] == "conv3"  # 9, 17: its input covers all 16 rows, and columns it leaves alone


def test_short_paths_keep_residual_layers_productive() -> None:
    f = numbers(torched(models.resnet18(), 1, 3, 224, 224), "RF101")
    assert f["first"] == "layer4.0.conv1" and f["size"] == [243, 243]
    assert f["border"] is None and f["later"] == 3


# ---- RF201: Yu & Koltun 2015 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "read", "size"),
    [((1, 2, 4), 15, 15), ((2, 2, 2), 7, 13), ((1, 2, 3), 13, 13), ((1, 2, 5), 17, 17), ((1, 2, 9), 21, 25), ((6, 6, 6), 7, 37)],
)
def test_dilation_rates(rates: tuple[int, ...], read: int, size: int) -> None:
    a = ip.analyze(", ".join(f"conv 3 p{d} d{d}" for d in rates), (1, 1, 64, 64))
    f = found(a, "RF201")
    assert a["conv3"].size == (size, size)
    if read == size:
        assert f is None
    else:
        assert f.numbers["layers"]["conv3"] == pytest.approx((read / size) ** 2) and f.severity == "problem"
        assert f.numbers["outputs"] == ["conv3"]


def test_holes_that_are_filled_later_are_a_note() -> None:
    f = found(ip.analyze("conv 3 p2 d2, conv 3 p1, conv 3 p1", (1, 1, 64, 64)), "RF201")
    assert list(f.numbers["layers"]) == ["conv1"] and f.severity == "note" and f.numbers["density"] == pytest.approx(9 / 25)


class Hidden(nn.Module):
    """A filled and a gridded field of equal size, side by side along channels; the gridded one is taken out again."""

    def __init__(self) -> None:
        super().__init__()
        self.filled, self.grid = nn.Conv2d(1, 2, 5, padding=2), nn.Conv2d(1, 2, 3, padding=2, dilation=2)
        self.after = nn.Conv2d(2, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(torch.cat([self.filled(x), self.grid(x)], 1)[:, 2:])


def test_holes_hidden_among_channels_are_found() -> None:
    assert "after" in numbers(torched(Hidden(), 1, 1, 32, 32), "RF201")["layers"]


DRAWS = int(os.environ.get("ISOPTER_NETWORKS", "150")) // 3
"""How many random networks are held against brute force."""


def test_what_is_shown_to_be_solid_is() -> None:
    """Units of every layer of random networks, pulled back without borders: corners, and the middle, where phases differ."""
    checked = doubtful = 0
    for seed in range(DRAWS):
        net = random_network(seed)
        about = subject(ip.analyze(net.build(), net.input_size))
        for op, shown in enumerate(solid(about)):
            doubtful += op in about.seen and not shown
            if not shown or op not in about.seen or not about.walks.plane_is_pullable(op):
                continue
            field = about.field(op)
            places = itertools.product(*(sorted({0, n // 2, min(n - 1, n // 2 + 1), n - 1}) for n in field.units))
            for unit in itertools.islice(places, 16):
                support = field.support(unit, clip=False)
                assert support.count == support.mask.size, (seed, about.name(op), unit)
                checked += 1
    assert checked > 10 * DRAWS and doubtful > DRAWS // 2


def test_random_networks_by_brute_force() -> None:
    """Every finding is plain data; exposure is the mean over units; density is that of the set."""
    checked = 0
    for seed in range(DRAWS):
        net = random_network(seed)
        a = ip.analyze(net.build(), net.input_size)
        found(a, "RF000")
        about = subject(a)
        for op in about.heads:
            field, mean = about.field(op), mean_padding(about.field(op))
            if mean is not None and math.prod(field.units) <= 400:
                shares = [field.region(unit).padding_share for unit in itertools.product(*map(range, field.units))]
                assert mean == pytest.approx(np.mean(shares), abs=1e-12), (seed, about.name(op))
                checked += 1
        for op, density in densities(about).items():
            if about.walks.plane_is_pullable(op):
                own = about.field(op).density
                assert density == pytest.approx(own) or (density == 1 and math.isnan(own)), (seed, about.name(op))  # reads nothing
    assert checked > DRAWS // 4


def test_tiles_of_random_networks() -> None:
    """One core of each network on larger input, run by itself with its halo, gives what the whole input gives there."""
    checked = 0
    for seed in range(2 * DRAWS):
        net = random_network(seed)
        size = (*net.input_size[:2], *((6 if len(net.input_size) < 5 else 3) * n for n in net.input_size[2:]))
        model = random_weights(net.build())
        try:
            a = ip.analyze(model, size)
            h = a.halo(a.outputs[0])
        except (ip.CaptureError, UsageError):  # made for its own size
            continue
        field = a[a.outputs[0]]
        carriers = [e.carrier for e in field.walks.extent(field.op)] if h.exists else []
        if carriers != list(range(2, len(size))) or 0 in field.units:  # turned
            continue
        x = torch.rand(*size, dtype=torch.float64)
        cut, core, own = [slice(None)] * 2, [slice(None)] * 2, [slice(None)] * 2
        for n, m, step, before, after, stride in zip(size[2:], field.units, h.step, h.before, h.after, field.stride, strict=True):
            first = n // 2 // step * step
            start, end = max(0, first - before), min(n, first + step + after)
            last = min(m, int((first + step) / stride))
            cut.append(slice(start, end))
            core.append(slice(int(first / stride), last))
            own.append(slice(int((first - start) / stride), last - int(start / stride)))
        with torch.no_grad():
            whole = model(x)
            try:
                tile = model(x[tuple(cut)])
            except (RuntimeError, ValueError):  # a window larger than the tile
                continue
        expected, got = whole[tuple(core)], tile[tuple(own)]
        assert got.shape == expected.shape and torch.allclose(got, expected, rtol=1e-9, atol=1e-300), seed
        checked += expected.numel() > 0 and x[tuple(cut)].numel() < x.numel()
    assert checked > DRAWS // 8


def test_networks_without_holes_cost_no_pull() -> None:
    for a in (torched(models.resnet50(), 1, 3, 224, 224), torched(models.unet(), 1, 3, 256, 256)):
        about = subject(a)
        assert all(solid(about)[i] for i in about.seen if about.steps(i) is not None)


# ---- RF301, RF401 ------------------------------------------------------------------------------------------------------------


def test_effective_fields_are_expected_or_measured() -> None:
    a = ip.analyze("[conv 3 p1]*40", (1, 4, 128, 128))
    f = numbers(a, "RF301")
    assert f["measured"] is False and f["size"] == [81, 81] and f["sigma"] == pytest.approx([5.1640, 5.1640], abs=1e-4)
    assert f["ratio"] == pytest.approx(a["conv40"].expected().side(0.95) / 81) and found(a, "RF301").severity == "note"
    given = {"conv2": a["conv2"].expected(), "conv1": a["conv1"].expected()}
    g = found(a, "RF301", effective=given)
    assert g.numbers["measured"] is False and g.layer == "conv2" and g.severity == "good" and "expected of random weights" in g.message
    assert found(a, "RF301", expected=False) is None


def test_no_effective_field_where_theory_has_none() -> None:
    assert found(torched(models.wavenet(), 1, 1, 2048), "RF301") is None


def test_measured_fields_of_a_model() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
    measured = ip.effective(model, ["2"], (1, 1, 16, 16), samples=4, progress=False)
    f = found(torched(model, 1, 1, 16, 16), "RF301", effective=measured)
    assert f.numbers["measured"] is True and "mass, measured)" in f.message


class Swapped(nn.Module):
    """Rows depend on columns: a map and its transpose, so that padding is no product of two lines."""

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.avg_pool2d(x, 5, 1, 2)
        return torch.cat([y, nn.functional.pad(x, (3, 0, 3, 0))[..., :-3, :-3]], 1).amax(1, keepdim=True)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("conv 3 p1", (1, 1, 5, 7)),
        ("conv 7 s2 p3, pool 3 s2 p1, [conv 3 p1]*4", (1, 1, 33, 48)),
        ("conv 5 p9", (1, 1, 4)),
        ("conv 3 p1, up 2 bilinear, conv 3 p1", (1, 1, 6, 5)),
        ("[conv 3 p1 d2]*2", (1, 1, 9, 8, 7)),
        ("deconv 1 s3", (1, 1, 4, 4)),
        ("conv 1", (1, 1, 1, 1)),
        (Swapped(), (1, 1, 12, 9)),
        (models.UNet(depth=2, width=2), (1, 3, 16, 24)),
    ],
    ids=str,
)
def test_padding_exposure_is_the_mean_over_all_units(model: object, size: tuple[int, ...]) -> None:
    a = ip.analyze(model, size)
    for name in a.ops:
        field = a[name]
        if field.basis == "plane" and len(field.units) == len(size) - 2:
            units = itertools.product(*map(range, field.units))
            shares = [field.region(unit).padding_share for unit in units]
            assert mean_padding(field) == pytest.approx(np.mean(shares), abs=1e-12), name


def test_padding_findings() -> None:
    a = torched(models.resnet50(), 1, 3, 224, 224)
    name = found(a, "RF401").layer
    assert a[name].region((3, 3)).padding_share == pytest.approx(1 - (224 / 427) ** 2)
    assert numbers(a, "RF401")["mean"] == pytest.approx(mean_padding(a["layer4"])) and found(a, "RF401").severity == "problem"
    assert found(ip.analyze("conv 3 p1", (1, 1, 64, 64)), "RF401") is None


# ---- RF501, RF502 ------------------------------------------------------------------------------------------------------------


class Up(models.UNet):
    """A U-Net that goes up by 3x3 transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ModuleList(nn.ConvTranspose2d(u.in_channels, u.out_channels, 3, 2, 1, 1) for u in self.up)


@pytest.mark.parametrize(("model", "sizes"), [(models.unet(), [188, 204]), (Up(), [204, 220]), (models.unet_bilinear(), [220, 236])])
def test_sizes_by_phase(model: nn.Module, sizes: list[int]) -> None:
    a = torched(model, 1, 3, 256, 256)
    assert numbers(a, "RF501")["sizes"] == sizes and found(a, "RF501").layer == "head"
    assert numbers(a, "RF501")["phases"] == 16


def test_even_strides_upsample_evenly() -> None:
    assert found(ip.analyze("conv 3 p1, conv 3 s2 p1", (1, 1, 32, 32)), "RF501") is None


class Two(nn.Module):
    """A sum of two branches."""

    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) + self.other(x)


@pytest.mark.parametrize(
    ("one", "other", "shift"),
    [
        (nn.Conv2d(1, 1, 3, 2, 1), nn.Conv2d(1, 1, 1, 2), None),  # centres 2 i and 2 i
        (nn.AvgPool2d(2), nn.Conv2d(1, 1, 1, 2), 0.5),
        (nn.Conv2d(1, 1, 4, 2, 1), nn.Conv2d(1, 1, 1, 2), 0.5),
        (nn.Conv2d(1, 1, 3, 1, 1), nn.ConstantPad2d((3, -3, 0, 0), 0), 3),
        (nn.Sequential(nn.MaxPool2d(2), nn.ConvTranspose2d(1, 1, 2, 2)), nn.Identity(), None),  # phases at -1/2 and 1/2
        (nn.Sequential(nn.MaxPool2d(2), nn.ConvTranspose2d(1, 1, 3, 2, 1, 1)), nn.Identity(), 0.5),
    ],
    ids=repr,
)
def test_branches_by_their_centres(one: nn.Module, other: nn.Module, shift: float | None) -> None:
    f = found(torched(Two(one, other), 1, 1, 32, 32), "RF502")
    assert (f is None) == (shift is None)
    if f is not None:
        assert f.numbers["shifts"] == {"add": shift} and f.layer == "add" and f.severity == "note"


class Steps(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[..., ::2] + x[..., :16]


def test_branches_that_step_differently_are_a_problem() -> None:
    a = torched(Steps(), 1, 1, 32, 32)
    f = found(a, "RF502")
    assert f.severity == "problem" and f.numbers["strides"] == {"add": ["2", "1"]} and f.layer == "add"
    assert "joins branches that step" in found(a, "RF601").message


def test_the_branches_furthest_apart_are_named() -> None:
    """Whatever their order: the input, and crops of it that look 3 pixels to the left and to the right."""

    class Three(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            left, right = x[..., :-6], x[..., 6:]
            return torch.cat([x[..., 3:-3], left, right], 1)

    f = found(torched(Three(), 1, 1, 20, 20), "RF502")
    assert f is not None and "the most by 6 px" in f.message


def test_attention_is_no_misaligned_branch() -> None:
    assert found(torched(models.swin_block(), 1, 3, 16, 16), "RF502") is None
    assert found(torched(models.unet(), 1, 3, 64, 64), "RF502") is None


# ---- RF601 -------------------------------------------------------------------------------------------------------------------


def tiled(model: nn.Module, x: Tensor, before: tuple[int, ...], after: tuple[int, ...], core: tuple[int, ...], stride: int) -> Tensor:
    """The output of the whole image, put together from tiles."""
    n, m = x.shape[2:]
    rows = []
    for top in range(0, n, core[0]):
        row = []
        for left in range(0, m, core[1]):
            y, u = max(0, top - before[0]), max(0, left - before[1])
            z, v = min(n, top + core[0] + after[0]), min(m, left + core[1] + after[1])
            out = model(x[..., y:z, u:v])
            at, start = (top - y) // stride, (left - u) // stride
            row.append(out[..., at : at + core[0] // stride, start : start + core[1] // stride])
        rows.append(torch.cat(row, -1))
    return torch.cat(rows, -2)


def random_weights(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for p in model.parameters():
        nn.init.uniform_(p, 0.01, 0.1)  # positive: no read cancels out
    return model.double().eval()


TILED = [
    (models.UNet(depth=2, width=2), 4, 1),
    (models.UNet(depth=3, width=2, up="bilinear"), 8, 1),
    (nn.Sequential(nn.Conv2d(3, 2, 7, 2, 3), nn.MaxPool2d(3, 2, 1), nn.Conv2d(2, 2, 3, padding=1)), 4, 4),
    (nn.Sequential(nn.Conv2d(3, 2, 4, padding=(0, 3), dilation=(3, 2)), nn.ZeroPad2d((0, 0, 9, 0))), 1, 1),
    (nn.Sequential(nn.Conv2d(3, 2, 3, padding=2, dilation=2, padding_mode="reflect"), nn.Upsample(scale_factor=2), nn.AvgPool2d(2)), 1, 1),
]


@pytest.mark.parametrize(("model", "step", "stride"), TILED, ids=[str(k) for k in range(len(TILED))])
def test_tiles_with_the_halo_give_the_whole_output(model: nn.Module, step: int, stride: int) -> None:
    size = 3 * 40 if step < 8 else 4 * 48
    model = random_weights(model)
    a = ip.analyze(model, (1, 3, size, size))
    h = a.halo(a.outputs[0])
    assert h.exists and h.step == (step, step)
    x = torch.rand(1, 3, size, size, dtype=torch.float64)
    with torch.no_grad():
        core = (size // 4 // step * step,) * 2
        whole = model(x)
        assert torch.allclose(tiled(model, x, h.before, h.after, core, stride), whole, rtol=1e-12, atol=0)
        for axis in (0, 1):
            for side, reach in (("before", h.reach_before), ("after", h.reach_after)):
                if reach[axis]:  # one step less is too little
                    less = {"before": list(h.before), "after": list(h.after)}
                    less[side][axis] -= step
                    wrong = tiled(model, x, tuple(less["before"]), tuple(less["after"]), core, stride)
                    assert wrong.shape != whole.shape or not torch.allclose(wrong, whole, rtol=1e-12, atol=0), (axis, side)


class Crop(nn.Module):
    """A crop at both ends, then padding: what was cropped off inside of a tile is missing where the image has it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x[..., 5:-7, 2:-1])


def test_a_crop_before_a_padding_widens_the_halo() -> None:
    model = random_weights(Crop())
    h = ip.analyze(model, (1, 3, 60, 60)).halo("conv")
    assert (h.reach_before, h.reach_after) == ((0, 0), (6, 3)) and (h.before, h.after) == ((1, 1), (13, 4))
    x = torch.rand(1, 3, 60, 60, dtype=torch.float64)
    with torch.no_grad():
        whole, tile = model(x), model(x[..., 20 - 1 : 30 + 13, 20 - 1 : 30 + 4])
        assert torch.allclose(tile[..., 1:11, 1:11], whole[..., 20:30, 20:30], rtol=1e-12)
        short = model(x[..., 20 - 1 : 30 + 12, 20 - 1 : 30 + 4])
        assert not torch.allclose(short[..., 1:11, 1:11], whole[..., 20:30, 20:30], rtol=1e-12)


@pytest.mark.parametrize("size", [61, 62, 63, 65])
def test_images_that_are_no_multiple_of_the_step(size: int) -> None:
    model = random_weights(nn.Sequential(nn.Conv2d(3, 2, 3, 2, 1), nn.Conv2d(2, 2, 2, 2), nn.Conv2d(2, 2, 3, padding=1)))
    h = ip.analyze(model, (1, 3, size, size)).halo("2")
    exact = ip.analyze(model, (1, 3, 64, 64)).halo("2")
    assert h.reach_before == exact.reach_before and h.before == exact.before and h.after[0] - exact.after[0] in (0, 4)
    x = torch.rand(1, 3, size, size, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(tiled(model, x, h.before, h.after, (16, 16), 4), model(x), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("make", "size", "expected"),
    [
        (models.unet, 256, ((94, 94), (96, 96), (16, 16))),
        (models.unet_bilinear, 256, ((110, 110), (112, 112), (16, 16))),
        (models.resnet18, 224, ((217, 186), (224, 192), (32, 32))),
    ],
)
def test_published_halos(make: object, size: int, expected: tuple[tuple[int, int], ...]) -> None:
    f = numbers(torched(make(), 1, 3, size, size), "RF601")
    reach, rounded, step = expected
    assert (f["reach_before"][0], f["reach_after"][0]) == reach
    assert (f["before"][1], f["after"][1]) == rounded and tuple(f["step"]) == step


def test_a_causal_network_looks_back_only() -> None:
    f = numbers(torched(models.wavenet(), 1, 1, 4096), "RF601")
    assert (f["before"], f["after"], f["step"]) == ([1023], [0], [1])


class Corners(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(nn.functional.avg_pool2d(x, 2), scale_factor=2, mode="bilinear", align_corners=True)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Corners(), "not the same everywhere"),
        (nn.GroupNorm(1, 3), "summary"),
        (nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.AdaptiveAvgPool2d(8)), "fits its steps"),
        (nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Upsample(size=(32, 8))), "fits its steps"),
        (nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"), "joins the ends"),
        (models.se_resnet(), "summary"),
        (models.swin_block(), "differently"),
    ],
    ids=["align_corners", "group norm", "adaptive", "size", "circular", "gates", "attention"],
)
def test_there_is_no_halo(model: nn.Module, why: str) -> None:
    f = found(torched(model, 1, 3, 16, 16), "RF601")
    assert f.severity == "note" and why in f.message, f.message


def test_several_outputs_share_a_halo() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 1, 3, 2, 1), nn.Conv2d(3, 1, 9, 3, 4)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.a(x), self.b(x)

    f = numbers(torched(Heads(), 1, 3, 36, 36), "RF601")
    assert f["step"] == [6, 6] and f["reach_before"] == [4, 4] and f["before"] == [6, 6]


def test_halo_by_name() -> None:
    a = ip.analyze("conv 3 s2 p1, gap, linear 3", (1, 3, 32, 32))
    assert a.halo("conv1").before == (2, 2) and a.halo("conv1").after == (0, 0) and halo(a, "conv1") == a.halo("conv1")
    assert not a.halo("linear1").exists and "whole axis" in a.halo("linear1").why
    with pytest.raises(LayerNotFound, match="conv1"):
        a.halo("conv2")


# ---- RF701, RF901, RF000 -----------------------------------------------------------------------------------------------------


def test_context_names_where_it_comes_in() -> None:
    f = numbers(torched(models.se_resnet(), 1, 3, 64, 64), "RF701")
    assert f["layers"] == [f"layer{k}.0.gate" for k in (1, 2, 3, 4)] and f["after"] > 4
    assert found(torched(models.resnet18(), 1, 3, 64, 64), "RF701") is None


class Sorted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.gather(-1, x.argsort(-1))


def test_bounds_are_a_problem_of_outputs() -> None:
    a = torched(Sorted(), 1, 3, 8, 8)
    f = found(a, "RF901")
    assert not a.exact and f.severity == "problem" and f.numbers["outputs"] == list(a.outputs)
    assert found(ip.analyze("conv 3", (1, 1, 8, 8)), "RF901") is None


def test_what_the_proof_said() -> None:
    from isopter.verification import LayerVerdict, Verification

    model = nn.Sequential(nn.Conv2d(1, 1, 3))
    a, v = ip.analyze(model, (1, 1, 8, 8)), ip.verify(model, (1, 1, 8, 8), units=4)
    assert found(a, "RF000") is None
    f = found(a, "RF000", verification=v)
    assert f.severity == "good" and f.numbers["checked"] == v.checked and f.numbers["ok"] is True
    failed = found(a, "RF000", verification=Verification((LayerVerdict("0", 10, 2, 0, True),), ((0, 0),), "positive"))
    assert failed.severity == "problem" and failed.layer == "0" and "2 were missed" in failed.message
    nothing = found(a, "RF000", verification=Verification((), (), "positive"))
    assert nothing.severity == "problem"


# ---- made to break -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("conv 1", (1, 1, 1)),
        ("relu", (1, 1, 1, 1)),
        ("gap", (1, 1, 4, 4)),
        ("linear 3", (1, 1, 4, 4)),
        ("deconv 1 s4", (1, 1, 3, 3)),
        ("conv 3 s7 p1", (1, 1, 50)),
        ("up 3, conv 2 s2", (1, 1, 5, 6, 7)),
        (nn.Linear(4, 2), (3, 4)),
        (nn.Linear(4, 2), (2, 5, 4)),
        (nn.LSTM(4, 2, batch_first=True), (2, 5, 4)),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)),
        (nn.Identity(), (1, 1, 8, 8)),
        (nn.Upsample(size=(7, 9)), (1, 1, 3, 5)),
        (nn.Sequential(nn.Unfold(3), nn.Flatten()), (1, 1, 8, 8)),
        (nn.PixelShuffle(2), (1, 8, 4, 4)),
    ],
    ids=lambda v: str(v)[:40],
)
def test_any_network_has_findings_or_none(model: object, size: tuple[int, ...]) -> None:
    found(ip.analyze(model, size), "RF000")


def test_an_empty_image() -> None:
    a = ip.analyze(nn.Conv2d(1, 1, 3, padding=2), inputs=torch.zeros(1, 1, 0, 8))
    assert {f.rule for f in a.findings()} <= {"RF701", "RF901"}
    assert not a.halo(a.outputs[0]).exists


def test_two_inputs_are_looked_at_one_by_one() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 5, padding=4, dilation=2)

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return self.a(left) + self.b(right)

    a = ip.analyze(Pair().eval(), inputs=(torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)))
    assert found(a, "RF201") is None and numbers(a, "RF601")["reach_before"] == [1, 1]
    assert numbers(a, "RF201", input="right")["density"] == pytest.approx(25 / 81)
    assert numbers(a, "RF601", input="right")["reach_before"] == [4, 4]
    with pytest.raises(LayerNotFound, match="right"):
        a.findings(input="rihgt")


def test_names_stay_as_they_are() -> None:
    model = nn.Sequential()
    model.add_module("</script><b>{0}%s", nn.Conv2d(1, 1, 3, padding=4, dilation=4))
    assert numbers(torched(model, 1, 1, 8, 8), "RF201")["lowest"] == "</script><b>{0}%s"


def test_wrong_arguments() -> None:
    a = ip.analyze("conv 3", (1, 1, 8, 8))
    with pytest.raises(LayerNotFound, match="conv1"):
        a.findings(effective={"conv9": a["conv1"].expected()})
    with pytest.raises(UsageError, match=r"isopter\.effective"):
        a.findings(effective=a["conv1"].expected())


def test_findings_survive_the_file(tmp_path: Path) -> None:
    a = torched(models.UNet(depth=2, width=2), 1, 3, 32, 32)
    a.to_json(tmp_path / "a.json")
    assert ip.load(tmp_path / "a.json").findings() == a.findings()


def test_a_large_network() -> None:
    assert len(torched(models.resnet152(), 1, 3, 512, 512).findings(expected=False)) == 3


# ---- the registry and its page -----------------------------------------------------------------------------------------------


def test_the_page_is_up_to_date() -> None:
    """Write it anew: python -c "from isopter.design.page import page; open('docs/findings.md', 'w', encoding='utf-8').write(page())"."""
    path = Path(__file__).parent.parent / "docs" / "findings.md"
    assert path.read_text(encoding="utf-8") == page(), test_the_page_is_up_to_date.__doc__


@pytest.mark.parametrize("rule", rules(), ids=lambda r: r.id)
def test_every_rule_says_what_to_do(rule: object) -> None:
    for part in ("**What to do.**", "**How it is computed.**", "Source: "):
        assert part in rule.page
    assert len(rule.id) == 5 and rule.id.startswith("RF") and f"## {rule.id}: {rule.title}\n" in page()


def test_ids_are_unique() -> None:
    with pytest.raises(UsageError, match="RF101"):
        finding("RF101", "again")(lambda subject: None)
    ids = ["RF000", "RF101", "RF201", "RF301", "RF401", "RF501", "RF502", "RF601", "RF701", "RF901"]
    assert [r.id for r in rules()] == ids


def test_numbers_are_finite() -> None:
    """An unbounded field has no size that JSON knows."""
    for f in ip.analyze("conv 3 p1, gap, linear 3", (1, 1, 2, 2)).findings():
        assert not any(isinstance(v, float) and math.isinf(v) for v in f.numbers.values())
