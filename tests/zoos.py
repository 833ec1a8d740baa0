"""torchvision and timm for tests, where they are installed."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

_KEPT: list[torch.library.Library] = []


def installed(name: str) -> ModuleType:
    """The package, or the test is skipped. Built for another PyTorch, torchvision lacks operators whose schema it needs."""
    if not _KEPT:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)
    return pytest.importorskip(name)
