"""The networks that are measured: rows of a table, and chains of any length.

Every network ends in the map that is asked about, so that "the field of the output" is the same question for every tool.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
import models

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """`build` makes it; `shape` is its usual input.

    For the truth it is run on a long, thin image: `long` pixels along the axis asked about, `thin` along the others. The
    fields of `phases` neighbouring units are compared: after upsampling by s in all, s of them may differ. `gates` says that
    it has squeeze-excite gates, which read the whole image.
    """

    name: str
    build: Callable[[], nn.Module]
    shape: Shape
    long: int
    thin: int = 32
    phases: int = 1
    gates: bool = False

    def probe_shape(self, axis: int, length: int) -> Shape:
        """The long, thin image: one image, the same channels."""
        return (1, self.shape[1], *(length if a == axis else self.thin for a in range(len(self.shape) - 2)))


class First(nn.Module):
    """A network that returns several maps, cut down to the first."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return next(iter(self.net(x).values()))


@functools.cache
def vision() -> Any:
    """torchvision. A build that lacks its compiled operators imports once their signatures are there; none is called here."""
    try:
        import torchvision
    except RuntimeError:  # operator torchvision::nms does not exist
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for signature in ("nms(Tensor dets, Tensor scores, float threshold)", "qnms(Tensor dets, Tensor scores, float threshold)"):
            library.define(f"{signature} -> Tensor")
        KEPT.append(library)
        import torchvision
    import torchvision.models.detection.backbone_utils

    return torchvision.models


KEPT: list[Any] = []  # signatures live as long as the library that defined them


def trunk(net: nn.Module, end: str) -> nn.Module:
    """The layers of a net before the one called `end`, one after another."""
    layers = nn.Sequential()
    for name, layer in net.named_children():
        if name == end:
            return layers
        layers.add_module(name, layer)
    raise KeyError(end)


def volume_unet() -> nn.Module:
    """A residual 3-D U-Net of MONAI, with batch norms."""
    from monai.networks.nets import UNet

    channels, strides = (16, 32, 64, 128, 256), (2, 2, 2, 2)
    return UNet(spatial_dims=3, in_channels=1, out_channels=2, channels=channels, strides=strides, num_res_units=2, norm="BATCH")


def _dilated_resnet50() -> nn.Module:
    return trunk(vision().resnet50(replace_stride_with_dilation=[False, True, True]), "avgpool")


def _inception() -> nn.Module:
    return trunk(vision().inception_v3(aux_logits=False, init_weights=False), "avgpool")


def _fpn() -> nn.Module:
    return First(vision().detection.backbone_utils.resnet_fpn_backbone(backbone_name="resnet18", weights=None))


IMAGE = (1, 3, 224, 224)
NETWORKS = {
    network.name: network
    for network in (
        Network("VGG-16", lambda: models.vgg16().features, IMAGE, 320),
        Network("ResNet-18", lambda: trunk(models.resnet18(), "avgpool"), IMAGE, 640),
        Network("ResNet-152 at 512", lambda: trunk(models.resnet152(), "avgpool"), (1, 3, 512, 512), 1792),
        Network("ResNet-50, dilated", _dilated_resnet50, IMAGE, 640),
        Network("DenseNet-121", lambda: vision().densenet121().features, IMAGE, 2432),
        Network("Inception v3", _inception, (1, 3, 299, 299), 1600, thin=96),
        Network("MobileNetV3-L (gates)", lambda: vision().mobilenet_v3_large().features, IMAGE, 768, gates=True),
        Network("EfficientNet-B0 (gates)", lambda: vision().efficientnet_b0().features, IMAGE, 1088, gates=True),
        Network("ConvNeXt-T", lambda: vision().convnext_tiny().features, IMAGE, 2048),
        Network("FPN, ResNet-18", _fpn, IMAGE, 640, phases=8),
        Network("U-Net, transposed", models.unet, (1, 3, 256, 256), 288, thin=16, phases=16),
        Network("U-Net, bilinear", models.unet_bilinear, (1, 3, 256, 256), 320, thin=16, phases=16),
        Network("WaveNet, 1-D", models.wavenet, (1, 1, 16000), 4096),
        Network("HighRes3DNet, 3-D", models.highres3dnet, (1, 1, 64, 64, 64), 128, thin=4),
        Network("U-Net, 3-D", volume_unet, (1, 1, 96, 96, 96), 288, thin=16, phases=16),
    )
}


def build(name: str) -> tuple[nn.Module, Network]:
    """A network of the table with random weights, ready for evaluation."""
    torch.manual_seed(0)
    network = NETWORKS[name]
    return network.build().eval(), network


# ---- chains ----------------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """`depth` ops in pairs: a 3x3 convolution, and the sum with what came before it."""

    def __init__(self, depth: int, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth // 2))

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = x + conv(x)
        return x


def chain(depth: int, channels: int = 4) -> nn.Module:
    """`depth` 3x3 convolutions one after another."""
    return nn.Sequential(*(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth))).eval()


def residual(depth: int, channels: int = 4) -> nn.Module:
    """`depth` ops, half of them sums."""
    return Residual(depth, channels).eval()


def wide(channels: int) -> nn.Module:
    """Ten convolutions over all channels, each with a norm. On the meta device: 4096 channels would be 6 GB of weights."""
    with torch.device("meta"):
        blocks = [(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()) for _ in range(10)]
    return nn.Sequential(*(layer for block in blocks for layer in block)).eval()
