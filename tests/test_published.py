"""Published and derived numbers, with their sources."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
from torch import nn

import isopter as ip

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import models

IMAGE = (1, 3, 224, 224)


@pytest.mark.parametrize(
    ("net", "size", "start"),
    [
        ("resnet18", 435, -217),
        ("resnet34", 899, -449),
        ("resnet50", 427, -213),
        ("resnet101", 971, -485),
        ("resnet152", 1451, -725),
        ("resnet50_v1", 483, -241),
        ("resnet101_v1", 1027, -513),
        ("resnet152_v1", 1507, -753),
    ],
)
def test_resnets(net: str, size: int, start: int) -> None:
    """Araujo, Norris & Sim 2019 for stride in the first 1x1 (v1); eq. 1 by hand for stride in the 3x3."""
    f = ip.analyze(getattr(models, net)(), IMAGE)["layer4"]
    assert (f.size, f.stride, f.start) == ((size,) * 2, (32, 32), (start,) * 2)
    assert f.exactness == "exact" and f.basis == "plane" and f.density == 1.0
    assert f.explain().size == size


def test_vgg_and_alexnet() -> None:
    """Araujo et al. 2019: VGG-16 pool5 212/32/90; AlexNet as torchvision pads it 195/32/66."""
    vgg = ip.analyze(models.vgg16(), IMAGE)["features.30"]
    assert (vgg.size, vgg.stride, vgg.start) == ((212, 212), (32, 32), (-90, -90))
    alex = ip.analyze(models.alexnet(), IMAGE)["features.12"]
    assert (alex.size, alex.stride, alex.start) == ((195, 195), (32, 32), (-66, -66))
    assert ip.analyze(models.alexnet(), IMAGE)["output"].size == (math.inf, math.inf)


@pytest.mark.parametrize(("net", "sizes"), [("unet", {188, 204}), ("unet_bilinear", {220, 236})])
def test_unets(net: str, sizes: set[int]) -> None:
    """After four upsamplings the size depends on which of 16 phases a unit has."""
    f = ip.analyze(getattr(models, net)(), (1, 3, 256, 256))["output"]
    assert [set(phases) for phases in f.sizes_by_phase] == [sizes, sizes]
    assert f.size == (max(sizes),) * 2 and f.stride == (1, 1) and len(f.sizes_by_phase[0]) == 16


def test_highres3dnet_paths() -> None:
    """Li et al. 2017: x^3 (1 + x^4)^3 (1 + x^8)^3 (1 + x^16)^3."""
    p = ip.analyze(models.highres3dnet(), (1, 1, 24, 24, 24))["output"].paths()
    counts = (1, 3, 6, 10, 15, 21, 28, 36, 42, 46, 48)
    assert p.sizes == tuple(range(3, 88, 4)) and p.counts == counts + counts[::-1]
    assert p.total == 512 and p.mean == 45 and p.sd == pytest.approx(math.sqrt(252))


@pytest.mark.parametrize(
    ("net", "total", "ends", "mean", "sd"),
    [
        ("resnet18", 2**8, (11, 435), 223, 92.3),
        ("resnet50", 2**16, (11, 427), 219, 62.5),
    ],
)
def test_resnet_paths(net: str, total: int, ends: tuple[int, int], mean: float, sd: float) -> None:
    """Veit et al. 2016: n residual blocks, 2^n paths."""
    p = ip.analyze(getattr(models, net)(), IMAGE)["layer4"].paths(1)
    assert p.total == total and (p.sizes[0], p.sizes[-1]) == ends
    assert p.mean == mean and p.sd == pytest.approx(sd, abs=0.05)


def test_wavenet_is_causal() -> None:
    """van den Oord et al. 2016: kernel 2, dilations 1 ... 512, 1024 samples, none of them ahead."""
    f = ip.analyze(models.wavenet(), (1, 1, 3000))["output"]
    assert f.size == (1024,) and f.start == (-1023,) and f.density == 1.0
    r = f.region((2000,))
    assert (r.lo, r.hi) == ((2000 - 1023,), (2001,))


def test_border_exposure() -> None:
    """ResNet-50 at 224: 1 - (224 / 427)^2 of the middle unit's field is padding."""
    r = ip.analyze(models.resnet50(), IMAGE)["layer4"].region((3, 3))
    assert r.padding_share == pytest.approx(1 - (224 / 427) ** 2) and r.size == (224, 224)


@pytest.mark.parametrize(
    ("rates", "size", "read"),
    [
        ((2, 2, 2), 13, 7),
        ((1, 2, 3), 13, 13),
        ((1, 2, 5), 17, 17),
        ((1, 2, 9), 25, 21),
        ((6, 6, 6), 37, 7),
        ((1, 3, 9), 27, 27),
    ],
)
def test_gridding(rates: tuple[int, ...], size: int, read: int) -> None:
    """Yu & Koltun 2015, and the holes of constant rates: pixels read along one axis."""
    f = ip.analyze(", ".join(f"conv 3 d{r} p{r}" for r in rates), (1, 1, 99, 99))[f"conv{len(rates)}"]
    s = f.support((49, 49))
    assert f.size == (size, size) and s.count == read**2
    assert f.density == pytest.approx((read / size) ** 2)


def test_se_gates_are_context() -> None:
    """Strictly a squeeze-excite net sees everything; its local field is that of the net without gates."""
    gated = ip.analyze(models.se_resnet(), (1, 3, 128, 128))["layer4"]
    assert gated.context and gated.size == (195, 195) and gated.region((0, 0)).size == (98, 98)
    assert gated.region((0, 0), context=True).size == (128, 128)


def test_shifted_windows() -> None:
    """A Swin block with a -inf mask (16 px, windows of 4, shift 2): the corner unit sees its corner of the cut window only."""
    f = ip.analyze(models.swin_block(), (1, 3, 16, 16))["output"]
    lo, hi = f.regions()
    for axis in range(2):
        for at in range(16):
            start = 0 if at < 2 else 14 if at >= 14 else (at - 2) // 4 * 4 + 2
            stop = 2 if at < 2 else 16 if at >= 14 else start + 4
            index = (at, 5) if axis == 0 else (5, at)
            assert (lo[axis][index], hi[axis][index]) == (start, stop)
    assert f.exactness == "exact" and f.basis == "input"


def test_paths_end_in_a_fully_connected_layer() -> None:
    """It reads the whole of a flattened map, so none of its paths has a size."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 5))
    a = ip.analyze(net, (1, 3, 8, 8))
    assert (a["0"].paths().sizes, a["1"].paths().sizes) == ((3,), (3,))
    assert (a["2"].paths().sizes, a["2"].paths().unbounded) == ((), 1)
