"""What models share that are traced anew for each size of their input, whatever traces them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from isopter.analysis import Analysis
from isopter.entry import analyze
from isopter.erf.asks import BYPASSED, Ask, NotSeparable, Target, signs
from isopter.erf.layers import Layer
from isopter.erf.live import Theory
from isopter.erf.processes import Processes
from isopter.errors import CaptureError, UsageError
from isopter.fields.field import Field

DTYPES = ("float64", "float32")

TOLERANCE = {"float64": 1e-9, "float32": 1e-3, "float16": 0.05, "bfloat16": 0.1}
PRECISION = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""See `isopter.erf.live.Live`."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """A unit of the value `key`, at `at` along `axes`, and by what its channels are multiplied, a row per sample; None: by 1 where they
    are positive, else by 0."""

    layer: str
    key: Any
    axes: tuple[int, ...]
    at: tuple[int, ...]
    weights: npt.NDArray[np.floating] | None


class Program(Protocol):
    """A model as it was traced for inputs of one shape."""

    def key(self, call: str, output: int) -> Hashable:
        """What stands for the tensor that a call returned. Raises KeyError."""
        ...

    def before(self, key: Any) -> Hashable | None:
        """The value before the activation that ends in this one; None if there is no activation."""
        ...

    def aval(self, key: Any) -> tuple[tuple[int, ...], str]:
        """Its shape and the name of its type."""
        ...

    def gradients(self, samples: npt.NDArray[np.floating], wanted: Sequence[Wanted]) -> list[npt.NDArray[np.floating]]:
        """Of each unit the gradients with respect to the samples, (samples, *shape of the input)."""
        ...


class TracedLive:
    """A model that runs, see `isopter.erf.live.Live`.

    `trace(shape, rows, calls)`: the program for so many samples of this shape at once, at least as far as these calls: what comes after
    them may not take an input of that size.
    """

    def __init__(
        self,
        model: Any,
        analysis: Analysis,
        trace: Callable[[tuple[int, ...], int, frozenset[str]], Program],
        *,
        dtype: str,
        separable: bool,
        target: Target,
        seed: int,
        training: bool,
    ) -> None:
        self.model, self.analysis, self.trace = model, analysis, functools.lru_cache(maxsize=8)(trace)
        self.target, self.seed, self.training, self.separable = target, seed, training, separable
        self.tolerance, self.precision = TOLERANCE[dtype], PRECISION[dtype]
        self.bypassed: set[str] = set()

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """A trace leaves the model as it was."""
        yield

    def theory(self, layers: Sequence[Layer]) -> Theory:
        """Fields for inputs of other sizes, of the layers by the same names."""
        return theory(self.model, self.analysis, self.training)

    def processes(self) -> Processes:
        """This one alone."""
        return Processes()

    def free(self) -> float | None:
        """Not asked."""
        return None

    def notes(self, layer: str) -> tuple[str, ...]:
        """Whether an activation was bypassed."""
        return (BYPASSED,) if layer in self.bypassed else ()

    def gradients(self, samples: Sequence[Any], asks: Sequence[Ask], numbers: Sequence[int]) -> list[npt.NDArray[np.floating]]:
        """Of each ask, the gradients with respect to the samples of these numbers."""
        batch = np.stack([np.asarray(sample) for sample in samples])
        program = self._program(batch.shape[1:], len(batch), frozenset(ask.call for ask in asks))
        wanted = [self._wanted(program, ask, numbers) for ask in asks]
        return program.gradients(batch, wanted)

    def _program(self, shape: tuple[int, ...], rows: int, calls: frozenset[str]) -> Program:
        try:
            return self.trace(shape, rows, calls)
        except (UsageError, CaptureError):
            if rows > 1 and not self.separable:  # it takes a batch of one only
                raise NotSeparable from None
            raise

    def _wanted(self, program: Program, ask: Ask, numbers: Sequence[int]) -> Wanted:
        try:
            key: Any = program.key(ask.call, ask.output)
        except KeyError:
            raise CaptureError(f"{ask.layer} is not there for an input of this size: the model takes another path.") from None
        before = program.before(key) if self.target == "random" else None
        if before is not None:
            key = before
            self.bypassed.add(ask.layer)
        shape, dtype = program.aval(key)
        if "float" not in dtype:
            raise UsageError(f"The output of {ask.layer} has no gradient: its numbers are {dtype}, not real. Choose a layer before it.")
        if any(axis >= len(shape) or not 0 <= at < shape[axis] for axis, at in zip(ask.axes, ask.at, strict=True)):
            raise UsageError(f"{ask.layer} has shape {shape} in this run, without unit {ask.at} along its axes {ask.axes}.")
        return Wanted(ask.layer, key, ask.axes, ask.at, self._weights(ask, numbers))

    def _weights(self, ask: Ask, numbers: Sequence[int]) -> npt.NDArray[np.floating] | None:
        """What the channels are multiplied by: a row per sample, in the order of the tensor's axes."""
        shape = tuple(n for axis, n in enumerate(ask.shape) if axis not in ask.axes)
        count = int(np.prod(shape, dtype=np.int64))
        match self.target:
            case "random":
                return np.stack([signs(count, self.seed, number, ask.layer).reshape(shape) for number in numbers])
            case "sum":
                return np.ones((len(numbers), *shape))
            case "positive":
                return None


def dtype_name(dtype: Any, own: str, known: Sequence[str] = DTYPES) -> str:
    """The name of the precision to compute in: `own` where none is asked for. Raises UsageError for one that is not known."""
    if dtype is None:
        return own
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype).removeprefix("torch.")
    if name not in known:
        raise UsageError(f"dtype={dtype!r} must be one of {', '.join(known)}, or None for that of the model.")
    return str(name)


def theory(model: Any, analysis: Analysis, training: bool) -> Theory:
    """Fields of a model's layers for inputs of other sizes, each of which is analysed once: those of the same names."""
    names = {made: name for name, made in analysis.graph.calls.items()}
    axes = analysis._walk(analysis.origin).plan.axes

    @functools.cache
    def at(shape: tuple[int, ...]) -> Analysis:
        try:
            return analyze(model, shape, axes=axes, training=training)
        except UsageError as error:
            raise CaptureError(str(error)) from error

    def field(layer: Layer, shape: tuple[int, ...]) -> Field:
        return at(shape)[names[layer.call, layer.output]]

    return field
