"""How sure a measured map is: sums that stream, and errors held against many repeats."""

from __future__ import annotations

import copy
import functools
import json
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.maps import TRUTH, bell, field, measured, outer, skewed

from isopter.erf.maps.estimate import Estimate, jackknife
from isopter.erf.maps.field import EffectiveField
from isopter.erf.maps.measured import Measured, Sums
from isopter.erf.maps.squares import about
from isopter.errors import UsageError


def test_sums() -> None:
    samples = skewed(0, 37, outer(bell(7, 3, 2), bell(5, 2, 1)))
    e = measured(samples)
    assert e.map == pytest.approx(samples.mean(axis=0))
    plain = samples.std(axis=0, ddof=1) / math.sqrt(37)
    assert e.sums.stderr() == pytest.approx(plain)
    assert e.samples == 37
    assert e.relative_error == pytest.approx(np.linalg.norm(plain) / np.linalg.norm(e.map))
    assert e.sums.relative_error() == pytest.approx(e.relative_error)
    assert e.stderr == pytest.approx(plain * (1 + 1.25 / 37 + 9.25 * e.relative_error**2))


def test_sums_of_processes() -> None:
    """Three processes that share the samples out, in any order, get what one gets."""
    samples = skewed(0, 37, outer(bell(7, 3, 2), bell(5, 2, 1)))
    whole, parts = Sums((7, 5)), [Sums((7, 5)) for _ in range(3)]
    for index, sample in enumerate(samples):
        whole.add(index, sample.astype(np.float32))
    for index in np.random.default_rng(1).permutation(37):
        parts[index % 3].add(int(index), samples[index].astype(np.float32))
    reduced = Sums.of([sum(arrays) for arrays in zip(*(p.arrays() for p in parts), strict=True)])
    parts[0].merge(parts[1].arrays())
    parts[0].merge(parts[2].arrays())
    for other in (reduced, parts[0]):
        assert other.count == 37
        for mine, theirs in zip(whole.arrays(), other.arrays(), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-13)


def test_few_samples() -> None:
    """One sample has no error; two have; equal ones have an error of 0, not of rounding."""
    one = measured(np.ones((1, 5)))
    assert isinstance(one.sigma[0], Estimate)
    assert math.isnan(one.sigma[0].stderr)
    assert np.isnan(one.stderr).all()
    assert one.relative_error == math.inf == Sums((2,)).relative_error()
    assert measured(skewed(0, 2, np.ones(9))).sigma[0].stderr > 0
    assert not measured(np.full((10, 5), 0.1)).stderr.any()
    assert math.isnan(measured(skewed(0, 20, np.ones(9)), groups=1).sigma[0].stderr)
    with pytest.raises(UsageError, match="has no samples"):
        Measured(
            sums=Sums((3,)),
            **{k: v for k, v in vars(one).items() if k in {"layer", "origin", "center", "size", "image", "unit"}},
            statistic="abs",
        )


def test_samples_that_do_not_fit() -> None:
    sums = Sums((3, 3))
    with pytest.raises(UsageError, match=r"Sample 4 has a map of shape \(3, 2\); expected \(3, 3\)"):
        sums.add(4, np.ones((3, 2)))
    with pytest.raises(UsageError, match="Sample 5 has a gradient that is not finite"):
        sums.add(5, np.full((3, 3), math.nan))
    assert sums.count == 0


def test_measured_keeps_what_it_was_made_of() -> None:
    sums = Sums((5,))
    for index in range(4):
        sums.add(index, np.arange(5.0))
    template = vars(field(np.ones(5)))
    e = Measured(sums=sums, **{key: value for key, value in template.items() if key != "map"})
    sums.add(4, np.full(5, 100.0))
    assert e.samples == 4
    with pytest.raises(ValueError, match="read-only"):
        e.sums.add(5, np.ones(5))


def test_jackknife_of_a_mean() -> None:
    """Of a mean it is the error of the mean over groups; groups of unequal size agree with the spread of the samples."""
    values = np.random.default_rng(0).random(64)
    without = [np.array((values.sum() - part.sum()) / 60) for part in values.reshape(16, 4)]
    assert jackknife(np.array(values.mean()), without, [4] * 16) == pytest.approx(values.reshape(16, 4).mean(axis=1).std(ddof=1) / 4)
    single = [np.array((values.sum() - v) / 63) for v in values]
    assert jackknife(np.array(values.mean()), single, [1] * 64) == pytest.approx(values.std(ddof=1) / 8)


def test_jackknife_of_unequal_groups() -> None:
    """The squared error is right on average for groups of 1 to 5 samples."""
    random, counts = np.random.default_rng(0), [1, 2, 3, 4, 5, 5, 4, 3, 2, 1]
    found = []
    for values in random.normal(0, 1, (2000, sum(counts))):
        parts = np.split(values, np.cumsum(counts)[:-1])
        without = [np.array((values.sum() - part.sum()) / (values.size - part.size)) for part in parts]
        found.append(float(jackknife(np.array(values.mean()), without, counts)) ** 2)
    assert np.mean(found) == pytest.approx(1 / sum(counts), rel=0.05)


@functools.cache
def repeats(count: int) -> list[Measured]:
    """Two hundred measurements of `count` samples each."""
    return [measured(skewed(seed, count, TRUTH)) for seed in range(200)]


def covered(ask: Callable[[EffectiveField], Any], count: int) -> float:
    """Share of repeats in which the truth lies within two standard errors."""
    truth = ask(field(TRUTH))
    return float(np.mean([abs(found - truth) <= 2 * found.stderr for found in map(ask, repeats(count))]))


@pytest.mark.parametrize("count", [64, 40])
@pytest.mark.parametrize(
    "ask",
    [lambda e: e.sigma[0], lambda e: e.rms.sigma[1], lambda e: e.center_offset[0], lambda e: e.ratio],
    ids=["sigma", "rms sigma", "center offset", "Luo"],
)
def test_errors_are_calibrated(ask: Callable[[EffectiveField], Any], count: int) -> None:
    """Two standard errors hold the truth in 90 to 99 % of repeats; 40 samples in 16 groups are groups of two and three."""
    assert 0.90 <= covered(ask, count) <= 0.99


@pytest.mark.parametrize("count", [8, 16, 64])
@pytest.mark.parametrize("rms", [False, True], ids=["energy", "rms"])
def test_errors_of_pixels_are_calibrated(rms: bool, count: int) -> None:
    """Two errors of a pixel hold the truth in 92 to 99 % of repeats, however few the samples; two plain ones do not."""
    truth = TRUTH * math.exp(0.7**2 / 2)
    found = [e.rms if rms else e for e in repeats(count)]
    goal = np.sqrt(truth) if rms else truth
    held = np.mean([np.abs(e.map - goal) <= 2 * e.stderr for e in found])
    plain = np.mean([np.abs(e.map - goal) <= 2 * e.stderr / e.sums.widening() for e in found])
    assert 0.92 <= held <= 0.99 and plain < held - 0.01 and (plain < 0.92 or rms)


def test_errors_of_pixels_that_are_not_skewed() -> None:
    """Normal samples need no more than Student's t does, and equal ones nothing."""
    random = np.random.default_rng(0)
    found = [measured(np.abs(20 + random.standard_normal((8, 40)))) for _ in range(200)]
    assert 0.94 <= np.mean([np.abs(e.map - 20) <= 2 * e.stderr for e in found]) <= 0.97
    assert not measured(np.full((10, 5), 0.1)).rms.stderr.any()
    assert measured(np.zeros((4, 5))).stderr.tolist() == measured(np.zeros((4, 5))).rms.stderr.tolist() == [0.0] * 5
    assert np.isnan(measured(np.ones((1, 5))).rms.stderr).all()


@pytest.mark.parametrize(("share", "found"), [(0.3, {5, 7}), (0.94, {13, 15})])
def test_errors_of_sides(share: float, found: set[int]) -> None:
    """A side is a whole number, so its error must say when it could as well be the next one: at 0.94 either turns up as often."""
    assert {e.side(share) for e in repeats(16)} == found
    assert covered(lambda e: e.side(share), 16) >= 0.90


def test_equal_samples_leave_sides_no_error() -> None:
    """Also where a square holds the share exactly, and rounding could take the crossing for one just beyond it."""
    for seed in range(50):
        found = about(skewed(seed, 1, TRUTH)[0], (10.0, 10.0))
        for share in [*found.held, *np.nextafter(found.held, 0)]:
            assert found.rounded_error(share, 0.0) == 0.0


def test_error_of_a_line() -> None:
    """Along one axis a size is a count of few pixels, whose two ends are rounded: its error is never 0."""
    samples = skewed(0, 64, bell(31, 15, 3.0))
    assert 0.4 < measured(samples).threshold_size().stderr < 2
    equal = measured(np.broadcast_to(bell(31, 15, 3.0), (64, 31)))
    assert equal.threshold_size().stderr == pytest.approx(math.sqrt(1 / 6))
    assert equal.sigma[0].stderr == pytest.approx(0, abs=1e-12)


def test_rms_of_measured() -> None:
    """The root is taken of every mean, so the map's error is half its energy's, relatively, and no root of samples is averaged."""
    e = measured(skewed(0, 400, TRUTH))
    assert e.rms.map == pytest.approx(np.sqrt(e.map))
    assert isinstance(e.rms, Measured)
    assert e.rms.samples == 400
    assert np.median(e.rms.stderr / e.rms.map * 2 / (e.stderr / e.map)) == pytest.approx(1, abs=0.1)
    assert e.rms.rms is e.rms
    plain = e.rms.stderr / e.sums.widening()
    assert e.rms.relative_error == pytest.approx(float(np.linalg.norm(plain) / np.linalg.norm(e.rms.map)))


def test_profile_of_measured() -> None:
    profile = measured(skewed(0, 64, TRUTH)).radial_profile()
    assert profile.stderr is not None
    assert profile.stderr.shape == profile.value.shape == profile.radius.shape
    assert (profile.stderr > 0).all()


@pytest.mark.parametrize(
    ("value", "stderr", "said"),
    [
        (12.345, 0.4, "12.3 ± 0.4"), (12.345, 0.04321, "12.35 ± 0.04"), (12.3, 0.137, "12.30 ± 0.14"), (1234.5, 37, "1230 ± 40"),
        (12345, 1234, "12300 ± 1200"), (5, 0, "5 ± 0"),
        (5, math.nan, "5 ± ?"), (math.nan, 0.1, "nan ± 0.1"), (math.inf, math.nan, "inf ± ?"),
        (5, 0.0996, "5.00 ± 0.10"), (-0.0123, 0.002, "-0.012 ± 0.002"),
    ],
)  # fmt: skip
def test_estimates_as_text(value: float, stderr: float, said: str) -> None:
    assert repr(Estimate(value, stderr)) == str(Estimate(value, stderr)) == f"{Estimate(value, stderr)}" == said


def test_estimates_are_floats() -> None:
    e = Estimate(3, 0.2)
    assert e == 3.0
    assert type(e + 1) is type(2 * e) is type(-e) is float
    assert f"{e:.2f}" == "3.00"
    assert json.dumps([e]) == "[3.0]"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(e, protocol))
        assert (type(again), again, again.stderr) == (Estimate, 3, 0.2)
    assert copy.deepcopy(e).stderr == 0.2
    with pytest.raises(AttributeError, match="cannot be changed"):
        e.stderr = 1.0
