"""One network of the zoo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Built = tuple[Any, Any]
"""The network, a torch module or a model of Keras, and its input: a size, or tensors by position or name; None if it knows its own."""


@dataclass(frozen=True)
class Entry:
    """A network by name (``timm:resnet50``): how to build it with random weights.

    `convolutional`: it has no attention and picks no positions by value, so every field of it must be exact.
    `sample`: one of the few that a quick run takes. `proved`: the analysis is held against the network itself.
    """

    library: str
    family: str
    variant: str
    build: Callable[[], Built]
    convolutional: bool = False
    sample: bool = False
    proved: bool = True

    @property
    def name(self) -> str:
        """Library and variant."""
        return f"{self.library}:{self.variant}"
