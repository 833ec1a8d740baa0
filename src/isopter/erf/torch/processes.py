"""The processes of torch.distributed, which share the samples out."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist

from isopter.erf import processes as alone
from isopter.erf.maps.measured import Sums
from isopter.errors import UsageError


@dataclass(frozen=True)
class Processes(alone.Processes):
    """This process's number and how many there are."""

    def together(self, sums: Mapping[str, Sums], failure: Exception | None = None) -> dict[str, Sums]:
        """The sums of all processes. If one of them failed all raise, so that none waits for it."""
        if self.count > 1:
            said: list[str | None] = [None] * self.count
            dist.all_gather_object(said, None if failure is None else str(failure))
            other = next((f"process {rank} of {self.count}: {text}" for rank, text in enumerate(said) if text is not None), "")
            if other and failure is None:
                raise UsageError(f"Stopped, as did {other}")
        if failure is not None:
            raise failure
        return {name: Sums.of([self._added(a) for a in own.arrays()]) for name, own in sums.items()} if self.count > 1 else dict(sums)

    def _added(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        on_cpu = "gloo" in str(dist.get_backend()) or "mpi" in str(dist.get_backend())
        tensor = tensor if on_cpu else tensor.cuda()
        dist.all_reduce(tensor)
        return tensor.cpu().numpy()


def processes(device: torch.device) -> Processes:
    """Those of torch.distributed, if it is initialised or torchrun started us; else this one alone.

    Under torchrun a group is made where there is none, and kept until the process ends: it cannot be made twice.
    """
    if not dist.is_available():
        return Processes()
    if not dist.is_initialized():
        if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys() or os.environ["WORLD_SIZE"] == "1":
            return Processes()
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return Processes(dist.get_rank(), dist.get_world_size())


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
