"""The recorder: the model is left as it was, names are those a user looks for, and trouble ends in one clear line."""

from __future__ import annotations

import pickle
import random
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import isopter as ip
from truth import check


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        y = self.act(self.bn(self.conv(x)))
        return self.drop(y) + torch.rand(1)


@pytest.mark.parametrize("training", [False, True])
def test_model_is_left_untouched(training: bool) -> None:
    net = Net().train()
    net.bn.eval()
    calls: list[str] = []
    hook = net.conv.register_forward_hook(lambda *a: calls.append("hook"))
    net.conv.weight.grad = torch.ones_like(net.conv.weight)
    state = {k: v.clone() for k, v in net.state_dict().items()}
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    fast = torch.backends.mha.get_fastpath_enabled()
    ip.analyze(net, (2, 3, 8, 8), training=training)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert [m.training for m in net.modules()] == [True, True, False, True, True]
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    assert torch.equal(net.conv.weight.grad, torch.ones_like(net.conv.weight)) and net.conv.weight.device.type == "cpu"
    assert fast == torch.backends.mha.get_fastpath_enabled() and calls == ["hook"]
    assert not nn.modules.module._global_forward_hooks and not nn.modules.module._global_forward_pre_hooks
    hook.remove()


def test_model_that_raises_is_left_untouched() -> None:
    class Broken(Net):
        def forward(self, x: Tensor) -> Tensor:
            super().forward(x)
            raise ZeroDivisionError("told you so")

    net = Broken().train()
    state = {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(ip.CaptureError, match=r"Broken raised ZeroDivisionError .*told you so"):
        ip.analyze(net, (1, 3, 8, 8))
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items()) and net.training
    assert not nn.modules.module._global_forward_hooks


def test_names() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            y = self.body(x)
            return {"first": y, "second": self.body(y) + x}

    net = Shared()
    a = ip.analyze(net, (1, 3, 9, 9))
    assert {"body", "body.0", "body.0#2", "body#2", "first", "second", "add"} <= {*a.ops, *a.layers}
    assert a["body.0"].size == (3, 3) and a["body.0#2"].size == (5, 5) and a["second"].size == (5, 5)
    assert a[net.body[0]].name == "body.0" and a["body?0#2"].size == (5, 5)
    assert a.inputs == ("x",) and a["x"].size == (1, 1)
    with pytest.raises(ip.LayerNotFound, match=r"Nearest: body\.0"):
        a["body.00"]


def test_several_inputs() -> None:
    class Two(nn.Module):
        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return F.avg_pool2d(left, 3, 1, 1) + F.avg_pool2d(right, 5, 1, 2)

    x = torch.empty(1, 3, 9, 9)
    a = ip.analyze(Two(), inputs={"right": x, "left": x})
    assert a.field("output", input="left").size == (3, 3) and a.field("output", input="right").size == (5, 5)
    assert ip.verify(Two(), inputs=(x, x), units=16).ok
    with pytest.raises(ip.UsageError, match="no argument wrong"):
        ip.analyze(Two(), inputs={"wrong": x})


def test_control_flow_on_values_is_recorded_with_a_note() -> None:
    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.roll(1, 2) if x.sum() > -1e9 else x

    a = ip.analyze(Branch(), (1, 2, 7))
    assert a["output"].exactness == "data_dependent" and any("control path" in str(i) for i in a.issues)
    assert a["output"].region((0,)).lo == (6,)


def test_unknown_operation_is_declared() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.zeta(x, x) + torch.linalg.inv(x @ x.transpose(2, 3))[..., :1]

    a = ip.analyze(Odd(), (1, 2, 4, 4))
    assert not a.exact and any("No rule for aten.linalg_inv" in str(i) for i in a.issues)
    assert a["output"].region((0, 0)).size == (4, 4) and a["output"].exactness == "bound"
    with pytest.raises(ip.UnsupportedOps, match=r"linalg_inv.*isopter.register"):
        ip.analyze(Odd(), (1, 2, 4, 4), strict=True)


@pytest.mark.parametrize("axes", [(9,), (2, 2), (), "hwdxyz", "", (2.5,), "h w d e f", 3])
def test_wrong_axes(axes: object) -> None:
    with pytest.raises(ip.UsageError):
        ip.analyze(nn.Conv2d(1, 1, 3), (1, 1, 5, 5), axes=axes)


@pytest.mark.parametrize("size", ["1x3x8x8", (1, 3, 8, 0), (), (1, 3, -8, 8), (1.5, 3), 7, {1: 2}, (True, 3, 8, 8)])
def test_wrong_size(size: object) -> None:
    with pytest.raises(ip.UsageError, match="input_size"):
        ip.analyze(nn.Identity(), size)


@pytest.mark.parametrize("model", [None, 3, object(), nn.Conv2d, b"conv 3"])
def test_wrong_model(model: object) -> None:
    with pytest.raises(ip.UsageError, match="cannot read"):
        ip.analyze(model, (1, 3, 8, 8))


@pytest.mark.parametrize(("path", "says"), [
    ("weights.pt", "looks like a path"), ("old.h5", "looks like a path"), ("nets/missing", "looks like a path"),
    ("saved/saved_model.pb", "Give the folder"), ("conv 3, x.pt", "position 9"), ("conv3", "did you mean conv"),
])  # fmt: skip
def test_a_path_is_no_layer_text(path: str, says: str) -> None:
    with pytest.raises(ip.UsageError, match=says):
        ip.analyze(path, (1, 3, 32, 32))


def test_functions_are_read_with_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    with pytest.raises(ip.UsageError, match="import jax first"):
        ip.analyze(lambda x: x, (1, 3, 8, 8))


@pytest.mark.parametrize("unit", [(9, 0), (-1, 0), (1,), (1, 2, 3), (1.0, 2), ("a", 0), (True, 0)])
def test_wrong_unit(unit: object) -> None:
    f = ip.analyze("conv 3 p1", (1, 1, 8, 8))["conv1"]
    for ask in (f.region, f.support, f.projective):
        with pytest.raises(ip.UsageError, match=r"whole numbers|out of range"):
            ask(unit)


def test_results_pickle_and_are_small() -> None:
    a = ip.analyze(Net(), (1, 3, 64, 64))
    text = pickle.dumps(a)
    b = pickle.loads(text)
    assert b["conv"].region((5, 5)).lo == a["conv"].region((5, 5)).lo and len(text) < 20_000


def test_regions_of_a_volume_are_views() -> None:
    """All units of a 2048^3 map, of which no array of that size is ever made (each would be 64 GiB)."""
    lo, hi = ip.analyze("conv 3 p1, pool 2 s2, upsample 2", (1, 1, 2048, 2048, 2048))["up1"].regions()
    for axis, (low, high) in enumerate(zip(lo, hi, strict=True)):
        assert low.shape == high.shape == (2048,) * 3
        unit = tuple(5 if a == axis else 1000 for a in range(3))
        assert (low[unit], high[unit]) == (3, 7)


@pytest.mark.parametrize("channels", [2, 64])
def test_regions_do_not_grow_with_channels(channels: int) -> None:
    net = nn.Sequential(*(nn.Conv2d(channels if k else 1, channels, 3, padding=1) for k in range(6)))
    a = ip.analyze(net, (1, 1, 32, 32))
    boxes = a._walk(0).boxes(a.find("5"), False)
    assert [[t.shape for t in terms] for terms in (*boxes.lo_terms, *boxes.hi_terms)] == [[(1, 1, 32, 1)], [(1, 1, 1, 32)]] * 2


@pytest.mark.parametrize("size", [(1, 3, 16, 16), (2, 3, 5, 7), (2, 3, 1, 1)])
def test_batch_norm_in_training_reads_the_map_and_batch(size: tuple[int, ...]) -> None:
    a = ip.analyze(Net(), size, training=True)
    f = a["bn"]
    assert f.context == (size[2:] != (1, 1)) or f.size == (3, 3)
    assert f.region((0, 0), context=True).size == size[2:]
    assert ip.analyze(Net(), size)["bn"].context is False


def test_truth_in_training_mode() -> None:
    report = check(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3)), (2, 2, 5, 4), training=True)
    assert report.checked and not report.wrong


class Each(nn.Module):
    """Functions of single values that PyTorch does not mark as pointwise."""

    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(x) + F.hardswish(x + 1, inplace=True) + torch.floor_divide(x, 0.5) + x // 2


def test_functions_of_single_values() -> None:
    a = ip.analyze(Each(), (1, 2, 5, 5))
    assert a.exact and not a.issues and a["output"].size == (1, 1)


class Masked(nn.Module):
    """Scores under a mask of -100, which `turned` subtracts: what was pushed down is then pushed up."""

    def __init__(self, turned: bool) -> None:
        super().__init__()
        self.turned = turned

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[-1]
        later = torch.arange(n)[None] > torch.arange(n)[:, None]
        masked = x.mT @ x + torch.where(later, -100.0, 0.0)
        scores = x.mT @ x - masked if self.turned else masked
        return x @ scores.softmax(-1).mT


@pytest.mark.parametrize(("turned", "read"), [(False, [1, 2, 3, 4, 5, 6]), (True, [6] * 6)])
def test_only_scores_that_are_pushed_down_are_hidden(turned: bool, read: list[int]) -> None:
    f = ip.analyze(Masked(turned), (1, 2, 6))["output"]
    assert [f.support((i,)).count for i in range(6)] == read


class Empty(nn.Module):
    """Tensors that hold nothing, reshaped."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return x[:, :, 5:5].reshape(1, 0, 3, 4), x[:, :, :0].flatten(2).reshape(1, 2, 7, 0), x[:, :, 0:0].flatten(1)


def test_tensors_that_hold_nothing() -> None:
    a = ip.analyze(Empty(), (1, 2, 8, 8))
    assert "reshape" in repr(a)
    assert all(0 in a[name].shape and a[name].start == (0, 0) and a[name].size == (0, 0) for name in a.outputs)
