"""Row: what is kept of one layer at one step, and how it stands in a line of a CSV file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from isopter.erf.maps.estimate import Estimate
from isopter.erf.maps.measured import Measured


@dataclass(frozen=True)
class Row:
    """The effective field of one layer after `step` training steps. Lengths in input pixels, tuples with one entry per space axis.

    Every number is an `Estimate`: its standard error is ``.stderr``. `sigma`, `center_offset`, `ratio`: as of `EffectiveField`.
    `side`: that of the smallest centred square with 95 % of the mass. `samples`: how many inputs were measured. Where a measurement
    failed, numbers are nan and `samples` is 0; where the unit was dead in all samples, numbers are nan.
    """

    step: int
    layer: str
    sigma: tuple[Estimate, ...]
    center_offset: tuple[Estimate, ...]
    ratio: Estimate
    side: Estimate
    samples: int

    @classmethod
    def of(cls, step: int, field: Measured) -> Row:
        """The row of a measured field."""
        sigma, offset = (tuple(map(_estimate, values)) for values in (field.sigma, field.center_offset))
        return cls(step, field.layer, sigma, offset, _estimate(field.ratio), _estimate(field.side(0.95)), field.samples)

    @classmethod
    def failed(cls, step: int, layer: str, axes: int) -> Row:
        """The row of a measurement that failed."""
        nothing = Estimate(math.nan)
        return cls(step, layer, (nothing,) * axes, (nothing,) * axes, nothing, nothing, 0)

    def numbers(self) -> Iterator[tuple[str, Estimate]]:
        """Every estimate by name: sigma_0, ..., center_offset_0, ..., ratio, side_95."""
        yield from ((f"sigma_{axis}", value) for axis, value in enumerate(self.sigma))
        yield from ((f"center_offset_{axis}", value) for axis, value in enumerate(self.center_offset))
        yield from (("ratio", self.ratio), ("side_95", self.side))


def header(axes: int) -> list[str]:
    """The columns: step, layer, each number and its standard error, samples."""
    names = [name for name, _ in Row.failed(0, "", axes).numbers()]
    return ["step", "layer", *(column for name in names for column in (name, f"{name}_stderr")), "samples"]


def cells(row: Row) -> list[str]:
    """A row as text under `header`; numbers as Python writes them, so that they are read back to the last bit."""
    numbers = [repr(number) for _, value in row.numbers() for number in (float(value), value.stderr)]
    return [str(row.step), row.layer, *numbers, str(row.samples)]


def parsed(line: Mapping[str, str], axes: int) -> Row:
    """The row whose `cells` these are, by column. Raises KeyError, TypeError or ValueError where they are no row's."""

    def number(name: str) -> Estimate:
        return Estimate(float(line[name]), float(line[f"{name}_stderr"]))

    sigma, offset = (tuple(number(f"{name}_{axis}") for axis in range(axes)) for name in ("sigma", "center_offset"))
    return Row(int(line["step"]), line["layer"], sigma, offset, number("ratio"), number("side_95"), int(line["samples"]))


def _estimate(value: float) -> Estimate:
    assert isinstance(value, Estimate), "every metric of a measured field has an error"
    return value
