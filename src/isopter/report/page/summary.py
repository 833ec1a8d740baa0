"""A model in a few lines: the numbers to compare by, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import isopter
from isopter.design.compare import facts
from isopter.report.lines import shape_text

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.erf.maps.field import EffectiveField
    from isopter.verification import Verification


def summary(analysis: Analysis, measured: Mapping[str, EffectiveField] | None) -> list[tuple[str, str]]:
    """The numbers that models are compared by: (what, text) pairs, the same ones for every model."""
    return [(fact.label, fact.text) for fact in facts(analysis, measured)]


def how(analysis: Analysis, fields: Sequence[EffectiveField], verified: Verification | None) -> list[tuple[str, str]]:
    """What a reader must know to repeat the numbers: (what, text) pairs."""
    origin = analysis.graph.ops[analysis.origin]
    lines = [
        ("made by", f"isopter {isopter.__version__}"),
        ("input", f"{origin.name}, {shape_text(origin.shape)}; 0-based pixels, half-open ranges"),
        ("theoretical fields", "exact" if analysis.exact else "some are bounds; see the findings"),
        ("effective fields", _effective(fields)),
        ("verified", str(verified).splitlines()[0] if verified is not None else "not in this report; isopter verify tries it on the model"),
    ]
    return lines + [("note", str(issue)) for issue in analysis.issues[:12]]


def _effective(fields: Sequence[EffectiveField]) -> str:
    """How they were found; of measured ones on what, and how sure they are."""
    if not fields:
        return "none"
    first = fields[0]
    samples = getattr(first, "samples", None)
    if samples is None:
        assumptions = sorted({a for f in fields for a in getattr(f, "assumptions", ())})
        return f"expected at random initialisation, computed without sampling{'; ' if assumptions else ''}{'; '.join(assumptions)}"
    errors = [f.relative_error for f in fields if hasattr(f, "relative_error")]
    clipped = [f.layer for f in fields if getattr(f, "clipped", False)]
    seed = getattr(first, "seed", 0)
    said = f"measured: {first.statistic} of the gradient, {samples} samples, seed {seed}, errors up to {max(errors):.1%}"
    return said + (f"; cut off at the border of the image: {', '.join(clipped)}" if clipped else "")

