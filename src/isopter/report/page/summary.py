"""A model in a few lines: the numbers to compare by, and how they were made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import isopter
from isopter.design.compare import facts
from isopter.erf.maps.measured import Measured
from isopter.report.lines import shape_text

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.erf.maps.field import EffectiveField
    from isopter.verification import Verification


def summary(analysis: Analysis, effective: Mapping[str, EffectiveField] | None, expected: bool = True) -> list[tuple[str, str]]:
    """The numbers that models are compared by: (what, text) pairs, the same ones for every model.

    `effective`: the fields given by layer name; `expected`: whether expected ones may take their place.
    """
    return [(fact.label, fact.text) for fact in facts(analysis, effective, expected)]


def how(analysis: Analysis, fields: Sequence[EffectiveField], verified: Verification | None) -> list[tuple[str, str]]:
    """What a reader must know to repeat the numbers: (what, text) pairs."""
    origin = analysis.graph.ops[analysis.origin]
    lines = [
        ("made by", f"isopter {isopter.__version__}"),
        ("input", f"{origin.name}, {shape_text(origin.shape)}; pixels count from 0, ranges name the first and the last"),
        ("theoretical fields", "exact" if analysis.exact else "some are bounds; see the findings"),
        ("effective fields", _effective(fields)),
        ("verified", str(verified).splitlines()[0] if verified is not None else "not in this report; isopter verify tries it on the model"),
    ]
    return lines + [("note", str(issue)) for issue in analysis.issues[:12]]


def _effective(fields: Sequence[EffectiveField]) -> str:
    """How they were found, a sentence for each kind there is."""
    measured = [field for field in fields if isinstance(field, Measured)]
    expected = [field for field in fields if field.how == "expected"]
    said = [_measured(measured)] if measured else []
    return ". ".join(said + ([_expected(expected)] if expected else [])) or "none"


def _measured(fields: Sequence[Measured]) -> str:
    """Of what, on how many samples, and how sure they are."""
    statistics = " and ".join(sorted({field.statistic for field in fields}))
    counts, seeds = sorted({field.samples for field in fields}), sorted({field.seed for field in fields})
    samples = f"{counts[0]} to {counts[-1]} samples" if len(counts) > 1 else f"{counts[0]} sample{'s' if counts[0] > 1 else ''}"
    seed = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    clipped = [field.layer for field in fields if field.clipped]
    said = f"measured: {statistics} of the gradient, {samples}, {seed}, {_errors(fields)}"
    return said + (f"; cut off at the border of the image: {', '.join(clipped)}" if clipped else "")


def _errors(fields: Sequence[Measured]) -> str:
    known = [field.relative_error for field in fields if math.isfinite(field.relative_error)]
    if not known:
        return "error not known"
    return f"errors up to {max(known):.1%}" + (f", of {len(fields) - len(known)} not known" if len(known) < len(fields) else "")


def _expected(fields: Sequence[EffectiveField]) -> str:
    assumptions = sorted({assumption for field in fields for assumption in getattr(field, "assumptions", ())})
    return "; ".join(["expected at random initialisation, computed without sampling", *assumptions])
