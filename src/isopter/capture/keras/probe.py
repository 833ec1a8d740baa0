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

from isopter.capture.keras.calls import followed
from isopter.capture.keras.capture import build, first_line
from isopter.capture.keras.double import in_double
from isopter.capture.keras.inputs import arguments
from isopter.capture.keras.kept import untouched
from isopter.capture.static import probes
from isopter.capture.target import Target
from isopter.errors import CaptureError
from isopter.graph import Shape

Arrays = npt.NDArray[Any]

MEMORY = 300_000_000
"""Bytes to spend on the watched values of a batch."""

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
        self.batched = None if not training and all(s[0] == 1 for s in shapes) else False
        self.double = True

    def changed(
        self, targets: Mapping[str, Target], origin: int, axes: tuple[int, ...], pixels: Sequence[tuple[int, ...]], probe: int
    ) -> dict[str, probes.Bools]:
        """Which units of each target change with each pixel, shape (pixels, *units)."""
        draw, kind, step = self.steps[probe]
        base = [probes.baseline(s.shape, _numpy(s.dtype), kind, (self.seed, k)) for k, s in enumerate(self.given.tensors)]
        moved = [probes.perturbed(base[origin], axes, pixel, step) for pixel in pixels]
        with self._ready(draw) as lent:
            run = _Run(self, targets, lent)
            if self.double:
                self.double = run.works(base)
            if self.batched is None:
                self.batched = run.takes_batches(base)
            rows = run.in_batches(base, origin, moved) if self.batched else run.one_by_one(base, origin, moved)
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

    def __init__(self, prober: KerasProber, targets: Mapping[str, Target], lent: list[tuple[Any, Any]]) -> None:
        self.prober, self.targets, self.lent = prober, targets, lent

    def in_batches(self, base: list[Arrays], origin: int, moved: list[Arrays]) -> list[dict[str, probes.Bools]]:
        """All pixels at once, as far as memory goes; compared sample by sample with a batch of the same size that nothing moved."""
        each = sum(math.prod(t.shape) for t in self.targets.values()) * 8 + 1
        chunk = min(len(moved), max(MEMORY // each, 1))
        rows: list[dict[str, probes.Bools]] = []
        before = self.values([np.repeat(b, chunk, axis=0) for b in base])
        for start in range(0, len(moved), chunk):
            part = moved[start : start + chunk]
            part += [base[origin]] * (chunk - len(part))
            after = self.values([np.concatenate(part) if k == origin else np.repeat(b, chunk, axis=0) for k, b in enumerate(base)])
            for k in range(min(chunk, len(moved) - start)):
                one, other = ({key: values[k : k + 1] for key, values in run.items()} for run in (before, after))
                rows.append(self._differences(one, other))
        return rows

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

    def takes_batches(self, base: list[Arrays]) -> bool:
        """Whether two samples give everything twice."""
        try:
            found = self.values([np.repeat(b, 2, axis=0) for b in base])
        except CaptureError:
            return False
        return all(found[key].shape == (2, *target.shape[1:]) for key, target in self.targets.items())

    def values(self, arrays: list[Arrays]) -> dict[str, Arrays]:
        """The watched values of one run."""
        prober = self.prober
        with untouched(prober.model), in_double(prober.model) if prober.double else contextlib.nullcontext():
            tensors = [keras.ops.convert_to_tensor(a, dtype=s.dtype) for a, s in zip(arrays, prober.given.tensors, strict=True)]
            args, kwargs = prober.given.call(tensors)
            try:
                with keras.StatelessScope(state_mapping=self.lent), followed(prober.model, lambda path, call: call()) as calls:
                    prober.model(*args, training=prober.training, **kwargs)
            except Exception as error:
                said = f"{type(error).__name__} when it ran: {first_line(error)}"
                raise CaptureError(f"{prober.model.name} raised {said}") from error
        return {key: _value_of(calls.outputs, target) for key, target in self.targets.items()}

    def _differences(self, before: Mapping[str, Arrays], after: Mapping[str, Arrays]) -> dict[str, probes.Bools]:
        return {key: probes.differs(before[key], after[key], target) for key, target in self.targets.items()}


def _value_of(outputs: Mapping[str, Sequence[Any]], target: Target) -> Arrays:
    found = outputs.get(target.path, [])
    if target.output >= len(found):
        what = "was not called, or returned less, when the model ran on numbers"
        raise CaptureError(f"{target.path or 'The model'} {what}: the model asks for values.")
    return np.asarray(keras.ops.convert_to_numpy(found[target.output]))


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
