"""The same networks with the same weights in PyTorch, JAX and TensorFlow, to be measured side by side.

A network is a list of layers in words; each is called by its number, as the layers of a `Sequential` are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Layer = tuple[str, int, int]
"""("conv", channels, stride), ("pool", 0, 2), ("up", channels, 2), ("join", number of the layer that is joined, 0), or an activation."""

PLAIN: list[Layer] = [("conv", 6, 1), ("relu", 0, 0), ("conv", 5, 1), ("silu", 0, 0)]
STRIDED: list[Layer] = [("conv", 6, 2), ("silu", 0, 0), ("conv", 5, 1), ("relu", 0, 0), ("conv", 4, 2)]
UNET: list[Layer] = [
    ("conv", 6, 1), ("relu", 0, 0), ("pool", 0, 2), ("conv", 8, 1), ("relu", 0, 0), ("up", 6, 2), ("join", 1, 0), ("conv", 5, 1),
    ("relu", 0, 0),
]  # fmt: skip
NETWORKS = {"plain": PLAIN, "strided": STRIDED, "unet": UNET}


def weights(network: list[Layer], channels: int = 3, seed: int = 0) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None]:
    """Kernels (in, out, 3, 3) or (in, out, 2, 2), in single precision, and biases; None for layers without."""
    random, made, widths = np.random.default_rng(seed), [], []
    for kind, out, _ in network:
        if kind in ("conv", "up"):
            side = 3 if kind == "conv" else 2
            kernel = random.standard_normal((channels, out, side, side)) / (channels * side * side) ** 0.5
            made.append((kernel.astype(np.float32), (0.1 * random.standard_normal(out)).astype(np.float32)))
            channels = out
        else:
            made.append(None)
            channels += widths[out] if kind == "join" else 0
        widths.append(channels)
    return made


class Torch(nn.Module):
    """A network in PyTorch, channels first."""

    def __init__(self, network: list[Layer], channels: int = 3) -> None:
        super().__init__()
        self.network = network
        for k, (layer, found) in enumerate(zip(network, weights(network, channels), strict=True)):
            self.add_module(str(k), _module(layer, found))
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        made: list[Tensor] = []
        for k, (kind, of, _) in enumerate(self.network):
            x = torch.cat([made[of], x], 1) if kind == "join" else getattr(self, str(k))(x)
            made.append(x)
        return x


def _module(layer: Layer, found: Any) -> nn.Module:
    kind, out, stride = layer
    if found is None:
        plain: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "join": nn.Identity}
        return nn.MaxPool2d(2) if kind == "pool" else plain[kind]()
    kernel, bias = (torch.from_numpy(a) for a in found)
    made: Any
    if kind == "conv":
        made = nn.Conv2d(len(kernel), out, 3, stride, padding=1)
        made.weight.data = kernel.transpose(0, 1).contiguous()
    else:
        made = nn.ConvTranspose2d(len(kernel), out, 2, 2)
        made.weight.data = kernel.contiguous()
    made.bias.data = bias.clone()
    return made  # type: ignore[no-any-return]


def jax_net(network: list[Layer], order: str = "NHWC", channels: int = 3, scale: float = 1.0) -> Callable[[Any], Any]:
    """A network in JAX, as a function of an array in that order."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    space, last = [order.index("H"), order.index("W")], order.index("C")
    held = [None if w is None else (scale * jnp.asarray(w[0].transpose(2, 3, 0, 1)), jnp.asarray(w[1])) for w in weights(network, channels)]

    def window(sides: int) -> tuple[int, ...]:
        return tuple(sides if a in space else 1 for a in range(4))

    def one(layer: Layer, w: Any, x: Any) -> Any:
        kind, _, stride = layer
        if kind in ("relu", "silu"):
            return getattr(jax.nn, kind)(x)
        if kind == "pool":
            return lax.reduce_window(x, -jnp.inf, lax.max, window(2), window(2), "VALID")
        bias = w[1].reshape([-1 if a == last else 1 for a in range(4)])
        if kind == "up":
            return lax.conv_transpose(x, w[0][::-1, ::-1], (2, 2), "VALID", dimension_numbers=(order, "HWIO", order)) + bias
        return lax.conv_general_dilated(x, w[0], (stride, stride), ((1, 1), (1, 1)), dimension_numbers=(order, "HWIO", order)) + bias

    def net(x: Any) -> Any:
        made: list[Any] = []
        for k, (layer, w) in enumerate(zip(network, held, strict=True)):
            with jax.named_scope(str(k)):
                x = jnp.concatenate([made[layer[1]], x], last) if layer[0] == "join" else one(layer, w, x)
            made.append(x)
        return x

    return net


def tensorflow_net(network: list[Layer], channels: int = 3) -> Any:
    """A network in TensorFlow, channels last."""
    import tensorflow as tf  # type: ignore[import-untyped]

    held = [None if w is None else (tf.Variable(w[0].transpose(2, 3, 0, 1)), tf.Variable(w[1])) for w in weights(network, channels)]

    def one(layer: Layer, w: Any, x: Any) -> Any:
        kind, out, stride = layer
        if kind in ("relu", "silu"):
            return getattr(tf.nn, kind)(x)
        if kind == "pool":
            return tf.nn.max_pool2d(x, 2, 2, "VALID")
        if kind == "up":
            n, height, width, _ = x.shape
            return tf.nn.conv2d_transpose(x, tf.transpose(w[0], (0, 1, 3, 2)), (n, 2 * height, 2 * width, out), 2, "VALID") + w[1]
        return tf.nn.conv2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), w[0], stride, "VALID") + w[1]

    @tf.function
    def net(x: Any) -> Any:
        made: list[Any] = []
        for k, (layer, w) in enumerate(zip(network, held, strict=True)):
            with tf.name_scope(str(k)):
                x = tf.concat([made[layer[1]], x], -1) if layer[0] == "join" else one(layer, w, x)
            made.append(x)
        return x

    return net


def close(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], tolerance: float = 1e-9) -> bool:
    """Whether two maps are the same, relatively to their largest number."""
    return a.shape == b.shape and float(np.abs(a - b).max()) <= tolerance * float(np.abs(b).max())
