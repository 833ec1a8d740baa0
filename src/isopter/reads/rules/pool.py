"""Pooling over the last axes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from isopter.reads.axis import AxisMap, Periodic, Same, Span, window
from isopter.reads.registry import Site, rule
from isopter.reads.relation import Reads, along


@rule("pool")
def pool(site: Site) -> Reads:
    """Output i reads ``i * stride - pad + dilation * t`` for t < kernel, in its own channel. Exact.

    Example, kernel 2, stride 2: output 0 reads 0, 1; output 1 reads 2, 3. ceil_mode only changes the output size.
    Params: mode ("max" or "avg"), kernel, stride, dilation, pad (tuples over the last axes).
    """
    p = site.params
    first = len(site.shape) - len(p["kernel"])
    numbers = zip(p["kernel"], p["stride"], p["dilation"], p["pad"], strict=True)
    maps: dict[int, AxisMap | None] = {first + a: window(*four) for a, four in enumerate(numbers)}
    return ((along(len(site.shape), maps, summary=_pools_everything(site, first)),),)


def _pools_everything(site: Site, first: int) -> bool:
    """An average whose window is the whole map (`F.avg_pool2d(x, x.shape[2:])`) is global pooling by another name.

    Windows of 2 are always a step of downsampling, however small the map has become.
    """
    space = site.inputs[0][first:]
    return site.params["mode"] == "avg" and tuple(site.params["kernel"]) == space and max(space, default=0) > 2


@rule("adaptive_pool")
def adaptive_pool(site: Site) -> Reads:
    """n positions to m: output i reads [floor(i n / m), ceil((i + 1) n / m)). Exact.

    Example, 5 to 3: [0, 2), [1, 4), [3, 5). An output of 1 is a summary. Params: axes (how many last axes are pooled).
    """
    ndim = len(site.shape)
    maps: dict[int, AxisMap | None] = {}
    for axis in range(ndim - site.params["axes"], ndim):
        n, m = site.inputs[0][axis], site.shape[axis]
        if m == 1:
            maps[axis] = None
        elif n != m:
            maps[axis] = _adaptive(n, m)
        else:
            maps[axis] = Same()
    return ((along(ndim, maps, summary=None in maps.values()),),)


def _adaptive(n: int, m: int) -> Span:
    out = np.arange(m, dtype=np.int64)
    lo, hi = out * n // m, -(-(out + 1) * n // m)
    step = Fraction(n, m)
    period, jump = step.denominator, step.numerator
    widest = int((hi - lo).max())
    pattern = lo[:period, None] + np.arange(widest)
    pattern = np.where(pattern < hi[:period, None], pattern, lo[:period, None])
    return Span(lo, hi, Periodic(jump, pattern))
