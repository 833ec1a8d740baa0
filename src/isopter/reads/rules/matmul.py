"""Matrix products."""

from __future__ import annotations

import numpy as np

from isopter.reads.axis import Same, Take
from isopter.reads.registry import Site, rule
from isopter.reads.relation import Link, Masked, Reads, Relation, linked, rows_of


@rule("matmul")
def matmul(site: Site) -> Reads:
    """(.., i, k) @ (.., k, j): output (i, j) reads row i of the left and column j of the right. Exact.

    `operands` says which sides are inputs ("left", "right"; a weight is not one). A fully connected layer, one input of two
    axes against weights, is a summary of the space it contracts; mixing tokens (attention, MLP-Mixer), channel by channel, is none.
    `pattern` (optional, bool): where the other side may be non-zero; shape (.., i, k) when the left is constant or masked
    and the input is the right, (.., k, j) when it is the left. A zero weight reads nothing.
    """
    p = site.params
    relations: list[tuple[Relation, ...]] = []
    for side, shape in zip(p["operands"], site.inputs, strict=True):
        pattern = p.get("left_pattern") if side == "right" else p.get("right_pattern")
        relations.append((_product(site, side, shape, pattern, summary=len(p["operands"]) == 1 and len(shape) == 2),))
    return tuple(relations)


def _product(site: Site, side: str, shape: tuple[int, ...], pattern: np.ndarray | None, summary: bool) -> Relation:
    ndim, rank = len(site.shape), len(shape)
    lead = ndim - rank
    batch = [(axis, axis - lead) for axis in range(lead, ndim - 2) if shape[axis - lead] == site.shape[axis]]
    free, contracted = (ndim - 2, rank - 1) if side == "left" else (ndim - 1, rank - 2)
    own = (free, rank - 2 if side == "left" else rank - 1)
    if pattern is None or pattern.all():
        return linked([*batch, own], summary=summary)
    mixed = ndim - 1 if side == "left" else ndim - 2
    by_output = np.moveaxis(pattern, -2, -1) if side == "left" else pattern  # (.., output, contracted)
    if by_output.ndim == 2 or by_output[..., 0, 0].size == 1:
        two = by_output.reshape(by_output.shape[-2:])
        links = [*linked([*batch, own]).links, Link((mixed,), (contracted,), Take(rows_of(two)))]
        return Relation(tuple(links))
    full = np.broadcast_to(by_output, (*site.shape[:-2], *by_output.shape[-2:]))
    outs = (*range(ndim - 2), mixed)
    ins = (*range(rank - 2), contracted)
    masked = Masked(full.reshape(-1, *full.shape[-2:]))
    return Relation((Link((own[0],), (own[1],), Same()), Link(outs, ins, masked)))
