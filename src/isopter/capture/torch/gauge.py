"""What one forward pass tells of how gradients flow: the mean squared slope of every pointwise call, the mean squared weight of
every product, and how often a max-pooling window is active. These replace the assumptions of `isopter.reads.gains`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from isopter.capture.torch.capture import capture
from isopter.capture.torch.recorder import Recorder, written_by
from isopter.capture.torch.tape import map_tensors
from isopter.capture.torch.values import tensors_in

FACTS = ("power", "slopes", "gate")


def gauge(model: nn.Module, inputs: Mapping[str, Any], *, training: bool = False) -> dict[str, dict[str, Any]]:
    """Run a copy of `model` once on real `inputs` (by argument name) and return what was measured, by the name of the op.

    Holds the pass's activations, as a training step does. Raises CaptureError if the model fails.
    """
    graph = capture(model, inputs, training=training, listener=Gauge)
    found = {op.name: {k: op.params[k] for k in FACTS if k in op.params} for op in graph.ops}
    return {name: facts for name, facts in found.items() if facts}


class Gauge(Recorder):
    """A recorder that looks at the numbers, too."""

    measures = True

    def _on_data(self, func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        before = len(self.ops)
        spoilt = bool(written_by(func, args, kwargs))
        given = self.real(lambda: [(t, self.op_of(t), _kept(self.argument(t), spoilt)) for t in tensors_in((args, dict(kwargs)))])
        out = super()._on_data(func, name, args, kwargs)
        if len(self.ops) > before:
            self.real(lambda: self._measure(before, func, args, kwargs, given))
        return out

    def _measure(
        self, before: int, func: Any, args: Any, kwargs: Mapping[str, Any], given: list[tuple[Tensor, int | None, Tensor]]
    ) -> None:
        """Note what this call tells of the ops it became."""
        values = {id(t): real for t, _, real in given}
        data = {op_of: real for _, op_of, real in given if op_of is not None}
        for index in range(before, len(self.ops)):
            op = self.ops[index]
            facts: dict[str, Any] = {}
            if op.kind in ("conv", "conv_transpose", "matmul") and len(op.inputs) == 1:
                weights = [real for _, op_of, real in given if op_of is None and real.dim() > 1 and real.is_floating_point()]
                used = weights[0].shape[2:].numel() if op.kind == "conv" and weights else 1
                if len(weights) == 1:
                    square = weights[0].detach().double().square().mean()
                    facts["power"] = float(square) * used / len(op.params.get("taps", range(used)))
            elif op.kind in ("pointwise", "norm") and set(op.inputs) <= set(data):
                slopes = [self._slope(source, func, args, kwargs, given, values) for source in op.inputs]
                facts |= {"slopes": tuple(slopes)} if None not in slopes else {}
            elif op.kind == "pool" and op.params["mode"] == "max":
                facts |= _gate(data[op.inputs[0]], func, args, kwargs, values) if op.inputs[0] in data else {}
            if facts:
                self.ops[index] = replace(op, params={**op.params, **facts})

    def _slope(
        self,
        source: int,
        func: Any,
        args: Any,
        kwargs: Mapping[str, Any],
        given: list[tuple[Tensor, int | None, Tensor]],
        values: dict[int, Tensor],
    ) -> float | None:
        """The mean squared derivative of the call by all that op `source` made, from finite differences in float64."""
        moved = {id(t) for t, op_of, _ in given if op_of == source}
        if not all(real.is_floating_point() for t, _, real in given if id(t) in moved):
            return 0.0
        size = max(float(real.double().std(unbiased=False)) for t, _, real in given if id(t) in moved)
        if not size > 0:
            return None
        step = 1e-5 * size

        def wide(t: Tensor, by: float) -> Tensor:
            real = values[id(t)].detach()
            if not real.is_floating_point():
                return real.clone()
            sign = torch.randint(0, 2, real.shape, generator=torch.Generator().manual_seed(0)).to(real.device) * 2.0 - 1
            return real.double().clone() + (by * sign if id(t) in moved else 0.0)

        try:
            rest, other = (
                tensors_in(func(*map_tensors(args, lambda t: wide(t, by)), **map_tensors(dict(kwargs), lambda t: wide(t, by))))[0]  # noqa: B023
                for by in (0.0, step)
            )
        except (RuntimeError, NotImplementedError, IndexError):
            return None  # no kernel for float64, or nothing returned: the assumption stays
        if not rest.is_floating_point():
            return 0.0  # a comparison, an index: it has no gradient
        slopes = ((other - rest) / step).double()
        slopes = slopes[torch.isfinite(slopes)]
        return float(slopes.square().mean()) if slopes.numel() else None


def _kept(tensor: Tensor, spoilt: bool) -> Tensor:
    return tensor.detach().clone() if spoilt else tensor


def _gate(source: Tensor, func: Any, args: Any, kwargs: Mapping[str, Any], values: dict[int, Tensor]) -> dict[str, float]:
    """P(the largest of a window is active) / P(one is active), over rectified values."""
    active = float((source > 0).double().mean())
    if bool((source < 0).any()) or active in (0.0, 1.0):
        return {}
    pooled = tensors_in(func(*map_tensors(args, lambda t: values[id(t)]), **map_tensors(dict(kwargs), lambda t: values[id(t)])))[0]
    return {"gate": float((pooled > 0).double().mean()) / active}
