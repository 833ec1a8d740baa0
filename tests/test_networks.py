"""The generator itself: every spec builds, runs, stays small, and can be made again from its repr."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from networks import KINDS, MAX_CHANNELS, MAX_SIZE, WHOLE, Network, networks, op, random_network, table

RELAXED = settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@RELAXED
@given(networks())
def test_builds_and_runs(net: Network) -> None:
    """Forward runs in both precisions, on a map of the same rank, with finite values and sizes within the limits."""
    module = net.build()
    x = torch.rand(net.input_size)
    before = x.clone()
    with torch.no_grad():
        y = module(x)
        z = net.build().double()(before.double())
    dims = len(net.input_size) - 2
    assert y.ndim == x.ndim
    assert y.shape == z.shape
    assert y.dtype == torch.float32
    assert z.dtype == torch.float64
    assert y.shape[0] == 1
    assert 1 <= y.shape[1] <= MAX_CHANNELS
    assert all(1 <= n <= MAX_SIZE[dims] for n in y.shape[2:])
    assert torch.isfinite(z).all()
    assert torch.equal(x, before)


@RELAXED
@given(networks(max_ops=3))
def test_reproducible(net: Network) -> None:
    """The repr is code for the same spec, and two builds have the same weights."""
    assert eval(repr(net), {"Network": Network, "op": op}) == net
    x = torch.rand(net.input_size)
    with torch.no_grad():
        assert torch.equal(net.build()(x), net.build()(x))


@pytest.mark.parametrize("max_ops", [1, 2, 8])
def test_size_limit(max_ops: int) -> None:
    """`max_ops` counts the ops in branches too."""
    assert all(1 <= sum(1 for _ in random_network(seed, max_ops).walk()) <= max_ops for seed in range(50))


def test_every_kind_occurs() -> None:
    """Every kind of op is drawn, and those over the whole map only in a minority."""
    nets = [random_network(seed) for seed in range(400)]
    kinds = [{item.kind for item in net.walk()} for net in nets]
    assert set.union(*kinds) >= set(KINDS) - {"pointwise"} | {"branch"}
    assert sum(bool(k & set(WHOLE)) for k in kinds) < 0.3 * len(nets)


def test_table_prints() -> None:
    """The table of frequencies names the ops."""
    assert "interpolate" in table(30)
