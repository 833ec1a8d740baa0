"""Probing a traced model: perturb input pixels, and see which units of every watched value change. In double precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from isopter.capture.guard import user_code
from isopter.capture.jax.evaluate import evaluate
from isopter.capture.jax.roles import drawn_weights
from isopter.capture.jax.trace import traced
from isopter.capture.static.probes import Bools, baseline, differs, perturbed, steps_of
from isopter.capture.target import Target
from isopter.errors import CaptureError, UsageError
from isopter.graph import Shape


class JaxProber:
    """A model's jaxpr with weights of its own, ready to be perturbed."""

    def __init__(
        self, model: Any, size: Shape | None, inputs: Any, *, weights: str = "positive", training: bool = False, seed: int = 0
    ) -> None:
        self.steps = steps_of(weights)
        self.traced = traced(model, size, inputs, training)
        self.seed, self.positive = seed, weights == "positive"
        if not self.positive and (self.traced.bare or any(isinstance(w, jax.ShapeDtypeStruct) for w in self.traced.weights)):
            raise UsageError('weights="as-is" needs a model that has weights: bind the module to its variables first.')
        self._compiled: dict[frozenset[str], Any] = {}
        self._drawn: dict[int, Any] = {}
        pairs = enumerate(zip(self.traced.names, self.traced.inputs, strict=True))
        self._at = [k for k, (name, x) in pairs if name is not None and x.shape]

    def changed(
        self, targets: Mapping[str, Target], origin: int, axes: tuple[int, ...], pixels: Sequence[tuple[int, ...]], probe: int
    ) -> dict[str, Bools]:
        """Which units of each target change with each pixel, shape (pixels, *units)."""
        draw, kind, step = self.steps[probe]
        watch = frozenset(t.path for t in targets.values())
        with jax.enable_x64(True):
            base = [self._baseline(k, kind) for k in range(len(self.traced.inputs))]
            before = self._run(watch, draw, base)
            rows: dict[str, list[Bools]] = {key: [] for key in targets}
            for pixel in pixels:
                moved = list(base)
                moved[self._at[origin]] = perturbed(base[self._at[origin]], axes, pixel, step)
                after = self._run(watch, draw, moved)
                for key, target in targets.items():
                    rows[key].append(differs(before[target.path], after[target.path], target))
        return {key: np.array(row, np.bool_) for key, row in rows.items()}

    def _run(self, watch: frozenset[str], draw: int, inputs: Sequence[Any]) -> dict[str, Any]:
        weights, consts, given = self._weights(draw)
        if watch not in self._compiled:

            def run(weights: Any, consts: Any, given: Any, *inputs: Any) -> dict[str, Any]:
                return evaluate(self.traced.closed, [*weights, *inputs], watch, consts=consts, given=given, double=True)

            self._compiled = {watch: jax.jit(run)}
        found = user_code(lambda: self._compiled[watch](weights, consts, given, *inputs), "running the model")
        missing = watch - set(found)
        if missing:
            raise CaptureError(f"The model made no value {sorted(missing)[0]} when it was run: its path is decided by values.")
        return {key: np.asarray(value) for key, value in found.items()}

    def _weights(self, draw: int) -> Any:
        if draw not in self._drawn:
            closed = self.traced.closed
            own = list(self.traced.weights)
            if self.positive:
                self._drawn[draw] = drawn_weights(closed, own, np.random.default_rng(self.seed + draw), draw > 0)
            else:
                self._drawn[draw] = own, list(closed.consts), {}
        return self._drawn[draw]

    def _baseline(self, at: int, kind: str) -> Any:
        struct = self.traced.inputs[at]
        if not isinstance(struct.dtype, np.dtype):
            return jax.random.key(self.seed)
        dtype = np.float64 if jax.numpy.issubdtype(struct.dtype, jax.numpy.floating) else struct.dtype
        return baseline(struct.shape, dtype, kind, [self.seed, at])
