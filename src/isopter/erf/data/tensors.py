"""One sample: found in what a dataset gives, checked, and cut to the size of the model's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isopter.errors import UsageError

Array = Tensor | np.ndarray[Any, Any]
Shape = tuple[int, ...]

KEYS = ("image", "pixel_values")
"""Where dicts of datasets keep the picture; without these names their first tensor is taken."""


def first_of(item: object, kinds: tuple[type, ...]) -> Any:
    """The first thing of these kinds: the item itself, or in a tuple, list or dict, at any depth. None if there is none."""
    if isinstance(item, kinds):
        return item
    if isinstance(item, Mapping):
        inside = [*(item[key] for key in KEYS if key in item), *item.values()]
    else:
        inside = list(item) if isinstance(item, list | tuple) else []
    return next((found for part in inside if (found := first_of(part, kinds)) is not None), None)


def is_batch(array: Array, shape: Shape, name: str) -> bool:
    """Whether an array is many samples (N, C, H, W), or one (C, H, W). Raises UsageError where it is neither."""
    if array.ndim not in (len(shape), len(shape) - 1):
        axes = ", ".join(str(n) for n in shape[1:])
        raise UsageError(f"{name} has shape {tuple(array.shape)}. Expected one sample ({axes}), or many of them (N, {axes}).")
    return array.ndim == len(shape)


def fitted(array: Array, shape: Shape, name: str) -> Tensor:
    """One sample (C, *space) as a new float32 tensor of `shape` (1, C, *space), the centre where it is larger in space.

    Where a side is larger by an odd number, the row left over is cut at the end. Raises UsageError, with `name`, for another number
    of channels, a smaller size, numbers that are not floating point (their scale would be a guess), and NaN or infinity.
    """
    want = shape[1:]
    have = tuple(array.shape)
    if len(have) != len(want) or have[0] != want[0] or any(n < w for n, w in zip(have, want, strict=True)):
        raise UsageError(f"{name} has shape {have}. {_wanted(want)}{_last(have, want)}")
    cut = tuple(slice((n - w) // 2, (n - w) // 2 + w) for n, w in zip(have, want, strict=True))
    sample = _floats(array, cut, name)
    if not bool(torch.isfinite(sample).all()):
        raise UsageError(f"{name} holds NaN or infinity (in float32), and so would every gradient. Repair it, or leave it out.")
    return sample[None]


def _floats(array: Array, cut: tuple[slice, ...], name: str) -> Tensor:
    """A part as float32. It is a copy: a model that writes into its input must not reach the user's data."""
    floating = array.is_floating_point() if isinstance(array, Tensor) else array.dtype.kind == "f"
    if not floating:
        raise UsageError(
            f"{name} has dtype {array.dtype}. Expected floating point numbers, scaled as the model expects them; "
            "for pixels of 0 to 255, mostly (x / 255 - mean) / std."
        )
    if not isinstance(array, Tensor):
        with np.errstate(over="ignore"):  # what overflows becomes infinity, which is refused by name
            return torch.from_numpy(np.array(array[cut], dtype=np.float32, order="C"))
    if array.is_meta:
        raise UsageError(f"{name} is a tensor on the meta device, which has no values. Expected one with values.")
    return array.detach()[cut].to(torch.float32, copy=True, memory_format=torch.contiguous_format).as_subclass(Tensor)


def _wanted(want: Sequence[int]) -> str:
    least = " x ".join(str(n) for n in want[1:])
    space = f", and in space at least {least}, of which the centre is taken" if least else ""
    return f"Expected {tuple(want)}: {want[0]} channel{'s' * (want[0] != 1)}{space}. Give such data, or another input_size."


def _last(have: Shape, want: Shape) -> str:
    """A hint where the channels are where other frameworks have them."""
    channels_last = len(have) == len(want) > 1 and have[-1] == want[0] != have[0]
    return f" Its channels seem to be last: np.moveaxis(x, -1, {-len(want)}) moves them to the front." if channels_last else ""
