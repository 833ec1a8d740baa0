"""The promise: nothing missed, and nothing in excess where the field says exact, against the real model.

``make test`` draws a few dozen random networks; ``make test-full`` sets ISOPTER_NETWORKS to 2,000.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from torch import nn

import isopter as ip
from cases import CASES, INTEGER
from isopter.graph import Graph
from isopter.reads.registry import kinds
from networks import Network, networks
from truth import check, check_plane

COUNT = int(os.environ.get("ISOPTER_NETWORKS", "60"))
SHARDS = max(4, COUNT // 100)

BOUNDED = {"max_pool_unpool", "grid_sample_constant", "gather_on_values"}
"""Cases whose reads values decide: bounded, never missed."""

LEFT_OUT = {"constant_output"}
"""Returns nothing that depends on the input."""


ALONE = [pytest.param(*case, id=case[0]) for case in CASES if case[0] not in {*INTEGER, *LEFT_OUT}]


@pytest.mark.parametrize(("name", "factory", "size"), ALONE)
def test_every_operation_alone(name: str, factory: Callable[[], nn.Module], size: tuple[int, ...]) -> None:
    model = factory().eval()
    analysis = ip.analyze(model, size)
    assert analysis.exact == (name not in BOUNDED), analysis.issues
    report = check(model, size)
    assert report.checked > 0
    assert not report.wrong


@pytest.mark.parametrize("shard", range(SHARDS))
def test_random_networks(shard: int) -> None:
    compared = 0

    @seed(shard)
    @settings(
        max_examples=max(COUNT // SHARDS, 1),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(networks())
    def hold(spec: Network) -> None:
        nonlocal compared
        report = check(spec.build(), spec.input_size)
        assert report.checked > 0
        assert not report.wrong, (spec, report.wrong)
        plane, layers = check_plane(spec.build(), spec.input_size)
        assert not plane.wrong, (spec, plane.wrong)
        compared += layers

    hold()
    assert compared > 0, "no network had a layer on the plane to compare"


def test_every_kind_of_op_is_tried() -> None:
    """A rule without a case has not been held against a model."""
    seen = {op.kind for name, factory, size in CASES if name not in LEFT_OUT for op in _graph(name, factory, size).ops}
    own = {kind for kind in kinds() if "::" not in kind}
    assert own - seen <= {"opaque"}, f"no case in tests/cases.py for: {sorted(own - seen)}"


def _graph(name: str, factory: Callable[[], nn.Module], size: tuple[int, ...]) -> Graph:
    if name in INTEGER:
        return ip.analyze(factory().eval(), inputs=(torch.zeros(size, dtype=torch.long),)).graph
    return ip.analyze(factory().eval(), size).graph


def test_the_probe_can_fail() -> None:
    """A rule that lies is caught, whichever way it lies."""
    from isopter.reads.axis import Window
    from isopter.reads.relation import along

    @torch.library.custom_op("isopter_test::blur", mutates_args=())
    def blur(x: torch.Tensor, said: int) -> torch.Tensor:
        return torch.nn.functional.avg_pool1d(x, 5, 1, 2)

    @blur.register_fake
    def _(x: torch.Tensor, said: int) -> torch.Tensor:
        return torch.empty_like(x)

    @ip.register("isopter_test::blur")
    def rule(site: object) -> object:
        said = site.params["said"]
        return ((along(3, {2: Window(2 * said + 1, 1, 1, said)}),),)

    class Net(torch.nn.Module):
        def __init__(self, said: int) -> None:
            super().__init__()
            self.said = said

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return blur(x, self.said)

    honest, narrow, wide = (ip.verify(Net(said), (1, 2, 20)) for said in (2, 1, 3))
    assert honest.ok and not honest.missed and not honest.excess
    assert narrow.missed > 0 and not narrow.ok
    assert wide.excess > 0 and not wide.ok


def test_scale_conditioned_norm_is_never_missed() -> None:
    """Arguments that a translation does not expect to depend on the input end in a bound, not in silence."""

    class Conditioned(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bn, self.fc = torch.nn.BatchNorm2d(3), torch.nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scale = self.fc(x.mean((0, 2, 3)))
            return torch.nn.functional.batch_norm(x, self.bn.running_mean, self.bn.running_var, weight=scale)

    analysis = ip.analyze(Conditioned(), (1, 3, 6, 5))
    assert analysis["output"].exactness == "bound" and analysis.issues
    assert ip.verify(Conditioned(), (1, 3, 6, 5)).missed == 0
