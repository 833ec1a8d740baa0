"""What a map says: published and computed numbers, and other people's loops written anew."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.maps import Array, bell, boxes, field, outer, skewed

from isopter.erf.maps.estimate import Estimate
from isopter.erf.maps.field import EffectiveField
from isopter.erf.maps.gaussian import gaussian_sigma
from isopter.errors import UsageError

# ---- published and computed numbers ------------------------------------------------------------------------------------

BOXES = [
    (5, 1.8257, 0.755, 0.949), (10, 2.5820, 0.557, 0.739), (20, 3.6515, 0.394, 0.555),
    (40, 5.1640, 0.281, 0.394), (80, 7.3030, 0.200, 0.283),
]  # fmt: skip
"""n 3x3 convolutions: sigma, and Luo's size over the field's, counted in two dimensions on the energy map and on its root."""


@pytest.mark.parametrize(("n", "width", "energy", "rms"), BOXES)
def test_box_convolutions(n: int, width: float, energy: float, rms: float) -> None:
    e = field(outer(boxes(n), boxes(n)))
    assert e.sigma == pytest.approx((width, width), abs=5e-5)
    assert e.ratio == pytest.approx(energy, abs=6e-4)
    assert e.rms.ratio == pytest.approx(rms, abs=6e-4)
    assert e.rms.statistic == "rms"
    assert e.centroid == pytest.approx((n, n))


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_one_code_path(ndim: int) -> None:
    """Kernels 3, 5, 7 along the axes, at an origin off zero."""
    lines = [boxes(4, k) for k in (3, 5, 7)][:ndim]
    e = field(
        outer(*lines), origin=(-3, 10, 2)[:ndim], center=tuple(o + line.size // 2 for o, line in zip((-3, 10, 2), lines, strict=False))
    )
    assert e.sigma == pytest.approx([math.sqrt(4 * (k * k - 1) / 12) for k in (3, 5, 7)][:ndim])
    assert e.centroid == pytest.approx(e.center)
    assert e.center_offset == pytest.approx((0,) * ndim, abs=1e-12)
    assert e.anisotropy == pytest.approx(math.sqrt([1, 3, 6][ndim - 1]))
    assert e.side(1.0) == max(line.size for line in lines)


def test_gaussian_sizes() -> None:
    """On a Gaussian, Luo's size in two dimensions is 4.406 sd on the energy and 6.231 sd on its root."""
    e = field(outer(bell(401, 200, 30), bell(401, 200, 30)))
    assert e.threshold_size() / 30 == pytest.approx(4.406, abs=0.01)
    assert e.rms.threshold_size() / 30 == pytest.approx(6.231, abs=0.01)
    assert e.threshold_size(level=0.5) / 30 == pytest.approx(math.sqrt(math.pi * 2 * math.log(2)), abs=0.01)


# ---- squares -------------------------------------------------------------------------------------------------------------


def by_search(values: Array, center: tuple[float, ...], share: float) -> int:
    """The smallest side of a square about `center` whose whole pixels hold `share`, by trying every side on every pixel."""
    for side in range(1, 200):
        inside = np.ones(values.shape, bool)
        for axis, c in enumerate(center):
            fits = [c - side / 2 <= i - 0.5 and i + 0.5 <= c + side / 2 for i in range(values.shape[axis])]
            inside &= np.expand_dims(fits, tuple(a for a in range(values.ndim) if a != axis))
        if values[inside].sum() >= share * values.sum() * (1 - 1e-12):
            return side
    raise AssertionError("no side found")


@pytest.mark.parametrize("center", [(6.0, 5.0), (6.5, 4.5), (6.5, 5.0), (0.0, 0.5), (-2.0, 5.0)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 1.0])
def test_side(center: tuple[float, float], share: float) -> None:
    values = np.random.default_rng(3).random((13, 10))
    e = field(values, center=center)
    assert e.side(share) == by_search(values, center, share)
    assert e.area_ratio(share) == pytest.approx(e.side(share) ** 2 / 130)


def test_side_parity() -> None:
    """Odd about a pixel, even between two; three quarters of ``1 2 1`` need all of it, half only the middle."""
    assert [field(np.array([1.0, 2, 1])).side(share) for share in (0.5, 0.75)] == [1, 3]
    assert [field(np.array([1.0, 2, 2, 1])).side(share) for share in (0.5, 0.75)] == [2, 4]


def published_loop(data: Array, thresh: float) -> tuple[float, float] | None:
    """What the published script does, statement by statement (log, division by the maximum, growing squares)."""
    data = np.log10(data + 1)
    data = data / np.max(data)
    h, w = data.shape
    everything = np.sum(data)
    i = 1
    while i < h // 2:
        part = np.sum(data[h // 2 - i : h // 2 + 1 + i, w // 2 - i : w // 2 + 1 + i])
        if part / everything > thresh:
            return 2 * i + 1, (2 * i + 1) / h * (2 * i + 1) / w
        i += 1
    return None


@pytest.mark.parametrize("shape", [(56, 56), (57, 57), (40, 61)])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e5])
def test_replknet(shape: tuple[int, int], scale: float) -> None:
    h, w = shape
    values = scale * skewed(1, 1, outer(bell(h, h / 2, 7), bell(w, w / 2, 9)))[0]
    e = field(values, statistic="relu")
    for share in (0.2, 0.3, 0.5, 0.99):
        theirs = published_loop(values, share)
        ours = e.area_ratio(share, convention="replknet")
        assert math.isnan(ours) if theirs is None else ours == pytest.approx(theirs[1], rel=1e-12)


def test_replknet_of_a_crop() -> None:
    """The map is laid on the image first, whatever part of the image it is, and what hangs over the border is left out."""
    values, canvas = skewed(2, 1, outer(bell(21, 10, 3), bell(21, 10, 3)))[0], np.zeros((40, 50))
    canvas[12:33, 0:17] = values[:, 4:]
    theirs = published_loop(canvas, 0.3)
    assert theirs is not None
    e = field(values, origin=(12, -4), center=(22, 6), image=(40, 50))
    assert e.area_ratio(0.3, convention="replknet") == pytest.approx(theirs[1], rel=1e-12)


def test_replknet_holds_more_than_the_share() -> None:
    """A square that holds exactly the share is not yet the one; the scale-free side takes it."""
    values = np.zeros((16, 16))
    values[8, 8] = values[8, 10] = 9.0
    e = field(values, center=(8.0, 8.0))
    assert e.area_ratio(0.5, convention="replknet") == pytest.approx(25 / 256)
    assert e.side(0.5) == 1


def test_replknet_squares_are_three_wide() -> None:
    """Even where one pixel holds everything."""
    values = np.zeros((16, 16))
    values[8, 8] = 1.0
    assert field(values).area_ratio(0.3, convention="replknet") == pytest.approx(9 / 256)


# ---- other metrics -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [(3.0,), (3.0, 5.0), (2.0, 4.0, 3.0), (0.5, 1.0)])
def test_gaussian_fit_of_a_gaussian(widths: tuple[float, ...]) -> None:
    shape = [int(16 * s) + 3 for s in widths]
    values = 7 * outer(*(bell(n, n / 2 - 0.3, s) for n, s in zip(shape, widths, strict=True)))
    assert field(values).gaussian_fit() == pytest.approx(widths, rel=1e-6)


def test_gaussian_fit_is_the_least() -> None:
    """No Gaussian nearby is nearer: a search over amplitude, centre and width, on a map that is no Gaussian."""
    values = np.array([0.0, 1, 4, 5, 9, 3, 1, 1, 0.5])
    (width,) = field(values).gaussian_fit()
    at = np.arange(-20, 29)
    target = np.concatenate([np.zeros(20), values, np.zeros(20)])

    def left(middle: float, s: float) -> float:
        shape = np.exp(-((at - middle) ** 2) / (2 * s * s))
        return float(((target - shape * (target @ shape) / (shape @ shape)) ** 2).sum())

    best = min((left(m, s), s) for m in np.linspace(3, 5, 101) for s in np.linspace(0.5, 3, 126))
    assert width == pytest.approx(best[1], abs=0.02)


def test_gaussian_fit_of_a_cut_map() -> None:
    """Where the canvas cuts the field off, the rest is not taken for zero; where the field ends, it is."""
    cut = bell(60, 0.0, 12.0)
    assert field(cut, center=(0.0,), size=(119,)).gaussian_fit() == pytest.approx((12.0,), rel=1e-6)
    assert field(cut).gaussian_fit()[0] < 11
    assert gaussian_sigma(cut, [(False, True)])[0] == pytest.approx(12.0, rel=1e-3)


def test_gaussian_fit_follows_the_core() -> None:
    """A faint wide skirt moves the second moment, hardly the fit."""
    core, skirt = (outer(bell(101, 50, s), bell(101, 50, s)) for s in (2, 25))
    e = field(core + 0.02 * skirt)
    assert e.sigma[0] > 15
    assert e.gaussian_fit() == pytest.approx((2.0, 2.0), abs=0.1)


def test_gaussian_fit_of_hardly_anything() -> None:
    assert field(np.eye(1, 9, 4).reshape(9)).gaussian_fit() == (0.0,)
    width = field(np.ones((1, 10))).gaussian_fit()
    assert width[0] == 0.0
    assert width[1] == pytest.approx(0.357 * 10, rel=0.01)  # the best Gaussian of a box
    assert all(map(math.isnan, field(np.ones((8, 8)), size=(math.inf, math.inf)).gaussian_fit()))


def test_anisotropy() -> None:
    """Whatever the direction: a line along the diagonal is a line, a round map is round."""
    assert field(np.eye(9)).anisotropy == math.inf
    assert field(outer(boxes(5), boxes(5))).anisotropy == pytest.approx(1)
    x, y = np.meshgrid(np.arange(81) - 40, np.arange(81) - 40)
    tilted = np.exp(-((x + y) ** 2) / (4 * 6**2) - (x - y) ** 2 / (4 * 3**2))
    assert field(tilted).anisotropy == pytest.approx(2, abs=0.01)
    assert math.isnan(field(np.ones((1, 1))).anisotropy)


def test_radial_profile() -> None:
    profile = field(outer(bell(41, 20, 4), bell(41, 20, 4))).radial_profile()
    assert profile.radius[:2] == pytest.approx([0, (4 + 4 * math.sqrt(2)) / 8])
    assert profile.value[:11] == pytest.approx(np.exp(-(profile.radius[:11] ** 2) / 32), rel=0.02)
    assert profile.stderr is None
    between = field(np.ones((4, 4))).radial_profile()
    assert between.radius[0] == pytest.approx(math.sqrt(0.5))
    assert between.value == pytest.approx(np.ones(len(between.value)))


def test_threshold_size_between_pixels_and_in_holes() -> None:
    values = np.array([0.0, 1, 30, 10, 0.9, 0])
    assert field(values, center=(2.5,)).threshold_size() == 3  # 4.55 % of 20 is 0.91
    assert field(values, center=(2.0,)).threshold_size() == 2
    assert math.isnan(field(np.array([1.0, 0, 1])).threshold_size())
    assert math.isnan(field(np.array([1.0, 2, 1]), center=(-5.0,)).threshold_size())
    assert math.isnan(field(values, center=(2.0,), size=(math.inf,)).ratio)


# ---- nothing is silently zero --------------------------------------------------------------------------------------------

METRICS: dict[str, Callable[[EffectiveField], Any]] = {
    "sigma": lambda e: e.sigma,
    "centroid": lambda e: e.centroid,
    "center_offset": lambda e: e.center_offset,
    "gaussian_fit": lambda e: e.gaussian_fit(),
    "threshold_size": lambda e: e.threshold_size(),
    "side": lambda e: e.side(),
    "area_ratio": lambda e: e.area_ratio(0.5),
    "replknet": lambda e: e.area_ratio(0.5, convention="replknet"),
    "ratio": lambda e: e.ratio,
    "anisotropy": lambda e: e.anisotropy,
    "radial_profile": lambda e: e.radial_profile().value,
}


@pytest.mark.parametrize("name", METRICS)
def test_a_map_without_mass_has_no_metrics(name: str) -> None:
    assert np.isnan(METRICS[name](field(np.zeros((6, 6))))).all()


@pytest.mark.parametrize(("value", "said"), [(math.nan, "is nan at pixel"), (math.inf, "is inf at pixel"), (-1.0, "is -1.0 at pixel")])
def test_maps_that_are_none(value: float, said: str) -> None:
    values = np.ones((4, 5))
    values[1, 2] = value
    with pytest.raises(UsageError, match=rf"{said} \(1, 7\) \(1 of 20.*float64"):
        field(values, origin=(0, 5))


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"origin": (0,)}, "origin=.* has 1 entries, but the map has 2 axes"),
        ({"center": (math.nan, 0.0)}, "must be finite.*unbounded"),
        ({"statistic": "sum"}, "statistic='sum' is unknown.*energy, rms"),
    ],
)
def test_places_that_do_not_match(place: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        field(np.ones((4, 4)), **place)


def test_wrong_arguments() -> None:
    e = field(np.ones((4, 4)))
    for wrong in (0, -0.1, 1.5, math.nan):
        with pytest.raises(UsageError, match=r"share=.* must be a number above 0 and up to 1"):
            e.side(wrong)
        with pytest.raises(UsageError, match=r"level=.* must be a number above 0"):
            e.threshold_size(wrong)
    with pytest.raises(UsageError, match=r"convention='other' is unknown. Choose"):
        e.area_ratio(0.5, convention="other")
    with pytest.raises(UsageError, match=r"1 space axes. Use convention='scale-free'"):
        field(np.ones(9)).area_ratio(0.5, convention="replknet")
    with pytest.raises(UsageError, match="root of the energy"):
        _ = field(np.ones(9), statistic="abs").rms


def test_maps_are_copies_and_read_only() -> None:
    values = np.ones((3, 3))
    e = field(values)
    values[0, 0] = 5
    assert e.map[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        e.map[0, 0] = 2


def test_errors_of_rounding_are_written_as_none() -> None:
    assert repr(Estimate(0.7071067811865475, 3e-16)) == "0.707107 ± 0" and repr(Estimate(2.2e-16, 0.0)) == "0 ± 0"
    assert repr(Estimate(0.7071067811865475, 3e-9)) == "0.707106781 ± 0.000000003"
