"""Networks in Equinox, one sample (C, H, W) at a time: ResNets with the module paths of `examples.models`."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from equinox import nn

KEY = jax.random.key(0)


class Norm(eqx.Module):
    """A batch norm at rest: a scale and a shift for each channel."""

    scale: jax.Array
    shift: jax.Array

    def __init__(self, channels: int) -> None:
        self.scale, self.shift = jnp.ones((channels, 1, 1)), jnp.zeros((channels, 1, 1))

    def __call__(self, x: jax.Array, *, key: object = None) -> jax.Array:
        return x * self.scale + self.shift


def conv(c_in: int, c_out: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, stride, padding, use_bias=False, key=KEY)


class Block(eqx.Module):
    conv1: nn.Conv2d
    bn1: Norm
    conv2: nn.Conv2d
    bn2: Norm
    conv3: nn.Conv2d | None
    bn3: Norm | None
    downsample: nn.Sequential | None

    def __init__(self, c_in: int, width: int, stride: int, bottleneck: bool) -> None:
        c_out = width * 4 if bottleneck else width
        if bottleneck:
            self.conv1, self.conv2, self.conv3 = conv(c_in, width, 1), conv(width, width, 3, stride, 1), conv(width, c_out, 1)
        else:
            self.conv1, self.conv2, self.conv3 = conv(c_in, width, 3, stride, 1), conv(width, width, 3, 1, 1), None
        self.bn1, self.bn2, self.bn3 = Norm(width), Norm(width), Norm(c_out) if bottleneck else None
        self.downsample = nn.Sequential([conv(c_in, c_out, 1, stride), Norm(c_out)]) if stride != 1 or c_in != c_out else None

    def __call__(self, x: jax.Array, *, key: object = None) -> jax.Array:
        y = jax.nn.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.conv3 is not None and self.bn3 is not None:
            y = self.bn3(self.conv3(jax.nn.relu(y)))
        return jax.nn.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(eqx.Module):
    conv1: nn.Conv2d
    bn1: Norm
    maxpool: nn.MaxPool2d
    layer1: list[Block]
    layer2: list[Block]
    layer3: list[Block]
    layer4: list[Block]
    fc: nn.Linear

    def __init__(self, depths: tuple[int, ...], bottleneck: bool) -> None:
        self.conv1, self.bn1, self.maxpool = conv(3, 64, 7, 2, 3), Norm(64), nn.MaxPool2d(3, 2, padding=1)
        c_in, stages = 64, []
        for stage, depth in enumerate(depths):
            width, blocks = 64 * 2**stage, []
            for index in range(depth):
                blocks.append(Block(c_in, width, 2 if stage and not index else 1, bottleneck))
                c_in = width * 4 if bottleneck else width
            stages.append(blocks)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = nn.Linear(c_in, 1000, key=KEY)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.maxpool(jax.nn.relu(self.bn1(self.conv1(x))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                x = block(x)
        return self.fc(x.mean(axis=(1, 2)))


def resnet18() -> eqx.Module:
    return ResNet((2, 2, 2, 2), False)


def resnet50() -> eqx.Module:
    return ResNet((3, 4, 6, 3), True)
