"""`compare`: two analyses side by side, the numbers of each and the layers in which they differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from isopter.design.cost import total
from isopter.design.rules.effect import nearest_effective
from isopter.design.rules.holes import densities
from isopter.design.rules.size import exceeding, unproductive_layers
from isopter.design.rules.tiling import sides
from isopter.design.subject import Subject, pixels, subject
from isopter.design.tiles import halo_of, joined
from isopter.errors import UsageError
from isopter.fields.exposure import mean_padding

if TYPE_CHECKING:
    from isopter.analysis import Analysis
    from isopter.design.subject import Effects

SHOWN = 30
"""Differing layers that printing shows."""


@dataclass(frozen=True)
class Fact:
    """One number of a model: what it is, its `value` as plain data for JSON (None where there is none), and how it reads."""

    label: str
    value: Any
    text: str


@dataclass(frozen=True)
class Difference:
    """A layer of equal name in both models that sees differently: (`a`'s value, `b`'s value) of its size, stride and start per axis, as in
    `Analysis.rows`, and of its tensor's shape."""

    layer: str
    size: tuple[list[Any], list[Any]]
    stride: tuple[list[Any], list[Any]]
    start: tuple[list[Any], list[Any]]
    shape: tuple[list[int], list[int]]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: every entry a pair."""
        return {"layer": self.layer, **{key: list(getattr(self, key)) for key in ("size", "stride", "start", "shape")}}


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two models side by side. Printing it shows a table.

    `names`: theirs; `facts`: the numbers of each, in the same order; `layers`: where layers of equal name differ; `same`: how many
    layers of equal name do not; `only`: the names of the layers that just one of them has.
    """

    names: tuple[str, str]
    facts: tuple[tuple[Fact, ...], tuple[Fact, ...]]
    layers: tuple[Difference, ...]
    same: int
    only: tuple[tuple[str, ...], tuple[str, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "names": list(self.names),
            "facts": {a.label: [a.value, b.value] for a, b in zip(*self.facts, strict=True)},
            "layers": [own.to_dict() for own in self.layers],
            "same": self.same,
            "only": [list(names) for names in self.only],
        }

    def __repr__(self) -> str:
        lines = _table([("", *self.names), *((a.label, a.text, b.text) for a, b in zip(*self.facts, strict=True))])
        if self.layers:
            rows = [(d.layer, _seen(d, 0), _seen(d, 1)) for d in self.layers[:SHOWN]]
            lines += ["", *_table([("size / stride @ start", *self.names), *rows])]
            lines += [f"... and {len(self.layers) - SHOWN} more, in .layers"] if len(self.layers) > SHOWN else []
        counts = f"{len(self.layers)} layers of equal name differ, {self.same} do not"
        return "\n".join([*lines, "", f"{counts}; {len(self.only[0])} and {len(self.only[1])} have no counterpart."])


def compare(a: Analysis, b: Analysis, *, effective: tuple[Effects | None, Effects | None] = (None, None)) -> Comparison:
    """Two analyses side by side: of two models, or of one at two input sizes.

    `effective`: for each, what `isopter.effective` returned, or None: then effective fields are the expected ones, where theory has
    any. Layers are matched by name. Raises UsageError for what is no analysis, and for effective fields of another model.
    """
    from isopter.analysis import Analysis

    for given in (a, b):
        if not isinstance(given, Analysis):
            raise UsageError(f"compare needs two analyses, and got a {type(given).__name__}. Make them with isopter.analyze.")
    if not isinstance(effective, Sequence) or len(effective) != 2:
        raise UsageError(
            f"effective={type(effective).__name__} must be a pair: for each analysis what isopter.effective returned, or None, "
            "as in effective=(measured, None)."
        )
    rows = [{row["name"]: row for row in analysis.rows()} for analysis in (a, b)]
    keys = ("size", "stride", "start", "shape")
    common = [name for name in rows[0] if name in rows[1]]
    differing = [name for name in common if any(rows[0][name][key] != rows[1][name][key] for key in keys)]
    layers = tuple(Difference(name, *((rows[0][name][key], rows[1][name][key]) for key in keys)) for name in differing)
    only = tuple(n for n in rows[0] if n not in rows[1]), tuple(n for n in rows[1] if n not in rows[0])
    both = facts(a, effective[0]), facts(b, effective[1])
    return Comparison((a.name, b.name), both, layers, len(common) - len(differing), only)


def facts(analysis: Analysis, effective: Effects | None = None, expected: bool = True) -> tuple[Fact, ...]:
    """The numbers to compare a model by; the labels are the same for every model.

    The output is the map the model ends in (of several, the one with the largest field); of a classifier, the last map before its head.
    `expected`: whether expected fields may be computed where no effective field is given.
    """
    about = subject(analysis, effective=effective, theory=expected)
    cost, head = total(analysis), next(about.widest_heads(), None)
    some = "" if not cost.unknown else f" and {len(cost.unknown)} ops unknown"
    return (
        Fact("ops", len(analysis.ops), f"{len(analysis.ops):,}"),
        Fact("weights", cost.weights, f"{cost.weights:,}{some}"),
        Fact("multiply-accumulates", cost.macs, f"{_big(cost.macs or 0)}{some}"),
        *_output(about, head),
        _effect(about),
        *_limits(about),
        _lowest_density(about),
        _padding(about, head),
        _halo(about),
    )


def _output(about: Subject, head: int | None) -> tuple[Fact, Fact]:
    if head is None:
        return Fact("output map", None, "none"), Fact("its field / stride", None, "none")
    field = about.field(head)
    size = [n if isinstance(n, int) else str(n) for n in field.size]
    strides = [None if s is None else int(s) if s == int(s) else str(s) for s in field.stride]
    stride = "no stride" if None in strides else pixels(tuple(field.stride)) if _whole(field.stride) else " x ".join(map(str, strides))  # type: ignore[arg-type]
    return (
        Fact("output map", about.name(head), about.name(head)),
        Fact("its field / stride", {"size": size, "stride": strides}, f"{pixels(field.size)} / {stride}"),
    )


def _whole(values: Sequence[int | Fraction | None]) -> bool:
    return all(isinstance(v, int) for v in values)


def _effect(about: Subject) -> Fact:
    found = nearest_effective(about)
    label = "effective field, 95 %"
    if found is None:
        return Fact(label, None, "not known")
    theory = math.prod(found.field.size) ** (1 / len(found.field.size))
    value = {"layer": about.name(found.op), "side": found.side, "ratio": found.side / theory, "measured": found.field.how == "measured"}
    return Fact(label, value, f"{found.side:.4g} px ({found.side / theory:.0%} of {theory:.4g} px, {found.field.how})")


def _limits(about: Subject) -> tuple[Fact, Fact]:
    first = exceeding(about) if about.heads else None
    unproductive = [about.name(i) for i in unproductive_layers(about)] if first is not None else []
    name = None if first is None else about.name(first)
    border = f"{unproductive[0]} ({len(unproductive)} unproductive)" if unproductive else "none"
    return (
        Fact("larger than the image from", name, name or "no layer"),
        Fact("border layer", {"layer": unproductive[0], "unproductive": unproductive} if unproductive else None, border),
    )


def _lowest_density(about: Subject) -> Fact:
    found = densities(about) if about.heads else {}
    if not found:
        return Fact("lowest density", None, "not known")
    op = min(found, key=lambda i: found[i])
    shown = f"{found[op]:.1%} ({about.name(op)})" if found[op] < 1 else "100 %"
    return Fact("lowest density", {"layer": about.name(op), "density": found[op]}, shown)


def _padding(about: Subject, head: int | None) -> Fact:
    mean = mean_padding(about.field(head)) if head is not None else None
    return Fact("mean padding exposure", mean, "not known" if mean is None else f"{mean:.0%}")


def _halo(about: Subject) -> Fact:
    found = joined([halo_of(about, op) for op in about.heads]) if about.heads else None
    if found is None or not found.exists:
        return Fact("halo for exact tiles", None, "none" if found is None else f"none: {found.why}")
    return Fact("halo for exact tiles", found.to_dict(), f"{sides(found)}, steps of {pixels(found.step)}")


def _big(count: int) -> str:
    """1.82 G, 14.7 M; exact below ten thousand."""
    for factor, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M")):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:,}"


def _seen(difference: Difference, side: int) -> str:
    size, stride, start = (getattr(difference, key)[side] for key in ("size", "stride", "start"))
    return f"{_short(size)} / {_short(stride)} @ {_short(start)}"


def _short(values: Sequence[Any]) -> str:
    shown = ["-" if v is None else str(v) for v in values]
    return shown[0] if len(set(shown)) == 1 else "x".join(shown)


def _table(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """Rows under their first, as aligned text."""
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines = [f"{row[0].ljust(widths[0])}  {row[1].rjust(widths[1])}  {row[2].rjust(widths[2])}" for row in rows]
    return [lines[0], "\u2500" * len(lines[0]), *lines[1:]]
