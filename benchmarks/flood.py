"""The true size of a field, from the network itself: which pixels reach a unit is seen by putting NaN into them.

NaN passes through every convolution, pooling and activation, however small the weight. Flood the pixels [0, r) with it: a unit
turns NaN if it reads one of them. The largest r at which it does not is the first pixel that it reads; the last is found from
the other side. Bisection needs a dozen runs, on a long, thin image, since the axes of these networks do not mix. isopter has no
part in it: only the real network is run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from subjects import Network

LONGEST = 16384


@dataclass(frozen=True)
class Truth:
    """`size` in input pixels per axis, the largest over phases; with `whole`, the gates besides read the whole image."""

    size: tuple[int, ...]
    whole: bool
    probed: tuple[tuple[int, ...], ...]


def true_size(net: nn.Module, network: Network) -> Truth:
    """The size of the field of the net's output. Raises ValueError if it does not fit into `LONGEST` pixels."""
    sizes, probed = [], []
    with torch.no_grad(), plain_products():
        whole = network.gates and _reads_far(net, network)
        with frozen_gates(net) if network.gates else contextlib.nullcontext():
            for axis in range(len(network.shape) - 2):
                size, length = _along(net, network, axis)
                sizes.append(size)
                probed.append(network.probe_shape(axis, length))
    return Truth(tuple(sizes), whole, tuple(probed))


@contextlib.contextmanager
def plain_products() -> Iterator[None]:
    """Convolutions as sums of products: algorithms by tiles (FFT, Winograd) spread NaN over pixels that are not read."""
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None), torch.backends.nnpack.flags(enabled=False):
        yield


@contextlib.contextmanager
def frozen_gates(net: nn.Module) -> Iterator[None]:
    """Every global pooling gives ones, whatever it reads: what is left is the local field."""
    pools = [m for m in net.modules() if isinstance(m, nn.AdaptiveAvgPool2d) and m.output_size in (1, (1, 1))]
    hooks = [pool.register_forward_hook(lambda module, given, output: torch.ones_like(output)) for pool in pools]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _along(net: nn.Module, network: Network, axis: int) -> tuple[int, int]:
    """The largest field of the middle units along one axis, and the image length at which no border cut it."""
    length = network.long
    while length <= LONGEST:
        lo, hi = _bisect(net, network, axis, length)
        margin = length // 16
        if lo.min() >= margin and hi.max() <= length - margin:
            return int((hi - lo).max()), length
        length *= 2
    raise ValueError(f"The field of {network.name} along axis {axis} does not fit into {LONGEST} pixels.")


def _bisect(net: nn.Module, network: Network, axis: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixel read, and last + 1, of each of the middle units: all bisections at once, one image of the batch each."""
    units = _units(net, network, axis, length)
    k = len(units)
    below, above = np.zeros(k, int), np.full(k, length)  # [0, below) does not reach the unit, [0, above) does
    left, right = np.zeros(k, int), np.full(k, length)  # [left, end) reaches the unit, [right, end) does not
    while (above - below).max() > 1 or (right - left).max() > 1:
        first, second = (below + above) // 2, (left + right) // 2
        floods = [slice(0, r) for r in first] + [slice(r, length) for r in second]
        hit = reached(net, network, axis, length, floods, np.concatenate([units, units]))
        above, below = np.where(hit[:k], first, above), np.where(hit[:k], below, first)
        left, right = np.where(hit[k:], second, left), np.where(hit[k:], right, second)
    return below, right


def reached(net: nn.Module, network: Network, axis: int, length: int, floods: list[slice], units: np.ndarray) -> np.ndarray:
    """Whether the pixels of each flood reach its unit: image i of the batch has NaN in ``floods[i]`` along `axis`."""
    shape = network.probe_shape(axis, length)
    x = torch.rand((len(floods), *shape[1:]), generator=torch.Generator().manual_seed(0))
    for image, flood in zip(x, floods, strict=True):
        image.movedim(1 + axis, 0)[flood] = torch.nan
    bad = net(x).isnan().movedim(2 + axis, 1).flatten(2).any(2)
    return bad[range(len(units)), units].numpy()


def _units(net: nn.Module, network: Network, axis: int, length: int) -> np.ndarray:
    out = net(torch.zeros(network.probe_shape(axis, length))).shape[2 + axis]
    units = out // 2 + np.arange(network.phases)
    everything = reached(net, network, axis, length, [slice(0, length)] * len(units), units)
    assert everything.all(), f"NaN in the whole image does not reach {network.name}"
    return units


def _reads_far(net: nn.Module, network: Network) -> bool:
    """Whether the first pixels of a very long image reach its middle, as they do through a gate alone."""
    length = 2 * network.long
    units = _units(net, network, 0, length)[:1]
    return bool(reached(net, network, 0, length, [slice(0, 1)], units)[0])
