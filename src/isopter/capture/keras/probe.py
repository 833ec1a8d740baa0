"""Probing a Keras model: perturb input pixels, run it with its backend, and see which units of every layer change.

The judge of an analysis, so it shares nothing with it but names and shapes: the model's own `call` runs on numbers, whichever backend
there is, with other weights lent to it for the while of a run.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from isopter.capture.keras.capture import build, first_line
from isopter.capture.keras.compiled import Watched
from isopter.capture.keras.double import in_double
from isopter.capture.keras.inputs import arguments
from isopter.capture.keras.kept import untouched
from isopter.capture.static import probes
from isopter.capture.target import Target
from isopter.errors import CaptureError
from isopter.graph import Shape

Arrays = npt.NDArray[Any]

MEMORY = 300_000_000
"""Bytes to spend on the watched values of a batch, twice."""

MOST = 14
"""Pixels in a batch."""

ROLES: dict[str, probes.Role] = {
    "bias": "zero", "beta": "zero", "moving_mean": "zero", "mean": "zero",
    "gamma": "scale", "scale": "scale", "embeddings": "scale",
    "moving_variance": "one", "variance": "one",
}  # fmt: skip
"""What variables are, by the names that Keras' own layers give them; the others are weights."""


DEPTHWISE = tuple(getattr(keras.layers, f"{kind}Conv{n}D") for kind in ("Depthwise", "Separable") for n in (1, 2))
"""Layers with a kernel whose last two axes are channels and their multiplier."""


class KerasProber:
    """A model with weights of its own, or drawn anew, ready to be perturbed. `double`: it runs in float64, as long as it can."""

    def __init__(
        self, model: Any, size: Shape | None, inputs: Any, *, weights: str = "positive", training: bool = False, seed: int = 0
    ) -> None:
        self.steps = probes.steps_of(weights)
        self.model, self.weights, self.training, self.seed = model, weights, training, seed
        self.given = arguments(model, size, inputs)
        self.drawn: tuple[int, list[tuple[Any, Any]]] | None = None
        shapes = [s.shape for s in self.given.tensors]
        self.batched = not training and all(s[0] == 1 for s in shapes)
        self.double = True
        self.watched: Watched | None = None
        self.most = 0

    def changed(
        self, targets: Mapping[str, Target], origin: int, axes: tuple[int, ...], pixels: Sequence[tuple[int, ...]], probe: int
    ) -> dict[str, probes.Bools]:
        """Which units of each target change with each pixel, shape (pixels, *units)."""
        draw, kind, step = self.steps[probe]
        base = [probes.baseline(s.shape, _numpy(s.dtype), kind, (self.seed, k)) for k, s in enumerate(self.given.tensors)]
        moved = [probes.perturbed(base[origin], axes, pixel, step) for pixel in pixels]
        with self._ready(draw) as lent:
            if self.watched is None or not self.watched.fits(targets, [v for v, _ in lent]):
                self.watched = Watched(self.model, self.given, self.training, dict(targets), [v for v, _ in lent])
                self.most = 0
            run = _Run(self, targets, lent, self.watched)
            rows = run.in_batches(base, origin, moved) if self.batched else None
            if rows is None and self.double and not run.works(base):
                self.double = False
                rows = run.in_batches(base, origin, moved) if self.batched else None
            self.batched = rows is not None
            if rows is None:
                rows = run.one_by_one(base, origin, moved)
        return {key: np.array([row[key] for row in rows], np.bool_) for key in targets}

    @contextlib.contextmanager
    def _ready(self, draw: int) -> Iterator[list[tuple[Any, Any]]]:
        """The model, built if need be, and the values that its variables have in this draw; it is left as it was found."""
        with untouched(self.model), warnings.catch_warnings(), _at_rest():
            warnings.simplefilter("ignore")
            build(self.model, self.given, self.training)
            if self.weights == "as-is":
                yield []
                return
            if self.drawn is None or self.drawn[0] != draw or not _same(self.model.variables, self.drawn[1]):
                random = np.random.default_rng(self.seed + draw)
                fans = _fans(self.model)
                found = [(v, _value(v, random, draw > 0, fans[id(v)])) for v in self.model.variables]
                self.drawn = draw, [(v, keras.ops.convert_to_tensor(a, dtype=v.dtype)) for v, a in found if a is not None]
            yield self.drawn[1]


class _Run:
    """Runs of a model on numbers, and what they change."""

    def __init__(self, prober: KerasProber, targets: Mapping[str, Target], lent: list[tuple[Any, Any]], watched: Watched) -> None:
        self.prober, self.targets, self.lent, self.watched = prober, targets, lent, watched

    def in_batches(self, base: list[Arrays], origin: int, moved: list[Arrays]) -> list[dict[str, probes.Bools]] | None:
        """Many pixels at once; compared sample by sample with a batch of the same size that nothing moved. None if samples meet.

        The first and the last sample stay as they were, and all between them move: whatever mixes a batch, by whatever distance and
        in whichever direction, shows in one of the two. All batches are of one size, which is compiled once.
        """
        count = self._rows(len(moved)) - 2
        before = self._batch([np.repeat(b, count + 2, axis=0) for b in base])
        if before is None or not all(map(probes.alike, before.values())):
            return None
        rows: list[dict[str, probes.Bools]] = []
        for start in range(0, len(moved), count):
            part = moved[start : start + count]
            still = [base[origin]] * (count + 1 - len(part))
            batch = np.concatenate([base[origin], *part, *still])
            after = self._batch([batch if k == origin else np.repeat(b, count + 2, axis=0) for k, b in enumerate(base)])
            if after is None:
                return None
            found = [self._row(before, after, k) for k in range(count + 2)]
            if any(unlike.any() for k in (0, *range(len(part) + 1, count + 2)) for unlike in found[k].values()):
                return None
            rows += found[1 : len(part) + 1]
        return rows

    def _rows(self, count: int) -> int:
        """How many samples are in a batch: of a size that memory allows, and once chosen the same."""
        if not self.prober.most:
            each = sum(math.prod(t.shape) for t in self.targets.values()) * 16 + 1
            self.prober.most = min(count, max(MEMORY // each - 2, 1), MOST) + 2
        return self.prober.most

    def _batch(self, arrays: list[Arrays]) -> dict[str, Arrays] | None:
        """The watched values of a batch; None where the model does not take one, or does not give everything for each sample."""
        try:
            found = self.values(arrays)
        except CaptureError:
            return None
        size = len(arrays[0])
        return found if all(found[key].shape == (size, *target.shape[1:]) for key, target in self.targets.items()) else None

    def _row(self, before: Mapping[str, Arrays], after: Mapping[str, Arrays], k: int) -> dict[str, probes.Bools]:
        one, other = ({key: values[k : k + 1] for key, values in run.items()} for run in (before, after))
        return self._differences(one, other)

    def one_by_one(self, base: list[Arrays], origin: int, moved: list[Arrays]) -> list[dict[str, probes.Bools]]:
        """A run for every pixel."""
        before = self.values(base)
        return [self._differences(before, self.values([m if k == origin else b for k, b in enumerate(base)])) for m in moved]

    def works(self, base: list[Arrays]) -> bool:
        """Whether the model runs in double precision; where it does not, it has to do with its own."""
        try:
            self.values(base)
        except CaptureError:
            return False
        return True

    def values(self, arrays: list[Arrays]) -> dict[str, Arrays]:
        """The watched values of one run."""
        prober = self.prober
        with untouched(prober.model), in_double(prober.model) if prober.double else contextlib.nullcontext():
            tensors = [keras.ops.convert_to_tensor(a, dtype=s.dtype) for a, s in zip(arrays, prober.given.tensors, strict=True)]
            try:
                made = self.watched(tensors, [value for _, value in self.lent])
            except Exception as error:
                said = f"{type(error).__name__} when it ran: {first_line(error)}"
                raise CaptureError(f"{prober.model.name} raised {said}") from error
            return {key: np.asarray(keras.ops.convert_to_numpy(value)) for key, value in zip(self.targets, made, strict=True)}

    def _differences(self, before: Mapping[str, Arrays], after: Mapping[str, Arrays]) -> dict[str, probes.Bools]:
        return {key: probes.differs(before[key], after[key], target) for key, target in self.targets.items()}


def _fans(model: Any) -> dict[int, float]:
    """How many numbers each weight of a variable (by id) is summed with."""
    fans = {id(v): math.prod(v.shape[:-1]) if len(v.shape) > 1 else 1.0 for v in model.variables}
    for layer in model._flatten_layers():
        for name in ("depthwise_kernel", "kernel") if isinstance(layer, DEPTHWISE) else ():
            if (kernel := getattr(layer, name, None)) is not None:
                fans[id(kernel)] = math.prod(kernel.shape[:-2])
    return fans


def _value(variable: Any, random: np.random.Generator, signed: bool, fan_in: float) -> Arrays | None:
    """A variable's numbers in a draw; None for what is no weight (a state, a table of whole numbers)."""
    if not keras.backend.is_float_dtype(variable.dtype):
        return None
    role = ROLES.get(variable.name, "weight")
    known = keras.ops.convert_to_numpy(variable.value).astype(np.float64) if role == "weight" and not variable.trainable else None
    return probes.drawn(random, role, tuple(variable.shape), signed, fan_in, known)


def _same(variables: Sequence[Any], lent: Sequence[tuple[Any, Any]]) -> bool:
    """Whether values were drawn for these variables: a model that was not built has new ones each time."""
    mine = {id(v) for v in variables}
    return all(id(v) in mine for v, _ in lent)


def _numpy(dtype: str) -> npt.DTypeLike:
    return np.float32 if dtype == "bfloat16" else np.bool_ if dtype == "bool" else np.dtype(dtype)


def _at_rest() -> contextlib.AbstractContextManager[Any]:
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    from isopter.capture.keras.torch import at_rest

    return at_rest()
