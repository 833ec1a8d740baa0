"""Numbers as the page words them, read back and held against Python."""

from __future__ import annotations

import math
import re

import pytest
from driver import Opened

import isopter as ip
from isopter.fields.field import Field
from isopter.fields.unit import Region

TIMES = "\N{MULTIPLICATION SIGN}"


def whole(text: str) -> int:
    """A count as a number: without commas, and with a minus that Python reads."""
    return int(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))


def share(text: str) -> float:
    """``73.5 %`` as 0.735."""
    return float(re.sub(r"[<>%\s]", "", text)) / 100


def size_of(field: Field, region: Region) -> str:
    """The unit's own box; the layer's where an axis is read whole."""
    if math.inf in field.size:
        return "whole image" if all(map(math.isinf, field.size)) else TIMES.join("∞" if s == math.inf else str(s) for s in field.size)
    return TIMES.join(str(hi - lo) for lo, hi in region.unclipped or zip(region.lo, region.hi, strict=True))


def same_numbers(page: Opened, made: ip.Analysis) -> None:
    """The strip of numbers against Python, for the layer and the unit that the page shows."""
    layer, unit, said = page.layer(), page.unit(), page.numbers()
    field = made[layer]
    region, support = field.region(unit), field.support(unit)
    assert said["size"] == size_of(field, region), (layer, unit)
    if support.count == 0:
        assert (said["region"], said["pixels read"]) == ("nothing", "0"), (layer, unit)
        return
    ranges = [tuple(whole(end) for end in part.split("…")) for part in said["region"].split(f" {TIMES} ")]
    assert ranges == [(lo, hi - 1) for lo, hi in zip(region.lo, region.hi, strict=True)], (layer, unit)
    assert whole(said["pixels read"]) == support.count, (layer, unit)
    assert share(said["density"]) == pytest.approx(support.count / support.mask.size, abs=6e-4), (layer, unit)
    if region.padding_share is not None and math.inf not in field.size:
        assert share(said["padding"]) == pytest.approx(region.padding_share, abs=6e-4), (layer, unit)
