"""Functions of one or a few primitives: each translator's plain cases, odd sizes and borders. Name: (function, input shape)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Case = tuple[Callable[..., Any], tuple[int, ...]]

def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def blur(n: int, m: int, sigma: float) -> np.ndarray:
    """Gaussian weights (n, m): beside the largest, those at the edge are no more than rounding is, and read."""
    apart = np.arange(n)[:, None] - (np.arange(m) + 0.5) * n / m + 0.5
    return np.asarray(np.exp(-(apart**2) / (2 * sigma**2)), np.float32)


def folded_norm(x: Any, axes: tuple[int, ...], scale: Any, minus: bool = False) -> Any:
    """A norm as Keras has it: ``x s + (b - m s)``."""
    mean = x.mean(axes, keepdims=True)
    factor = lax.rsqrt(((x - mean) ** 2).mean(axes, keepdims=True) + 1e-5) * scale
    return x * factor - mean * factor if minus else x * factor + (weights(4) + -mean * factor)


def windows(start: float, by: Callable[..., Any], size: tuple[int, ...], **options: Any) -> Callable[..., Any]:
    options = {"window_strides": (1,) * len(size), "padding": "VALID"} | options
    return lambda x: lax.reduce_window(x, start, by, size, **options)


def conv(numbers: Any, kernel: tuple[int, ...], **options: Any) -> Callable[..., Any]:
    w = weights(*kernel)
    options = {"window_strides": (1,) * (len(kernel) - 2), "padding": "SAME"} | options
    return lambda x: lax.conv_general_dilated(x, w, dimension_numbers=numbers, **options)


NHWC = ("NHWC", "HWIO", "NHWC")
NCHW = ("NCHW", "OIHW", "NCHW")

CONVS: dict[str, Case] = {
    "same": (conv(NHWC, (3, 3, 2, 4)), (1, 9, 7, 2)),
    "nchw": (conv(NCHW, (4, 2, 3, 5)), (1, 2, 9, 7)),
    "turned": (conv(("HWNC", "OIHW", "NCHW"), (4, 2, 3, 3)), (9, 7, 1, 2)),
    "turned_back": (conv(("NCHW", "HWIO", "NHWC"), (3, 3, 2, 4)), (1, 2, 9, 7)),
    "strided": (conv(NHWC, (3, 2, 2, 4), window_strides=(2, 3), padding=((1, 0), (0, 2))), (1, 9, 11, 2)),
    "dilated": (conv(NHWC, (3, 3, 2, 4), rhs_dilation=(2, 3)), (1, 12, 13, 2)),
    "grouped": (conv(NHWC, (3, 3, 2, 4), feature_group_count=2), (1, 8, 8, 4)),
    "depthwise": (conv(NHWC, (3, 3, 1, 4), feature_group_count=4), (1, 8, 8, 4)),
    "even": (conv(NHWC, (4, 2, 2, 4)), (1, 8, 9, 2)),
    "negative_pads": (conv(NHWC, (3, 3, 2, 4), padding=((-1, 2), (1, -2))), (1, 9, 9, 2)),
    "transposed": (conv(NHWC, (3, 3, 2, 4), lhs_dilation=(2, 2), padding=((1, 2), (2, 1))), (1, 5, 6, 2)),
    "transposed_odd": (conv(NHWC, (2, 4, 2, 4), lhs_dilation=(3, 1), padding=((0, 1), (1, 2)), rhs_dilation=(2, 1)), (1, 5, 6, 2)),
    "transposed_cropped": (conv(NHWC, (3, 3, 2, 4), lhs_dilation=(2, 2), padding=((-1, -1), (-2, 0))), (1, 6, 6, 2)),
    "transposed_strided": (conv(NHWC, (3, 3, 2, 4), lhs_dilation=(3, 2), window_strides=(2, 1), padding=((0, 1), (1, 0))), (1, 6, 6, 2)),
    "conv_transpose": (lambda x: lax.conv_transpose(x, weights(3, 3, 2, 4), (2, 2), "SAME"), (1, 5, 5, 2)),
    "one_d": (conv(("NWC", "WIO", "NWC"), (3, 2, 4), rhs_dilation=(2,), padding=((4, 0),)), (1, 20, 2)),
    "three_d": (conv(("NDHWC", "DHWIO", "NDHWC"), (3, 1, 2, 1, 2), window_strides=(2, 1, 1)), (1, 6, 5, 4, 1)),
    "one_pixel": (conv(NHWC, (3, 3, 2, 4)), (1, 1, 1, 2)),
    "sobel": (lambda x: lax.conv(x, np.array([[[[1, 0, -1], [2, 0, -2], [1, 0, -1]]]], np.float32), (1, 1), "SAME"), (1, 1, 8, 8)),
    "laplace": (lambda x: lax.conv(x, np.array([[[[0, 1, 0], [1, -4, 1], [0, 1, 0]]]], np.float32), (2, 2), "VALID"), (1, 1, 9, 9)),
    "computed_filters": (
        lambda x: lax.conv(x, jnp.mean(x, (0, 2, 3)).reshape(1, 2, 1, 1) * jnp.ones((1, 2, 3, 3)), (1, 1), "SAME"),
        (1, 2, 6, 6),
    ),
}  # fmt: skip

POOLS: dict[str, Case] = {
    "max": (lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 2, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (0, 1), (0, 0))), (1, 9, 8, 2)),
    "max_nchw": (lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 3, 3), (1, 1, 2, 2), "SAME"), (1, 2, 9, 8)),
    "min": (lambda x: lax.reduce_window(x, jnp.inf, lax.min, (1, 2, 2, 1), (1, 1, 1, 1), "VALID"), (1, 6, 5, 2)),
    "dilated": (windows(-jnp.inf, lax.max, (1, 2, 3, 1), window_dilation=(1, 3, 2, 1)), (1, 9, 9, 2)),
    "base_dilated": (windows(-jnp.inf, lax.max, (1, 2, 2, 1), base_dilation=(1, 2, 3, 1)), (1, 5, 5, 2)),
    "average": (lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4, (1, 8, 6, 2)),
    "average_same": (
        lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
        / lax.reduce_window(jnp.ones_like(x), 0.0, lax.add, (1, 3, 3, 1), (1, 2, 2, 1), "SAME"),
        (1, 8, 7, 2),
    ),
    "product": (lambda x: lax.reduce_window(x, 1.0, lax.mul, (1, 2, 2, 1), (1, 1, 1, 1), "VALID"), (1, 4, 4, 2)),
    "channels": (lambda x: lax.reduce_window(x * x, 0.0, lax.add, (1, 1, 1, 3), (1, 1, 1, 1), "SAME"), (1, 4, 4, 6)),
}  # fmt: skip

MOVES: dict[str, Case] = {
    "reshape": (lambda x: x.reshape(1, 24, 2), (1, 6, 4, 2)),
    "reshape_split": (lambda x: x.reshape(1, 3, 2, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(6, 2, 2, 2), (1, 6, 4, 2)),
    "transpose": (lambda x: x.transpose(0, 3, 2, 1), (1, 6, 4, 2)),
    "squeeze": (lambda x: x[:, 2], (1, 6, 4, 2)),
    "expand": (lambda x: x[:, None, :, :, None], (1, 6, 4, 2)),
    "repeat": (lambda x: jnp.repeat(jnp.repeat(x, 2, axis=1), 3, axis=2), (1, 6, 4, 2)),
    "tile": (lambda x: jnp.tile(x, (1, 2, 3, 1)), (1, 3, 4, 2)),
    "flip": (lambda x: x[:, ::-1, ::-2], (1, 6, 5, 2)),
    "slice": (lambda x: x[:, 1:5:2, -3:], (1, 6, 5, 2)),
    "roll": (lambda x: jnp.roll(x, (2, -1), (1, 2)), (1, 6, 5, 2)),
    "concat": (lambda x: jnp.concatenate([x, x[:, :2] * 2, jnp.ones((1, 1, 5, 2))], 1), (1, 6, 5, 2)),
    "stack": (lambda x: jnp.stack([x, -x], 1), (1, 6, 5, 2)),
    "split": (lambda x: jnp.split(x, [2, 3], axis=1)[2] + 1, (1, 6, 5, 2)),
    "pad": (lambda x: lax.pad(x, 0.0, ((0, 0, 0), (2, 1, 1), (-1, 3, 2), (0, 0, 0))), (1, 4, 5, 2)),
    "pad_reflect": (lambda x: jnp.pad(x, ((0, 0), (2, 2), (1, 3), (0, 0)), mode="reflect"), (1, 6, 5, 2)),
    "pad_edge": (lambda x: jnp.pad(x, ((0, 0), (2, 2), (1, 3), (0, 0)), mode="edge"), (1, 6, 5, 2)),
    "pad_wrap": (lambda x: jnp.pad(x, ((0, 0), (2, 2), (1, 3), (0, 0)), mode="wrap"), (1, 6, 5, 2)),
    "pad_symmetric": (lambda x: jnp.pad(x, ((0, 0), (2, 2), (1, 3), (0, 0)), mode="symmetric"), (1, 6, 5, 2)),
    "dynamic_slice": (lambda x: lax.dynamic_slice(x, (0, 2, 9, 0), (1, 3, 2, 2)), (1, 6, 5, 2)),
    "dynamic_slice_open": (lambda x: lax.dynamic_slice(x, (0, (x[0, 0, 0, 0] > 0).astype(int), 1, 0), (1, 3, 2, 2)), (1, 6, 5, 2)),
    "update": (lambda x: lax.dynamic_update_slice(x, x[:, :2, :2] * 2, (0, 3, 1, 0)), (1, 6, 5, 2)),
    "update_constant": (lambda x: lax.dynamic_update_slice(x, jnp.ones((1, 2, 2, 2)), (0, 3, 1, 0)), (1, 6, 5, 2)),
    "update_of_zeros": (lambda x: lax.dynamic_update_slice(jnp.zeros((1, 9, 9, 2)), x, (0, 2, 3, 0)), (1, 6, 5, 2)),
}  # fmt: skip

INDEXING: dict[str, Case] = {
    "take": (lambda x: jnp.take(x, np.array([3, 0, 3]), axis=1), (1, 6, 5, 2)),
    "every_second": (lambda x: jnp.take(x, np.arange(0, 6, 2), axis=1), (1, 6, 5, 2)),
    "two_axes": (lambda x: x[:, np.array([0, 2, 5]), np.array([1, 1, 4])], (1, 6, 5, 2)),
    "grid": (lambda x: x[:, np.array([[0], [2]]), np.array([[1, 3, 4]])], (1, 6, 5, 2)),
    "apart": (lambda x: x[:, np.array([0, 2])][:, :, np.array([4, 1, 0])], (1, 6, 5, 2)),
    "apart_axes": (lambda x: x[:, np.array([0, 2]), :, np.array([1, 0])], (1, 6, 5, 2)),
    "matrix_index": (lambda x: x[:, np.array([[0, 2], [1, 1]])], (1, 6, 5, 2)),
    "out_of_bounds": (lambda x: x.at[:, np.array([0, 9])].get(mode="fill", fill_value=0), (1, 6, 5, 2)),
    "clipped": (lambda x: x.at[:, np.array([0, 9])].get(mode="clip"), (1, 6, 5, 2)),
    "along": (lambda x: jnp.take_along_axis(x, np.arange(60).reshape(1, 6, 5, 2) % 6, axis=1), (1, 6, 5, 2)),
    "interpolated": (lambda x: jnp.interp(np.linspace(0, 5, 9), np.arange(6.0), x[0, :, 0, 0]), (1, 6, 5, 2)),
    "along_thin": (lambda x: jnp.take_along_axis(x, np.array([0, 3, 2]).reshape(1, 3, 1, 1), axis=1), (1, 6, 5, 2)),
    "chosen": (lambda x: jnp.take(x, jnp.argmax(x, axis=(1))[0, :, 0], axis=1), (1, 6, 5, 2)),
    "by_mask": (lambda x: x[:, np.array([True, False, True, True, False, False])], (1, 6, 5, 2)),
    "set": (lambda x: x.at[:, 1].set(0.0), (1, 6, 5, 2)),
    "set_data": (lambda x: x.at[:, np.array([0, 4])].set(x[:, 2:4] * 2), (1, 6, 5, 2)),
    "set_points": (lambda x: x.at[0, np.array([0, 4]), np.array([1, 2])].set(x[0, 2, 2:4] * 2), (1, 6, 5, 2)),
    "add": (lambda x: x.at[:, np.array([0, 4, 4])].add(x[:, 1:4] * 2), (1, 6, 5, 2)),
    "add_constant": (lambda x: jnp.ones((1, 6, 5, 2)).at[:, 2:4].add(x[:, :2]), (1, 6, 5, 2)),
    "multiply": (lambda x: x.at[:, 2].multiply(x[:, 0]), (1, 6, 5, 2)),
    "maximum": (lambda x: x.at[:, 2].max(x[:, 0]), (1, 6, 5, 2)),
    "applied": (
        lambda x: lax.scatter_apply(
            x, np.array([[2], [3]]), lambda v: v * v, lax.ScatterDimensionNumbers((0, 2, 3), (1,), (1,)), update_shape=(1, 2, 5, 2)
        ),
        (1, 6, 5, 2),
    ),
    "vmapped": (lambda x: jax.vmap(lambda y: y[np.array([2, 0])], in_axes=2, out_axes=1)(x), (3, 6, 5)),
    "vmapped_along": (lambda x: jax.vmap(lambda y, i: y[i])(x, np.array([[2, 0], [1, 1], [3, 2]])), (3, 6, 5)),
}  # fmt: skip

MIXING: dict[str, Case] = {
    "dense": (lambda x: x @ weights(2, 3), (1, 6, 5, 2)),
    "dense_left": (lambda x: jnp.einsum("oh,nhwc->nowc", weights(3, 6), x), (1, 6, 5, 2)),
    "flat": (lambda x: x.reshape(1, -1) @ weights(60, 3), (1, 6, 5, 2)),
    "heads": (lambda x: jnp.einsum("nlhd,hde->nle", x.reshape(1, 6, 4, 2), weights(4, 2, 3)), (1, 6, 8)),
    "per_head": (lambda x: jnp.einsum("nlhd,hde->nlhe", x.reshape(1, 6, 4, 2), weights(4, 2, 3)), (1, 6, 8)),
    "vector": (lambda x: x @ weights(5), (1, 6, 5)),
    "scores": (lambda x: jnp.einsum("nlc,nmc->nlm", x, x), (1, 6, 4)),
    "batched": (lambda x: jnp.einsum("bhwc,bhvc->bhwv", x, x), (1, 6, 5, 2)),
    "outer": (lambda x: jnp.einsum("i,j->ij", x, x), (6,)),
    "inner": (lambda x: jnp.dot(x, x), (6,)),
    "diagonal_weights": (lambda x: jnp.einsum("hk,nkwc->nhwc", np.tril(np.ones((6, 6), np.float32)), x), (1, 6, 5, 2)),
    "blur": (lambda x: jnp.einsum("nlc,lm->nmc", x, blur(16, 8, 0.45)), (1, 16, 2)),
    "banded": (lambda x: x @ np.eye(6, 7, 1, dtype=np.float32), (1, 5, 6)),
    "sum": (lambda x: x.sum((1, 3)), (1, 6, 5, 2)),
    "mean": (lambda x: x.mean((1, 2), keepdims=True), (1, 6, 5, 2)),
    "max": (lambda x: x.max(2), (1, 6, 5, 2)),
    "argmax": (lambda x: jnp.argmax(x, 1).astype(float) , (1, 6, 5, 2)),
    "var": (lambda x: x.var(1), (1, 6, 5, 2)),
    "any": (lambda x: (x > 0).any(1), (1, 6, 5, 2)),
    "logsumexp": (lambda x: jax.nn.logsumexp(x, axis=1), (1, 6, 5, 2)),
    "cumsum": (lambda x: jnp.cumsum(x, 1), (1, 6, 5, 2)),
    "cummax_reverse": (lambda x: lax.cummax(x, 2, reverse=True), (1, 6, 5, 2)),
    "sort": (lambda x: jnp.sort(x, 1), (1, 6, 5, 2)),
    "sort_by_constants": (lambda x: lax.sort((weights(1, 6, 5, 2), x), dimension=1, num_keys=1)[1], (1, 6, 5, 2)),
    "argsort": (lambda x: jnp.argsort(x, 1), (1, 6, 5, 2)),
    "top_k": (lambda x: lax.top_k(x, 2)[0], (1, 3, 6)),
    "fft": (lambda x: jnp.fft.fft(x).real, (1, 4, 6)),
    "irfft_longer": (lambda x: jnp.fft.irfft(lax.complex(x, x[:, ::-1]), n=15), (1, 4, 6)),
    "rfft2": (lambda x: jnp.abs(jnp.fft.rfft2(x)), (1, 4, 6)),
    "softmax": (lambda x: jax.nn.softmax(x, axis=1), (1, 6, 5, 2)),
    "log_softmax": (lambda x: jax.nn.log_softmax(x, axis=2), (1, 6, 5, 2)),
    "masked_softmax": (lambda x: jax.nn.softmax(jnp.where(np.tril(np.ones((6, 6), bool)), x, -jnp.inf), axis=-1), (1, 6, 6)),
    "layer_norm": (lambda x: (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5), (1, 6, 5, 4)),
    "instance_norm": (lambda x: (x - x.mean((1, 2), keepdims=True)) / jnp.sqrt(x.var((1, 2), keepdims=True) + 1e-5), (1, 6, 5, 4)),
    "rms_norm": (lambda x: x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5), (1, 6, 5, 4)),
    "norm_then_shift": (lambda x: folded_norm(x, (-1,), weights(4)), (1, 6, 5, 4)),
    "norm_then_mean_off": (lambda x: folded_norm(x, (1, 2), 1.0, minus=True), (1, 6, 5, 4)),
}  # fmt: skip

POINTWISE: dict[str, Case] = {
    name: (getattr(jax.nn, name), (1, 5, 4, 2))
    for name in "relu relu6 silu gelu softplus leaky_relu elu selu celu hard_sigmoid hard_swish mish sigmoid log_sigmoid hard_tanh "
    "soft_sign glu".split()
} | {
    "clip": (lambda x: jnp.clip(x, -1, 1), (1, 5, 4, 2)),
    "where": (lambda x: jnp.where(x > 1, x, -x), (1, 5, 4, 2)),
    "where_constant": (lambda x: jnp.where(np.arange(5)[:, None, None] > 2, x, x[:, ::-1]), (1, 5, 4, 2)),
    "where_zero": (lambda x: jnp.where(np.arange(5)[:, None, None] > 2, x, 0.0), (1, 5, 4, 2)),
    "masked": (lambda x: x * (np.arange(4) > 1)[:, None], (1, 5, 4, 2)),
    "masked_by_floats": (lambda x: (x * np.array([1, 0, 1, 0, 1], np.float32)[:, None, None]).sum(1), (1, 5, 4, 2)),
    "broadcast": (lambda x: x[:, :, :1] + x[:, :1], (1, 5, 4, 2)),
    "own_mean": (lambda x: x - x.mean((1, 2), keepdims=True), (1, 5, 4, 2)),
    "gate": (lambda x: x * jax.nn.sigmoid(x.mean((1, 2), keepdims=True)), (1, 5, 4, 2)),
    "power": (lambda x: x**2 + x**0.5, (1, 5, 4, 2)),
    "erf_gelu": (lambda x: jax.nn.gelu(x, approximate=False), (1, 5, 4, 2)),
    "half": (lambda x: x.astype(jnp.bfloat16).astype(jnp.float32) * 2, (1, 5, 4, 2)),
    "integers": (lambda x: (x > 0).astype(int) // 1 + 2, (1, 5, 4, 2)),
}

SIZES = (("up", "2", (5, 4), (10, 8)), ("up", "odd", (5, 4), (7, 9)), ("down", "2", (8, 6), (4, 3)), ("down", "odd", (9, 7), (4, 5)))

RESIZES: dict[str, Case] = {
    f"{method}_{n}_{m}": ((lambda x, s=(1, *size, 2), method=method: jax.image.resize(x, s, method)), (1, *start, 2))
    for method in ("nearest", "linear", "cubic", "lanczos3")
    for n, m, start, size in SIZES
} | {
    "no_antialias": (lambda x: jax.image.resize(x, (1, 4, 3, 2), "linear", antialias=False), (1, 9, 7, 2)),
    "one_axis": (lambda x: jax.image.resize(x, (1, 10, 4, 2), "linear"), (1, 5, 4, 2)),
    "scale_and_translate": (
        lambda x: jax.image.scale_and_translate(x, (1, 9, 9, 2), (1, 2), jnp.array([1.5, 2.0]), jnp.array([0.3, 1.0]), "linear"),
        (1, 5, 4, 2),
    ),
}  # fmt: skip


def _causal(x: Any) -> Any:
    def step(state: Any, row: Any) -> Any:
        state = jnp.tanh(state + row)
        return state, state

    return lax.scan(step, jnp.zeros(x.shape[1:]), x)[1]


CONTROL: dict[str, Case] = {
    "scan": (lambda x: jnp.moveaxis(_causal(jnp.moveaxis(x, 1, 0)), 0, 1), (1, 6, 3)),
    "scan_reverse": (lambda x: lax.scan(lambda c, r: (c + r, c * r), jnp.ones(3), x[0], reverse=True)[1], (1, 6, 3)),
    "scan_long": (lambda x: lax.scan(lambda c, r: (c + r, c), jnp.ones(1), jnp.tile(x[0], (5000, 1)))[0], (1, 6, 1)),
    "fori": (lambda x: lax.fori_loop(0, 3, lambda i, c: c + jnp.roll(c, 1, 1), x), (1, 9, 3)),
    "while": (lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] + c[1][:, ::-1]), (0, x))[1], (1, 6, 3)),
    "while_open": (lambda x: lax.while_loop(lambda c: c.sum() < 3, lambda c: c + 1, x), (1, 6, 3)),
    "fori_open": (lambda x: lax.fori_loop(0, (x[0, 0, 0] > 0).astype(int) + 2, lambda i, c: c + jnp.roll(c, 1, 1), x), (1, 6, 3)),
    "while_of_items": (
        lambda x: jax.vmap(lambda n, r: lax.fori_loop(0, n, lambda i, c: c + jnp.roll(c, 1, 0), r), (0, 1), 1)(np.array([0, 2, 3]), x[0]),
        (1, 6, 3),
    ),
    "while_of_items_open": (lambda x: jax.vmap(lambda r: lax.while_loop(lambda c: c.sum() < 3, lambda c: c + 1, r), 1, 1)(x[0]), (1, 6, 3)),
    "scan_masks": (
        lambda x: lax.scan(lambda c, m: (c + m[:, None] * jnp.roll(c, 1, 1), None), x, np.eye(6, dtype=np.float32)[:4])[0],
        (1, 6, 3),
    ),
    "cond": (lambda x: lax.cond(True, lambda y: y[:, 1:], lambda y: y[:, :-1], x), (1, 6, 3)),
    "cond_open": (lambda x: lax.cond(x.sum() > 0, lambda y: y[:, 1:], lambda y: y[:, :-1], x), (1, 6, 3)),
    "remat": (lambda x: jax.checkpoint(lambda y: jnp.sin(y[:, 1:]) + 1)(x), (1, 6, 3)),
    "jit": (lambda x: jax.jit(lambda y: y[:, ::2])(x), (1, 6, 3)),
    "map": (lambda x: lax.map(lambda r: r[::-1], x[0]), (1, 6, 3)),
    "vmap": (lambda x: jax.vmap(lambda r: r.sum() * r)(x[0]), (1, 6, 3)),
    "associative_scan": (lambda x: lax.associative_scan(jnp.add, x, axis=1), (1, 7, 3)),
}  # fmt: skip

FAMILIES = {
    "conv": CONVS, "pool": POOLS, "move": MOVES, "index": INDEXING, "mix": MIXING, "pointwise": POINTWISE, "resize": RESIZES,
    "control": CONTROL,
}  # fmt: skip

ALL: dict[str, Case] = {f"{family}-{name}": case for family, cases in FAMILIES.items() for name, case in cases.items()}
