"""Chance that depends on a seed and a place alone: whoever draws, and in whatever order, gets the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from isopter.erf.data.arrays import torch_draws

_DOMAIN = tuple(b"samples")
"""Keeps these draws apart from those that other parts make of the same seed and number."""


def generator(seed: int, *place: int) -> np.random.Generator:
    """A generator for one place, independent of those of all other places."""
    return np.random.default_rng(np.random.SeedSequence((seed, *_DOMAIN), spawn_key=place))


@contextmanager
def seeded(seed: int, *place: int) -> Iterator[None]:
    """Code that draws from the global generators (of numpy, Python, and torch on the CPU, if it was imported) draws by seed and place.

    Their states are put back. So a dataset's random crop of sample i is the same in every process, and the user's own
    draws go on as if nothing had been read.
    """
    words = [int(word) for word in generator(seed, *place, 1).integers(0, 2**32, 3)]
    with undrawn():
        if (draws := torch_draws()) is not None:
            draws[2](words[0])
        random.seed(words[1])
        np.random.seed(words[2])
        yield


@contextmanager
def undrawn() -> Iterator[None]:
    """The states of the global generators are put back, whatever was drawn from them."""
    python, numbers, draws = random.getstate(), np.random.get_state(), torch_draws()
    kept = None if draws is None else draws[0]()
    try:
        yield
    finally:
        if draws is not None:
            draws[1](kept)
        random.setstate(python)
        np.random.set_state(numbers)
