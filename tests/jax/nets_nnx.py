"""Networks in Flax nnx: those of `examples.models`, with the same module paths."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx


def norm(channels: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return nnx.BatchNorm(channels, use_running_average=True, rngs=rngs)


class Bottleneck(nnx.Module):
    expansion = 4

    def __init__(self, c_in: int, width: int, stride: int, rngs: nnx.Rngs) -> None:
        c_out = width * 4
        self.conv1 = nnx.Conv(c_in, width, (1, 1), use_bias=False, rngs=rngs)
        self.bn1 = norm(width, rngs)
        self.conv2 = nnx.Conv(width, width, (3, 3), stride, padding=1, use_bias=False, rngs=rngs)
        self.bn2 = norm(width, rngs)
        self.conv3 = nnx.Conv(width, c_out, (1, 1), use_bias=False, rngs=rngs)
        self.bn3 = norm(c_out, rngs)
        self.downsample = (
            nnx.List([nnx.Conv(c_in, c_out, (1, 1), stride, padding=0, use_bias=False, rngs=rngs), norm(c_out, rngs)])
            if stride != 1 or c_in != c_out
            else None
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        y = jax.nn.relu(self.bn1(self.conv1(x)))
        y = jax.nn.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        if self.downsample is not None:
            x = self.downsample[1](self.downsample[0](x))
        return jax.nn.relu(y + x)


class BasicBlock(nnx.Module):
    expansion = 1

    def __init__(self, c_in: int, width: int, stride: int, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(c_in, width, (3, 3), stride, padding=1, use_bias=False, rngs=rngs)
        self.bn1 = norm(width, rngs)
        self.conv2 = nnx.Conv(width, width, (3, 3), padding=1, use_bias=False, rngs=rngs)
        self.bn2 = norm(width, rngs)
        self.downsample = (
            nnx.List([nnx.Conv(c_in, width, (1, 1), stride, padding=0, use_bias=False, rngs=rngs), norm(width, rngs)])
            if stride != 1 or c_in != width
            else None
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        y = jax.nn.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.downsample is not None:
            x = self.downsample[1](self.downsample[0](x))
        return jax.nn.relu(y + x)


class ResNet(nnx.Module):
    def __init__(self, block: type, depths: tuple[int, ...], rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(3, 64, (7, 7), 2, padding=3, use_bias=False, rngs=rngs)
        self.bn1 = norm(64, rngs)
        c_in = 64
        for stage, depth in enumerate(depths):
            width, blocks = 64 * 2**stage, []
            for index in range(depth):
                blocks.append(block(c_in, width, 2 if stage and not index else 1, rngs))
                c_in = width * block.expansion
            setattr(self, f"layer{stage + 1}", nnx.List(blocks))
        self.fc = nnx.Linear(c_in, 1000, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = jax.nn.relu(self.bn1(self.conv1(x)))
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                x = block(x)
        return self.fc(x.mean(axis=(1, 2)))


def resnet18() -> nnx.Module:
    return ResNet(BasicBlock, (2, 2, 2, 2), nnx.Rngs(0))


def resnet50() -> nnx.Module:
    return ResNet(Bottleneck, (3, 4, 6, 3), nnx.Rngs(0))
