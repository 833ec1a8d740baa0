"""Recipe: how every measurement of a watch is made, so that all differ in the weights alone."""

from __future__ import annotations

import contextlib
import copy
import inspect
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from isopter.capture.dispatch import check_size, framework
from isopter.entry import analyze
from isopter.erf.data.arrays import Array, is_loader
from isopter.erf.data.numbered import numbered
from isopter.erf.frame import Frame
from isopter.erf.layers import chosen
from isopter.erf.live import RUNS, can_be_measured
from isopter.erf.measure import effective
from isopter.erf.result import Effective
from isopter.errors import DeadUnits, UsageError

OPTIONS = tuple(
    p.name for p in inspect.signature(effective).parameters.values() if p.kind is p.KEYWORD_ONLY and p.name not in ("data", "samples")
)
"""The options of `effective` that a watch hands on."""


@dataclass(frozen=True, eq=False)
class Recipe:
    """Arguments of `effective`: `data` are the samples themselves, None for noise; the seed is the same every time. `axes`: how many space
    axes the input has."""

    model: Any
    layers: tuple[str, ...]
    size: tuple[int, ...]
    axes: int
    samples: int
    data: Sequence[Array] | None
    options: Mapping[str, Any]

    def measure(self) -> Effective:
        """The fields as they are now. Raises what `effective` raises."""
        return effective(self.model, self.layers, self.size, data=self.data, samples=self.samples, **self.options)

    def trial(self) -> None:
        """Measure a single sample, to hear now what is wrong with the arguments. Units that are dead now may come to life in training."""
        data = None if self.data is None else self.data[:1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(DeadUnits):
                replace(self, samples=1, data=data).measure()


def recipe(model: Any, layers: Any, size: Sequence[int] | None, data: Any, samples: int, options: dict[str, Any]) -> Recipe:
    """Check the arguments, choose the layers and read the data, once. Raises UsageError, and CaptureError where the model fails."""
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise UsageError(f"Watch has no option {unknown[0]!r}. Beside its own it takes those of effective: {', '.join(OPTIONS)}.")
    if not can_be_measured(model):
        raise UsageError(f"Watch follows a model in training, and a {type(model).__name__} is none. Expected {RUNS}.")
    shape = check_size(size)
    if shape is None and framework(model) == "torch":
        raise UsageError("Give input_size, the shape of the model's input, such as (1, 3, 224, 224).")
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 2:
        raise UsageError(f"samples={samples!r} must be a whole number of 2 or more: one sample tells nothing about its own error.")
    bare = unwrapped(model)
    analysis = analyze(bare, shape, axes=options.get("axes"), training=options.get("training", False))
    frame = Frame.of_input(analysis)
    names = tuple(layer.name for layer in chosen(analysis, layers))
    rest = {name: value for name, value in options.items() if name != "transform"}
    kept = _read(data, frame, samples, options)
    return Recipe(bare, names, frame.shape, len(frame.axes), samples if kept is None else len(kept), kept, rest)


def unwrapped(model: Any) -> Any:
    """The model inside of what spreads it over devices or compiles it: the same weights."""
    if framework(model) != "torch":
        return model
    from torch import nn

    compiled = sys.modules.get("torch._dynamo")
    while True:
        if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
            model = model.module
        elif compiled is not None and isinstance(model, compiled.OptimizedModule):
            model = model._orig_mod
        else:
            return model


def _read(data: Any, frame: Frame, samples: int, options: Mapping[str, Any]) -> list[Array] | None:
    """The samples, read once and kept: later the training loop has the loader for itself."""
    transform, seed = options.get("transform"), options.get("seed", 0)
    if data is None and transform is None:
        return None
    generators = []
    if is_loader(data):
        generators = [g for g in (data.generator, getattr(data.sampler, "generator", None)) if g is not None]
        data = copy.copy(data)  # workers that stay alive stay with the copy
    states = [generator.get_state() for generator in generators]
    try:
        feed = numbered(data, frame, seed=seed, count=samples, transform=transform)
        kept = [sample for _, sample in feed.take(range(samples))]
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
    if len(kept) < 2:
        raise UsageError(f"data gave {len(kept)} samples. Give at least two: one tells nothing about its own error.")
    return kept
