"""What probes of all frameworks share: the tensor to watch, and a bar."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Target:
    """A tensor to watch: the call of a module (or the framework's name of the value), the shape it must have, and the axes that
    index its units."""

    path: str
    output: int
    shape: tuple[int, ...]
    units: tuple[int, ...]


class Probes(Protocol):
    """A copy of a model, ready to be perturbed; `steps` are the ways to do so."""

    @property
    def steps(self) -> Sequence[object]: ...

    def changed(
        self, targets: Mapping[str, Target], origin: int, axes: tuple[int, ...], pixels: Sequence[tuple[int, ...]], probe: int
    ) -> dict[str, npt.NDArray[np.bool_]]:
        """Which units of each target change with each pixel of input number `origin`, shape (pixels, *units)."""
        ...


def progress_bar(done: int, total: int, active: bool) -> None:
    """A bar on standard error, if it is a terminal."""
    if active and sys.stderr.isatty():
        width = 30 * done // max(total, 1)
        sys.stderr.write(f"\rprobing [{'#' * width}{'.' * (30 - width)}] {done}/{total}" + ("\n" if done == total else ""))
        sys.stderr.flush()
