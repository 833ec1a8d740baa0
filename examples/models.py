"""Well-known networks in plain PyTorch, to try isopter on: ``isopter table examples/models.py:resnet50 -i 1x3x224x224``.

Layers are named as in torchvision where it has the network, and as in the paper elsewhere. Weights are random: a receptive
field does not depend on them. Every factory can be called without arguments.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# ---- residual networks (He et al. 2016, Deep Residual Learning for Image Recognition) ----------------------------------


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, c_in: int, width: int, stride: int, first_stride: bool = False, gate: type[nn.Module] = nn.Identity) -> None:
        super().__init__()
        c_out = width * self.expansion
        self.conv1 = nn.Conv2d(c_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        if gate is not nn.Identity:
            self.gate = gate(c_out)
        self.downsample = _shortcut(c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if hasattr(self, "gate"):
            out = self.gate(out)
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions and a shortcut. The stride is in the 3x3, or (`first_stride`, the original) in the first 1x1."""

    expansion = 4

    def __init__(self, c_in: int, width: int, stride: int, first_stride: bool = False, dilation: int = 1) -> None:
        super().__init__()
        c_out = width * self.expansion
        strides = (stride, 1) if first_stride else (1, stride)
        self.conv1 = nn.Conv2d(c_in, width, 1, strides[0], bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, strides[1], dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, c_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(c_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


def _shortcut(c_in: int, c_out: int, stride: int) -> nn.Module | None:
    if stride == 1 and c_in == c_out:
        return None
    return nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))


class ResNet(nn.Module):
    """A 7x7 stem and four stages of blocks; `options` go to every block. The last `dilated` stages dilate in place of striding (Yu et al.
    2017, Dilated Residual Networks; as torchvision's replace_stride_with_dilation does)."""

    def __init__(
        self, block: type[nn.Module], depths: tuple[int, ...], width: int = 64, classes: int = 1000, dilated: int = 0, **options: object
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels, rate = width, 1
        for stage, depth in enumerate(depths):
            blocks = []
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                dilation = {} if rate == 1 else {"dilation": rate}
                if stride == 2 and stage >= len(depths) - dilated:
                    stride, rate = 1, 2 * rate
                blocks.append(block(channels, width * 2**stage, stride, **dilation, **options))
                channels = width * 2**stage * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.stages = len(depths)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


def resnet18() -> ResNet:
    """Field of layer4: 435 pixels."""
    return ResNet(BasicBlock, (2, 2, 2, 2))


def resnet34() -> ResNet:
    """Field of layer4: 899 pixels."""
    return ResNet(BasicBlock, (3, 4, 6, 3))


def resnet50() -> ResNet:
    """Stride in the 3x3, as in torchvision. Field of layer4: 427 pixels."""
    return ResNet(Bottleneck, (3, 4, 6, 3))


def resnet50_dilated() -> ResNet:
    """The last two stages dilate in place of striding: stride 8, for dense prediction."""
    return ResNet(Bottleneck, (3, 4, 6, 3), dilated=2)


def resnet101() -> ResNet:
    """Stride in the 3x3, as in torchvision. Field of layer4: 971 pixels."""
    return ResNet(Bottleneck, (3, 4, 23, 3))


def resnet152() -> ResNet:
    """Stride in the 3x3, as in torchvision. Field of layer4: 1451 pixels."""
    return ResNet(Bottleneck, (3, 8, 36, 3))


def resnet50_v1() -> ResNet:
    """Stride in the first 1x1, as in the paper. Field of layer4: 483 pixels."""
    return ResNet(Bottleneck, (3, 4, 6, 3), first_stride=True)


def resnet101_v1() -> ResNet:
    """Stride in the first 1x1, as in the paper. Field of layer4: 1027 pixels."""
    return ResNet(Bottleneck, (3, 4, 23, 3), first_stride=True)


def resnet152_v1() -> ResNet:
    """Stride in the first 1x1, as in the paper. Field of layer4: 1507 pixels."""
    return ResNet(Bottleneck, (3, 8, 36, 3), first_stride=True)


class SqueezeExcite(nn.Module):
    """A gate per channel, computed from the mean over the image (Hu et al. 2018): a read through a summary."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.excite = nn.Sequential(
            nn.Conv2d(channels, channels // reduction, 1), nn.ReLU(), nn.Conv2d(channels // reduction, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.excite(self.squeeze(x))


def se_resnet() -> ResNet:
    """A small residual net with squeeze-excite gates: a local field, and the whole image as context."""
    return ResNet(BasicBlock, (1, 1, 1, 1), width=16, classes=10, gate=SqueezeExcite)


# ---- plain networks ------------------------------------------------------------------------------------------------------


class Classifier(nn.Module):
    """`features`, a pooled map of fixed size, `classifier`."""

    def __init__(self, features: nn.Sequential, pooled: int, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(pooled)
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def vgg16(classes: int = 1000) -> Classifier:
    """Simonyan & Zisserman 2015, configuration D. Field of the last pool (features.30): 212 pixels, stride 32, padding 90."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool"):
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
    head = nn.Sequential(
        nn.Linear(512 * 7 * 7, 4096), nn.ReLU(True), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(), nn.Linear(4096, classes),
    )  # fmt: skip
    return Classifier(nn.Sequential(*layers), 7, head)


def alexnet(classes: int = 1000) -> Classifier:
    """Krizhevsky 2014, as in torchvision. Field of the last pool (features.12): 195 pixels, stride 32."""
    features = nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    head = nn.Sequential(
        nn.Dropout(), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(inplace=True),
        nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, classes),
    )  # fmt: skip
    return Classifier(features, 6, head)


# ---- dense prediction ----------------------------------------------------------------------------------------------------


def _two_convs(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU(), nn.Conv2d(c_out, c_out, 3, padding=1), nn.ReLU())


class UNet(nn.Module):
    """Ronneberger et al. 2015, with padding: two 3x3 per level, 2x2 max pools down, `up` and a skip connection up."""

    def __init__(self, depth: int = 4, width: int = 16, classes: int = 2, up: str = "transposed") -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.pool = nn.MaxPool2d(2)
        self.down = nn.ModuleList(_two_convs(c_in, c_out) for c_in, c_out in zip([3, *widths], widths[:-1], strict=False))
        self.bottom = _two_convs(widths[-2], widths[-1])
        self.up = nn.ModuleList(_upsample(fine * 2, fine, up) for fine in reversed(widths[:-1]))
        self.merge = nn.ModuleList(_two_convs(fine * 2, fine) for fine in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for convs in self.down:
            skips.append(convs(x))
            x = self.pool(skips[-1])
        x = self.bottom(x)
        for up, convs, skip in zip(self.up, self.merge, reversed(skips), strict=True):
            x = convs(torch.cat([skip, up(x)], 1))
        return self.head(x)


def _upsample(c_in: int, c_out: int, up: str) -> nn.Module:
    if up == "transposed":
        return nn.ConvTranspose2d(c_in, c_out, 2, 2)
    if up == "bilinear":
        return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), nn.Conv2d(c_in, c_out, 1))
    raise ValueError(f'up={up!r} must be "transposed" or "bilinear".')


def unet(up: str = "transposed") -> UNet:
    """Sizes 188 and 204 over its 16 phases (2x2 transposed convolutions)."""
    return UNet(up=up)


def unet_bilinear() -> UNet:
    """Sizes 220 and 236 over its 16 phases."""
    return unet(up="bilinear")


class DilatedBlock3d(nn.Module):
    """Two 3x3x3 convolutions of one dilation, before each a norm and a ReLU, and a shortcut that fills new channels with zeros."""

    def __init__(self, c_in: int, c_out: int, dilation: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm3d(c_in), nn.BatchNorm3d(c_out)
        self.conv1 = nn.Conv3d(c_in, c_out, 3, padding=dilation, dilation=dilation)
        self.conv2 = nn.Conv3d(c_out, c_out, 3, padding=dilation, dilation=dilation)
        self.new_channels = c_out - c_in

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        return F.pad(x, (0, 0, 0, 0, 0, 0, 0, self.new_channels)) + out if self.new_channels else x + out


class HighRes3DNet(nn.Module):
    """Li et al. 2017: a stem, then three residual blocks at each of the dilations 1, 2, 4."""

    def __init__(self, width: int = 16, classes: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv3d(1, width, 3, padding=1)
        blocks, channels = [], width
        for level in range(3):
            for _ in range(3):
                blocks.append(DilatedBlock3d(channels, width * 2**level, 2**level))
                channels = width * 2**level
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Conv3d(channels, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)))


def highres3dnet() -> HighRes3DNet:
    """Field 87; 512 paths, whose sizes have the generating function x^3 (1 + x^4)^3 (1 + x^8)^3 (1 + x^16)^3."""
    return HighRes3DNet()


# ---- sound -----------------------------------------------------------------------------------------------------------------


class CausalLayer(nn.Module):
    """A gated causal convolution of two taps; hands on a residual and a skip."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv = nn.Conv1d(channels, 2 * channels, 2, dilation=dilation)
        self.residual = nn.Conv1d(channels, channels, 1)
        self.skip = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        signal, gate = self.conv(F.pad(x, (self.dilation, 0))).chunk(2, 1)
        out = torch.tanh(signal) * torch.sigmoid(gate)
        return x + self.residual(out), self.skip(out)


class WaveNet(nn.Module):
    """van den Oord et al. 2016: stacks of causal layers of dilation 1, 2, 4, ... 512. Input (batch, 1, samples)."""

    def __init__(self, stacks: int = 1, channels: int = 16) -> None:
        super().__init__()
        self.embed = nn.Conv1d(1, channels, 1)
        self.layers = nn.ModuleList(CausalLayer(channels, 2**k) for _ in range(stacks) for k in range(10))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(channels, 256, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        total = torch.zeros_like(x)
        for layer in self.layers:
            x, skip = layer(x)
            total = total + skip
        return self.head(total)


def wavenet(stacks: int = 1) -> WaveNet:
    """Field 1024 samples for one stack, 3070 for three; it looks back only."""
    return WaveNet(stacks)


# ---- attention -------------------------------------------------------------------------------------------------------------


class SwinBlock(nn.Module):
    """Liu et al. 2021: attention inside shifted windows. Pairs of pixels that meet only because the shift wraps around
    the image are masked with -inf. Input (batch, 3, size, size)."""

    def __init__(self, size: int = 16, window: int = 4, shift: int = 2, dim: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.size, self.window, self.shift, self.heads = size, window, shift, heads
        self.embed = nn.Conv2d(3, dim, 1)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.register_buffer("mask", self._mask())

    def _mask(self) -> Tensor:
        part = torch.zeros(self.size)  # which side of the wrap a row (or column) lies on, after the shift
        part[-self.window : -self.shift] = 1
        part[-self.shift :] = 2
        parts = self._to_windows((3 * part[:, None] + part)[None, :, :, None]).squeeze(-1)
        meet = parts[:, None, :] == parts[:, :, None]
        return torch.zeros(meet.shape).masked_fill(~meet, -torch.inf)

    def _to_windows(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        x = x.view(b, h // self.window, self.window, w // self.window, self.window, c)
        return x.transpose(2, 3).reshape(-1, self.window**2, c)

    def _from_windows(self, x: Tensor, b: int) -> Tensor:
        n = self.size // self.window
        return x.view(b, n, n, self.window, self.window, -1).transpose(2, 3).reshape(b, self.size, self.size, -1)

    def attention(self, x: Tensor) -> Tensor:
        """Attention inside each window: (windows, positions, channels) to the same."""
        n, t, c = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-2, -1)) * (c // self.heads) ** -0.5
        scores = scores + self.mask.repeat(n // len(self.mask), 1, 1)[:, None]
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, c))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).permute(0, 2, 3, 1)
        shifted = torch.roll(self.norm1(x), (-self.shift, -self.shift), (1, 2))
        mixed = self._from_windows(self.attention(self._to_windows(shifted)), len(x))
        x = x + torch.roll(mixed, (self.shift, self.shift), (1, 2))
        x = x + self.mlp(self.norm2(x))
        return x.permute(0, 3, 1, 2)


def swin_block() -> SwinBlock:
    """Windows of 4 on a 16 x 16 map, shifted by 2: corner units read 2 x 2 pixels, inner ones 4 x 4. No unit has a plane."""
    return SwinBlock()
