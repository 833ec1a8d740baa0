"""Costs: parameters counted by PyTorch, operations counted by PyTorch, and numbers known by heart."""

from __future__ import annotations

import os

import pytest
import torch
from examples import models
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import isopter as ip
from isopter.design.cost import FREE, Cost, cost, costs
from isopter.reads.registry import kinds
from networks import random_network

COUNTED = (nn.modules.conv._ConvNd, nn.Linear)


def weights(model: nn.Module) -> int:
    """Entries of the kernels and matrices of convolutions and linear layers."""
    return sum(m.weight.numel() for m in model.modules() if isinstance(m, COUNTED))


def flops(model: nn.Module, *size: int) -> int:
    """What PyTorch counts: two for a multiply-accumulate, padding included, biases not."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(size))
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (models.resnet18, (1, 3, 64, 64)),
        (models.resnet50, (2, 3, 64, 64)),
        (models.vgg16, (1, 3, 224, 224)),
        (models.alexnet, (1, 3, 224, 224)),
        (models.unet, (1, 3, 64, 64)),
        (models.unet_bilinear, (1, 3, 64, 64)),
        (models.se_resnet, (1, 3, 32, 32)),
        (models.highres3dnet, (1, 1, 8, 8, 8)),
        (models.wavenet, (1, 1, 1100)),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_networks_cost_what_pytorch_counts(make: object, size: tuple[int, ...]) -> None:
    model = make()
    total = ip.analyze(model, size).cost()
    assert total.weights == weights(model) and total.unknown == ()
    assert 2 * total.macs == flops(model, *size)


def test_numbers_known_by_heart() -> None:
    """ResNet-50 at 224: 4.09 GMACs; 25,557,032 parameters, of which 53,120 are norms and 1,000 biases."""
    total = ip.analyze(models.resnet50(), (1, 3, 224, 224)).cost()
    assert total.weights == 25_557_032 - 53_120 - 1_000 and round(total.macs / 1e9, 2) == 4.09
    a = ip.analyze(nn.Conv2d(64, 64, 3, padding=1), (1, 64, 56, 56))
    assert a.cost(a.outputs[0]) == Cost(115_605_504, 36_864)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (nn.Conv2d(6, 4, (3, 2), 2, 1, 2, groups=2), (2, 6, 17, 9)),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), (1, 8, 7, 7)),
        (nn.Conv1d(3, 5, 1), (1, 3, 1)),
        (nn.Conv3d(1, 2, 3), (1, 1, 3, 4, 5)),
        (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), (3, 4, 5, 6)),
        (nn.ConvTranspose1d(2, 3, 2, 5), (1, 2, 4)),
        (nn.Linear(5, 7), (3, 5)),
        (nn.Linear(5, 7), (2, 4, 3, 5)),
        (nn.Sequential(nn.LazyConv2d(3, 3), nn.Flatten(), nn.LazyLinear(2)), (1, 2, 6, 6)),
        (nn.Identity(), (1, 1, 3, 3)),
    ],
    ids=str,
)
def test_layers_cost_what_pytorch_counts(model: nn.Module, size: tuple[int, ...]) -> None:
    model(torch.zeros(size))  # lazy layers take shape
    total = ip.analyze(model, size).cost()
    assert (total.weights, 2 * total.macs) == (weights(model), flops(model, *size))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return (q @ k.transpose(1, 2)).softmax(-1) @ v


def test_computed_factors_have_no_weights() -> None:
    total = ip.analyze(Attention(), (2, 5, 8), axes=(1,)).cost()
    assert total.weights == 8 * 24 and total.macs == 2 * (5 * 8 * 24 + 2 * 5 * 5 * 8)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.block(x))


def test_a_module_that_runs_twice_has_its_weights_once() -> None:
    total = ip.analyze(Twice(), (1, 4, 6, 6)).cost()
    assert total.weights == weights(Twice()) == 144 and total.macs == 2 * 144 * 36


class Sobel(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        kernel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])[None, None]
        return nn.functional.conv2d(x, kernel, padding=1)


def test_a_fixed_filter_has_no_weights() -> None:
    assert ip.analyze(Sobel(), (1, 1, 8, 8)).cost().weights == 0


def test_what_is_not_known_is_said() -> None:
    total = ip.analyze(nn.LSTM(4, 3, batch_first=True), (2, 5, 4)).cost()
    assert len(total.unknown) >= 1 and total.to_dict()["unknown"] == list(total.unknown)

    class Bmm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(2, 4, 3))

        def forward(self, x: Tensor) -> Tensor:
            return torch.bmm(x, self.w)

    a = ip.analyze(Bmm(), (2, 5, 4), axes=(1,))
    assert a.cost(a.outputs[0]) == Cost(2 * 5 * 4 * 3, None) and a.cost().unknown == a.outputs


def test_every_kind_is_free_counted_or_unknown() -> None:
    """A new kind is unknown until somebody says that it is free."""
    assert set(kinds()) | {"input"} >= FREE
    assert {"conv", "conv_transpose", "matmul", "opaque", "recurrent"}.isdisjoint(FREE)


def test_random_networks() -> None:
    compared = 0
    for seed in range(int(os.environ.get("ISOPTER_NETWORKS", "150")) // 3):
        net = random_network(seed)
        model = net.build()
        a = ip.analyze(model, net.input_size)
        total, each = a.cost(), costs(a)
        assert len(each) == len(a.ops) and each == tuple(cost(a.graph, op) for op in a.graph.ops)
        if not total.unknown and not any(op.kind == "matmul" for op in a.graph.ops):
            assert 2 * total.macs == flops(model, *net.input_size), seed
            compared += 1
    assert compared > 10
