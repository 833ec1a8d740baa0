"""Gradients of a live model: one forward pass up to the last layer wanted, and one backward pass per layer."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from isopter.analysis import Analysis
from isopter.capture.torch.belongings import untouched
from isopter.capture.torch.capture import first_line
from isopter.capture.torch.devices import OnThisMachine
from isopter.capture.torch.double import InDouble
from isopter.capture.torch.surroundings import alone, patiently, settings
from isopter.capture.torch.watch import watch
from isopter.erf.asks import BYPASSED, Ask, NotSeparable, Target
from isopter.erf.layers import Layer
from isopter.erf.live import Theory
from isopter.erf.processes import Processes
from isopter.erf.torch import processes
from isopter.erf.torch.asks import Picked, gradient, pick
from isopter.erf.torch.ready import ready
from isopter.erf.torch.rest import Rest
from isopter.erf.torch.theory import theory
from isopter.errors import CaptureError, UsageError

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
"""Largest relative difference (of norms) that rounding makes, in another order of the same sums. On GPUs float32 may be TF32."""


class _Enough(BaseException):
    """All that was wanted has been seen; no model's ``except Exception`` holds it up."""


class Live:
    """A module that runs, see `isopter.erf.live.Live`."""

    separable = False

    def __init__(self, model: nn.Module, analysis: Analysis, *, target: Target, seed: int, training: bool, dtype: Any, device: Any) -> None:
        plan = analysis._walk(analysis.origin).plan
        shape, self._axes = plan.graph.ops[plan.origin].shape, plan.axes
        self.original, self.target, self.seed, self.training = model, target, seed, training
        with alone(), settings():
            self.model, self.dtype, self.device = ready(model, shape, dtype, device)
        self.tolerance = 0.02 if self.dtype is torch.float32 and self.device.type == "cuda" else TOLERANCE[self.dtype]
        self.precision = torch.finfo(self.dtype).eps
        self.bypassed: set[str] = set()
        """Layers whose gradient is of the values before their activation."""
        self._elsewhere = False
        """Whether the model asks for devices that are not there."""
        self._here: Callable[[], bool] = lambda: True
        self._rest: Rest | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """The model in the mode asked for, its weights without gradients; afterwards it is as it was."""
        copied = self.model is not self.original
        first = untouched(self.original) if copied else contextlib.nullcontext()  # a copy may share what closures hold
        with alone() as self._here, first, untouched(self.model, self.training) as tensors:
            for tensor in tensors:
                if tensor.is_leaf and tensor.requires_grad:
                    tensor.requires_grad_(False)  # so that nothing is kept that only their gradients need
            self._rest = Rest(self.model)
            try:
                yield
            finally:
                self._rest.put_back()

    def theory(self, layers: Sequence[Layer]) -> Theory:
        """Fields for inputs of other sizes."""
        return theory(self.original, layers, self.training, self._axes)

    def processes(self) -> Processes:
        """Those of torch.distributed."""
        return processes.processes(self.device)

    def free(self) -> float | None:
        """Bytes free on the GPU."""
        return float(torch.cuda.mem_get_info(self.device)[0]) if self.device.type == "cuda" else None

    def notes(self, layer: str) -> tuple[str, ...]:
        """Whether an activation was bypassed."""
        return (BYPASSED,) if layer in self.bypassed else ()

    def gradients(self, samples: Sequence[Any], asks: Sequence[Ask], numbers: Sequence[int]) -> list[npt.NDArray[np.floating]]:
        """Of each ask, the gradients with respect to the samples of these numbers.

        Raises UsageError where a layer has no gradient, NotSeparable where samples meet, CaptureError where the model fails.
        """
        rows = [torch.as_tensor(sample) for sample in samples]
        found = self._patient(torch.cat(rows) if len(rows) > 1 else rows[0], asks, numbers)
        return [_array(gradient, (len(rows), *rows[0].shape)) for gradient in found]

    def _patient(self, batch: Tensor, asks: Sequence[Ask], numbers: Sequence[int]) -> list[Tensor]:
        try:
            return patiently(lambda: self._gradients(batch, asks, numbers))
        except CaptureError:
            if self._elsewhere:
                raise
            self._elsewhere = True  # what that needs listens to every call, which is not for nothing
        try:
            return self._gradients(batch, asks, numbers)
        except CaptureError:
            self._elsewhere = False
            raise

    def _gradients(self, batch: Tensor, asks: Sequence[Ask], numbers: Sequence[int]) -> list[Tensor]:
        assert self._rest is not None, "gradients() outside of open()"
        with settings(), torch.enable_grad(), warnings.catch_warnings(), torch.autocast(self.device.type, enabled=False):
            warnings.simplefilter("ignore")
            double = InDouble() if self.dtype is torch.float64 else contextlib.nullcontext()
            if self.dtype is torch.float64:
                torch.set_default_dtype(torch.float64)
            self._rest.put_back()
            self._draw_from(numbers[0])
            leaf = batch.detach().to(self.device, self.dtype, copy=True).requires_grad_()
            with OnThisMachine() if self._elsewhere else contextlib.nullcontext(), double:
                picked = self._forward(leaf, asks, len(numbers))
                return [gradient(leaf, ask, picked[ask.layer], self.target, self.seed, numbers, keep=ask is not asks[-1]) for ask in asks]

    def _draw_from(self, number: int) -> None:
        """Dropout and the like are drawn by the sample's number, not by what ran before; `settings` puts all states back."""
        words = np.random.SeedSequence((self.seed, *b"model"), spawn_key=(number,)).generate_state(3)
        torch.default_generator.manual_seed(int(words[0]))
        if torch.cuda.is_initialized():  # `torch.manual_seed` would note where it was called, for a GPU that is never used
            torch.cuda.manual_seed_all(int(words[0]))
        random.seed(int(words[1]))
        np.random.seed(int(words[2]))

    def _heard(self, x: Tensor, calls: Collection[str], visit: Callable[[str, list[Tensor]], None]) -> None:
        """Run the model on `x`, and tell `visit` what these calls return."""
        with watch(self.model, calls, visit, self._here):
            self.model(x)

    def _forward(self, leaf: Tensor, asks: Sequence[Ask], rows: int) -> dict[str, Picked]:
        by_call: dict[str, list[Ask]] = {}
        for ask in asks:
            by_call.setdefault(ask.call, []).append(ask)
        picked: dict[str, Picked] = {}

        def visit(call: str, made: list[Tensor]) -> None:
            for ask in by_call[call]:
                if ask.output < len(made):
                    picked[ask.layer] = pick(made[ask.output], ask, rows, self.target)
            if len(picked) == len(asks):
                raise _Enough

        try:
            with contextlib.suppress(_Enough):
                self._heard(leaf.clone(), by_call, visit)  # a copy: a model may write to its input
        except (UsageError, NotSeparable):
            raise
        except Exception as error:
            name, shape = type(self.original).__name__, "x".join(map(str, leaf.shape))
            raise CaptureError(f"{name} raised {type(error).__name__} when run on an input of {shape}: {first_line(error)}") from error
        missing = [ask.layer for ask in asks if ask.layer not in picked]
        if missing:
            raise CaptureError(f"{missing[0]} was not called in this run, and was in the analysis: the model chooses its path by values.")
        self.bypassed |= {layer for layer, found in picked.items() if found.activation is not None}
        return picked


def _array(gradient: Tensor, shape: tuple[int, ...]) -> npt.NDArray[np.floating]:
    """A gradient in NumPy, which has no bfloat16."""
    values = gradient.detach().cpu()
    found: npt.NDArray[np.floating] = (values if values.dtype in (torch.float32, torch.float64) else values.float()).numpy()
    return found.reshape(shape)
