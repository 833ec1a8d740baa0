"""A network whose tensors are in another order than (N, C, *space)."""

from __future__ import annotations

from dataclasses import replace

import isopter as ip
from isopter.analysis import Analysis
from isopter.graph import Op, check
from isopter.reads.layout import restored

LAST = (0, 3, 1, 2)
ODD = (3, 1, 0, 2)
"""An order that is not its own inverse: (H, C, W, N)."""

NET = "conv 5 s2 p1, pool 3 s2 p1, conv 3 p1 d2, up 2, conv 3 p1, convt 4 s2 p1, conv 4 same"


def plain() -> Analysis:
    return ip.analyze(NET, (1, 3, 40, 56))


def laid_out(analysis: Analysis, layout: tuple[int, ...]) -> Analysis:
    """The same network with its tensors in another order."""

    def turned(op: Op) -> Op:
        told = {} if op.kind in ("input", "pointwise") else {"layout": layout}
        return replace(op, shape=restored(op.shape, layout), params={**op.params, **told})

    return Analysis(check(replace(analysis.graph, ops=tuple(map(turned, analysis.graph.ops)))), None, analysis.name)
