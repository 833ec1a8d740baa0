"""Ops of which isopter knows only a bound."""

from __future__ import annotations

from isopter.reads.axis import AxisMap, Whole
from isopter.reads.registry import Site, rule
from isopter.reads.relation import Reads, Relation, along, linked


@rule("opaque")
def opaque(site: Site) -> Reads:
    """No rule for the framework's op: every output may read everything. A bound, always listed in `analysis.issues`."""
    return tuple((Relation((), exactness="bound"),) for _ in site.inputs)


@rule("chosen")
def chosen(site: Site) -> Reads:
    """Values decide which positions of `axes` are read: gather by a computed index, grid sampling. Data-dependent.

    The first input is read whole along `axes`; the others (indices) at the output's own position where shapes allow.
    """
    maps: dict[int, AxisMap | None] = dict.fromkeys(site.params["axes"], Whole())
    ndim = len(site.shape)
    if len(site.inputs[0]) == ndim > len(maps) and all(
        n == m for a, (n, m) in enumerate(zip(site.inputs[0], site.shape, strict=True)) if a not in maps
    ):
        first = along(ndim, maps, exactness="data_dependent")
    else:
        first = Relation((), exactness="data_dependent")
    rest = (
        linked(enumerate(range(ndim)), exactness="data_dependent") if shape == site.shape else Relation((), exactness="data_dependent")
        for shape in site.inputs[1:]
    )
    return ((first,), *((relation,) for relation in rest))
