"""The architectures in JAX: channels last, plain functions of an array with their weights closed over."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Net = Callable[[jax.Array], jax.Array]
RANDOM = np.random.default_rng(0)

SPACE = {1: "W", 2: "HW", 3: "DHW"}


def weights(*shape: int) -> jax.Array:
    return jnp.asarray(RANDOM.standard_normal(shape), jnp.float32)


def conv(
    out: int, into: int, kernel: int | tuple[int, ...], stride: int = 1, pad: str | int | tuple[int, int] = "VALID", dilation: int = 1,
    groups: int = 1, ndim: int = 2, relu: bool = False,
) -> Net:  # fmt: skip
    """A convolution of channels-last tensors; `pad` on every axis, or (before, after)."""
    sizes = (kernel,) * ndim if isinstance(kernel, int) else kernel
    w, b = weights(*sizes, into // groups, out), weights(out)
    s = SPACE[ndim]
    padding = pad if isinstance(pad, str) else [(pad, pad) if isinstance(pad, int) else pad] * ndim

    def run(x: jax.Array) -> jax.Array:
        y = lax.conv_general_dilated(
            x, w, (stride,) * ndim, padding, rhs_dilation=(dilation,) * ndim, dimension_numbers=(f"N{s}C", f"{s}IO", f"N{s}C"),
            feature_group_count=groups,
        )  # fmt: skip
        return jax.nn.relu(y + b) if relu else y + b

    return run


def up(out: int, into: int, kernel: int, stride: int, padding: str = "VALID") -> Net:
    """A transposed convolution."""
    w = weights(kernel, kernel, into, out)
    return lambda x: lax.conv_transpose(x, w, (stride, stride), padding)


def dense(out: int, into: int) -> Net:
    w, b = weights(into, out), weights(out)
    return lambda x: x @ w + b


def max_pool(size: int, stride: int, padding: str = "VALID") -> Net:
    return lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, size, size, 1), (1, stride, stride, 1), padding)


def chain(*nets: Net) -> Net:
    def run(x: jax.Array) -> jax.Array:
        for net in nets:
            x = net(x)
        return x

    return run


def plain() -> Net:
    return chain(conv(4, 3, 3, relu=True), conv(5, 4, (5, 3), relu=True), max_pool(2, 2), conv(2, 5, 3))


def strided_same() -> Net:
    return chain(conv(4, 3, 3, 2, "SAME", relu=True), max_pool(3, 2, "SAME"), conv(4, 4, 4, 3, "SAME"))


def dilated() -> Net:
    return chain(*(conv(3, c, 3, pad="SAME", dilation=d, relu=True) for d, c in ((1, 2), (2, 3), (4, 3))))


def grouped() -> Net:
    return chain(conv(6, 4, 3, groups=2, relu=True), conv(4, 6, 3, 2, 1, groups=2))


def depthwise() -> Net:
    return chain(conv(4, 4, 5, pad="SAME", groups=4), conv(6, 4, 1, relu=True), conv(6, 6, 3, 2, groups=6), conv(3, 6, 1))


def transposed() -> Net:
    return chain(conv(4, 3, 4, 2, 1, relu=True), up(3, 4, 4, 2, "SAME"), up(2, 3, 2, 2))


def unet() -> Net:
    a, b, c = conv(3, 3, 3, pad=1, relu=True), conv(4, 3, 3, pad=1, relu=True), conv(5, 4, 3, pad=1, relu=True)
    pool, rise, low, end = max_pool(2, 2), up(4, 5, 2, 2), conv(3, 8, 3, pad=1, relu=True), conv(2, 6, 3, pad=1)

    def run(x: jax.Array) -> jax.Array:
        one = a(x)
        two = b(pool(one))
        two = low(jnp.concatenate([rise(c(pool(two))), two], -1))
        return end(jnp.concatenate([jnp.repeat(jnp.repeat(two, 2, 1), 2, 2), one], -1))

    return run


def inception() -> Net:
    branches = [conv(2, 3, k, pad="SAME") for k in (1, 3, 5)] + [chain(max_pool(3, 1, "SAME"), conv(2, 3, 1))]
    end = conv(3, 8, 3)
    return lambda x: end(jnp.concatenate([branch(x) for branch in branches], -1))


def squeeze_excite() -> Net:
    first, down, rise, last = conv(4, 3, 3), dense(2, 4), dense(4, 2), conv(3, 4, 3)

    def run(x: jax.Array) -> jax.Array:
        x = first(x)
        gate = jax.nn.sigmoid(rise(jax.nn.relu(down(x.mean((1, 2))))))
        return last(x * gate[:, None, None, :])

    return run


def group_norm() -> Net:
    first, last, scale = conv(4, 4, 3), conv(2, 4, 3), weights(4)

    def run(x: jax.Array) -> jax.Array:
        x = first(x)
        y = x.reshape(*x.shape[:3], 2, 2)
        mean, var = y.mean((1, 2, 4), keepdims=True), y.var((1, 2, 4), keepdims=True)
        return last(jax.nn.relu(((y - mean) * lax.rsqrt(var + 1e-5)).reshape(x.shape) * scale))

    return run


def layer_norm() -> Net:
    first, last, scale = conv(4, 4, 3, pad="SAME"), conv(2, 4, 5), weights(4)

    def run(x: jax.Array) -> jax.Array:
        x = first(x)
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return last((x - mean) / jnp.sqrt(var + 1e-5) * scale)

    return run


def attention() -> Net:
    patch, q, k, v, last = conv(4, 3, 4, 4), *(dense(4, 4) for _ in range(4))

    def run(x: jax.Array) -> jax.Array:
        tokens = patch(x).reshape(1, -1, 4)
        scores = jax.nn.softmax(jnp.einsum("bic,bjc->bij", q(tokens), k(tokens)) / 2)
        return last(tokens + scores @ v(tokens))

    return run


def masked_attention() -> Net:
    first, q, k, v = conv(4, 3, 3, ndim=1), *(dense(4, 4) for _ in range(3))

    def run(x: jax.Array) -> jax.Array:
        tokens = first(x)
        scores = q(tokens) @ k(tokens).transpose(0, 2, 1) / 2
        n = scores.shape[-1]
        return jax.nn.softmax(jnp.where(jnp.tril(jnp.ones((n, n), bool)), scores, -jnp.inf)) @ v(tokens)

    return run


def causal() -> Net:
    convs = [conv(2, 2, 3, pad=(2 * d, 0), dilation=d, ndim=1) for d in (1, 2, 4)]

    def run(x: jax.Array) -> jax.Array:
        for one in convs:
            x = x + jnp.tanh(one(x))
        return x

    return run


def volume() -> Net:
    window = (1, 2, 2, 2, 1)
    pool = lambda x: lax.reduce_window(x, 0.0, lax.add, window, window, "VALID") / 8  # noqa: E731
    return chain(conv(3, 2, 3, pad="SAME", ndim=3, relu=True), pool, conv(2, 3, (3, 1, 3), ndim=3))


def resized(method: str) -> Net:
    return lambda x: jax.image.resize(x, (1, 2 * x.shape[1], 2 * x.shape[2], x.shape[3]), method)


def nearest() -> Net:
    return chain(conv(3, 3, 3, pad="SAME"), resized("nearest"), conv(2, 3, 3))


def bilinear() -> Net:
    return chain(conv(3, 3, 3, 2, 1), resized("bilinear"), conv(2, 3, 3, pad="SAME"))


def pixel_shuffle() -> Net:
    def shuffle(x: jax.Array) -> jax.Array:
        _, h, w, c = x.shape
        return x.reshape(1, h, w, c // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2 * h, 2 * w, c // 4)

    return chain(conv(12, 3, 3, pad="SAME"), shuffle, conv(2, 3, 3))


def residual() -> Net:
    a, b, skip = conv(4, 3, 3, 2, 1, relu=True), conv(4, 4, 3, pad=1), conv(4, 3, 1, 2)
    c, d = conv(4, 4, 3, pad=1, relu=True), conv(4, 4, 3, pad=1)

    def run(x: jax.Array) -> jax.Array:
        x = jax.nn.relu(b(a(x)) + skip(x))
        return x + d(c(x))

    return run


def classifier() -> Net:
    return chain(conv(4, 3, 3, 2, relu=True), lambda x: x.mean((1, 2)), dense(3, 4))


def batch_norm_mobile() -> Net:
    def norm(channels: int) -> Net:
        mean, var, scale, shift = (weights(channels) for _ in range(4))
        return lambda x: (x - mean) / jnp.sqrt(jnp.abs(var) + 1e-3) * scale + shift

    six = lambda x: jnp.clip(x, 0, 6)  # noqa: E731
    return chain(conv(4, 3, 3, 2, 1), norm(4), six, conv(4, 4, 3, pad=1, groups=4), norm(4), six, conv(6, 4, 1), norm(6))


NETS: dict[str, Callable[[], Net]] = {
    f.__name__: f
    for f in (
        plain, strided_same, dilated, grouped, depthwise, transposed, unet, inception, squeeze_excite, group_norm, layer_norm, attention,
        masked_attention, causal, volume, nearest, bilinear, pixel_shuffle, residual, classifier, batch_norm_mobile,
    )
}  # fmt: skip
