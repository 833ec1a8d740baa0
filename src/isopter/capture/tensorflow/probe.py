"""Probing a TensorFlow graph: perturb input pixels, and see which units of every tensor change.

It runs in double precision. Ops without a kernel for that (resizing) run in single: what they round away stays unconfirmed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.static import probes
from isopter.capture.static.probes import Bools
from isopter.capture.static.values import Array, Const
from isopter.capture.target import Target
from isopter.capture.tensorflow.capture import captured
from isopter.capture.tensorflow.concrete import traced
from isopter.capture.tensorflow.prepared import Prepared, prepared
from isopter.capture.tensorflow.program import said
from isopter.capture.tensorflow.roles import draw
from isopter.errors import CaptureError
from isopter.graph import Shape


class TensorFlowProber:
    """The graph of a model with its tensors as results, and weights that may be drawn anew."""

    def __init__(
        self, model: Any, size: Shape | None, inputs: Any, *, weights: str = "positive", training: bool = False, seed: int = 0
    ) -> None:
        probes.steps_of(weights)
        found = traced(model, size, inputs, training)
        self._ready(found.program, found.names, found.shapes, weights, seed)

    @classmethod
    def of(cls, concrete: Any, names: Sequence[str], shapes: Sequence[Shape | None], *, weights: str, seed: int) -> TensorFlowProber:
        """Of a concrete function itself."""
        prober = cls.__new__(cls)
        prober._ready(concrete, names, shapes, weights, seed)
        return prober

    def _ready(self, source: Any, names: Sequence[str], shapes: Sequence[Shape | None], weights: str, seed: int) -> None:
        capture = captured(source, names, None, shapes)
        self.flat = capture.flat
        self._values = capture.known
        self.images = [k for k, name in enumerate(names) if name in capture.inputs]
        self.weights, self.seed = weights, seed
        self.steps = probes.DOUBLE_STEPS if weights == "positive" else tuple(s for s in probes.DOUBLE_STEPS if s[0] == 0)
        self.drawn: tuple[int, dict[Any, Any]] = -1, {}
        self._function: tuple[tuple[str, ...], Prepared] | None = None

    def changed(
        self, targets: Mapping[str, Target], origin: int, axes: tuple[int, ...], pixels: Sequence[tuple[int, ...]], probe: int
    ) -> dict[str, Bools]:
        """Which units of each target change with each pixel, shape (pixels, *units)."""
        number, baseline, step = self.steps[probe]
        watch = tuple(dict.fromkeys(t.path for t in targets.values()))
        function = self._prepared(number, watch)
        base = [probes.baseline(shape, dtype.as_numpy_dtype, baseline, [self.seed, k]) for k, (shape, dtype) in enumerate(function.spec)]
        before = self._run(function, watch, base)
        image = self.images[origin]
        rows: dict[str, list[Bools]] = {key: [] for key in targets}
        for pixel in pixels:
            moved = list(base)
            moved[image] = probes.perturbed(base[image], axes, pixel, step)
            after = self._run(function, watch, moved)
            for key, target in targets.items():
                rows[key].append(probes.differs(before[target.path], after[target.path], target))
        return {key: np.array(row, np.bool_) for key, row in rows.items()}

    def _run(self, function: Prepared, watch: Sequence[str], inputs: Sequence[Array]) -> dict[str, Array]:
        try:
            return dict(zip(watch, (np.asarray(t) for t in function(*inputs)), strict=True))
        except (tf.errors.OpError, ValueError, TypeError, NotImplementedError) as error:
            raise CaptureError(f"TensorFlow could not run the model ({said(error)}). Run it yourself on such an input.") from error

    def _prepared(self, number: int, watch: tuple[str, ...]) -> Prepared:
        """The function of these tensors, with the weights of a draw: variables, so that it is traced once."""
        if self.weights == "positive" and self.drawn[0] != number:
            made = draw(self.flat, self._numbers, self.seed + number, number > 0)
            variables = self.drawn[1] or {k: tf.Variable(v, dtype=tf.float64, trainable=False) for k, v in made.items()}
            for operand, variable in variables.items():
                variable.assign(made[operand])
            self.drawn = number, variables
        if self._function is None or self._function[0] != watch:
            self._function = watch, prepared(self.flat, watch, tf.float64, self.drawn[1])
        return self._function[1]

    def _numbers(self, tensor: str) -> Array | None:
        value = self._values.get(tensor)
        return value.load() if isinstance(value, Const) else None
