"""Settings of all tests."""

import random

import numpy as np
import pytest
import torch

torch.set_num_threads(1)  # the tests run side by side, one process per core
torch.manual_seed(0)  # what modules of tests draw when they are imported


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Every test draws the same numbers, whichever tests ran before it and in whichever process."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
