"""Convolutions. Tensors are (N, C, *space); space is as many axes as `kernel` has entries."""

from __future__ import annotations

import numpy as np

from isopter.reads.axis import AxisMap, Span, Spread, Window, window
from isopter.reads.registry import Site, rule
from isopter.reads.relation import Reads, Relation, along


@rule("conv")
def conv(site: Site) -> Reads:
    """Output i reads ``i * stride - pad + dilation * t`` for t < kernel, in the channels of its group. Exact.

    Example, kernel 3, stride 2, pad 1: output 0 reads -1 (padding), 0, 1; output 1 reads 1, 2, 3.
    Params: kernel, stride, dilation, pad (left pads; tuples, one entry per space axis), groups, and optionally taps: the
    kernel positions whose constant weight is not zero (a Sobel filter's middle is not read), which are then read one by one.
    Source: Dumoulin & Visin 2016, A guide to convolution arithmetic for deep learning.
    """
    p = site.params
    if "taps" in p:
        return (tuple(_tap(site, tap) for tap in p["taps"]),)
    maps: dict[int, AxisMap | None] = {1: groups(site)}
    for axis, numbers in enumerate(zip(p["kernel"], p["stride"], p["dilation"], p["pad"], strict=True), start=2):
        maps[axis] = window(*numbers)
    return ((along(len(site.shape), maps),),)


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
    outputs that read nothing. Params as for conv.
    """
    p = site.params
    maps: dict[int, AxisMap | None] = {1: groups(site)}
    for axis, (kernel, stride, dilation, pad) in enumerate(zip(p["kernel"], p["stride"], p["dilation"], p["pad"], strict=True), start=2):
        maps[axis] = Spread(kernel, stride, dilation, pad)
    return ((along(len(site.shape), maps),),)


def groups(site: Site) -> AxisMap | None:
    """The channel map: None (all channels) for one group, else output channel c reads the input channels of its group."""
    count = site.params.get("groups", 1)
    if count == 1:
        return None
    c_in, c_out = site.inputs[0][1] // count, site.shape[1] // count
    group = np.arange(site.shape[1], dtype=np.int64) // c_out
    return Span(group * c_in, (group + 1) * c_in)
