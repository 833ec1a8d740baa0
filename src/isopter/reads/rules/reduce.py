"""Reductions, norms, and ops that mix a whole axis."""

from __future__ import annotations

import numpy as np

from isopter.reads.axis import AxisMap, Span, Whole
from isopter.reads.registry import Site, rule
from isopter.reads.relation import Reads, along, linked


@rule("reduce")
def reduce(site: Site) -> Reads:
    """Sum, mean, max, variance over `axes`: each output reads them whole. Exact; over space it is a summary.

    Params: axes, keepdim.
    """
    axes, keepdim = set(site.params["axes"]), site.params["keepdim"]
    kept = [axis for axis in range(len(site.inputs[0])) if axis not in axes]
    pairs = ((axis if keepdim else at, axis) for at, axis in enumerate(kept))
    return ((linked(pairs, summary=True),),)


@rule("norm")
def norm(site: Site) -> Reads:
    """(x - mean) / deviation: each output reads its own position and, through statistics, all of `axes`. Exact.

    `groups` (optional) splits the channel axis 1 into groups with their own statistics. Batch norm in evaluation has
    no statistics of its own: it is pointwise. Source: Wu & He 2018, Group Normalization.
    """
    shape = site.shape
    maps: dict[int, AxisMap | None] = dict.fromkeys(site.params["axes"])
    if site.params.get("groups", 1) > 1:
        maps[1] = _group(shape[1], site.params["groups"])
    return ((along(len(shape), {}), along(len(shape), maps, summary=True)),)


def _group(channels: int, groups: int) -> AxisMap:
    group = np.arange(channels, dtype=np.int64) // (channels // groups)
    size = channels // groups
    return Span(group * size, (group + 1) * size)


@rule("softmax", "sort", "fourier")
def mix(site: Site) -> Reads:
    """Every output along `axes` reads the whole of them. Exact. The output may be of another length (top-k, real FFT).

    `unread` (optional, bool): outputs that are constant. `bound`: fewer are read, by a mask that was not followed.
    """
    maps = dict.fromkeys(site.params["axes"], Whole())
    exactness = "bound" if site.params.get("bound") else "exact"
    return ((along(len(site.shape), maps, unread=site.params.get("unread"), exactness=exactness),),)
