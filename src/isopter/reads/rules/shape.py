"""Ops that only move positions."""

from __future__ import annotations

import numpy as np

from isopter.reads.axis import AxisMap, Periodic, Take, Window, window
from isopter.reads.registry import Site, rule
from isopter.reads.relation import Link, Reads, Relation, Table, along, linked, regroup


@rule("reshape")
def reshape(site: Site) -> Reads:
    """The same elements in row-major order under another shape. Exact.

    `pairs` (optional: output axis, input axis) says which axes stay when others of length 1 come or go.
    """
    if "pairs" in site.params:
        return ((linked(site.params["pairs"]),),)
    return ((regroup(site.inputs[0], site.shape),),)


@rule("transpose")
def transpose(site: Site) -> Reads:
    """Output axis a is input axis ``perm[a]``. Exact."""
    return ((linked(enumerate(site.params["perm"])),),)


@rule("slice")
def slice_(site: Site) -> Reads:
    """Output i along `axis` reads ``start + i * step``; a step of -1 is a flip. Exact.

    Example, ``x[1::2]``: 1, 3, 5.
    """
    p = site.params
    return ((along(len(site.shape), {p["axis"]: Window(1, p["step"], 1, -p["start"])}),),)


@rule("pad")
def pad(site: Site) -> Reads:
    """`before[a]` new positions in front of axis a (negative: cropped), the rest behind. Exact.

    mode "constant": new positions read nothing. "reflect": -1 reads 1. "replicate": -1 reads 0. "circular": -1 reads n - 1.
    """
    maps: dict[int, AxisMap | None] = {}
    for axis, (before, n, m) in enumerate(zip(site.params["before"], site.inputs[0], site.shape, strict=True)):
        if before == 0 and n == m:
            continue
        shift = Window(1, 1, 1, before)
        if site.params["mode"] == "constant":
            maps[axis] = shift
        else:
            source = _fold(np.arange(m, dtype=np.int64) - before, n, site.params["mode"])
            maps[axis] = Take(source[:, None], shift.plane)
    return ((along(len(site.shape), maps),),)


def _fold(position: np.ndarray, n: int, mode: str) -> np.ndarray:
    match mode:
        case "reflect":
            turned = np.abs(position) % max(2 * (n - 1), 1)
            return np.asarray(np.minimum(turned, 2 * (n - 1) - turned))
        case "replicate":
            return position.clip(0, n - 1)
        case _:
            return position % n


@rule("roll")
def roll(site: Site) -> Reads:
    """Output i reads ``(i - shift) mod n`` along each axis of `shifts` (a dict of axis to shift). Exact."""
    maps: dict[int, AxisMap | None] = {}
    for axis, shift in site.params["shifts"].items():
        n = site.shape[axis]
        source = (np.arange(n, dtype=np.int64) - shift) % max(n, 1)
        maps[axis] = Take(source[:, None], Window(1, 1, 1, shift).plane)
    return ((along(len(site.shape), maps),),)


@rule("concat")
def concat(site: Site) -> Reads:
    """Output i along `axis` reads ``i - offset`` of the input that lies there. Exact.

    `offsets` has one entry per input. Two inputs side by side along space have no translation-invariant form.
    """
    axis, ndim = site.params["axis"], len(site.shape)
    relations = []
    for shape, offset in zip(site.inputs, site.params["offsets"], strict=True):
        at = np.arange(site.shape[axis], dtype=np.int64) - offset
        inside = (at >= 0) & (at < shape[axis])
        if inside.all() and offset == 0:
            place: AxisMap = window(1)
        elif len(site.inputs) == 1:
            place = Window(1, 1, 1, offset)
        else:
            place = Take(np.where(inside, at, -1)[:, None])
        relations.append((along(ndim, {axis: place}),))
    return tuple(relations)


@rule("take")
def take(site: Site) -> Reads:
    """Output i along `axis` reads the input positions ``index[i]`` (shape (n_out, taps), -1 for nothing). Exact.

    Params: axis, index, and optionally jump and period: ``index[i + period] == index[i] + jump`` off the borders, with
    the first `period` rows, before clipping, in pattern.
    """
    p = site.params
    plane = Periodic(p["jump"], np.asarray(p["pattern"], np.int64)) if "jump" in p else None
    return ((along(len(site.shape), {p["axis"]: Take(np.asarray(p["index"], np.int64), plane)}),),)


@rule("gather")
def gather(site: Site) -> Reads:
    """Output positions over axes `outs` read the input positions ``rows`` over axes `ins` (row-major, -1 nothing). Exact.

    `pairs` links the other axes, output to input. Indexing by constant arrays, copying a strided view.
    """
    p = site.params
    table = Link(tuple(p["outs"]), tuple(p["ins"]), Table(np.asarray(p["rows"], np.int64)))
    others = linked((int(o), int(i)) for o, i in p["pairs"])
    return ((Relation((*others.links, table)),),)


@rule("overlay")
def overlay(site: Site) -> Reads:
    """Item assignment: where `covered` the output reads the second input (already in place), elsewhere the first. Exact.

    `covered` is a boolean array broadcastable to the output. With `base` False the first input is absent (a constant
    buffer); with `value` False the second is (a constant was written).
    """
    p = site.params
    covered = np.asarray(p["covered"], np.bool_)
    ndim = len(site.shape)
    both = []
    if p["base"]:
        both.append((along(ndim, {}, unread=covered),))
    if p["value"]:
        both.append((along(ndim, {}, unread=~covered if p["base"] else None),))
    return tuple(both)
