"""Networks in plain JAX, channels last: those of `examples.models`, as functions that hold their weights."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

LAYOUTS = {3: ("NWC", "WIO", "NWC"), 4: ("NHWC", "HWIO", "NHWC")}


def conv(x: Any, c_out: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, causal: bool = False) -> Any:
    n = x.ndim - 2
    w = np.ones((*(kernel,) * n, x.shape[-1], c_out), np.float32)
    pads = (((kernel - 1) * dilation, 0) if causal else (padding, padding),) * n
    return lax.conv_general_dilated(x, w, (stride,) * n, pads, rhs_dilation=(dilation,) * n, dimension_numbers=LAYOUTS[x.ndim])


def pool(x: Any, kernel: int, stride: int, padding: int = 0) -> Any:
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, kernel, kernel, 1), (1, stride, stride, 1), pads)


def resnet(x: Any, depths: tuple[int, ...], bottleneck: bool, gated: bool = False) -> Any:
    x = pool(jax.nn.relu(conv(x, 64, 7, 2, 3)), 3, 2, 1)
    for stage, depth in enumerate(depths):
        for index in range(depth):
            with jax.named_scope(f"layer{stage + 1}"), jax.named_scope(str(index)):
                x = block(x, 64 * 2**stage, 2 if stage and not index else 1, bottleneck, gated)
    return x.mean((1, 2)) @ np.ones((x.shape[-1], 10), np.float32)


def block(x: Any, width: int, stride: int, bottleneck: bool, gated: bool) -> Any:
    c_out = width * 4 if bottleneck else width
    if bottleneck:
        y = conv(jax.nn.relu(conv(jax.nn.relu(conv(x, width, 1)), width, 3, stride, 1)), c_out, 1)
    else:
        y = conv(jax.nn.relu(conv(x, c_out, 3, stride, 1)), c_out, 3, 1, 1)
    if gated:
        gate = jax.nn.relu(conv(y.mean((1, 2), keepdims=True), c_out // 4, 1))
        y = y * jax.nn.sigmoid(conv(gate, c_out, 1))
    return jax.nn.relu(y + (conv(x, c_out, 1, stride) if x.shape != y.shape else x))


def resnet18(x: Any) -> Any:
    return resnet(x, (2, 2, 2, 2), False)


def resnet50(x: Any) -> Any:
    return resnet(x, (3, 4, 6, 3), True)


def se_resnet(x: Any) -> Any:
    return resnet(x, (1, 1, 1, 1), False, gated=True)


def unet(x: Any, up: str = "transposed", width: int = 16, depth: int = 4) -> Any:
    skips = []
    for level in range(depth):
        x = two(x, width * 2**level)
        skips.append(x)
        x = pool(x, 2, 2)
    x = two(x, width * 2**depth)
    for level in reversed(range(depth)):
        c_out = width * 2**level
        if up == "transposed":
            w = np.ones((2, 2, x.shape[-1], c_out), np.float32)
            x = lax.conv_transpose(x, w, (2, 2), "VALID")
        else:
            n, h, v, c = x.shape
            x = conv(jax.image.resize(x, (n, 2 * h, 2 * v, c), "bilinear"), c_out, 1)
        x = two(jnp.concatenate([skips[level], x], -1), c_out)
    return conv(x, 2, 1)


def two(x: Any, c_out: int) -> Any:
    return jax.nn.relu(conv(jax.nn.relu(conv(x, c_out, 3, 1, 1)), c_out, 3, 1, 1))


def unet_bilinear(x: Any) -> Any:
    return unet(x, "bilinear")


def wavenet(x: Any) -> Any:
    x = conv(x, 16, 1)
    total = jnp.zeros_like(x)
    for k in range(10):
        signal, gate = jnp.split(conv(x, 32, 2, dilation=2**k, causal=True), 2, axis=-1)
        y = jnp.tanh(signal) * jax.nn.sigmoid(gate)
        x, total = x + conv(y, 16, 1), total + conv(y, 16, 1)
    return conv(jax.nn.relu(total), 256, 1)
