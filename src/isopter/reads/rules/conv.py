"""Convolutions. Tensors are (N, C, *space); space is as many axes as `kernel` has entries."""

from __future__ import annotations

import numpy as np

from isopter.reads.axis import AxisMap, Same, Span, Spread, Take, Window, window
from isopter.reads.registry import Site, rule
from isopter.reads.relation import Link, Reads, Relation, along


@rule("conv")
def conv(site: Site) -> Reads:
    """Output i reads ``i * stride - pad + dilation * t`` for t < kernel, in the channels of its group. Exact.

    Example, kernel 3, stride 2, pad 1: output 0 reads -1 (padding), 0, 1; output 1 reads 1, 2, 3.
    Params: kernel, stride, dilation, pad (left pads; tuples, one entry per space axis), groups, and optionally taps: the
    kernel positions whose constant weight is not zero (a Sobel filter's middle is not read), which are then read one by one.
    A second input is filters computed from the image (CondConv): output channel o reads filter o.
    Source: Dumoulin & Visin 2016, A guide to convolution arithmetic for deep learning.
    """
    p = site.params
    filters = ((_filters(site, 0, transposed=False),),) if len(site.inputs) == 2 else ()
    if "taps" in p:
        return (tuple(_tap(site, tap) for tap in p["taps"]), *filters)
    maps: dict[int, AxisMap | None] = {1: groups(site)}
    for axis, numbers in enumerate(zip(p["kernel"], p["stride"], p["dilation"], p["pad"], strict=True), start=2):
        maps[axis] = window(*numbers)
    return ((along(len(site.shape), maps),), *filters)


def _tap(site: Site, tap: tuple[int, ...]) -> Relation:
    p = site.params
    maps: dict[int, AxisMap | None] = {1: groups(site)}
    for axis, (t, stride, dilation, pad) in enumerate(zip(tap, p["stride"], p["dilation"], p["pad"], strict=True), start=2):
        maps[axis] = Window(1, stride, 1, pad - dilation * t)
    return along(len(site.shape), maps, exactness="exact" if p.get("same_taps", True) else "bound")


@rule("conv_transpose")
def conv_transpose(site: Site) -> Reads:
    """Output o reads every integer ``(o + pad - dilation * t) / stride`` for t < kernel. Exact.

    Example, kernel 2, stride 2: outputs 0 and 1 read 0, outputs 2 and 3 read 1. A kernel below the stride leaves
    outputs that read nothing. Params as for conv. Computed filters as for conv; of several groups, all bound them.
    """
    p = site.params
    maps: dict[int, AxisMap | None] = {1: groups(site)}
    for axis, (kernel, stride, dilation, pad) in enumerate(zip(p["kernel"], p["stride"], p["dilation"], p["pad"], strict=True), start=2):
        maps[axis] = Spread(kernel, stride, dilation, pad)
    own = along(len(site.shape), maps)
    if len(site.inputs) == 1:
        return ((own,),)
    return (own,), (_filters(site, 1, transposed=True) if p.get("groups", 1) == 1 else Relation((), exactness="bound"),)


def _filters(site: Site, channel: int, transposed: bool) -> Relation:
    """An output reads the filter of its channel (axis `channel` of the filters), but for the taps that fall on padding."""
    p = site.params
    links = [Link((1,), (channel,), Same())]
    for axis, (size, stride, dilation, pad) in enumerate(zip(p["kernel"], p["stride"], p["dilation"], p["pad"], strict=True), start=2):
        at, tap = np.arange(site.shape[axis], dtype=np.int64)[:, None], np.arange(size, dtype=np.int64)
        if transposed:
            source, rest = np.divmod(at + pad - dilation * tap, stride)
        else:
            source, rest = at * stride - pad + dilation * tap, np.zeros_like(tap)
        read = (rest == 0) & (source >= 0) & (source < site.inputs[0][axis])
        if not read.all():
            links.append(Link((axis,), (axis,), Take(np.where(read, tap, -1))))
    return Relation(tuple(links))


def groups(site: Site) -> AxisMap | None:
    """The channel map: None (all channels) for one group, else output channel c reads the input channels of its group."""
    count = site.params.get("groups", 1)
    if count == 1:
        return None
    c_in, c_out = site.inputs[0][1] // count, site.shape[1] // count
    group = np.arange(site.shape[1], dtype=np.int64) // c_out
    return Span(group * c_in, (group + 1) * c_in)
