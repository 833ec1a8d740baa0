"""The networks whose effective fields are measured. Each ends in an activation, and `before` names the value that goes into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from subjects import Shape, models, trunk, vision


@dataclass(frozen=True)
class Case:
    """A network with random weights, a layer of it, and an input whose middle unit of that layer has its whole field inside.

    `before` is the module whose last input is the layer's output before its activation. `calibrated`: its batch norms are given
    the statistics of each input; else they have those they are built with. `live`: the theory is held to its promise with one forward
    pass of the model; else by the architecture alone.
    """

    build: Callable[[], nn.Module]
    shape: Shape
    layer: str
    before: str
    calibrated: bool = False
    live: bool = False


def chain(depth: int, channels: int = 16, strides: Mapping[int, int] = {}, dilations: Mapping[int, int] = {}) -> nn.Sequential:
    """`depth` 3x3 convolutions with a ReLU after each; strides and dilations other than 1 by position."""
    layers: list[nn.Module] = []
    for i in range(depth):
        wide = dilations.get(i, 1)
        layers += [nn.Conv2d(channels if i else 3, channels, 3, strides.get(i, 1), wide, wide), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Three levels of two 3x3 convolutions, max pooling down, 2x2 transposed convolutions up."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        c = channels
        self.pool = nn.MaxPool2d(2)
        self.down = nn.ModuleList([_pair(3, c), _pair(c, 2 * c), _pair(2 * c, 4 * c)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(4 * c, 2 * c, 2, 2), nn.ConvTranspose2d(2 * c, c, 2, 2)])
        self.join = nn.ModuleList([_pair(4 * c, 2 * c), _pair(2 * c, c)])

    def forward(self, x: Tensor) -> Tensor:
        first = self.down[0](x)
        second = self.down[1](self.pool(first))
        x = self.join[0](torch.cat([self.up[0](self.down[2](self.pool(second))), second], 1))
        return self.join[1](torch.cat([self.up[1](x), first], 1))


def _pair(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU(), nn.Conv2d(c_out, c_out, 3, padding=1), nn.ReLU())


def resnet18() -> nn.Module:
    """torchvision's, up to layer4."""
    return trunk(vision().resnet18(), "avgpool")


def _resnet(calibrated: bool) -> Case:
    return Case(resnet18, (1, 3, 448, 448), "layer4", "layer4.1.relu", calibrated, live=True)


CASES = {
    "plain: 10 convolutions": Case(lambda: chain(10), (1, 3, 33, 33), "19", "19"),
    "strided: 8, of which 3 by 2": Case(lambda: chain(8, strides={0: 2, 3: 2, 5: 2}), (1, 3, 96, 96), "15", "15"),
    "dilated: 8, with rates 2 and 4": Case(lambda: chain(8, dilations={2: 2, 4: 4}), (1, 3, 48, 48), "15", "15"),
    "ResNet-18, batch norms as built": _resnet(calibrated=False),
    "ResNet-18, batch norms calibrated": _resnet(calibrated=True),
    "U-Net, max pooling": Case(UNet, (1, 3, 96, 96), "join.1", "join.1.3", live=True),
}


def sound() -> nn.Module:
    """Ten dilated 1-D convolutions, 32 channels."""
    layers = [(nn.Conv1d(32 if i else 1, 32, 3, padding=2 ** (i % 5), dilation=2 ** (i % 5)), nn.ReLU()) for i in range(10)]
    return nn.Sequential(*(layer for pair in layers for layer in pair))


def volume() -> nn.Module:
    """Six 3-D convolutions, 16 channels, one strided, with batch norms."""
    blocks = [(nn.Conv3d(16 if i else 1, 16, 3, 2 if i == 2 else 1, 1), nn.BatchNorm3d(16), nn.ReLU()) for i in range(6)]
    return nn.Sequential(*(layer for block in blocks for layer in block))


@dataclass(frozen=True)
class Timed:
    """A network, its usual input, and a layer to be timed."""

    build: Callable[[], nn.Module]
    shape: Shape
    layer: str


TIMED = {
    "ResNet-18, layer2": Timed(resnet18, (1, 3, 224, 224), "layer2"),
    "ResNet-18, layer4": Timed(resnet18, (1, 3, 224, 224), "layer4"),
    "VGG-16, conv4_3": Timed(lambda: models.vgg16().features, (1, 3, 224, 224), "21"),
    "1-D, 10 dilated convolutions": Timed(sound, (1, 1, 16000), "19"),
    "3-D, 6 convolutions": Timed(volume, (1, 1, 64, 64, 64), "17"),
}


def ready(build: Callable[[], nn.Module], dtype: torch.dtype = torch.float32) -> nn.Module:
    """The network for evaluation, with weights drawn by one seed, that need no gradients."""
    torch.manual_seed(0)
    return build().to(dtype).eval().requires_grad_(False)
