"""Probing the real model: perturb input pixels, and see which units of every layer change.

The probe is the judge, so it shares nothing with the analysis but names and shapes. It runs in float64 on a copy. A change is
a finite value that differs in any bit from the same sample of an unperturbed batch of the same size; overflow and NaN are
no evidence. Reads are found by several finite steps from two baselines: from all zeros a positive, bias-free net passes on even a
factor of 1e-60 without rounding; from random values gates and products show.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from isopter.capture.static.probes import DOUBLE_STEPS
from isopter.capture.target import Target
from isopter.capture.torch.belongings import Belongings, twin, untouched
from isopter.capture.torch.capture import call_arguments, first_line, initialised
from isopter.capture.torch.devices import OnThisMachine
from isopter.capture.torch.double import InDouble, widened
from isopter.capture.torch.inputs import example_inputs
from isopter.capture.torch.surroundings import alone, settings
from isopter.capture.torch.tape import map_tensors
from isopter.capture.torch.values import tensors_in
from isopter.capture.torch.watch import watch
from isopter.errors import CaptureError, UsageError

Bools = npt.NDArray[np.bool_]

GAINS = (0.0, math.sqrt(2), 1.0, 0.4)
"""The gain of the weights of each draw in `DOUBLE_STEPS`. The first two probes are always made, the others while a read is unconfirmed.

Draw 0 is of positive weights: no read cancels. But after a norm they may leave every channel of a unit below zero, and a ReLU
closed; the other draws are of both signs, and leave some channel open: of a gain that ReLUs undo, and of lower ones, under which
a softmax is not settled by its largest score. A model probed with its own weights keeps them throughout."""


MEMORY = 600_000_000
"""Bytes to spend on a batch: each watched value twice in float64."""


class Prober:
    """A copy of a model, ready to be perturbed."""

    def __init__(
        self,
        model: nn.Module,
        size: tuple[int, ...] | None,
        inputs: Any,
        *,
        weights: str = "positive",
        training: bool = False,
        seed: int = 0,
    ) -> None:
        if weights not in ("positive", "as-is"):
            raise UsageError(f"weights={weights!r}: expected 'positive' or 'as-is'.")
        self.given = example_inputs(model, size, inputs)
        self.generator = torch.Generator("cpu").manual_seed(seed)
        with alone(), settings():
            torch.manual_seed(seed)
            self.model, made_up = twin(initialised(model, self.given), "the probe must not touch the original")
            if made_up and weights == "as-is":
                raise UsageError(f"{type(model).__name__} has weights on the meta device, that is none: weights='as-is' needs them.")
            if weights == "positive":
                draw_weights(self.model, self.generator)
            for module in Belongings(self.model).modules:
                module.to("cpu")._apply(widened)
            self.model.train(training)
            for module in self.model.modules():
                if isinstance(module, nn.modules.dropout._DropoutNd):
                    module.eval()  # what one draw drops, another keeps: at rest, all is read
        self.draw = 0
        self.steps = DOUBLE_STEPS if weights == "positive" else tuple(s for s in DOUBLE_STEPS if s[0] == 0)
        self.rest = [(t, t.clone()) for t in Belongings(self.model).tensors if not isinstance(t, nn.Parameter)]
        self.tensors = tensors_in(self.given)
        self.images = [k for k, t in enumerate(self.tensors) if t.dim()]
        self.batched = True
        self._kept: tuple[Mapping[str, Target] | None, list[Tensor], dict[str, Tensor]] = (None, [], {})

    def changed(
        self, targets: Mapping[str, Target], origin: int, axes: tuple[int, ...], pixels: Sequence[tuple[int, ...]], probe: int
    ) -> dict[str, Bools]:
        """For each target, which units change when each pixel of the graph's input `origin` does: shape (pixels, *units)."""
        with alone():
            return self._changed(targets, origin, axes, pixels, probe)

    def _changed(
        self, targets: Mapping[str, Target], origin: int, axes: tuple[int, ...], pixels: Sequence[tuple[int, ...]], probe: int
    ) -> dict[str, Bools]:
        draw, name, step = self.steps[probe]
        if draw != self.draw:
            draw_weights(self.model, self.generator.manual_seed(draw), gain=GAINS[draw])
            self.draw, self._kept = draw, (None, [], {})
        origin = self.images[origin]
        base = [self._baseline(t, name) for t in self.tensors]
        found: dict[str, list[Bools]] = {key: [] for key in targets}
        values = sum(math.prod(t.shape) for t in targets.values()) + base[origin].numel()
        for chunk in _chunks(pixels, int(max(1, min(64, MEMORY // (16 * max(values, 1)))))):
            for key, block in self._run_chunk(targets, base, origin, axes, chunk, step).items():
                found[key].append(block)
        return {key: np.concatenate(blocks) if blocks else np.zeros((0,), np.bool_) for key, blocks in found.items()}

    def _run_chunk(
        self,
        targets: Mapping[str, Target],
        base: list[Tensor],
        origin: int,
        axes: tuple[int, ...],
        chunk: Sequence[tuple[int, ...]],
        step: float,
    ) -> dict[str, Bools]:
        if self.batched and len(chunk) > 1:
            with contextlib.suppress(Exception):  # a batch of one is built into the model, or its samples meet
                return self._batch(targets, base, origin, axes, chunk, step)
            self.batched = False
        rows = [self._compare(targets, base, [_perturbed(t, i == origin, axes, p, step) for i, t in enumerate(base)], 1) for p in chunk]
        return {key: np.concatenate([row[key] for row in rows]) for key in targets}

    def _batch(
        self,
        targets: Mapping[str, Target],
        base: list[Tensor],
        origin: int,
        axes: tuple[int, ...],
        chunk: Sequence[tuple[int, ...]],
        step: float,
    ) -> dict[str, Bools]:
        """All pixels of the chunk as one batch, after an unperturbed sample that must stay as it was."""
        if any(t.dim() < 2 or t.shape[0] != 1 for t in base):
            raise _NotSeparable
        count = len(chunk) + 1
        still = [t.expand(count, *t.shape[1:]).clone() for t in base]
        moved = [t.clone() for t in still]
        for row, pixel in enumerate(chunk, start=1):
            moved[origin][row : row + 1] = _perturbed(base[origin], True, axes, pixel, step)
        blocks = self._compare(targets, still, moved, count)
        if any(block[0].any() for block in blocks.values()):
            raise _NotSeparable
        return {key: block[1:] for key, block in blocks.items()}

    def _compare(self, targets: Mapping[str, Target], still: list[Tensor], moved: list[Tensor], count: int) -> dict[str, Bools]:
        """Run both and compare tensor by tensor as they are made (a later in-place op must not hide a difference)."""
        before = self._unperturbed(targets, still, count)
        result: dict[str, Bools] = {}

        def compare(key: str, tensor: Tensor) -> None:
            target = targets[key]
            if key not in before:
                raise CaptureError(f"{target.path} was called when a pixel changed, and not without: {_PATH}")
            if count > 1 and (not tensor.dim() or tensor.shape[0] != target.shape[0] * count):
                raise _NotSeparable
            old, new = before[key], tensor.detach()
            if new.numel() != count * math.prod(target.shape) or old.shape != new.shape:
                where = target.path or "The output"
                raise CaptureError(
                    f"{where} has shape {tuple(new.shape)} when a pixel changes, and {target.shape} in the analysis: {_PATH}"
                )
            differs = old != new
            if not torch.isfinite(new.sum()):  # overflow somewhere: look closer
                differs &= torch.isfinite(new.abs()) & torch.isfinite(old.abs())
            differs = differs.reshape(count, *target.shape)
            others = [a + 1 for a in range(len(target.shape)) if a not in target.units]
            for axis in sorted(others, reverse=True):
                differs = differs.any(dim=axis)
            result[key] = differs.numpy()

        self.run(moved, targets, compare)
        missing = [target.path for key, target in targets.items() if key not in result]
        if missing:
            raise CaptureError(f"{missing[0]} was not called when a pixel changed, and was in the analysis: {_PATH}")
        return result

    def _unperturbed(self, targets: Mapping[str, Target], still: list[Tensor], count: int) -> dict[str, Tensor]:
        """The watched tensors of an unperturbed batch; the last ones are kept, as chunk after chunk compares with them."""
        kept, inputs, before = self._kept
        if kept is targets and len(inputs) == len(still) and all(torch.equal(a, b) for a, b in zip(inputs, still, strict=True)):
            return before
        self._kept = (None, [], {})
        before = {}

        def keep(key: str, tensor: Tensor) -> None:
            before[key] = tensor.detach().clone()
            if count > 1 and not _alike(before[key].reshape(count, -1)):
                raise _NotSeparable  # a batch of one is built into the model

        self.run(still, targets, keep)
        self._kept = (targets, still, before)
        return before

    def run(self, tensors: list[Tensor], targets: Mapping[str, Target], visit: Callable[[str, Tensor], None]) -> None:
        """One forward pass; `visit` sees each watched tensor the moment its module returns it."""
        with torch.no_grad():
            for tensor, value in self.rest:  # what the last pass wrote must not pass for an effect of the pixel
                tensor.copy_(value)
        waiting = iter(tensors)
        given = map_tensors(self.given, lambda _: next(waiting))
        args, kwargs = call_arguments(self.model, given)
        by_path: dict[str, list[tuple[str, Target]]] = {}
        for key, target in targets.items():
            by_path.setdefault(target.path, []).append((key, target))

        def visit_all(path: str, made: list[Tensor]) -> None:
            for key, target in by_path[path]:
                if target.output < len(made):
                    visit(key, made[target.output])

        with alone() as here, settings(), untouched(self.model), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.set_default_dtype(torch.float64)  # for what the model makes of whole numbers (``x.byte() / 255``)
            self._call(args, kwargs, watch(self.model, by_path, visit_all, here))

    def _call(self, args: list[Any], kwargs: dict[str, Any], watch: contextlib.AbstractContextManager[None]) -> None:
        with watch, OnThisMachine(), InDouble():
            torch.manual_seed(0)
            try:
                self.model(*args, **kwargs)
            except (_NotSeparable, CaptureError):
                raise
            except Exception as error:
                raise CaptureError(
                    f"{type(self.model).__name__} raised {type(error).__name__} when probed in float64: {first_line(error)} "
                    "Quantised and frozen modules cannot be: verify the model from which they were made."
                ) from error

    def _baseline(self, tensor: Tensor, name: str) -> Tensor:
        self.generator.manual_seed(7)
        if tensor.is_complex():
            return torch.rand(tensor.shape, generator=self.generator, dtype=torch.complex128)
        if not tensor.is_floating_point():
            top = min((m.num_embeddings for m in self.model.modules() if isinstance(m, nn.Embedding)), default=2)
            return torch.randint(0, max(top - 1, 1), tensor.shape, generator=self.generator).to(tensor.dtype)
        if name == "zeros":
            return torch.zeros(tensor.shape, dtype=torch.float64)
        return torch.rand(tensor.shape, generator=self.generator, dtype=torch.float64) + 0.5


_PATH = "the model chooses its path by values, which the probe changes. Verify layers that are always called, with layers=[...]."


class _NotSeparable(Exception):
    """Samples of a batch influence each other, or the batch is not the first axis."""


def _alike(rows: Tensor) -> bool:
    """Whether equal samples gave equal rows, but for rounding."""
    return bool(torch.isclose(rows[:1], rows, rtol=1e-6, atol=1e-9, equal_nan=True).all()) if rows.is_floating_point() else True


def draw_weights(model: nn.Module, generator: torch.Generator, gain: float = 0.0) -> None:
    """Positive weights that average their inputs, biases of zero, normalisation at rest: a read can neither cancel nor die.
    `gain`: of either sign, and of a size that multiplies the variance by gain squared."""
    owned = Belongings(model)
    names = {id(p): name for m in owned.modules for name, p in m.named_parameters()} | {id(p): n for n, p in model.named_parameters()}
    with torch.no_grad():
        parameters = {id(p): p for p in (*model.parameters(), *owned.tensors)}
        for name, parameter in [(names[key], p) for key, p in parameters.items() if key in names]:
            if not parameter.is_floating_point():
                continue
            if "bias" in name.rpartition(".")[2] and parameter.dim() <= 1:
                parameter.zero_()
                continue
            fan_in = float(max(parameter[0].numel(), 1)) if parameter.dim() > 1 else 1.0
            noise = torch.rand(parameter.shape, generator=generator, dtype=torch.float64) + 0.5
            if gain and parameter.dim() > 1:
                signs = torch.randint(0, 2, parameter.shape, generator=generator) * 2 - 1
                noise, fan_in = noise * signs, math.sqrt(fan_in) / gain
            parameter.copy_((noise / fan_in).to(parameter.dtype))
        for module in owned.modules:
            for name, rest in (("running_mean", 0.0), ("running_var", 1.0)):
                statistic = getattr(module, name, None)
                if isinstance(statistic, Tensor):
                    statistic.fill_(rest)


def _perturbed(tensor: Tensor, here: bool, axes: tuple[int, ...], pixel: tuple[int, ...], step: float) -> Tensor:
    if not here:
        return tensor
    at = [slice(None)] * tensor.dim()
    for axis, index in zip(axes, pixel, strict=True):
        at[axis] = slice(index, index + 1)
    moved = tensor.clone()
    if tensor.is_floating_point():  # unlike in every channel: norms and softmax over channels do not see an equal shift
        spread = torch.rand(moved[tuple(at)].shape, generator=torch.Generator().manual_seed(3), dtype=tensor.dtype) + 0.5
        moved[tuple(at)] += step * spread
    elif tensor.dtype == torch.bool:
        moved[tuple(at)] ^= True
    else:
        moved[tuple(at)] += 1
    return moved


def _chunks(items: Sequence[tuple[int, ...]], size: int) -> Iterator[Sequence[tuple[int, ...]]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
