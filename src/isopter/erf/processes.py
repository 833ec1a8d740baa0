"""Many processes, one result: each measures every n-th sample, and their sums are added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isopter.erf.maps.measured import Sums


@dataclass(frozen=True)
class Processes:
    """This process's number and how many there are; this class is of one that is alone."""

    rank: int = 0
    count: int = 1

    def together(self, sums: Mapping[str, Sums], failure: Exception | None = None) -> dict[str, Sums]:
        """The sums of all processes. If one of them failed all raise, so that none waits for it."""
        if failure is not None:
            raise failure
        return dict(sums)
