"""What one forward pass tells of how gradients flow, in place of what the theory would assume.

The mean squared slope of every pointwise op and norm, the mean squared weight of every product, and how often the windows of a max pool
are active: numbers of `isopter.reads.gains`. They are worked out here from values of ops, whatever framework computed those (`live.Pass`).
What a framework cannot give stays assumed, and the result says so. PyTorch, which records a pass call by call, has its own way to the same
numbers (`isopter.capture.torch.gauge`): the steps are the same ones, so that one network has one field in every framework.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from isopter.erf.live import Pass
from isopter.fields.plan import Plan
from isopter.graph import Graph, Op

Array = npt.NDArray[Any]
Facts = dict[str, dict[str, Any]]

STEP = 1e-5
"""By how many standard deviations values are moved, in double precision: rounding makes 1e-11 of a slope."""

STRAIGHT = frozenset("add sub rsub mul div neg batch_norm".split())
"""Pointwise functions that are straight lines, channel by channel. A norm is one call in one framework and two of these in another."""


def measured(plan: Plan, run: Pass) -> Facts:
    """Measured params, by the name of the op."""
    ops = plan.graph.ops
    slopes = _Slopes(plan, run)
    found: Facts = {}
    for index, op in enumerate(ops):
        if op.kind in ("conv", "conv_transpose", "matmul") and len(op.inputs) == 1:
            facts = _power(op, run.weights(index))
        elif op.kind in ("pointwise", "norm"):
            facts = slopes.of(index)
        elif op.kind == "pool" and op.params["mode"] == "max":
            facts = _gate(_source(plan.graph, run, op.inputs[0]), run.value(index))
        else:
            continue
        if facts:
            found[op.name] = facts
    return found


def _source(graph: Graph, run: Pass, op: int) -> Array | None:
    """The value of an op, or of what it pads if that alone has one."""
    found = run.value(op)
    while found is None and graph.ops[op].kind == "pad" and len(graph.ops[op].inputs) == 1:
        op = graph.ops[op].inputs[0]
        found = run.value(op)
    return found


def _power(op: Op, weights: Sequence[Array]) -> dict[str, Any]:
    """The mean squared weight; of a filter with holes, of the taps that there are."""
    weights = [w for w in weights if w.ndim > 1 and w.dtype.kind == "f" and w.size]
    if len(weights) != 1:
        return {}
    taps = math.prod(op.params["kernel"]) if op.kind == "conv" else 1
    square = float(np.square(weights[0].astype(np.float64)).mean())
    return {"power": square * taps / len(op.params.get("taps", range(taps)))}


def _gate(source: Array | None, pooled: Array | None) -> dict[str, Any]:
    """P(the largest of a window is active) / P(one is active), over rectified values."""
    if source is None or pooled is None or source.dtype.kind != "f":
        return {}
    active = float((source > 0).mean()) if source.size else 0.0
    if bool((source < 0).any()) or active in (0.0, 1.0):
        return {}
    return {"gate": float((pooled > 0).mean()) / active}


class _Slopes:
    """Mean squared derivatives, from differences.

    Factors that follow one another in one module (a norm that is divided, then scaled) are no independent functions: the slope of the
    second is what makes their product that of both.
    """

    def __init__(self, plan: Plan, run: Pass) -> None:
        self.plan, self.run = plan, run
        ops = plan.graph.ops
        self.uses = np.bincount([i for op in ops for i in op.inputs], minlength=len(ops))
        self.rows: dict[int, tuple[int, float]] = {}
        """By the last op of a row of factors: the op that they are of, and the slope from there."""

    def of(self, index: int) -> dict[str, Any]:
        """The slopes of an op by each of its inputs; none where one cannot be had."""
        ops = self.plan.graph.ops
        op = ops[index]
        straight = len(op.inputs) == 1 and (op.kind == "norm" or op.source in STRAIGHT)
        before = op.inputs[0]
        if straight and before in self.rows and self.uses[before] == 1 and ops[before].module == op.module:
            root, slope = self.rows[before]
            whole = self._slope(index, root)
            if whole is not None and slope > 0:
                self.rows[index] = root, whole
                return {"slopes": (whole / slope,)}
        slopes = [self._slope(index, source) for source in op.inputs]
        if None in slopes:
            return {}
        if straight and slopes[0]:
            self.rows[index] = before, slopes[0]
        return {"slopes": tuple(slopes)}

    def _slope(self, index: int, source: int) -> float | None:
        """The mean squared derivative of an op by all that another made, which is moved by a little, up or down at random."""
        rest = self.run.value(source)
        if rest is None:
            return None
        if rest.dtype.kind != "f":
            return 0.0
        rest = rest.astype(np.float64)
        with np.errstate(all="ignore"):
            size = float(rest.std()) if rest.size else 0.0
        if not size > 0 or not math.isfinite(size):
            return None
        step = STEP * size
        ends = [self.run.again(index, source, x) for x in (rest, rest + step * _signs(rest.shape, self.plan.units[source]))]
        if ends[0] is None or ends[1] is None:
            return None
        if ends[0].dtype.kind != "f":
            return 0.0  # a comparison, an index: it has no gradient
        if ends[0].dtype != np.float64:
            return None  # in single precision such a step is lost
        with np.errstate(all="ignore"):
            slopes = (ends[1] - ends[0]) / step
        slopes = slopes[np.isfinite(slopes)]
        return float(np.square(slopes).mean()) if slopes.size else None


def _signs(shape: tuple[int, ...], space: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """+1 or -1 at random, laid with the axes of space last: those that `gauge` draws, from the same generator (MT19937)."""
    order = [a for a in range(len(shape)) if a not in space] + sorted(a for a in space if a < len(shape))
    raw = np.random.RandomState(0).randint(0, 2**32, size=[shape[a] for a in order], dtype=np.uint32)
    return np.where(raw & 1, 1.0, -1.0).transpose(np.argsort(order))
