"""Chance that depends on a seed and a place alone: whoever draws, and in whatever order, gets the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_DOMAIN = tuple(b"samples")
"""Keeps these draws apart from those that other parts make of the same seed and number."""


def generator(seed: int, *place: int) -> np.random.Generator:
    """A generator for one place, independent of those of all other places."""
    return np.random.default_rng(np.random.SeedSequence((seed, *_DOMAIN), spawn_key=place))


@contextmanager
def seeded(seed: int, *place: int) -> Iterator[None]:
    """Code that draws from the global generators (of torch on the CPU, numpy and Python) draws by seed and place.

    Their states are put back. So a dataset's random crop of sample i is the same in every process, and the user's own
    draws go on as if nothing had been read.
    """
    words = [int(word) for word in generator(seed, *place, 1).integers(0, 2**32, 3)]
    kept, python, numbers = torch.default_generator.get_state(), random.getstate(), np.random.get_state()
    torch.default_generator.manual_seed(words[0])
    random.seed(words[1])
    np.random.seed(words[2])
    try:
        yield
    finally:
        torch.default_generator.set_state(kept)
        random.setstate(python)
        np.random.set_state(numbers)
