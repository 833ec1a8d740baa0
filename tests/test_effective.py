"""`effective`: measured maps against gradients found by hand, whatever the canvas, the batch or the number of processes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

import isopter as ip
from isopter.erf import canvas
from isopter.erf.layers import chosen
from isopter.erf.maps.measured import Sums
from isopter.erf.torch import processes
from isopter.erf.torch.asks import signs
from isopter.erf.torch.theory import theory
from networks import random_network
from untouched import left_as_it_was

Map = npt.NDArray[np.float64]


class Tuned(nn.Module):
    """A model whose forward is a function of its parts."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.run = forward

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def settled(model: nn.Module, seed: int = 0) -> nn.Module:
    """Weights from a seed, and batch norms that have seen data."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(parameter[0].numel(), 1) ** 0.5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
            module.weight.data.uniform_(0.5, 2, generator=generator)
    return model.eval()


def convs() -> nn.Module:
    return settled(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 5, stride=2, padding=2)))


def unet() -> nn.Module:
    """Halved, doubled and joined, with a head that takes one size only."""

    def forward(self: Any, x: Tensor) -> Tensor:
        a = self.down(x)
        joined: Tensor = self.join(torch.cat([a, self.up(self.mid(self.pool(a)))], 1))
        out: Tensor = self.head(joined.flatten(1))
        return out

    return settled(
        Tuned(
            forward,
            down=nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True)),
            pool=nn.MaxPool2d(2),
            mid=nn.Sequential(nn.Conv2d(6, 8, 3, padding=2, dilation=2), nn.ReLU(inplace=True)),
            up=nn.ConvTranspose2d(8, 6, 2, stride=2),
            join=nn.Sequential(nn.Conv2d(12, 5, 3, padding=1), nn.ReLU(inplace=True)),
            head=nn.Linear(5 * 40 * 48, 3),
        )
    )


def gated() -> nn.Module:
    """A squeeze-excite gate: the whole image matters to every unit."""
    gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid())
    return settled(Tuned(lambda m, x: m.last(m.conv(x) * m.gate(m.conv(x))), conv=nn.Conv2d(3, 4, 3), gate=gate, last=nn.Conv2d(4, 3, 3)))


def photos(count: int, *shape: int) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(7))


def on_image(field: Any) -> Map:
    """The map laid on the whole image."""
    whole = np.zeros(field.image)
    whole[tuple(slice(o, o + n) for o, n in zip(field.origin, field.map.shape, strict=True))] = field.map
    return whole


def close(a: Map, b: Map) -> bool:
    return a.shape == b.shape and float(np.abs(a - b).max()) <= 1e-12 * float(np.abs(b).max())


# ---- against gradients by hand -------------------------------------------------------------------------------------------


def test_sum_of_a_linear_net_is_its_kernel() -> None:
    """With fixed weights the gradient is the composed kernel, whatever the input."""
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Conv2d(1, 1, 3, padding=1, bias=False)).double()
    first, second = torch.arange(9.0).reshape(3, 3), torch.tensor([[0.0, 1, 0], [2, -3, 1], [0, 0.5, 0]])
    for module, kernel in zip(net, (first, second), strict=True):
        module.weight.data = kernel.double().reshape(1, 1, 3, 3)  # type: ignore[union-attr]
    composed = torch.nn.functional.conv_transpose2d(first[None, None].double(), second[None, None].double())[0, 0].numpy()
    found = ip.effective(net, "1", (1, 1, 20, 20), samples=2, target="sum")["1"]
    assert close(found.map, composed**2)
    assert found.origin == (8, 8) and found.unit == (10, 10) and found.center == (10, 10) and found.size == (5, 5)
    assert found.relative_error == 0


@pytest.mark.parametrize(("statistic", "of"), [("energy", torch.square), ("abs", torch.abs), ("relu", torch.relu)])
@pytest.mark.parametrize("target", ["random", "sum", "positive"])
def test_gradient_by_hand(target: Any, statistic: Any, of: Callable[[Tensor], Tensor]) -> None:
    """Every target and statistic, from the definition."""
    net, data = convs().double(), photos(5, 3, 24, 30)
    total = torch.zeros(24, 30, dtype=torch.float64)
    for number, image in enumerate(data.double()):
        x = image[None].requires_grad_()
        unit = net(x)[0, :, 6, 7]
        weights = {"random": torch.from_numpy(signs(5, 3, number, "2")), "sum": torch.ones(5), "positive": unit > 0}[target]
        (gradient,) = torch.autograd.grad((unit * weights).sum(), x)
        total += of(gradient)[0].sum(0)
    found = ip.effective(net, "2", (1, 3, 24, 30), data=data, samples=5, seed=3, target=target, statistic=statistic)["2"]
    assert close(on_image(found), (total / 5).numpy())


def test_random_signs_give_the_sum_over_channels() -> None:
    """The mean over draws is the energy of all channels together: within what the standard errors allow."""
    net, image = convs().double(), photos(1, 3, 12, 12)
    x = image.double().requires_grad_()
    exact = sum(torch.autograd.grad(net(x)[0, c, 3, 3], x)[0].square().sum() for c in range(5))
    found = ip.effective(net, "2", (1, 3, 12, 12), data=image.repeat(400, 1, 1, 1), samples=400)["2"]
    mass, error = found.map.sum(), np.sqrt((found.stderr**2).sum()) * 4  # pixels of one sample rise and fall together
    assert abs(mass - float(exact)) < 3 * error < 0.4 * mass


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU(inplace=True), nn.Hardswish(inplace=True), nn.GELU(), nn.ReLU6(), nn.Tanh()])
def test_gradient_is_taken_before_the_activation(activation: nn.Module) -> None:
    """The layer with its activation gives what the convolution alone gives, and says so."""
    conv = settled(nn.Conv2d(3, 1, 3)).double()
    data = photos(4, 3, 9, 9)
    bare = ip.effective(nn.Sequential(nn.Sequential(conv)), "0", (1, 3, 9, 9), data=data, samples=4)["0"]
    dressed = ip.effective(nn.Sequential(nn.Sequential(conv, activation)), "0", (1, 3, 9, 9), data=data, samples=4)["0"]
    assert close(dressed.map, bare.map)
    assert any("before the activation" in note for note in dressed.notes) and not bare.notes


def test_bypass_is_for_the_layer_asked_for_only() -> None:
    """A later layer in the same pass goes through the ReLU that an earlier one bypassed."""
    net, data = convs().double(), photos(3, 3, 16, 16)
    both = ip.effective(net, ["1", "2"], (1, 3, 16, 16), data=data, samples=3, crop=False)
    alone = ip.effective(net, "2", (1, 3, 16, 16), data=data, samples=3, crop=False)
    assert close(both["2"].map, alone["2"].map)


def test_layers_written_to_in_place() -> None:
    """A layer is measured as it was when its module returned, though the next one overwrites it."""
    conv = settled(nn.Conv2d(3, 4, 3)).double()
    data = photos(3, 3, 9, 9)
    plain = ip.effective(nn.Sequential(conv, nn.ReLU(), nn.Conv2d(4, 2, 3).double()), ["0", "2"], (1, 3, 9, 9), data=data, samples=3)
    over = nn.Sequential(conv, nn.ReLU(inplace=True), nn.Conv2d(4, 2, 3).double())
    written = ip.effective(over, ["0", "2"], (1, 3, 9, 9), data=data, samples=3)
    assert close(written["0"].map, plain["0"].map)


# ---- canvases ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [("down", "pool"), ("mid", "join")])
def test_crop_changes_nothing_on_real_data(layers: tuple[str, ...]) -> None:
    """Convolved, strided, dilated, pooled, joined: the part of the image gives what the whole of it gives."""
    net, data, size = unet(), photos(4, 3, 40, 48), (1, 3, 40, 48)
    parts = ip.effective(net, layers, size, data=data, samples=4, dtype="float64")
    wholes = ip.effective(net, layers, size, data=data, samples=4, dtype="float64", crop=False)
    for part, whole in zip(parts.values(), wholes.values(), strict=True):
        assert part.map.shape == part.size and part.map.size < whole.map.size  # it was cut
        assert close(on_image(part), whole.map)
        assert not part.clipped


@pytest.mark.parametrize("unit", [(0, 0), (19, 3), (11, 23)])
def test_crop_keeps_the_borders_of_real_data(unit: tuple[int, int]) -> None:
    """At a border the canvas ends where the image does, and the padding is the same."""
    net, data, size = unet(), photos(3, 3, 40, 48), (1, 3, 40, 48)
    part = ip.effective(net, "mid", size, data=data, samples=3, dtype="float64", unit=unit)["mid"]
    whole = ip.effective(net, "mid", size, data=data, samples=3, dtype="float64", unit=unit, crop=False)["mid"]
    assert part.map.size < whole.map.size
    assert close(on_image(part), whole.map)
    assert part.clipped and whole.clipped and part.unit == unit


@pytest.mark.filterwarnings("ignore:Only zero gradients")
@pytest.mark.parametrize("seed", [*range(10), 312, 387])
def test_crop_changes_nothing_in_random_networks(seed: int) -> None:
    """Of everything that moves, mixes or drops positions, whether it can be cut or not."""
    network = random_network(seed)
    net, size = Tuned(lambda m, x: m.inner(x), inner=network.build()), (1, *network.input_size[1:])
    names, data = list(ip.analyze(net, size).graph.calls), photos(2, *size[1:])
    parts, wholes = (ip.effective(net, names, size, data=data, samples=2, dtype="float64", crop=crop) for crop in (True, False))
    for part, whole in zip(parts.values(), wholes.values(), strict=True):
        assert close(on_image(part), whole.map), part.layer


def test_noise_is_laid_under_the_whole_field() -> None:
    """A field larger than the image is measured whole, on a canvas beyond the image; on the image alone it is clipped."""
    net = settled(nn.Sequential(*[nn.Conv2d(3, 3, 5, padding=2) for _ in range(6)]))
    wide = ip.effective(net, "5", (1, 3, 16, 16), samples=2)["5"]
    assert wide.map.shape == wide.size == (25, 25) and wide.origin == (-4, -4) and not wide.clipped
    assert wide.map[0].any() and wide.map[-1].any()
    narrow = ip.effective(net, "5", (1, 3, 16, 16), samples=2, crop=False)["5"]
    assert narrow.map.shape == (16, 16) and narrow.clipped


def test_one_dimension_and_three() -> None:
    """The same code for a signal and a volume."""
    line = settled(nn.Sequential(nn.Conv1d(2, 3, 5, padding=2), nn.Conv1d(3, 3, 3, stride=2)))
    assert ip.effective(line, "1", (1, 2, 50), samples=2)["1"].map.shape == (7,)
    volume = settled(nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.Conv3d(2, 2, (1, 3, 3), stride=2)))
    assert ip.effective(volume, "1", (1, 1, 12, 12, 12), samples=2)["1"].map.shape == (3, 5, 5)


def test_context_runs_on_the_whole_image() -> None:
    """What comes through a gate is measured too: gradient beyond the local field."""
    found = ip.effective(gated(), "last", (1, 3, 20, 20), samples=3)["last"]
    inside = found.map[8:13, 8:13].sum()
    assert found.map.shape == (20, 20) and found.size == (5, 5) and 0 < inside < found.map.sum()


def test_a_canvas_that_would_be_noticed_is_not_used() -> None:
    """Weights that depend on the position, and no analysis of reads can tell: the whole image runs, and the result says why."""

    def forward(self: Any, x: Tensor) -> Tensor:
        ramp = torch.linspace(-2, 2, x.shape[-1], dtype=x.dtype, device=x.device)
        bent: Tensor = self.conv(torch.sin(x * ramp))
        return bent

    net, data = settled(Tuned(forward, conv=nn.Conv2d(3, 2, 3))), photos(2, 3, 20, 20)
    found = ip.effective(net, "conv", (1, 3, 20, 20), data=data, samples=2, dtype="float64")["conv"]
    whole = ip.effective(net, "conv", (1, 3, 20, 20), data=data, samples=2, dtype="float64", crop=False)["conv"]
    assert found.map.shape == (20, 20) and close(found.map, whole.map)
    assert any("Ran on the whole image" in note for note in found.notes)


def test_a_maximum_may_hide_that_other_pixels_are_read() -> None:
    """Pooled to a size of its own, a smaller input is read otherwise; on one draw in two the maximum is the same."""
    net = Tuned(lambda m, x: m.conv(m.pool(x)), pool=nn.AdaptiveMaxPool1d(14), conv=nn.Conv1d(3, 3, 1))
    found = ip.effective(net, "pool", (1, 3, 18), data=photos(2, 3, 18), samples=2)["pool"]
    assert found.map.shape == (18,) and any("the unit reads other pixels" in note for note in found.notes)


def test_a_canvas_is_tried_on_a_unit_that_is_open() -> None:
    """With half of the seeds the unit is not positive on the first draw: a gradient of zero tells nothing of what depends on the place."""

    def scaled(self: Any, y: Tensor) -> Tensor:
        return y * torch.linspace(1, 5, y.shape[-1] + 1, dtype=y.dtype)[:-1]

    net = settled(Tuned(lambda m, x: m.end(m.conv(x)), conv=nn.Conv2d(1, 1, 3, bias=False), end=Tuned(scaled)))
    for seed in range(8):
        found = ip.effective(net, "end", (1, 1, 20, 20), samples=8, seed=seed, target="positive")["end"]
        assert found.map.shape == (20, 20) and any("Ran on the whole image" in note for note in found.notes)


def test_the_head_does_not_keep_the_layer_from_being_cut() -> None:
    """A head that takes one size only is not run for the theory of the canvas, which is known up to the layer."""
    net = Tuned(lambda m, x: m.head(m.conv(x).flatten(1)), conv=nn.Conv2d(3, 2, 3), head=nn.Linear(2 * 18 * 18, 3))
    layer = chosen(ip.analyze(net, (1, 3, 20, 20)), "conv")[0]
    there = theory(net, [layer], False)(layer, (1, 3, 5, 7))
    assert there.units == (3, 5) and there.size == layer.field.size and len(there.walks.graph.ops) == 2
    assert ip.effective(net, "conv", (1, 3, 20, 20), samples=2)["conv"].map.shape == (3, 3)


@pytest.mark.parametrize("batch", [1, 4])
def test_no_pass_is_made_for_nothing(batch: int) -> None:
    """Nine samples on the canvas and one on a larger one; in batches one sample runs alone besides."""
    net, seen = Tuned(lambda m, x: m.conv(x), conv=nn.Conv2d(3, 2, 3)), list[tuple[int, ...]]()
    note = lambda m, given: seen.append(tuple(given[0].shape)) if given[0].requires_grad else None  # noqa: E731
    net.conv.register_forward_pre_hook(note)  # type: ignore[operator, union-attr]
    ip.effective(net, "conv", (1, 3, 20, 20), samples=9, batch=batch)
    assert sorted(rows for rows, *_, n in seen if n == 3) == ([1] * 9 if batch == 1 else [1, 1, 4, 4])
    assert [rows for rows, *_, n in seen if n != 3] == [1]


class Mixing(nn.Module):
    """Scales what it does by a statistic of the whole batch: its samples must run alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, bias=False)
        self.out = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.conv(x) * (1 + x.square().mean()))


def test_a_closed_unit_does_not_prove_that_samples_stay_apart() -> None:
    """Its gradient is zero alone and in a batch: seeds 2 and 6 close the sample that is asked first."""
    torch.manual_seed(3)
    net = Mixing()
    for seed in range(8):
        options = {"samples": 8, "seed": seed, "target": "positive", "dtype": "float64"}
        one, four = (ip.effective(net, "out", (1, 1, 12, 12), batch=b, **options)["out"].map for b in (1, 4))
        np.testing.assert_allclose(four, one, rtol=1e-9)


def test_chance_by_row_is_not_batched() -> None:
    """Dropout that is always on is drawn by the sample, whatever the batch."""
    net = settled(Tuned(lambda m, x: m.conv(torch.nn.functional.dropout(x.mean((2, 3), keepdim=True) + x, 0.5)), conv=nn.Conv2d(3, 2, 3)))
    one, four = (ip.effective(net, "conv", (1, 3, 12, 12), samples=6, dtype="float64", batch=b) for b in (1, 4))
    assert close(one["conv"].map, four["conv"].map)


@pytest.mark.skipif(torch.cuda.is_available(), reason="what happens where there is no GPU")
def test_a_model_that_asks_for_a_gpu_runs_on_this_machine() -> None:
    """Also one that hooks into gradients that nobody computes."""

    def forward(self: Any, x: Tensor) -> Tensor:
        self.conv.weight.register_hook(lambda gradient: gradient)
        return self.conv(x.cuda()) + torch.zeros(1, device="cuda")  # type: ignore[no-any-return]

    plain, bound = (settled(Tuned(run, conv=nn.Conv2d(3, 2, 3))) for run in (lambda m, x: m.conv(x), forward))
    maps = [ip.effective(net, "conv", (1, 3, 12, 12), samples=4)["conv"].map for net in (plain, bound)]
    assert close(*maps)


def test_a_field_too_large_for_memory_is_clipped() -> None:
    """Noise under the whole of a huge field would take more than there is: the image runs, and the result says so."""
    net = nn.Sequential(*[nn.Conv2d(3, 64, 3, stride=2) if k == 0 else nn.Conv2d(64, 64, 3, dilation=1000, padding=1000) for k in range(4)])
    found = ip.effective(net, "3", (1, 3, 16, 16), samples=2)["3"]
    assert found.clipped and found.map.shape == (16, 16) and any("GB" in note for note in found.notes)


def test_a_model_of_one_size_runs_on_it() -> None:
    """A table of positions fits one size only."""

    def forward(self: Any, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x + self.table.weight.reshape(1, 1, 12, 12))
        return out

    net = settled(Tuned(forward, conv=nn.Conv2d(3, 2, 3), table=nn.Embedding(12, 12)))
    found = ip.effective(net, "conv", (1, 3, 12, 12), samples=2)["conv"]
    assert found.map.shape == (12, 12) and any("Ran on the whole image" in note for note in found.notes)


def test_steps_cover_every_stride_on_the_way() -> None:
    """An upsampled layer steps by 1, but its canvas must keep in step with the strided layers below it."""
    field = ip.analyze(unet(), (1, 3, 40, 48))["join"]
    assert field.stride == (1, 1) and canvas.steps(field) == (2, 2)


def test_interior_averages_units_by_their_fields() -> None:
    """Each sample has another unit; every map is laid with its field on the middle one's."""
    net, data = nn.Sequential(nn.Conv2d(1, 1, 3, stride=2, padding=1)).double(), photos(6, 1, 21, 21)
    found = ip.effective(net, "0", (1, 1, 21, 21), data=data, samples=6, unit="interior")["0"]
    kernel = net[0].weight.detach().numpy()[0, 0]  # type: ignore[union-attr]
    assert close(found.map, kernel**2) and found.unit == (5, 5) and found.origin == (9, 9)
    units = canvas.interior(ip.analyze(net, (1, 1, 21, 21))["0"])
    assert units == ([*range(1, 10)], [*range(1, 10)])


def test_interior_crops_like_the_whole_image() -> None:
    """The same units are drawn, and the same maps found, whatever runs."""
    net, data, size = unet(), photos(5, 3, 40, 48), (1, 3, 40, 48)
    part = ip.effective(net, "mid", size, data=data, samples=5, dtype="float64", unit="interior")["mid"]
    whole = ip.effective(net, "mid", size, data=data, samples=5, dtype="float64", unit="interior", crop=False)["mid"]
    assert close(part.map, whole.map) and not part.clipped


# ---- the same, however it is run -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [None, photos(9, 3, 40, 48)], ids=["noise", "data"])
def test_batches_change_nothing(data: Tensor | None) -> None:
    """To rounding: in batches of 1 and of 4, the last not full."""
    one, four = (ip.effective(unet(), ["mid", "join"], (1, 3, 40, 48), data=data, samples=9, dtype="float64", batch=b) for b in (1, 4))
    for name in one:
        assert close(one[name].map, four[name].map) and close(one[name].stderr, four[name].stderr)


def test_samples_that_meet_run_alone() -> None:
    """A model whose samples influence each other gives what it gives one by one."""
    net = settled(Tuned(lambda m, x: m.conv(x) * x.mean(), conv=nn.Conv2d(3, 2, 3), last=nn.Identity()))
    wrapped = Tuned(lambda m, x: m.inner(x), inner=net)
    one, four = (ip.effective(wrapped, "inner", (1, 3, 12, 12), samples=6, dtype="float64", batch=b) for b in (1, 4))
    assert close(one["inner"].map, four["inner"].map)


def test_training_mode_and_dropout_follow_the_seed() -> None:
    """Drawn by sample, so that fewer samples are the beginning of more; batch statistics read the whole image."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 2, 3))
    with left_as_it_was(net):
        first = ip.effective(net, "3", (1, 3, 12, 12), samples=4, training=True)["3"]
        again = ip.effective(net, "3", (1, 3, 12, 12), samples=4, training=True)["3"]
        other = ip.effective(net, "3", (1, 3, 12, 12), samples=4, training=True, seed=1)["3"]
    assert np.array_equal(first.map, again.map) and not np.array_equal(first.map, other.map)
    assert first.map.shape == (12, 12) and (first.map > 0).all()


def test_until_stops_early() -> None:
    """As soon as the error is small enough, and not before; `samples` is the cap."""
    net = convs()
    loose = ip.effective(net, "2", (1, 3, 16, 16), samples=400, until=0.3)["2"]
    assert 8 <= loose.samples < 200 and loose.relative_error <= 0.3
    capped = ip.effective(net, "2", (1, 3, 16, 16), samples=12, until=0.001)["2"]
    assert capped.samples == 12 and capped.relative_error > 0.001


def test_a_share_of_the_samples_is_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """What two processes measure adds up to what one does, each with every second sample."""
    arguments: dict[str, Any] = {"layers": "2", "input_size": (1, 3, 16, 16), "samples": 9, "dtype": "float64"}
    alone = ip.effective(convs(), **arguments)["2"]
    added = Sums(alone.map.shape)
    for rank in range(2):
        monkeypatch.setattr(processes, "processes", lambda device, rank=rank: Alone(rank, 2))
        part = ip.effective(convs(), **arguments)["2"]
        assert part.samples == (5, 4)[rank]
        added.merge(part.sums.arrays())
    assert close(added.mean(), alone.map) and close(added.stderr() * added.widening(), alone.stderr)


class Alone(processes.Processes):
    """One of several processes that never hears of the others."""

    def together(self, sums: Any, failure: Exception | None = None) -> Any:
        assert failure is None
        return sums


SCRIPT = """
import os, sys, numpy as np, torch, isopter as ip
torch.set_num_threads(1)
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 5, 5, stride=2)).eval()
name, what = sys.argv[1:]
data = None if what == "noise" else torch.randn(9, 3, 20, 20)
if what == "nan":
    bad = data[7, 0, 9, 9].item()
    net[0].register_forward_hook(lambda m, a, y: y * (float("nan") if a[0][0, 0, 9, 9].item() == bad else 1))
arguments = dict(layers=["0", "2"], input_size=(1, 3, 20, 20), data=data, samples=9, dtype="float64", crop=what != "nan")
try:
    ip.effective(net, **arguments, until=1e-6)
    found = ip.effective(net, **arguments)
    np.savez(f"{name}.{os.environ.get('RANK', 'alone')}.npz", *[a for f in found.values() for a in (f.map, f.stderr, *f.sigma)])
except ip.UsageError as error:
    print("UsageError:", error)
"""


def spread(folder: Path, what: str, processes: int) -> str:
    """Run the script in so many processes of torchrun; what they print."""
    (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    command = [sys.executable, *launch, "script.py", f"of{processes}", what]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=600, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("what", ["noise", "data"])
def test_processes_find_together_what_one_finds(tmp_path: Path, what: str) -> None:
    """Nine samples over two processes: every process returns the same, to rounding."""
    spread(tmp_path, what, 1)
    spread(tmp_path, what, 2)
    alone, *both = (np.load(tmp_path / name) for name in ("of1.alone.npz", "of2.0.npz", "of2.1.npz"))
    for together in both:
        assert alone.files == together.files
        for key in alone.files:
            np.testing.assert_allclose(together[key], alone[key], rtol=1e-12, atol=1e-13 * np.abs(alone[key]).max())


@pytest.mark.slow
def test_processes_fail_together(tmp_path: Path) -> None:
    """Sample 7 belongs to process 1: process 0 does not wait for it for ever, and says why."""
    said = spread(tmp_path, "nan", 2)
    assert said.count("UsageError") == 2 and said.count("sample 7") == 2


# ---- the model is left as it was -----------------------------------------------------------------------------------------


def counting() -> nn.Module:
    """Writes to a buffer and an attribute in every pass."""

    def forward(self: Any, x: Tensor) -> Tensor:
        self.conv.calls += 1
        self.last = out = self.conv(x) + 0 * self.conv.calls
        return torch.relu(out)

    net = settled(Tuned(forward, conv=nn.Conv2d(3, 2, 3)))
    net.conv.register_buffer("calls", torch.zeros(()))  # type: ignore[union-attr, operator]
    return net


@pytest.mark.parametrize("make", [convs, unet, gated, counting])
@pytest.mark.parametrize("options", [{}, {"dtype": "float64"}, {"training": True}, {"crop": False, "batch": 3}], ids=str)
def test_the_model_is_left_as_it_was(make: Callable[[], nn.Module], options: dict[str, Any]) -> None:
    """Modes, weights, their gradients and versions, buffers, attributes, hooks, random states, global settings."""
    net = make().train()
    next(net.parameters()).grad = torch.ones_like(next(net.parameters()))
    next(net.parameters()).requires_grad_(False)
    with left_as_it_was(net):
        ip.effective(net, None, (1, 3, 40, 48), samples=3, **options)


def test_it_can_still_be_trained() -> None:
    """No version counter or flag of the weights stands in the way of the user's own backward pass."""
    net = convs()
    loss = net(torch.randn(1, 3, 16, 16)).square().sum()
    ip.effective(net, "2", (1, 3, 16, 16), samples=2)
    loss.backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference_mode"])
def test_inside_no_grad(around: Callable[[], Any]) -> None:
    """Gradients are taken wherever the user calls, also of weights made in inference mode."""
    with around():
        net = convs()
        found = ip.effective(net, "2", (1, 3, 16, 16), data=photos(2, 3, 16, 16), samples=2)
    assert close(found["2"].map, ip.effective(convs(), "2", (1, 3, 16, 16), data=photos(2, 3, 16, 16), samples=2)["2"].map)


# ---- layers --------------------------------------------------------------------------------------------------------------


def test_layers_by_name_glob_and_module() -> None:
    """Names, globs, modules, second calls and second outputs."""

    def forward(self: Any, x: Tensor) -> Any:
        y = self.conv(self.conv(x))
        return y, self.pair(y)

    net = settled(Tuned(forward, conv=nn.Conv2d(3, 3, 3), pair=Tuned(lambda m, x: (x * 2, m.deep(x)), deep=nn.Conv2d(3, 2, 3))))
    found = ip.effective(net, [net.conv, "conv#2", "pair*"], (1, 3, 16, 16), samples=2)  # type: ignore[list-item]
    assert {name: f.size for name, f in found.items()} == {
        "conv": (3, 3), "conv#2": (5, 5), "pair": (5, 5), "pair:1": (7, 7), "pair.deep": (7, 7),
    }  # fmt: skip


@pytest.mark.parametrize("layers", ["2", "_orig_mod.2", ["_orig_mod.0", "2"], None])
def test_a_compiled_model_is_the_module_inside(layers: Any) -> None:
    """Its layers have the names that the user gave them; those that torch.compile made of them are understood."""
    net = convs()
    found = ip.effective(torch.compile(net), layers, (1, 3, 16, 16), samples=3)
    assert set(found) <= {"0", "2"} and found.name == "Sequential"
    assert close(found["2"].map, ip.effective(net, "2", (1, 3, 16, 16), samples=3)["2"].map)
    with pytest.raises(ip.UsageError, match="layers is empty"):
        ip.effective(torch.compile(net), [], (1, 3, 16, 16))


def test_the_default_is_the_last_map() -> None:
    """What stands before the head pools all of space away, by its shortest name."""
    net = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert list(ip.effective(net, input_size=(1, 3, 12, 12), samples=2)) == ["0"]
    flat = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(400, 2))
    assert list(ip.effective(flat, input_size=(1, 3, 12, 12), samples=2)) == ["0"]


def test_a_result_is_plain_data() -> None:
    """It pickles, prints as a table and writes as strict JSON."""
    found = ip.effective(convs(), ["0", "2"], (1, 3, 16, 16), samples=2)
    again = pickle.loads(pickle.dumps(found))
    assert repr(again) == repr(found) and list(found) == ["0", "2"] and len(repr(found).splitlines()) >= 6
    assert [layer["layer"] for layer in found.to_dict()["layers"]] == ["0", "2"]
    with pytest.raises(ip.LayerNotFound):
        found["3"]


# ---- errors --------------------------------------------------------------------------------------------------------------

SIZE = (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"samples": 0}, "samples=0"),
        ({"batch": 0}, "batch=0"),
        ({"until": 5}, "between 0 and 1"),
        ({"target": "max"}, "random, sum, positive"),
        ({"statistic": "rms"}, "energy, abs, relu"),
        ({"unit": "corner"}, "'interior'"),
        ({"unit": (99, 0)}, "out of range"),
        ({"dtype": "int8"}, "float64"),
        ({"device": "nowhere"}, "device='nowhere'"),
        ({"input_size": None}, "input_size"),
        ({"input_size": (4, 3, 16, 16)}, r"\(1, 3, 16, 16\)"),
        ({"layers": []}, "layers is empty"),
        ({"layers": "tail"}, "No layer is called 'tail'"),
        ({"progress": "loud"}, "progress='loud'"),
        ({"model": "conv 3"}, "torch.nn.Module"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], says: str) -> None:
    """Each names the argument and what was expected."""
    given = {"model": convs(), "layers": "2", "input_size": SIZE} | arguments
    with pytest.raises(ip.UsageError, match=says):
        ip.effective(given.pop("model"), **given)


def test_an_op_that_no_module_returns() -> None:
    """The error names the nearest that one does."""
    net = Tuned(lambda m, x: m.last(torch.relu(m.conv(x)) + 1), conv=nn.Conv2d(3, 2, 3), last=nn.Conv2d(2, 2, 3))
    op = next(name for name in ip.analyze(net, SIZE).ops if "relu" in name)
    with pytest.raises(ip.UsageError, match="nearest that one returns: 'last'"):
        ip.effective(net, op, SIZE)


@pytest.mark.parametrize(
    ("last", "says"),
    [(lambda y: y.detach(), "detached"), (lambda y: y.argmax(1, keepdim=True), "int64"), (lambda y: y.round().long(), "int64")],
)
def test_layers_without_a_gradient(last: Callable[[Tensor], Tensor], says: str) -> None:
    """Detached, whole numbers: never zeros."""
    net = Tuned(lambda m, x: m.end(m.conv(x)), conv=nn.Conv2d(3, 2, 3), end=Tuned(lambda m, y: last(y)))
    with pytest.raises(ip.UsageError, match=f"end has no gradient.*{says}"):
        ip.effective(net, "end", SIZE, samples=2)


def test_dead_units_are_an_error_or_a_warning() -> None:
    """Zero everywhere is no result: an error alone, a warning and nan beside layers that live."""
    conv = nn.Conv2d(3, 2, 3)
    conv.weight.data.zero_()
    net = nn.Sequential(nn.Conv2d(3, 3, 3), conv)
    with pytest.raises(ip.UsageError, match="No gradient but zero reached the input from 1"):
        ip.effective(net, "1", SIZE, samples=3)
    with pytest.warns(UserWarning, match="Only zero gradients from 1"):
        found = ip.effective(net, ["0", "1"], SIZE, samples=3)
    assert np.isnan(found["1"].sigma).all() and np.isfinite(found["0"].sigma).all()


def test_gradients_that_are_not_finite() -> None:
    """The error names layer and sample."""
    net, data = Tuned(lambda m, x: m.conv(x.sqrt()), conv=nn.Conv2d(1, 1, 3)), photos(4, 1, 8, 8).abs() + 0.1
    data[2, 0, 4, 4] = 0
    with pytest.raises(ip.UsageError, match=r"gradient of conv by sample 2 is not finite.*float64"):
        ip.effective(net, "conv", (1, 1, 8, 8), data=data, samples=4)


def test_one_sample_warns() -> None:
    """One tells nothing about its own error."""
    with pytest.warns(UserWarning, match="One sample"):
        found = ip.effective(convs(), "2", SIZE, samples=1)
    assert np.isnan(found["2"].sigma[0].stderr)  # type: ignore[attr-defined]


def test_the_model_s_own_errors() -> None:
    """Told with the model's words."""

    def forward(self: Any, x: Tensor) -> Tensor:
        if x.requires_grad:
            raise ArithmeticError("no gradients, please")
        out: Tensor = self.conv(x)
        return out

    with pytest.raises(ip.CaptureError, match=r"ArithmeticError.*no gradients, please"):
        ip.effective(Tuned(forward, conv=nn.Conv2d(3, 2, 3)), "conv", SIZE, samples=2)


@pytest.mark.parametrize(("wrap", "says"), [(nn.DataParallel, "model.module"), (lambda net: net.to("meta"), "meta device")])
def test_models_that_cannot_be_measured(wrap: Callable[[nn.Module], nn.Module], says: str) -> None:
    with pytest.raises(ip.UsageError, match=says):
        ip.effective(wrap(convs()), None, SIZE)


# ---- progress ------------------------------------------------------------------------------------------------------------


def test_progress_goes_to_standard_error_when_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed otherwise; "auto" prints on a terminal only."""
    for show in (False, "auto"):
        ip.effective(convs(), "2", SIZE, samples=2, progress=show)  # type: ignore[arg-type]
    assert capfd.readouterr() == ("", "")
    ip.effective(convs(), "2", SIZE, samples=2, progress=True)
    out, err = capfd.readouterr()
    assert not out and "2/2" in err


def test_the_function_can_be_called_whatever_was_imported_first() -> None:
    """The package has the function's name, and importing a part of it first must not hide the function."""
    code = """
        import isopter.erf.maps.metrics, isopter, torch
        net = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3))
        print(list(isopter.effective(net, "0", (1, 1, 8, 8), samples=2)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['0']", done.stderr[-2000:]


def test_warnings_of_the_model_are_not_the_user_s() -> None:
    """What a model warns of in every pass is not repeated for every sample."""

    def forward(self: Any, x: Tensor) -> Tensor:
        warnings.warn("old style", DeprecationWarning, stacklevel=1)
        out: Tensor = self.conv(x)
        return out

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ip.effective(Tuned(forward, conv=nn.Conv2d(3, 2, 3)), "conv", SIZE, samples=2)
