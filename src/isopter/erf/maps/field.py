"""EffectiveField: a map of how much each input pixel matters to one unit, its place in the image, and what it says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, assert_never

import numpy as np

from isopter.erf.maps import metrics
from isopter.erf.maps.estimate import scaled_power
from isopter.erf.maps.gaussian import gaussian_sigma
from isopter.erf.maps.metrics import LUO_LEVEL, Floats
from isopter.erf.maps.squares import Squares, about, replknet
from isopter.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from isopter.erf.maps.comparison import Moved

Statistic = Literal["energy", "rms", "abs", "relu"]
STATISTICS: tuple[Statistic, ...] = ("energy", "rms", "abs", "relu")


@dataclass(frozen=True, eq=False)
class RadialProfile:
    """Mean of the map on rings one pixel wide about the field's centre, nearest first.

    `radius`: mean distance of a ring's pixels, in pixels. `value`: their mean. `stderr`: its standard error, None for a map that
    was not sampled.
    """

    radius: Floats
    value: Floats
    stderr: Floats | None = None


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class EffectiveField:
    """How much each input pixel matters to one unit of a layer. Tuples have one entry per space axis of the input.

    `layer`: its name. `map`: float64, one axis per space axis, not negative, read-only. `origin`: the input pixel of ``map[0, 0]``
    (may be negative). `center`: centre of the unit's *theoretical* field, in the same pixels; the unit's own place where that field
    is unbounded. `size`: the theoretical size in pixels, math.inf where unbounded. `image`: the image's size in pixels. `unit`: the
    unit's index. `statistic`: of the gradient g of the unit by the pixel, summed over the input's channels and averaged: "energy"
    g^2, "rms" its root after averaging, "abs" |g|, "relu" max(g, 0). `how` it was found: "measured" on samples, or "expected" of random
    weights, computed without any.

    All lengths are in input pixels. Where the map is 0 everywhere every metric is nan. Raises UsageError for a map with
    a negative or not finite value, and for tuples that do not match it.
    """

    layer: str
    map: Floats
    origin: tuple[int, ...]
    center: tuple[float, ...]
    size: tuple[int | float, ...]
    image: tuple[int, ...]
    unit: tuple[int, ...]
    statistic: Statistic
    how: ClassVar[Literal["measured", "expected"]] = "expected"

    def __post_init__(self) -> None:
        object.__setattr__(self, "map", _checked(self))

    def __repr__(self) -> str:
        sigma = ", ".join(map(_show, self.sigma))
        return f"{type(self).__name__}({self.layer!r}, {self.statistic}, sigma=({sigma}), size={self.size}, ratio={_show(self.ratio)})"

    @cached_property
    def rms(self) -> Self:
        """The same field as the root of the mean energy (statistic "rms"). Raises UsageError unless the statistic is "energy"."""
        if self.statistic == "rms":
            return self
        if self.statistic != "energy":
            raise UsageError(f"{self.layer}: the rms is the root of the energy, and this map is {self.statistic!r}. Measure the energy.")
        return self._rooted()

    def _rooted(self) -> Self:
        return replace(self, map=np.sqrt(self.map), statistic="rms")

    # ---- place and width ---------------------------------------------------------------------------------------------

    @cached_property
    def sigma(self) -> tuple[float, ...]:
        """Standard deviation per axis: the root of the map's second central moment. The most robust width there is."""
        return self._numbers(metrics.sigma)

    @cached_property
    def centroid(self) -> tuple[float, ...]:
        """Centre of mass per axis, input pixels."""
        return self._numbers(lambda values: metrics.centroid(values) + self.origin)

    @cached_property
    def center_offset(self) -> tuple[float, ...]:
        """Centroid minus theoretical centre, per axis: where the unit looks, beside where it could."""
        return self._numbers(lambda values: metrics.centroid(values) - self._middle)

    @cached_property
    def anisotropy(self) -> float:
        """Largest over smallest principal standard deviation: 1.0 is round, inf a line. Noise raises it, as it is never below 1."""
        return self._number(metrics.anisotropy)

    def gaussian_fit(self) -> tuple[float, ...]:
        """Standard deviation per axis of the Gaussian nearest to the map in least squares, with amplitude and centre free.

        Pixels outside the theoretical field count as zeros; what an edge of the map cuts off is not fitted. Unlike `sigma` it
        follows the core of a map with long tails. See `gaussian.gaussian_sigma`.
        """
        return self._numbers(lambda values: gaussian_sigma(values, self._known_zero))

    def radial_profile(self) -> RadialProfile:
        """Mean of the map by distance from the theoretical centre."""
        radius, _ = metrics.radial(self.map, self._middle)
        return RadialProfile(radius, *self._evaluate(lambda values: metrics.radial(values, self._middle)[1]))

    # ---- size --------------------------------------------------------------------------------------------------------

    def threshold_size(self, level: float = LUO_LEVEL) -> float:
        """(Number of pixels above `level` times the value at the theoretical centre) ** (1 / axes) (Luo et al. 2016, section 4).

        The default level is 1 - 95.45 %. Depends on the statistic: on a Gaussian of sd s it is 4.41 s for the energy, 6.23 s for
        the rms. Biased low with few samples. nan where the value at the centre is 0 or the centre is not in the map.
        """
        _share(level, "level", 0.0455)
        return self._number(lambda values: metrics.threshold_size(values, self._middle, level))

    @cached_property
    def ratio(self) -> float:
        """`threshold_size()` over the geometric mean of the theoretical size; nan where that is unbounded or 0."""
        theory = math.prod(self.size) ** (1 / len(self.size))
        return scaled_power(self.threshold_size(), 1, 1 / theory if 0 < theory < math.inf else math.nan)

    def side(self, share: float = 0.95) -> float:
        """Side of the smallest square (interval, cube) about the theoretical centre that holds at least `share` of the mass.

        A whole number of pixels: odd about a pixel, even about a corner of pixels (see `squares.about`).
        """
        _share(share, "share", 0.95)
        return self._side(lambda values: about(values, self._middle), share)

    def area_ratio(self, share: float, convention: Literal["scale-free", "replknet"] = "scale-free") -> float:
        """Area (length, volume) of the smallest square that holds `share` of the mass, as a part of the image's.

        "scale-free": ``side(share)``, about the theoretical centre; above 1 where that square reaches beyond the image.
        "replknet": as published tables have it (Ding et al. 2022, their script): the map is laid on the image and becomes
        log10(1 + x); squares are about the image's middle pixel h // 2, w // 2, and at least 3 wide. It depends on the gradient's
        scale, so compare it only with numbers of the same convention, statistic ("relu") and input. nan where no square holds the share;
        raises UsageError unless there are two space axes.
        """
        match convention:
            case "scale-free":
                side = self.side(share)
            case "replknet":
                _share(share, "share", 0.3)
                if self.map.ndim != 2:
                    raise UsageError(
                        f"{self.layer}: convention='replknet' is defined for images, and this field has {self.map.ndim} space axes. "
                        "Use convention='scale-free'."
                    )
                side = self._side(lambda values: replknet(self._on_image(values)), share)
            case _:
                assert_never(_no_convention(convention))
        return scaled_power(side, self.map.ndim, 1 / math.prod(self.image))

    def against(self, prior: EffectiveField) -> Moved:
        """How far this map is from `prior`, such as the expected field of the same layer: widths, centre, overlap. See `Moved`."""
        from isopter.erf.maps.comparison import compare_fields

        return compare_fields(self, prior)

    # ---- for subclasses: how a metric of the map becomes a number --------------------------------------------------------

    def _evaluate(self, metric: Callable[[Floats], Floats]) -> tuple[Floats, Floats | None]:
        """(Metric of the map, its standard error or None)."""
        return np.asarray(metric(self.map)), None

    def _numbers(self, metric: Callable[[Floats], Floats]) -> tuple[float, ...]:
        return tuple(self._evaluate(metric)[0].tolist())

    def _number(self, metric: Callable[[Floats], float]) -> float:
        return self._numbers(lambda values: np.array([metric(values)]))[0]

    def _side(self, squares: Callable[[Floats], Squares], share: float) -> float:
        return squares(self.map).side(share)

    # ---- parts -------------------------------------------------------------------------------------------------------

    @property
    def _middle(self) -> tuple[float, ...]:
        """The theoretical centre in pixels of the map."""
        return tuple(c - o for c, o in zip(self.center, self.origin, strict=True))

    @property
    def _known_zero(self) -> tuple[tuple[bool, bool], ...]:
        """Per axis, whether the map reaches the theoretical field's first and last pixel, beyond which the unit reads nothing."""
        sides = zip(self._middle, self.size, self.map.shape, strict=True)
        return tuple((m - (size - 1) / 2 >= 0, m + (size - 1) / 2 <= n - 1) for m, size, n in sides)

    def _on_image(self, values: Floats) -> Floats:
        """The map as an array over the whole image; what lies outside the image is left out."""
        canvas = np.zeros(self.image)
        shapes = list(zip(self.origin, values.shape, self.image, strict=True))
        inside = [slice(max(o, 0), max(min(o + n, m), 0)) for o, n, m in shapes]
        if all(s.stop > s.start for s in inside):
            canvas[tuple(inside)] = values[tuple(slice(s.start - o, s.stop - o) for s, (o, _, _) in zip(inside, shapes, strict=True))]
        return canvas

    # ---- elsewhere ---------------------------------------------------------------------------------------------------

    def plot(self, ax: Axes | None = None, *, scale: Literal["linear", "log"] = "linear", cmap: str = "viridis") -> Axes:
        """The map in input pixels, with the theoretical field's outline; returns the Axes. See `plot.plot`."""
        from isopter.erf.maps.plot import plot

        return plot(self, ax, scale=scale, cmap=cmap)

    def to_dict(self, *, map: bool = False) -> dict[str, Any]:
        """Place and metrics as plain data for strict JSON: infinities are "inf", what does not exist is None.

        "metrics" has numbers, or lists with one entry per axis; "errors" their standard errors under the same keys, or
        None for a map that was not sampled. ``map=True`` adds "map" as nested lists.
        """
        from isopter.erf.maps.files import to_dict

        return to_dict(self, map)

    def save_npz(self, path: str | Path) -> None:
        """Write the map and all that belongs to it as a NumPy archive; `isopter.erf.maps.files.load_npz` reads it back."""
        from isopter.erf.maps.files import save_npz

        save_npz(self, path)


def _share(value: float, name: str, example: float) -> None:
    if not 0 < value <= 1:
        raise UsageError(f"{name}={value!r} must be a number above 0 and up to 1, such as {name}={example}.")


def _show(value: float) -> str:
    return f"{value:.4g}" if type(value) is float else repr(value)


def _no_convention(convention: Any) -> Any:
    raise UsageError(f"convention={convention!r} is unknown. Choose 'scale-free' or 'replknet'.")


def _checked(field: EffectiveField) -> Floats:
    values = np.array(field.map, dtype=np.float64)
    where = f"The effective field of {field.layer}"
    for name, given in (("origin", field.origin), ("center", field.center), ("size", field.size), ("image", field.image)):
        if len(given) != values.ndim or not values.ndim:
            raise UsageError(
                f"{where}: {name}={given} has {len(given)} entries, but the map has {values.ndim} axes. Give one per space axis."
            )
    if not all(map(math.isfinite, field.center)):
        raise UsageError(
            f"{where}: center={field.center} must be finite. Where the theoretical field is unbounded, give the unit's own place."
        )
    if field.statistic not in STATISTICS:
        raise UsageError(f"{where}: statistic={field.statistic!r} is unknown. Choose one of {', '.join(STATISTICS)}.")
    wrong = ~np.isfinite(values) | (values < 0)
    if wrong.any():
        at = tuple(int(i) + o for i, o in zip(np.argwhere(wrong)[0], field.origin, strict=True))
        raise UsageError(
            f"{where} is {values[wrong][0]} at pixel {at} ({int(wrong.sum())} of {values.size} pixels are negative or not finite). "
            "Look for overflow in the model's gradients, or measure in float64."
        )
    values.flags.writeable = False
    return values
