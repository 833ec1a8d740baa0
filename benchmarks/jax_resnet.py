"""ResNet-50 in plain JAX, channels last, batch norms at rest: a function that holds its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Params = dict[str, Any]
RANDOM = np.random.default_rng(0)


def resnet50() -> Callable[[jax.Array], jax.Array]:
    """The network of images (N, H, W, 3)."""
    stages = []
    c_in = 64
    for stage, depth in enumerate((3, 4, 6, 3)):
        for index in range(depth):
            stages.append((_block(c_in, 64 * 2**stage, index == 0), 2 if stage and not index else 1))
            c_in = 256 * 2**stage
    stem, head = _unit(7, 3, 64), _floats(c_in, 1000)

    def run(x: jax.Array) -> jax.Array:
        x = jax.nn.relu(_applied(stem, x, 2))
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0)))
        for params, stride in stages:
            y = jax.nn.relu(_applied(params["a"], x))
            y = _applied(params["c"], jax.nn.relu(_applied(params["b"], y, stride)))
            x = jax.nn.relu(y + (_applied(params["skip"], x, stride) if "skip" in params else x))
        return x.mean((1, 2)) @ head

    return run


def _floats(*shape: int) -> jax.Array:
    return jnp.asarray(RANDOM.standard_normal(shape), jnp.float32)


def _unit(kernel: int, c_in: int, c_out: int) -> Params:
    return {"kernel": _floats(kernel, kernel, c_in, c_out), "norm": [_floats(c_out) for _ in range(3)] + [jnp.abs(_floats(c_out))]}


def _block(c_in: int, width: int, first: bool) -> Params:
    units = {"a": _unit(1, c_in, width), "b": _unit(3, width, width), "c": _unit(1, width, 4 * width)}
    return units | ({"skip": _unit(1, c_in, 4 * width)} if first else {})


def _applied(params: Params, x: jax.Array, stride: int = 1) -> jax.Array:
    """A convolution and its batch norm."""
    kernel, (scale, shift, mean, variance) = params["kernel"], params["norm"]
    pad = kernel.shape[0] // 2
    x = lax.conv_general_dilated(x, kernel, (stride, stride), ((pad, pad),) * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + shift
