"""What measuring needs of a model that runs, whatever framework it is of.

A framework is measured by its package ``isopter.erf.NAME`` (named as its capture is), whose function `live_model` returns a `Live`. All
the rest is here and knows no framework: which unit, on how little of the image (`plan`, `trial`), the loop over samples (`run`), the maps
(`groups`). So a new framework must offer gradients of one unit with respect to the input, and little besides:

- the gradient is a NumPy array, float64 or float32, however the framework computes it (the ONNX runtime perturbs pixels);
- of what `Ask` names: the unit's channels, made one number by `asks.signs` and the like, before an activation if the target is "random";
- for an input of any size that the model takes, since canvases are smaller than the image, and sometimes larger;
- with the same numbers for the same sample, in whatever batch, or `NotSeparable`.

Its function `one_pass` is what ``Field.expected(model=...)`` asks for: by a `Pass`, whose values are at hand, or in its own way.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from isopter.analysis import Analysis
from isopter.capture.dispatch import framework, is_torch
from isopter.erf.asks import Ask, Target
from isopter.erf.layers import Layer
from isopter.erf.processes import Processes
from isopter.errors import UsageError
from isopter.fields.field import Field
from isopter.fields.plan import Plan
from isopter.graph import Graph

Theory = Callable[[Layer, tuple[int, ...]], Field]
"""The field of a layer for an input of this shape. Raises CaptureError where the model takes none of it."""

FRAMEWORKS = ("torch", "keras", "tensorflow", "jax", "onnx")
"""Those that can be measured."""


class Live(Protocol):
    """A model that runs, and gives gradients with respect to its input. Use it while `open`."""

    seed: int
    training: bool
    tolerance: float
    """Largest relative difference (of norms) that rounding makes between two gradients on canvases of different size."""
    precision: float
    """The distance from 1 to the next number it computes with."""
    separable: bool
    """Whether the samples of a batch stay apart by construction; else that is tried."""

    def open(self) -> AbstractContextManager[None]:
        """The model in the mode asked for; afterwards it is as it was."""
        ...

    def gradients(self, samples: Sequence[Any], asks: Sequence[Ask], numbers: Sequence[int]) -> list[npt.NDArray[np.floating]]:
        """Of each ask, the gradients with respect to the samples of these numbers: an array (samples, *shape of the input).

        `samples`: arrays of one shape, of NumPy, or torch tensors where the data were. Raises UsageError where a layer has no gradient,
        NotSeparable where samples meet, CaptureError where the model fails.
        """
        ...

    def theory(self, layers: Sequence[Layer]) -> Theory:
        """Fields of these layers for inputs of any shape; each shape is analysed once."""
        ...

    def processes(self) -> Processes:
        """The processes that share the samples out."""
        ...

    def free(self) -> float | None:
        """Bytes that are free on the accelerator it runs on; None on a CPU."""
        ...

    def notes(self, layer: str) -> tuple[str, ...]:
        """What the reader of a layer's map must know of how its gradients were found; after the measurement."""
        ...


class Pass(Protocol):
    """One forward pass of a live model, whose values can be asked for by the op of the graph that made them (its index).

    What it cannot give is None: an op within a step of the framework has no value of its own.
    """

    graph: Graph
    """The graph of the model on the inputs of this pass."""

    def value(self, op: int) -> npt.NDArray[Any] | None:
        """What an op made, in the axes' order of the graph."""
        ...

    def again(self, op: int, source: int, given: npt.NDArray[np.float64]) -> npt.NDArray[Any] | None:
        """What an op makes if the value of `source`, one of its inputs or of what those are made of, is `given`; in double precision."""
        ...

    def weights(self, op: int) -> list[npt.NDArray[Any]]:
        """The tensors that do not depend on the inputs by which a product multiplies its input."""
        ...


class Measures(Protocol):
    """What the package of a framework offers."""

    def one_pass(self, plan: Plan, model: Any, data: Any, seed: int) -> dict[str, dict[str, Any]]:
        """What one forward pass says in place of what theory assumes (`isopter.erf.facts`), by op. `data`: as for `analyze`; None: noise.

        Raises UsageError where the model is not the one that was analysed, CaptureError where it fails.
        """
        ...

    def live_model(
        self, model: Any, analysis: Analysis, *, target: Target, statistic: str, seed: int, training: bool, dtype: Any, device: Any
    ) -> Live:
        """The model, ready to be measured on the input that `analysis` was made for. Raises UsageError where it cannot be."""
        ...


def can_be_measured(model: object) -> bool:
    """Whether `model` is one that runs and gives gradients; a program of torch.export is none, and a layer text is none."""
    name = framework(model)
    return name in FRAMEWORKS and (name != "torch" or is_torch(model))


def measures(model: Any, what: str = "effective") -> Measures:
    """The package that measures this model. Raises UsageError for what cannot be run; `what`: who asks."""
    if not can_be_measured(model):
        raise UsageError(f"{what} runs the model itself, and a {type(model).__name__} cannot be run. Expected {RUNS}.")
    return cast(Measures, importlib.import_module(f"isopter.erf.{framework(model)}"))


RUNS = "a torch.nn.Module, a Keras model, a function or module of JAX (Flax, Equinox), a function of TensorFlow, or an ONNX model"
"""What can be measured, in words."""
