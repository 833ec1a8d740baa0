"""The part of a detector whose fields exist: everything up to its boxes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class UpToBoxes(nn.Module):
    """Backbone, feature pyramid, and the head that rates and shifts anchors, under the names they have in the detector.

    Takes one batch of images as the detector sees them after its own resizing. What comes later (choosing boxes, cutting
    them out of the maps) depends on the values, so it has no field. `side` is the length to which the detector resizes.
    """

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.backbone = detector.backbone
        self.two_stages = hasattr(detector, "rpn")
        if self.two_stages:
            self.rpn = detector.rpn
        else:
            self.head = detector.head
        fixed = detector.transform.fixed_size
        self.side = int(fixed[0] if fixed else detector.transform.min_size[-1])

    def forward(self, images: Tensor) -> Any:
        """The head's ratings and shifts of every anchor, from images of shape (N, 3, H, W)."""
        maps = self.backbone(images)
        features = [maps] if isinstance(maps, torch.Tensor) else list(maps.values())
        return self.rpn.head(features) if self.two_stages else self.head(features)


def up_to_boxes(detector: nn.Module) -> nn.Module:
    """A detector of torchvision without its choice of boxes; in titles "FasterRCNN up to its boxes"."""
    return type(f"{type(detector).__name__} up to its boxes", (UpToBoxes,), {})(detector)
