"""What the probers of frameworks that give arrays share: how a pixel is moved, what a changed unit is, and weights under which reads show.

The judge of an analysis, so nothing here knows what an op reads. In the precision that most models have, single: from a baseline of
zeros, through positive weights without biases, even a factor of 1e-30 shows; elsewhere small changes drown, which is why reads that no
probe confirms are more common than with PyTorch's double precision. A change is a finite value that differs in any bit; overflow and
NaN are no evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from isopter.capture.target import Target
from isopter.errors import CaptureError, UsageError

Bools = npt.NDArray[np.bool_]
Role = Literal["weight", "scale", "zero", "one"]
"""What a constant is to its op: a weight or a scale, drawn anew; or what is put to rest at 0 (a bias, a mean) or at 1 (a variance)."""

STEPS: tuple[tuple[int, str, float], ...] = (
    (0, "zeros", 1.0),
    (0, "random", -0.61),
    (0, "random", 1e6),
    (0, "zeros", -1.0),
    (0, "random", -1e6),
    (0, "zeros", 1e12),
    (1, "random", 0.37),
    (1, "random", 1e4),
    (1, "zeros", 1.0),
    (2, "random", -30.0),
    (2, "random", 0.5),
)
"""Draw of the weights (0: positive, others of either sign), baseline and step of each probe, in single precision."""

DOUBLE_STEPS: tuple[tuple[int, str, float], ...] = (
    (0, "zeros", 1.0),
    (0, "random", -0.61),
    (0, "random", 1e6),
    (0, "random", -1e6),
    (0, "zeros", -1.0),
    (0, "random", 0.37),
    (0, "random", 1e40),
    (0, "random", -1e40),
    (1, "random", 0.37),
    (1, "random", 1e6),
    (1, "zeros", 1.0),
    (2, "random", -30.0),
    (2, "zeros", 1e6),
    (3, "random", 1e3),
    (3, "random", -0.5),
)
"""The same in double precision."""


def steps_of(weights: str) -> tuple[tuple[int, str, float], ...]:
    """The probes of a model with weights drawn anew ("positive"), or with its own ("as-is"). Raises UsageError for other words."""
    if weights not in ("positive", "as-is"):
        raise UsageError(f"weights={weights!r}: expected 'positive' or 'as-is'.")
    return STEPS if weights == "positive" else tuple(s for s in STEPS if s[0] == 0)


def baseline(shape: Sequence[int], dtype: npt.DTypeLike, kind: str, seed: Sequence[int]) -> npt.NDArray[Any]:
    """What an input is before a pixel is moved: zeros, or random numbers from 0.5 to 1.5; 0 and 1 where it is of whole numbers."""
    random, made = np.random.default_rng(list(seed)), np.dtype(dtype)
    if made.kind not in "fc":
        return random.integers(0, 2, shape).astype(made)
    return (random.random(shape) + 0.5 if kind == "random" else np.zeros(shape)).astype(made)


def perturbed(base: npt.NDArray[Any], axes: tuple[int, ...], pixel: tuple[int, ...], step: float) -> npt.NDArray[Any]:
    """`base` with one pixel moved (the position `pixel` along `axes`); unlike in every channel, as norms over channels do not see an
    equal shift."""
    moved = base.copy()
    at: list[Any] = [slice(None)] * base.ndim
    for axis, index in zip(axes, pixel, strict=True):
        at[axis] = slice(index, index + 1)
    there = tuple(at)
    if base.dtype == np.bool_:
        moved[there] ^= True
    elif base.dtype.kind in "fc":
        spread = np.random.default_rng(3).random(moved[there].shape) + 0.5
        with np.errstate(over="ignore"):
            moved[there] = (moved[there] + step * spread).astype(base.dtype)
    else:
        moved[there] += 1
    return moved


def differs(before: Any, after: Any, target: Target) -> Bools:
    """Which units of a value are not what they were, of the shape of the target's unit axes. Raises CaptureError for another shape."""
    old, new = np.asarray(before), np.asarray(after)
    if old.size != math.prod(target.shape) or new.shape != old.shape:
        raise CaptureError(f"{target.path} has the shape {new.shape} when a pixel changes, and {target.shape} in the analysis.")
    found = old != new
    if old.dtype.kind in "fc":
        found &= np.isfinite(old) & np.isfinite(new)
    others = tuple(a for a in range(len(target.shape)) if a not in target.units)
    return np.asarray(found.reshape(target.shape).any(axis=others))


def alike(rows: npt.NDArray[Any]) -> bool:
    """Whether equal samples gave equal rows (the first axis), but for rounding: otherwise a size of batch is built into the model."""
    same = bool((rows[:1] == rows).all())
    return same or (rows.dtype.kind in "fc" and bool(np.isclose(rows[:1], rows, rtol=1e-4, atol=1e-7, equal_nan=True).all()))


def drawn(
    random: np.random.Generator, role: Role, shape: Sequence[int], signed: bool, fan_in: float = 1.0, known: npt.NDArray[Any] | None = None
) -> npt.NDArray[Any]:
    """Numbers for a constant of this role, in float64.

    A weight averages the `fan_in` numbers it is summed with; `signed` draws it of either sign, and keeps the variance instead. Where
    `known`, its own numbers, are 0, it stays 0: the holes of a fixed filter.
    """
    if role in ("zero", "one"):
        return np.full(shape, 1.0 if role == "one" else 0.0)
    noise = random.random(tuple(shape)) + 0.5
    if role == "scale":
        return noise
    if signed:
        noise, fan_in = noise * random.choice([-1.0, 1.0], tuple(shape)), math.sqrt(fan_in)
    if known is not None and known.any():
        noise = noise * (known != 0)
    return np.asarray(noise / max(fan_in, 1.0))
