"""Matrix products."""

from __future__ import annotations

import numpy as np

from isopter.reads.axis import Same, Take
from isopter.reads.registry import Site, rule
from isopter.reads.relation import Link, Reads, Relation, Table, linked


@rule("matmul")
def matmul(site: Site) -> Reads:
    """(.., i, k) @ (.., k, j): output (i, j) reads row i of the left and column j of the right. Exact.

    `operands` says which sides are inputs ("left", "right"; a weight is not one). Contracting space against weights (a
    fully connected layer) is a summary; a product of two inputs (attention) mixes tokens and is none.
    `pattern` (optional, bool): where the other side may be non-zero; shape (.., i, k) when the left is constant or masked
    and the input is the right, (.., k, j) when it is the left. A zero weight reads nothing.
    """
    p = site.params
    relations: list[tuple[Relation, ...]] = []
    for side, shape in zip(p["operands"], site.inputs, strict=True):
        pattern = p.get("left_pattern") if side == "right" else p.get("right_pattern")
        relations.append((_product(site, side, shape, pattern, summary=len(p["operands"]) == 1),))
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
    offset = np.arange(int(np.prod(full.shape[:-2]))).reshape((*full.shape[:-2], 1, 1)) * full.shape[-1]
    rows = rows_of(full.reshape(-1, full.shape[-1]))
    base = np.broadcast_to(offset, (*full.shape[:-1], 1)).reshape(-1, 1)
    return Relation((Link((own[0],), (own[1],), Same()), Link(outs, ins, Table(np.where(rows < 0, -1, rows + base)))))


def rows_of(pattern: np.ndarray) -> np.ndarray:
    """The true positions of each row of a boolean matrix, padded with -1 to the longest row."""
    width = max(int(pattern.sum(axis=1).max(initial=0)), 1)
    order = np.argsort(~pattern, axis=1, kind="stable")[:, :width].astype(np.int64)
    return np.where(np.take_along_axis(pattern, order, axis=1), order, -1)
