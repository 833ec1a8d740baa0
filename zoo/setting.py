"""What has to be set before a zoo's library is imported: no network, one thread, no weights drawn."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "OMP_NUM_THREADS": "1",
}

import torch
from torch import Tensor, nn

torch.set_num_threads(1)

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
"""Operators that torchvision's own binaries define; beside a torch they were not built for, its import asks for them in vain."""

_library: Any = None


def declare_operators() -> None:
    """Let torchvision be imported beside any torch. Its compiled operators still cannot run; everything else can."""
    global _library
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return
    except RuntimeError:
        _library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in SCHEMAS:
            with contextlib.suppress(RuntimeError):
                _library.define(schema)


@contextlib.contextmanager
def without_drawing() -> Iterator[None]:
    """Build networks without drawing their weights: fields do not depend on them, and the largest would take minutes."""

    def leave(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return tensor

    holders: list[tuple[Any, str]] = [(nn.init, name) for name in vars(nn.init) if name.endswith("_") and not name.endswith("__")]
    holders += [(Tensor, "normal_"), (Tensor, "uniform_")]
    if "timm.layers.weight_init" in sys.modules:
        holders.append((sys.modules["timm.layers.weight_init"], "_trunc_normal_"))
    before = [getattr(holder, name) for holder, name in holders]
    for holder, name in holders:
        setattr(holder, name, leave)
    try:
        yield
    finally:
        for (holder, name), function in zip(holders, before, strict=True):
            setattr(holder, name, function)
