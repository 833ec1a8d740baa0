"""One sample: found in what a dataset gives, checked, and cut to the size of the model's input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from isopter.erf.data.arrays import Array, float32, is_tensor
from isopter.erf.frame import Frame
from isopter.errors import UsageError

KEYS = ("image", "pixel_values")
"""Where dicts of datasets keep the picture; without these names their first tensor is taken."""


def first_of(item: object, wanted: Callable[[object], bool]) -> Any:
    """The first thing that is wanted: the item itself, or in a tuple, list or dict, at any depth. None if there is none."""
    if wanted(item):
        return item
    if isinstance(item, Mapping):
        inside = [*(item[key] for key in KEYS if key in item), *item.values()]
    else:
        inside = list(item) if isinstance(item, list | tuple) else []
    return next((found for part in inside if (found := first_of(part, wanted)) is not None), None)


def is_batch(array: Array, frame: Frame, name: str) -> bool:
    """Whether an array is many samples (N, C, H, W), or one (C, H, W). Raises UsageError where it is neither."""
    if array.ndim not in (len(frame.sample) + 1, len(frame.sample)):
        axes = ", ".join(str(n) for n in frame.sample)
        raise UsageError(f"{name} has shape {tuple(array.shape)}. Expected one sample ({axes}), or many of them (N, {axes}).")
    return array.ndim == len(frame.sample) + 1


def fitted(array: Array, frame: Frame, name: str) -> Array:
    """One sample as a new float32 array of the input's shape, the centre where it is larger in space.

    Where a side is larger by an odd number, the row left over is cut at the end. Raises UsageError, with `name`, for another number
    of channels, a smaller size, numbers that are not floating point (their scale would be a guess), and NaN or infinity.
    """
    want, have, space = frame.sample, tuple(array.shape), _space(frame)
    if len(have) != len(want) or any(n < w or (n > w and a not in space) for a, (n, w) in enumerate(zip(have, want, strict=True))):
        raise UsageError(f"{name} has shape {have}. {_wanted(frame)}{_moved(have, frame)}")
    cut = tuple(slice((n - w) // 2, (n - w) // 2 + w) for n, w in zip(have, want, strict=True))
    sample: Any = _floats(array, cut, name)
    if not math.isfinite(float(abs(sample).max())):
        raise UsageError(f"{name} holds NaN or infinity (in float32), and so would every gradient. Repair it, or leave it out.")
    whole: Array = sample.reshape(frame.shape)
    return whole


def _floats(array: Any, cut: tuple[slice, ...], name: str) -> Array:
    """A part as float32. It is a copy: a model that writes into its input must not reach the user's data."""
    floating = array.is_floating_point() if is_tensor(array) else array.dtype.kind == "f" or array.dtype.name == "bfloat16"
    if not floating:
        raise UsageError(
            f"{name} has dtype {array.dtype}. Expected floating point numbers, scaled as the model expects them; "
            "for pixels of 0 to 255, mostly (x / 255 - mean) / std."
        )
    if not is_tensor(array):
        with np.errstate(over="ignore"):  # what overflows becomes infinity, which is refused by name
            return np.array(array[cut], dtype=np.float32, order="C")
    if array.is_meta:
        raise UsageError(f"{name} is a tensor on the meta device, which has no values. Expected one with values.")
    return float32(array.detach()[cut])


def _space(frame: Frame) -> tuple[int, ...]:
    """The axes of a sample along which it may be larger; none where it is a vector."""
    return tuple(a - frame.batched for a in frame.axes) if len(frame.sample) > 1 else ()


def _wanted(frame: Frame) -> str:
    want, space = frame.sample, _space(frame)
    count, least = math.prod(n for a, n in enumerate(want) if a not in space), " x ".join(str(want[a]) for a in space)
    also = f", and in space at least {least}, of which the centre is taken" if least else ""
    return f"Expected {want}: {count} channel{'s' * (count != 1)}{also}. Give such data, or another input_size."


def _moved(have: tuple[int, ...], frame: Frame) -> str:
    """A hint where the channels are where other frameworks have them."""
    want, space = frame.sample, _space(frame)
    others = [a for a in range(len(want)) if a not in space]
    if len(have) != len(want) or len(want) < 2 or len(others) != 1:
        return ""
    at, last = others[0], len(want) - 1
    if at == 0 and have[-1] == want[0] != have[0]:
        return f" Its channels seem to be last: np.moveaxis(x, -1, {-len(want)}) moves them to the front."
    if at == last and have[0] == want[-1] != have[-1]:
        return f" Its channels seem to be first: np.moveaxis(x, {-len(want)}, -1) moves them to the end."
    return ""
