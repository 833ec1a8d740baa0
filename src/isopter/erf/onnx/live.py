"""ONNX models that run: no gradients, but what a unit does when a pixel is moved.

Central differences, ``(f(x + e s) - f(x - e s)) / 2 e``, one pixel at a time, within the unit's theoretical field. For the energy all
channels of a pixel are moved at once, each by a random sign s, the same ones for all pixels of a sample: squared, the mean over signs is
the sum of the squared derivatives by the channels. (Moving pixels at once would not tell which did it.) Other statistics move channels
alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper

from isopter.analysis import Analysis
from isopter.capture.onnx.file import checked_model, read_model
from isopter.capture.onnx.inputs import sized
from isopter.erf.asks import Ask, Target, generator, signs
from isopter.erf.layers import Layer
from isopter.erf.live import Theory
from isopter.erf.onnx.program import Floats, OnnxProgram, Source
from isopter.erf.traced import TracedLive, Wanted, dtype_name
from isopter.errors import UsageError
from isopter.fields.field import Field

STEP = 0.02
"""Of the sample's standard deviation. ResNet-18's layer1 is 0.3 % off its gradients then; by 0.1 it is 2.5 % off, as ReLUs open and
close, and the smaller a step, the more of it drowns in single precision."""

PIXELS = 1024
"""Pixels that are moved for one sample. Of larger fields each sample moves a part, and samples take turns."""


class OnnxLive(TracedLive):
    """A model that runs, see `isopter.erf.live.Live`; its gradients are estimates."""

    def __init__(
        self,
        model: Any,
        analysis: Analysis,
        *,
        target: Target,
        statistic: str,
        seed: int,
        training: bool,
        dtype: Any,
        device: Any,
    ) -> None:
        plan = analysis._walk(analysis.origin).plan
        self.axes = plan.axes
        source = _source(model, analysis.name, plan.graph.ops[plan.origin].shape)
        kind = dtype_name(dtype, source.dtype.name, (source.dtype.name,))
        if device not in (None, "cpu"):
            raise UsageError(f"device={device!r}: an ONNX model is measured on the CPU. Leave it out.")
        self._at = functools.lru_cache(4)(lambda shape: OnnxProgram(source, shape, self.axes))
        super().__init__(
            model,
            analysis,
            lambda shape, rows, calls: self._at(shape),  # type: ignore[arg-type,return-value]
            dtype=kind,
            separable=True,
            target=target,
            seed=seed,
            training=training,
        )
        self.energy, self.dtype = statistic == "energy", source.dtype
        self.tolerance = 1e-4 if kind == "float64" else 0.05
        self._parts: dict[str, tuple[int, int]] = {}

    def theory(self, layers: Sequence[Layer]) -> Theory:
        """Fields for inputs of other sizes, also of those that the file does not allow: it is asked to take them."""

        def field(layer: Layer, shape: tuple[int, ...]) -> Field:
            found: Field = self._at(shape).field(layer.call, layer.output)
            return found

        return field

    def notes(self, layer: str) -> tuple[str, ...]:
        """How the map was found."""
        moved, count = self._parts.get(layer, (0, 0))
        some = f"; each sample moves {moved:,} of the field's {count:,} pixels" if moved < count else ""
        how = f"measured without gradients: pixels moved one by one, by {STEP} standard deviations of the sample either way{some}"
        return (how, *super().notes(layer))

    def gradients(self, samples: Sequence[Any], asks: Sequence[Ask], numbers: Sequence[int]) -> list[npt.NDArray[np.floating]]:
        """Of each ask, the estimated gradients. That for the energy stands in the first channel, for all of them."""
        given = [np.asarray(sample, self.dtype) for sample in samples]
        return [np.stack([self._estimated(x, ask, number) for x, number in zip(given, numbers, strict=True)]) for ask in asks]

    def _estimated(self, sample: Floats, ask: Ask, number: int) -> npt.NDArray[np.float64]:
        program: OnnxProgram = self._at(sample.shape)
        wanted = self._wanted(program, ask, (number,))  # type: ignore[arg-type]
        weights = _open(program, wanted, sample) if wanted.weights is None else wanted.weights[0]
        pixels, factor = self._pixels(program, ask, number)
        moves = self._moves(sample.shape, number)
        each = [(self._there(sample.ndim, pixel), move) for pixel in pixels for move in moves]
        step = STEP * (float(sample.std()) or 1.0)

        def inputs(start: int, stop: int) -> Floats:
            made = np.repeat(sample[None], stop - start, axis=0)
            for row, at in enumerate(range(start, stop)):
                there, move = each[at // 2]
                made[row][there] += (step if at % 2 else -step) * move
            return made

        def number_of(values: Floats) -> Floats:
            return np.asarray((_unit(values, wanted) * weights).reshape(len(values), -1).sum(axis=1))

        found = np.zeros(sample.shape)
        if each:
            ends = program.values(wanted.key, inputs, 2 * len(each), number_of)
            slopes = factor * (ends[1::2] - ends[::2]) / (2 * step)
            for (there, move), slope in zip(each, slopes, strict=True):
                found[there] += slope * (_first(move) if self.energy else move)
        return found

    def _pixels(self, program: OnnxProgram, ask: Ask, number: int) -> tuple[list[tuple[int, ...]], float]:
        """The pixels of the unit's field that this sample moves, and by what their slopes are multiplied to stand for all."""
        region = program.field(ask.call, ask.output).region(ask.at, context=True)
        sides = [hi - lo for lo, hi in zip(region.lo, region.hi, strict=True)]
        count = math.prod(sides)
        parts = max(-(-count // PIXELS), 1)
        order = generator(self.seed, 0, f"pixels of {ask.layer}").permutation(count) if parts > 1 else np.arange(count)
        mine = np.sort(order[number % parts :: parts])
        self._parts[ask.layer] = -(-count // parts), count
        places = np.stack(np.unravel_index(mine, sides), axis=1) + np.array(region.lo)
        share = count / max(len(mine), 1)
        return [tuple(int(i) for i in place) for place in places], share**0.5 if self.energy else share

    def _moves(self, shape: tuple[int, ...], number: int) -> list[Floats]:
        """By what the channels of a pixel are moved: all of them by signs, or each alone. Of one pixel's shape."""
        own = tuple(1 if a in self.axes else n for a, n in enumerate(shape))
        count = math.prod(own)
        if self.energy:
            return [signs(count, self.seed, number, "channels of the input").reshape(own)]
        return [row.reshape(own) for row in np.eye(count)]

    def _there(self, ndim: int, pixel: tuple[int, ...]) -> tuple[slice, ...]:
        at = dict(zip(self.axes, pixel, strict=True))
        return tuple(slice(at[a], at[a] + 1) if a in at else slice(None) for a in range(ndim))


def _source(model: Any, title: str, shape: tuple[int, ...]) -> Source:
    home = Path(model).expanduser() if isinstance(model, str | Path) else None
    light = checked_model(model) if home is None else read_model(home)
    given = sized(light.graph, shape, None)
    if len(given) != 1:
        raise UsageError(f"{title} has the inputs {', '.join(given)}. Effective fields are measured on models of one.")
    ((name, (_, code)),) = given.items()
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(code))
    if dtype.kind != "f":
        raise UsageError(f"The input {name} of {title} holds {dtype}, not real numbers: there is nothing to differentiate by.")
    return Source(light, lambda: light if home is None else read_model(home, whole=True), home, name, dtype)


def _unit(values: Floats, wanted: Wanted) -> Floats:
    """The unit's channels of values (rows, *shape), in double precision."""
    at = dict(zip(wanted.axes, wanted.at, strict=True))
    return np.asarray(values[(slice(None), *(at.get(a, slice(None)) for a in range(values.ndim - 1)))], np.float64)


def _open(program: OnnxProgram, wanted: Wanted, sample: Floats) -> Floats:
    """1 where the unit's channels are positive, else 0."""
    values = program.values(wanted.key, lambda start, stop: sample[None], 1, lambda v: _unit(v, wanted))
    return np.asarray(values[0] > 0, np.float64)


def _first(move: Floats) -> Floats:
    """1 in the first channel."""
    made = np.zeros(move.size)
    made[0] = 1
    return made.reshape(move.shape)
