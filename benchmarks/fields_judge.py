"""Sampling written out in plain PyTorch: what the theory and isopter's own measurement are held against. isopter has no part in it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

Floats = np.ndarray


def redraw(net: nn.Module) -> None:
    """Fresh He weights (He et al. 2015) for every convolution, biases zero. An output of a transposed one adds up fewer terms."""
    for module in net.modules():
        if isinstance(module, nn.modules.conv._ConvNd):
            fan = module.in_channels // module.groups * math.prod(module.kernel_size)
            if module.transposed:
                fan //= math.prod(module.stride)
            module.weight.data.normal_(0, math.sqrt(2 / fan))
            if module.bias is not None:
                module.bias.data.zero_()


def calibrate(net: nn.Module, x: Tensor) -> None:
    """Give every batch norm the statistics of one input."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    net.train()
    with torch.no_grad():
        net(x)
    net.eval()


def signs(like: Tensor) -> Tensor:
    """+1 or -1 for each channel of a map (N, C, ...)."""
    return torch.randint(0, 2, like.shape[:2]).to(like) * 2 - 1


def into(net: nn.Module, x: Tensor, module: str) -> Tensor:
    """What goes into a module when it is called last; what the module does to it in place is done to a copy."""
    seen: list[Tensor] = []

    def look(_: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
        seen.append(given[0])
        return (given[0].clone(),)

    hook = net.get_submodule(module).register_forward_pre_hook(look)
    try:
        net(x)
    finally:
        hook.remove()
    return seen[-1]


class _Reached(Exception):
    pass


def out_of(net: nn.Module, x: Tensor, module: str) -> Tensor:
    """What a module returns; the run stops there."""
    seen: list[Tensor] = []

    def stop(_: nn.Module, given: object, output: Tensor) -> None:
        seen.append(output)
        raise _Reached

    hook = net.get_submodule(module).register_forward_hook(stop)
    try:
        with contextlib.suppress(_Reached):
            net(x)
    finally:
        hook.remove()
    return seen[-1]


def gradient(y: Tensor, x: Tensor, unit: Sequence[int], weights: Tensor) -> Tensor:
    """Of one unit's channels, times `weights` (N, C), with respect to x."""
    seed = torch.zeros_like(y)
    seed[(slice(None), slice(None), *unit)] = weights
    return torch.autograd.grad(y, x, seed)[0]


def energy(gradients: Tensor) -> Floats:
    """Squared gradients (N, C, ...) summed over channels: a map per sample."""
    return gradients.double().square().sum(1).numpy()


def distance(sampled: Floats, known: Floats) -> float:
    """Relative L2 of two maps, each brought to mass 1."""
    a, b = sampled / sampled.sum(), known / known.sum()
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def spread(values: Floats) -> float:
    """Standard deviation of a map along its first axis, pixels."""
    mass, at = values.reshape(len(values), -1).sum(1), np.arange(len(values))
    middle = (mass * at).sum() / mass.sum()
    return float(math.sqrt((mass * (at - middle) ** 2).sum() / mass.sum()))


class Convergence:
    """How far the mean of M maps is from known ones, for several M: the root mean square over disjoint runs of M samples."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = tuple(counts)
        self.total: Floats | float = 0.0
        self._runs: dict[int, Floats | float] = dict.fromkeys(self.counts, 0.0)
        self._means: dict[int, list[Floats]] = {count: [] for count in self.counts}
        self._samples = 0

    def add(self, sample: Floats) -> None:
        """One more map."""
        self._samples += 1
        self.total = self.total + sample
        for count in self.counts:
            self._runs[count] = self._runs[count] + sample
            if self._samples % count == 0:
                self._means[count].append(np.asarray(self._runs[count]))
                self._runs[count] = 0.0

    def errors(self, known: Floats) -> list[float]:
        """One per count."""
        return [math.sqrt(np.mean([distance(mean, known) ** 2 for mean in self._means[count]])) for count in self.counts]
