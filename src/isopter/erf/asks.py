"""What is differentiated: one unit of one layer, all its channels at once."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Target = Literal["random", "sum", "positive"]
"""How the unit's channels are made one number. ``random``: each times +1 or -1 drawn per sample, before the layer's activation: in the
mean the squared gradient is then the sum of those of all channels. ``sum``: their sum. ``positive``: the sum of those above zero."""

BYPASSED = "gradient before the activation"
"""What is said of a layer whose activation was bypassed."""


@dataclass(frozen=True)
class Ask:
    """Tensor number `output` that the call `call` returns, at unit `at` along `axes`.

    `shape` is the tensor's for one sample, `layer` the name of all this.
    """

    layer: str
    call: str
    output: int
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    at: tuple[int, ...]


class NotSeparable(Exception):
    """The samples of a batch do not stay apart."""


def signs(count: int, seed: int, number: int, layer: str) -> npt.NDArray[np.floating]:
    """`count` draws of +1 or -1, by seed, sample number and layer: the same in any batch, order or process."""
    return generator(seed, number, layer).integers(0, 2, count) * 2.0 - 1.0


def generator(seed: int, number: int, layer: str) -> np.random.Generator:
    """A generator for one sample of one layer, apart from those that draw the samples."""
    return np.random.default_rng(np.random.SeedSequence((seed, *b"seeds"), spawn_key=(number, zlib.crc32(layer.encode()))))
