"""Networks in Flax linen: ResNets with the modules of `examples.models`."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

Conv = partial(nn.Conv, use_bias=False)
Norm = partial(nn.BatchNorm, use_running_average=True)


class Block(nn.Module):
    width: int
    stride: int = 1
    bottleneck: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        c_out = self.width * (4 if self.bottleneck else 1)
        if self.bottleneck:
            y = nn.relu(Norm(name="bn1")(Conv(self.width, (1, 1), name="conv1")(x)))
            y = nn.relu(Norm(name="bn2")(Conv(self.width, (3, 3), self.stride, padding=1, name="conv2")(y)))
            y = Norm(name="bn3")(Conv(c_out, (1, 1), name="conv3")(y))
        else:
            y = nn.relu(Norm(name="bn1")(Conv(c_out, (3, 3), self.stride, padding=1, name="conv1")(x)))
            y = Norm(name="bn2")(Conv(c_out, (3, 3), padding=1, name="conv2")(y))
        if x.shape != y.shape:
            x = Norm(name="downsample_1")(Conv(c_out, (1, 1), self.stride, name="downsample_0")(x))
        return nn.relu(y + x)


class ResNet(nn.Module):
    depths: tuple[int, ...]
    bottleneck: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.relu(Norm(name="bn1")(Conv(64, (7, 7), 2, padding=3, name="conv1")(x)))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for stage, depth in enumerate(self.depths):
            for index in range(depth):
                x = Block(64 * 2**stage, 2 if stage and not index else 1, self.bottleneck, name=f"layer{stage + 1}_{index}")(x)
        return nn.Dense(1000, name="fc")(jnp.mean(x, axis=(1, 2)))


def resnet18() -> nn.Module:
    return ResNet((2, 2, 2, 2), False)


def resnet50() -> nn.Module:
    return ResNet((3, 4, 6, 3))
