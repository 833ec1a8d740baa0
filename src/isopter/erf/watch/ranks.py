"""Which of the processes of a distributed training run this one is, and what the first one tells the others."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from isopter.errors import IsopterError, UsageError

Value = TypeVar("Value")


def rank() -> int:
    """This process's number; 0 where it is alone."""
    return dist().get_rank() if _many() else 0


def pending() -> bool:
    """Whether a launcher started several processes, and they have not met yet: a measurement would have to introduce them.

    Training does that itself, in its own way, and it can be done once only.
    """
    if dist() is None or not dist().is_available() or dist().is_initialized():
        return False
    return {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys() and os.environ["WORLD_SIZE"] != "1"


def from_first(make: Callable[[], Value]) -> Value:
    """What `make` returns in the first process, in all of them. If it raises all raise, so that none waits for another."""
    if not _many():
        return make()
    told: list[Any] = [None, None]
    failure: IsopterError | None = None
    if dist().get_rank() == 0:
        try:
            told[0] = make()
        except IsopterError as error:
            told[1], failure = str(error), error
    dist().broadcast_object_list(told, src=0)
    if told[1] is not None:
        raise failure or UsageError(told[1])
    value: Value = told[0]
    return value


def _many() -> bool:
    return dist() is not None and dist().is_available() and dist().is_initialized() and dist().get_world_size() > 1


def dist() -> Any:
    """``torch.distributed``; None where nobody has imported torch, as in training with another framework."""
    return sys.modules.get("torch.distributed")
