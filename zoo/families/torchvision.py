"""torchvision: everything but its quantised models; of detectors the backbone with its pyramid, whose output is a map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torchvision.models as models
from torch import nn

from zoo.entry import Built, Entry

SAMPLE = {"resnet18", "googlenet", "mobilenet_v3_small", "swin_t", "fcn_resnet50", "retinanet_resnet50_fpn", "r3d_18"}
ATTENTION = ("vit", "swin", "swin3d", "maxvit", "mvit", "raft")
DETECTION = ("fasterrcnn", "maskrcnn", "keypointrcnn", "retinanet", "fcos", "ssd300", "ssdlite320")
SIZES = {
    "inception": (1, 3, 299, 299),
    "r3d": (1, 3, 16, 112, 112),
    "mc3": (1, 3, 16, 112, 112),
    "r2plus1d": (1, 3, 16, 112, 112),
    "s3d": (1, 3, 16, 224, 224),
    "swin3d": (1, 3, 16, 112, 112),
    "mvit": (1, 3, 16, 224, 224),
    "ssd300": (1, 3, 300, 300),
    "ssdlite320": (1, 3, 320, 320),
}


def entries() -> Iterator[Entry]:
    """All of `torchvision.models.list_models()` but the quantised ones."""
    for name in models.list_models():
        if not name.startswith("quantized_"):
            family = name.split("_")[0].rstrip("0123456789") or name
            yield Entry("torchvision", family, name, lambda name=name: build(name), family not in ATTENTION, name in SAMPLE)


def build(name: str) -> Built:
    """A network without weights, and an input it takes."""
    head = name.split("_")[0]
    if head == "raft":
        pair = torch.zeros(1, 3, 128, 128), torch.zeros(1, 3, 128, 128)
        return models.get_model(name, weights=None), pair
    options: dict[str, Any] = {"weights": None}
    if head in DETECTION or head in ("fcn", "deeplabv3", "lraspp"):
        options["weights_backbone"] = None
    if head in ("googlenet", "inception"):
        options["init_weights"] = False
    model: nn.Module = models.get_model(name, **options)
    return (model.backbone if head in DETECTION else model), SIZES.get(head, (1, 3, 224, 224))
