"""The expected effective field: published numbers, brute force, and sampling."""

from __future__ import annotations

import math
import os
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import isopter as ip
from isopter.errors import UsageError
from isopter.reads.rules.resample import squared
from isopter.reads.slopes import SLOPES, slope_of
from networks import random_network


def last(text: str, size: tuple[int, ...] = (1, 4, 256, 256)) -> ip.Analysis:
    return ip.analyze(text, size)


def expected(text: str, size: tuple[int, ...] = (1, 4, 256, 256)):
    a = last(text, size)
    return a[a.ops[-1]].expected()


# ---- science: numbers on paper -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "sd", "energy", "rms"),
    [
        (5, 1.8257, 0.755, 0.949),
        (10, 2.5820, 0.557, 0.739),
        (20, 3.6515, 0.394, 0.555),
        (40, 5.1640, 0.281, 0.394),
        (80, 7.3030, 0.200, 0.283),
    ],
)
def test_plain_stacks(n: int, sd: float, energy: float, rms: float) -> None:
    """Luo et al. 2016: sigma is the root of 2 n / 3; the ratio to the theoretical size falls as 1 / sqrt(n)."""
    e = expected(", ".join(["conv 3 p1"] * n))
    assert e.sigma == pytest.approx((math.sqrt(2 * n / 3),) * 2, abs=1e-9)
    assert round(e.sigma[0], 4) == sd
    assert (round(e.ratio, 3), round(e.rms.ratio, 3)) == (energy, rms)
    assert e.size == (2 * n + 1,) * 2 and e.map.shape == (2 * n + 1,) * 2


@pytest.mark.parametrize(
    ("layers", "size", "sigma"),
    [
        (["conv 3 p1"] * 15, 31, math.sqrt(10)),
        (["conv 3 p1 s2" if i in (0, 5, 10) else "conv 3 p1" for i in range(15)], 127, 15.427248620541512),
        ([f"conv 3 p1 d{ {3: 2, 7: 4, 11: 8}.get(i, 1)}" for i in range(15)], 53, 8.0),
    ],
    ids=["plain", "strided", "dilated"],
)
def test_strides_and_dilations(layers: list[str], size: int, sigma: float) -> None:
    e = expected(", ".join(layers))
    assert e.size == (size, size) and e.sigma == pytest.approx((sigma, sigma), abs=1e-9)


def test_trinomial() -> None:
    """Ten 3 x 3 layers: the marginal is (1 + x + x^2)^10 / 3^10."""
    e = expected(", ".join(["conv 3 p1"] * 10))
    row = np.array([1.0])
    for _ in range(10):
        row = np.convolve(row, np.ones(3) / 3)
    marginal = e.map.sum(axis=0) / e.map.sum()
    np.testing.assert_allclose(marginal, row, atol=1e-12)


class Residual(nn.Module):
    def __init__(self, blocks: int, width: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2 * blocks))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for first, second in zip(self.convs[::2], self.convs[1::2], strict=True):
            x = x + second(first(x.relu()).relu())
        return x


@pytest.mark.parametrize("blocks", [1, 3, 8])
def test_residual_nets(blocks: int) -> None:
    """Pre-activation blocks of two: half of the energy goes through each, so sigma^2 = 2/3 (1 + blocks)."""
    a = ip.analyze(Residual(blocks), (1, 3, 64, 64))
    e = a["output"].expected()
    assert e.sigma == pytest.approx((math.sqrt(2 / 3 * (1 + blocks)),) * 2, abs=1e-9)
    through = {s.layer: s.energy for s in e.shares}
    assert all(through[f"convs.{i}"] == pytest.approx(0.5) for i in range(2 * blocks)) and through["stem"] == pytest.approx(1)


def test_a_thousand_blocks_stay_in_range() -> None:
    """Each block doubles the energy: 2^1200 is more than a double holds."""
    text = ", ".join(["conv 1"] * 3)
    assert last(text)["conv3"].expected().sigma == (0, 0)

    class Doubling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = F.avg_pool1d(x, 3, 1, 1)
            for _ in range(1200):
                x = x + x.neg()
            return x

    e = ip.analyze(Doubling(), (1, 1, 9))["output"].expected()
    assert np.isfinite(e.map).all() and e.sigma == pytest.approx((math.sqrt(2 / 3),))
    assert sum(s.variance[0] for s in e.shares) == pytest.approx(2 / 3)


# ---- brute force: the squared Jacobian, summed by hand -----------------------------------------------------------------


def squared_jacobian(net: nn.Module, size: tuple[int, ...], unit: tuple[int, ...]) -> np.ndarray:
    """Sum over channels of squared derivatives of a linear net: what the theory gives where no weight is random."""
    x = torch.zeros(size, dtype=torch.float64, requires_grad=True)
    y = net(x)
    total = np.zeros(size[2:])
    for c in range(y.shape[1]):
        (g,) = torch.autograd.grad(y[(0, c, *unit)], x, retain_graph=True)
        total += g.square().sum(dim=(0, 1)).numpy()
    return total


def fixed(name: str, function) -> nn.Module:
    return type(name, (nn.Module,), {"forward": lambda self, x: function(x)})()


BLUR = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 4.0, 6.0])).expand(4, 1, 3, 3)
SOBEL = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, -2.0, 3.0])).expand(4, 1, 3, 3)

FIXED = {
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "bilinear_corners": lambda x: F.interpolate(x, size=(13, 11), mode="bilinear", align_corners=True),
    "bicubic": lambda x: F.interpolate(x, size=(13, 17), mode="bicubic"),
    "antialias": lambda x: F.interpolate(x, size=(5, 4), mode="bilinear", antialias=True),
    "average": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "average_whole": lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "average_ceil": lambda x: F.avg_pool2d(x, (3, 2), (2, 3), 1, ceil_mode=True),
    "average_by": lambda x: F.avg_pool2d(x, 2, 1, divisor_override=3),
    "blur": lambda x: F.conv2d(x, BLUR.to(x), stride=2, padding=1, groups=4),
    "sobel": lambda x: F.conv2d(x, SOBEL.to(x), padding=1, groups=4),
    "scaled": lambda x: x * 3 / 4,
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, (4, 3)),
    "global": lambda x: F.adaptive_avg_pool2d(x, 1),
    "mean": lambda x: x.mean((2, 3), keepdim=True),
    "sum": lambda x: x.sum(3, keepdim=True),
    "shuffle": lambda x: F.pixel_shuffle(torch.cat([x, x], 1), 2),
    "reflect": lambda x: F.pad(x, (2, 1, 3, 2), mode="reflect"),
    "roll_flip": lambda x: x.roll((2, -1), (2, 3)).flip(2),
    "slices": lambda x: x[:, :2, ::2, 1:],
    "transpose": lambda x: x.transpose(2, 3).reshape(1, 4, 1, -1)[..., 3:40].reshape(1, 4, 37, 1),
}


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("at", [0, 1, -1])
def test_fixed_operations(name: str, at: int) -> None:
    """Operations without weights pass their squared coefficients, borders and all."""
    net, size = fixed(name, FIXED[name]), (1, 4, 9, 8)
    f = ip.analyze(net, size)["output"]
    unit = tuple(min(max(at % n, 0), n - 1) for n in f.units)
    e = f.expected(unit, clip=True)
    full = dict(zip(f.unit_axes, unit, strict=True))
    y = net(torch.zeros(size))
    want = squared_jacobian(net, size, tuple(full.get(a, 0) for a in range(2, y.dim())))
    where = tuple(slice(o, o + n) for o, n in zip(e.origin, e.map.shape, strict=True))
    got = np.zeros(size[2:])
    got[where] = e.map
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_squared_coefficients_of_a_plane_sum_as_inside() -> None:
    """Away from the borders the two settings of an interpolation agree."""
    params = {"mode": "cubic", "align_corners": False, "antialias": False, "steps": (None,)}
    inside, plane = squared(params, (1, 1, 30), (1, 1, 45))[2]
    middle = inside[15:18].sum(axis=1)
    np.testing.assert_allclose(middle, plane.sum(axis=1), atol=1e-12)


@pytest.mark.parametrize("name", SLOPES)
def test_slopes(name: str) -> None:
    """Mean squared slopes against PyTorch's own derivatives on a million normal values."""
    function = {"prelu": lambda x: F.prelu(x, torch.tensor(0.25)), "abs": torch.abs, "tanh": torch.tanh, "sigmoid": torch.sigmoid}.get(
        name
    ) or getattr(F, name)
    x = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (g,) = torch.autograd.grad(function(x).sum(), x)
    assert slope_of(name)[0] == pytest.approx(float(g.square().mean()), rel=5e-3)


def test_slopes_by_their_parameters() -> None:
    """A leak and the limits of a clamp are known without a forward pass."""
    for function, want in (
        (lambda x: F.leaky_relu(x, 0.5), 0.625),
        (F.relu6, 0.5),
        (lambda x: F.hardtanh(x, -2, 1), 0.8413447 - 0.0227501),
        (lambda x: x * -3 / 2, 2.25),
    ):
        e = ip.analyze(fixed("Net", function), (1, 2, 9))["output"].expected()
        assert e.map.sum() == pytest.approx(2 * want, abs=1e-6)


# ---- weights: sampling -------------------------------------------------------------------------------------------------


def sampled(net: nn.Module, size: tuple[int, ...], unit: tuple[int, ...], samples: int) -> np.ndarray:
    """Mean squared gradient of all channels of one unit over fresh He weights and normal inputs, in float64."""
    generator = torch.Generator().manual_seed(0)
    total = np.zeros(size[2:])
    for _ in range(samples):
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Conv1d):
                fan_in = module.weight[0].numel()
                module.weight.data = torch.randn(module.weight.shape, generator=generator, dtype=torch.float64) * math.sqrt(2 / fan_in)
        x = torch.randn(size, generator=generator, dtype=torch.float64, requires_grad=True)
        y = net(x)
        seed = torch.zeros_like(y)
        seed[(0, slice(None), *unit)] = torch.randint(0, 2, (y.shape[1],), generator=generator).double() * 2 - 1
        (g,) = torch.autograd.grad(y, x, seed)
        total += g.square().sum(dim=(0, 1)).numpy()
    return total / samples


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Relative L2 of two maps of mass 1."""
    a, b = a / a.sum(), b / b.sum()
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def relu_net(*convs: tuple[int, int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (stride, dilation) in enumerate(convs):
        layers += [nn.ReLU()] * bool(i)
        layers += [nn.Conv2d(8 if i else 3, 8, 3, stride, dilation, dilation, bias=False)]
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize(
    "convs", [[(1, 1)] * 5, [(2, 1), (1, 1), (1, 1), (2, 1)], [(1, 1), (1, 2), (1, 4)]], ids=["plain", "strided", "dilated"]
)
def test_sampling_converges_to_it(convs: list[tuple[int, int]]) -> None:
    net, size = relu_net(*convs), (1, 3, 32, 32)
    f = ip.analyze(net, size)["output"]
    e = f.expected(clip=True)
    errors = [distance(sampled(net, size, e.unit, n)[tuple(slice(o, o + k) for o, k in zip(e.origin, e.map.shape, strict=True))], e.map)
              for n in (10, 40, 160)]  # fmt: skip
    assert errors[-1] < 0.1
    assert all(after < 0.75 * before for before, after in pairwise(errors))


def test_one_forward_pass_replaces_assumptions() -> None:
    """Weights, slopes and gates are those of the model at hand: here branches of very different weight."""

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = nn.Conv2d(3, 4, 7, padding=3, bias=False)
            self.narrow = nn.Conv2d(3, 4, 1, bias=False)
            self.scale = nn.Parameter(torch.tensor(0.1))

        def forward(self, x: Tensor) -> Tensor:
            return self.wide(x) * 3 + self.narrow(x) * self.scale

    net = Branches()
    f = ip.analyze(net, (1, 3, 32, 32))["output"]
    assumed, measured = f.expected(), f.expected(model=net)
    wide, narrow = 49 * float(net.wide.weight.detach().square().mean()) * 9, float(net.narrow.weight.detach().square().mean()) * 0.01
    through = {s.layer: s.energy for s in measured.shares}
    assert through["wide"] == pytest.approx(wide / (wide + narrow), rel=1e-6)
    assert measured.assumptions == () and "He" in " ".join(assumed.assumptions)
    assert any("slope of mul" in text for text in assumed.assumptions)
    assert measured.sigma[0] == pytest.approx(math.sqrt(4 * wide / (wide + narrow)), rel=1e-6)


def test_gate_of_rectified_maxima() -> None:
    """A window of four is active far more often than one of its positions."""
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2))
    from isopter.capture.torch.gauge import gauge

    x = torch.randn(2, 3, 32, 32)
    found = gauge(net, {"input": x})
    with torch.no_grad():
        active = net[:2](x)
    assert found["1"]["slopes"][0] == pytest.approx(float((active > 0).double().mean()), abs=1e-3)
    assert found["2"]["gate"] == pytest.approx(float((net[2](active) > 0).double().mean() / (active > 0).double().mean()))
    assert found["0"]["power"] == pytest.approx(float(net[0].weight.detach().square().mean()), rel=1e-6)


# ---- what it says besides ----------------------------------------------------------------------------------------------


class Forked(nn.Module):
    """Branches that differ in place and size, channels split and joined."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(2, 4, 3), nn.Conv2d(2, 3, 5), nn.ConvTranspose2d(6, 2, 3, 2)
        self.d = nn.Conv2d(2, 2, 3, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.a(x)[:, :, 2:, 2:], self.b(x)
        y = torch.cat([a[:, 1:], b], 1)
        z = self.c(y)
        return self.d(z) + F.interpolate(a[:, :2], size=z.shape[2:], mode="bilinear")[:, :, 1:-1, 1:-1]


@pytest.mark.parametrize("clip", [False, True])
def test_variances_sum_up(clip: bool) -> None:
    """What the ops add to the variance is the variance, with misaligned branches, phases and unequal channels."""
    f = ip.analyze(Forked(), (1, 2, 16, 14))["output"]
    for unit in ((0, 0), (3, 4), (10, 7)):
        e = f.expected(unit, clip=clip or f.basis != "plane" or None)
        total = np.sum([s.variance for s in e.shares], axis=0)
        np.testing.assert_allclose(total, np.square(e.sigma), rtol=1e-9)
        for axis in (0, 1):
            paths = e.paths(axis)
            assert math.fsum(paths.shares) + paths.unbounded == pytest.approx(1)


def check_random_network(seed: int) -> int:
    """Of a random network: energy reaches just the pixels read, the parts of the variance sum up to it, and so do the paths' shares."""
    net = random_network(seed)
    a = ip.analyze(net.build(), net.input_size)
    rng = np.random.default_rng(seed)
    checked = 0
    for name in a.layers[-3:]:
        f = a[name]
        unit = tuple(int(rng.integers(n)) for n in f.units)
        read = f.support(unit).on(f.input_shape)
        if not read.any():
            continue
        e = f.expected(unit, clip=True)
        if not e.applies:
            continue
        got = np.zeros(f.input_shape, np.bool_)
        got[tuple(slice(o, o + n) for o, n in zip(e.origin, e.map.shape, strict=True))] = e.map > 0
        assert not (got & ~read).any() and (f.exactness != "exact" or (got == read).all()), (seed, name, unit, net)
        np.testing.assert_allclose(np.sum([s.variance for s in e.shares], axis=0), np.square(e.sigma), rtol=1e-7, atol=1e-9)
        assert all(math.fsum(e.paths(k).shares) + e.paths(k).unbounded == pytest.approx(1) for k in range(e.map.ndim))
        checked += 1
    return checked


def test_random_networks() -> None:
    assert sum(map(check_random_network, range(30))) > 40


@pytest.mark.slow
def test_many_random_networks() -> None:
    count = int(os.environ.get("ISOPTER_NETWORKS", "300"))
    assert sum(map(check_random_network, range(30, 30 + count))) > count


def test_path_weights() -> None:
    """Residual paths, each with half of what its block passes: a binomial of sizes."""
    a = ip.analyze(Residual(4), (1, 3, 64, 64))
    paths = a["output"].expected().paths()
    assert paths.sizes == (3, 7, 11, 15, 19)
    assert paths.shares == pytest.approx([math.comb(4, k) / 16 for k in range(5)])
    assert paths.mean == pytest.approx(11) and paths.sd == pytest.approx(4)


def test_shares_say_what_buys_what() -> None:
    e = expected("conv 3 p1, pool 2, conv 3 p1")
    by_layer = {s.layer: s for s in e.shares}
    assert [by_layer[n].growth[0] for n in ("conv1", "pool1", "conv2")] == [2, 1, 4]
    assert [by_layer[n].variance[0] for n in ("conv1", "pool1", "conv2")] == pytest.approx([2 / 3, 1 / 4, 8 / 3])


def test_pickles_as_numbers() -> None:
    e = ip.analyze(Residual(2), (1, 3, 32, 32))["output"].expected()
    again = pickle.loads(pickle.dumps(e))
    assert again.shares == e.shares and again.paths(1) == e.paths(1) and again.sigma == e.sigma
    assert np.array_equal(again.map, e.map)


def test_says_where_ways_are_not_independent() -> None:
    """Two averages in a row, or a sum with an average of the same thing, add gradients before they are squared."""
    ways = {
        "twice": lambda x: F.avg_pool2d(F.avg_pool2d(x, 3, 1, 1), 3, 1, 1),
        "mixer": lambda x: F.avg_pool2d(x, 3, 1, 1) - x,
        "double": lambda x: x + x.relu(),
    }
    for function in ways.values():
        e = ip.analyze(fixed("Net", function), (1, 2, 9, 9))["output"].expected()
        assert any("independent" in text for text in e.assumptions)
    for net in (Residual(3), nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 3, 3), nn.AvgPool2d(2))):
        e = ip.analyze(net, (1, 3, 16, 16))["output"].expected()
        assert not any("independent" in text for text in e.assumptions if "weights drawn" not in text)


class Choice(nn.Module):
    """A condition computed from the input chooses between a branch and a skip; another computes a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return self.c(torch.where(y > 0, self.b(y), y).masked_fill(torch.isnan(y) | (y > 9), 0.0)) + y.round()


def test_no_gradient_through_conditions() -> None:
    net = Choice()
    f = ip.analyze(net, (1, 3, 16, 16))["output"]
    x = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        open_ = float((net.a(x) > 0).double().mean())
        branch = open_ * 27 * float(net.b.weight.square().mean())
    for e, want in ((f.expected(), 2 / 3), (f.expected(model=net, data=x), branch / (branch + 1 - open_))):
        through = {s.layer: s.energy for s in e.shares}
        assert through["b"] == pytest.approx(want, rel=1e-3) and not {"gt", "isnan", "round"} & set(through)
    assert "where" in " ".join(f.expected().assumptions)


def test_reductions_by_their_whole_name() -> None:
    e = ip.analyze(fixed("Net", lambda x: x.logsumexp(1, keepdim=True)), (1, 2, 8))["output"].expected()
    assert not e.applies and "logsumexp" in e.why


# ---- where it does not apply -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "why"),
    [
        (lambda x: (x.mT @ x).softmax(-1) @ x.mT, "attention"),
        (lambda x: x * x.mean(-1, keepdim=True).sigmoid() * torch.sigmoid(x), "gate"),
        (lambda x: x.sort().values, "sort"),
        (lambda x: torch.fft.rfft(x).real, "fft"),
        (lambda x: x.cumprod(-1), "cumprod"),
    ],
    ids=["attention", "gate", "sort", "fourier", "cumprod"],
)
def test_says_where_it_does_not_apply(net, why: str) -> None:
    e = ip.analyze(fixed("Net", net), (1, 2, 8))["output"].expected()
    assert not e.applies and not e and why in e.why
    assert pickle.loads(pickle.dumps(e)) == e
    with pytest.raises(UsageError, match=r"isopter\.effective"):
        _ = e.sigma


class Gated(nn.Module):
    """A squeeze-excite gate between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.gate, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return y + self.b(y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True))))


def test_a_gate_that_was_measured() -> None:
    """The branch carries the mean square of the gate; without a forward pass nothing is said."""
    net = Gated()
    f = ip.analyze(net, (1, 3, 32, 32))["output"]
    assert "gate" in f.expected().why
    x = torch.randn(1, 3, 32, 32)
    e = f.expected(model=net, data=x)
    with torch.no_grad():
        y = net.a(x)
        square = float(torch.sigmoid(net.gate(y.mean((2, 3), keepdim=True))).square().mean())
        branch = square * 9 * 8 * float(net.b.weight.square().mean())
    assert {s.layer: s.energy for s in e.shares}["b"] == pytest.approx(branch / (1 + branch), rel=1e-4)
    assert e.assumptions == ("a gate is independent of what it gates",)


def test_wrong_questions() -> None:
    a = ip.analyze(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1)), (1, 3, 8, 8))
    with pytest.raises(UsageError, match="out of range"):
        a["0"].expected((8, 0))
    with pytest.raises(UsageError, match="clip=True"):
        a["1"].expected(clip=False)
    with pytest.raises(UsageError, match="model="):
        a["0"].expected(data=torch.zeros(1, 3, 8, 8))
    with pytest.raises(UsageError, match="not the model that was analysed"):
        a["0"].expected(model=nn.Sequential(nn.Identity(), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1)))
    with pytest.raises(UsageError, match=r"torch\.nn\.Module"):
        a["0"].expected(model="resnet")
    assert a["1"].expected().size == (math.inf, math.inf)
    assert a["1"].expected().map.shape == (8, 8)


def test_unit_of_holes() -> None:
    """A transposed convolution with a kernel below its stride leaves units that read nothing."""
    a = ip.analyze(nn.ConvTranspose2d(1, 1, 1, 2), (1, 1, 4, 4))
    with pytest.raises(UsageError, match="reads nothing"):
        a["output"].expected((1, 1))
    assert a["output"].expected((2, 2)).sigma == (0, 0)
