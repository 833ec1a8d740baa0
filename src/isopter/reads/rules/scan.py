"""Ops that run along an axis and remember: cumulative sums, recurrent nets."""

from __future__ import annotations

import numpy as np

from isopter.reads.axis import AxisMap, Same, Span, Whole
from isopter.reads.registry import Site, rule
from isopter.reads.relation import Link, Reads, Relation, along


@rule("scan")
def scan(site: Site) -> Reads:
    """Output i along `axis` reads inputs 0..i (``reverse``: i..n-1). Exact. Cumulative sum, product, max."""
    axis = site.params["axis"]
    return ((along(len(site.shape), {axis: causal(site.shape[axis], site.params.get("reverse", False))}),),)


@rule("recurrent")
def recurrent(site: Site) -> Reads:
    """An LSTM, GRU or RNN: output step i reads every input step up to i, both ways if bidirectional. Exact.

    Input (.., features) to output (.., directions * hidden): the last axis is read whole. With one bidirectional layer the
    first half of the features looks back and the second half ahead; deeper ones see everything.
    Params: time (axis of input and output), layers, bidirectional. Further inputs (a first state) are read whole.
    """
    time, last = site.params["time"], len(site.shape) - 1
    steps, features = site.shape[time], site.shape[last]

    def one(maps: dict[int, AxisMap | None]) -> Relation:
        return along(len(site.shape), {last: None, **maps})

    if not site.params["bidirectional"]:
        first: tuple[Relation, ...] = (one({time: causal(steps)}),)
    elif site.params["layers"] > 1:
        first = (one({time: Whole()}),)
    else:
        ahead = np.arange(features) >= features // 2
        first = tuple(Relation(one({time: causal(steps, reverse)}).links, unread=ahead != reverse) for reverse in (False, True))
    states = (Relation((Link((1 - time,), (1,), Same()),)),) if len(site.shape) == 3 else (Relation(()),)
    return (first, *(states for _ in site.inputs[1:]))


def causal(n: int, reverse: bool = False) -> Span:
    """Position i reads 0..i, or i..n-1 in reverse."""
    at = np.arange(n, dtype=np.int64)
    return Span(at, np.full(n, n)) if reverse else Span(np.zeros(n, np.int64), at + 1)
