"""How far a measured field is from the expected one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import isopter as ip
from isopter.erf.maps.estimate import Estimate
from isopter.erf.maps.field import EffectiveField
from isopter.errors import UsageError


def gaussian(sigma: float, at: tuple[float, float], center: tuple[float, float] = (20, 20), **changes: object) -> EffectiveField:
    y, x = np.mgrid[0:41, 0:41]
    values = np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * sigma**2))
    options = {"layer": "l", "origin": (0, 0), "center": center, "size": (41, 41), "image": (64, 64), "unit": (0, 0), "statistic": "energy"}
    return EffectiveField(**{**options, "map": values, **changes})  # type: ignore[arg-type]


def test_known_answers() -> None:
    """Two Gaussians: ratio of widths, shift of centres, and the Bhattacharyya coefficient in closed form."""
    moved = gaussian(4, (22, 20)).against(gaussian(3, (20, 20)))
    assert moved.sigma_ratio == pytest.approx((4 / 3, 4 / 3), rel=1e-3)
    assert moved.center_shift == pytest.approx((2, 0), abs=1e-3)
    assert moved.overlap == pytest.approx(2 * 4 * 3 / (16 + 9) * np.exp(-4 / (4 * (16 + 9))), rel=1e-3)
    same = gaussian(3, (20, 20)).against(gaussian(3, (20, 20)))
    assert same.overlap == pytest.approx(1) and same.distance == pytest.approx(0) and same.outside == 0


def test_fields_of_other_units_are_laid_together() -> None:
    """Another unit of the same layer: the theoretical centres meet."""
    here = gaussian(3, (20, 20))
    there = gaussian(3, (20, 20), center=(52, 44), origin=(32, 24))
    assert there.against(here).distance == pytest.approx(0) and there.against(here).center_shift == pytest.approx((0, 0))


def test_what_a_clipped_map_cannot_show() -> None:
    prior = gaussian(3, (20, 20))
    cut = gaussian(3, (20, 20), map=prior.map[20:], origin=(20, 0))
    moved = cut.against(prior)
    assert moved.outside == pytest.approx(prior.map[:20].sum() / prior.map.sum()) and moved.distance == pytest.approx(0)


def test_fields_of_one_pixel() -> None:
    dot = gaussian(3, (20, 20), map=np.ones((1, 1)), origin=(20, 20), size=(1, 1))
    assert dot.against(dot).sigma_ratio == (1, 1) and dot.against(dot).overlap == 1


def test_wrong_pairs() -> None:
    with pytest.raises(UsageError, match="cannot be compared"):
        gaussian(3, (20, 20)).against(gaussian(3, (20, 20), statistic="abs"))
    with pytest.raises(UsageError, match="whole pixels"):
        gaussian(3, (20, 20)).against(gaussian(3, (20, 20), center=(20.5, 20)))
    with pytest.raises(UsageError, match="other layers"):
        gaussian(3, (20, 20)).against(gaussian(3, (20, 20), size=(39, 41)))
    with pytest.raises(UsageError, match="no map to compare"):
        gaussian(3, (20, 20)).against(None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no pixel in common"):
        gaussian(3, (20, 20)).against(gaussian(3, (20, 20), origin=(400, 400)))


def test_random_weights_have_not_moved() -> None:
    """At initialisation a wide net is where theory says; errors come along."""
    torch.manual_seed(0)
    convs = [nn.Conv2d(n, 64, 3, padding=1) for n in (3, 64, 64)]
    net = nn.Sequential(convs[0], nn.ReLU(), convs[1], nn.ReLU(), convs[2])
    prior = ip.analyze(net, (1, 3, 32, 32))["4"].expected()
    moved = ip.effective(net, ["4"], (1, 3, 32, 32), samples=64)["4"].against(prior)
    assert moved.sigma_ratio == pytest.approx((1, 1), abs=0.05) and moved.overlap > 0.97
    assert all(isinstance(v, Estimate) and v.stderr > 0 for v in (*moved.sigma_ratio, *moved.center_shift, moved.overlap))
    assert "times the prior's" in str(moved)
