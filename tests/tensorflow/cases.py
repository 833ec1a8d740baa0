"""One-op models: a function of an image, and the shape of the image. Names that start with an underscore are bounded, others exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

Case = tuple[Callable[[Any], Any], tuple[int, ...]]
IMAGE, ODD, VOLUME, SERIES = (1, 8, 10, 3), (1, 7, 9, 3), (1, 5, 6, 4, 2), (1, 12, 3)
raw = tf.raw_ops


def w(*shape: int) -> Any:
    return tf.constant(np.random.default_rng(0).random(shape).astype(np.float32) + 0.5)


def windows() -> dict[str, Case]:
    """Convolutions and pools at odd and even sizes, by strides and dilations."""
    found: dict[str, Case] = {}
    for size, shape in (("even", IMAGE), ("odd", ODD)):
        for k, s, d in ((3, 1, 1), (3, 2, 1), (2, 2, 1), (4, 3, 1), (3, 1, 2), (5, 4, 1), (2, 1, 3)):
            for padding in ("SAME", "VALID"):
                name = f"{padding.lower()}_{size}_k{k}s{s}d{d}"
                found[f"conv_{name}"] = lambda x, k=k, s=s, d=d, p=padding: tf.nn.conv2d(x, w(k, k, 3, 2), s, p, dilations=d), shape
                if d == 1:  # TensorFlow has no kernel for others on the CPU
                    found[f"transpose_{name}"] = lambda x, k=k, s=s, p=padding: transposed(x, k, s, p), shape
                    found[f"max_pool_{name}"] = lambda x, k=k, s=s, p=padding: tf.nn.max_pool2d(x, k, s, p), shape
                    found[f"avg_pool_{name}"] = lambda x, k=k, s=s, p=padding: tf.nn.avg_pool2d(x, k, s, p), shape
                if d == 1 or s == 1:
                    found[f"depthwise_{name}"] = (
                        lambda x, k=k, s=s, d=d, p=padding: tf.nn.depthwise_conv2d(x, w(k, k, 3, 2), (1, s, s, 1), p, dilations=(d, d)),
                        shape,
                    )
    explicit = [[0, 0], [2, 1], [0, 3], [0, 0]]
    return found | {
        "conv_explicit": (lambda x: tf.nn.conv2d(x, w(3, 3, 3, 2), 2, explicit), IMAGE),
        "conv_groups": (lambda x: tf.nn.conv2d(tf.tile(x, (1, 1, 1, 2)), w(3, 3, 3, 4), 1, "SAME"), IMAGE),
        "conv_holes": (lambda x: tf.nn.conv2d(x, tf.constant(np.tile([[1.0], [0.0], [1.0]], (1, 3))[:, :, None, None], tf.float32) * tf.ones((1, 1, 3, 1)), 1, "SAME"), IMAGE),  # noqa: E501
        "conv_1d": (lambda x: tf.nn.conv1d(x, w(3, 3, 4), 2, "SAME"), SERIES),
        "conv_3d": (lambda x: tf.nn.conv3d(x, w(3, 2, 3, 2, 3), (1, 2, 1, 2, 1), "SAME"), VOLUME),
        "transpose_3d": (lambda x: tf.nn.conv3d_transpose(x, w(3, 3, 3, 4, 2), (1, 10, 12, 8, 4), (1, 2, 2, 2, 1), "SAME"), VOLUME),
        "pool_3d": (lambda x: tf.nn.max_pool3d(x, 2, 2, "SAME"), VOLUME),
        "avg_pool_3d": (lambda x: tf.nn.avg_pool3d(x, 3, 2, "SAME"), VOLUME),
        "pool_v2": (lambda x: raw.MaxPoolV2(input=x, ksize=[1, 2, 3, 1], strides=[1, 2, 1, 1], padding="SAME"), IMAGE),
        "pool_argmax": (lambda x: tf.nn.max_pool_with_argmax(x, 2, 2, "SAME")[0], IMAGE),
        "global_pool_by_window": (lambda x: tf.nn.avg_pool2d(x, (8, 10), 1, "VALID"), IMAGE),
        "dilation2d": (lambda x: tf.nn.dilation2d(x, w(3, 3, 3), (1, 1, 1, 1), "SAME", "NHWC", (1, 1, 1, 1)), IMAGE),
        "patches": (lambda x: tf.image.extract_patches(x, (1, 3, 2, 1), (1, 2, 2, 1), (1, 2, 1, 1), "SAME"), IMAGE),
        "patches_3d": (lambda x: tf.extract_volume_patches(x, (1, 2, 2, 2, 1), (1, 2, 2, 2, 1), "VALID"), VOLUME),
        "computed_filters": (lambda x: tf.nn.conv2d(x, tf.reduce_mean(x, (0, 1, 2))[:, None] * w(3, 3, 3, 2), 1, "SAME"), IMAGE),
        "computed_depthwise": (lambda x: tf.nn.depthwise_conv2d(x, x[0, :3, :3, :, None] * w(3, 3, 3, 2), (1, 1, 1, 1), "SAME"), IMAGE),
        "computed_transpose": (lambda x: tf.nn.conv2d_transpose(x, x[0, :3, :3, None] * w(3, 3, 2, 3), (1, 16, 20, 2), 2, "SAME"), IMAGE),
        "dilated_by_batch": (lambda x: by_batch(x, 2), IMAGE),
        "dilated_by_batch_3": (lambda x: by_batch(x, 3), ODD),
        "_crop_and_resize": (lambda x: tf.image.crop_and_resize(x, [[0.1, 0.2, 0.6, 0.9]], [0], (4, 4)), IMAGE),
        "_fractional_pool": (lambda x: raw.FractionalAvgPool(value=x, pooling_ratio=[1.0, 1.5, 1.5, 1.0], deterministic=True, seed=1, seed2=1)[0], IMAGE),  # noqa: E501
    }  # fmt: skip


def transposed(x: Any, k: int, s: int, padding: str, d: int = 1) -> Any:
    """The transpose of a convolution of the sizes that give the image's."""
    n, h, wide, c = x.shape
    sizes = [m * s if padding == "SAME" else (m - 1) * s + (k - 1) * d + 1 for m in (h, wide)]
    return tf.nn.conv2d_transpose(x, w(k, k, 2, c), (n, *sizes, 2), s, padding, dilations=d)


def by_batch(x: Any, rate: int) -> Any:
    """A dilated convolution as TensorFlow 1 wrote it."""
    pads = [(rate - n % rate) % rate for n in x.shape[1:3]]
    y = tf.space_to_batch(x, [rate, rate], [[rate, rate + pads[0]], [rate, rate + pads[1]]])
    y = tf.nn.conv2d(y, w(3, 3, 3, 2), 1, "VALID")
    return tf.batch_to_space(y, [rate, rate], [[0, pads[0]], [0, pads[1]]])


def resizes() -> dict[str, Case]:
    """Every resize in every grid, up and down, by whole and broken factors."""
    found: dict[str, Case] = {}
    for target in ((16, 20), (4, 5), (11, 7), (1, 1), (8, 10), (3, 13)):
        for op in ("ResizeBilinear", "ResizeBicubic", "ResizeNearestNeighbor", "ResizeArea"):
            for corners, half in ((False, False), (True, False), (False, True)):
                if (op == "ResizeArea" and (half or target == (8, 10))) or (
                    op == "ResizeNearestNeighbor" and target == (8, 10) and corners
                ):
                    continue
                extra = {} if op == "ResizeArea" else {"half_pixel_centers": half}
                name = f"{op}_{target[0]}x{target[1]}_{'corners' if corners else 'half' if half else 'edge'}"
                found[name] = (
                    lambda x, op=op, t=target, c=corners, e=extra: getattr(raw, op)(images=x, size=list(t), align_corners=c, **e),
                    IMAGE,
                )
        for method in ("bilinear", "bicubic", "gaussian"):
            name = f"{'_' if method == 'gaussian' else ''}antialias_{method}_{target[0]}x{target[1]}"
            found[name] = lambda x, t=target, m=method: tf.image.resize(x, t, m, antialias=True), IMAGE
    return found


MOVES: dict[str, Case] = {
    "reshape": (lambda x: tf.reshape(x, (1, 4, 2, 10, 3)), IMAGE),
    "reshape_by_shape": (lambda x: tf.reshape(x, (tf.shape(x)[0], -1, tf.shape(x)[3])), IMAGE),
    "squeeze": (lambda x: tf.squeeze(x), IMAGE),
    "squeeze_one": (lambda x: tf.squeeze(x[:, :1], [1]), IMAGE),
    "expand_dims": (lambda x: tf.expand_dims(x, 2), IMAGE),
    "transpose": (lambda x: tf.transpose(x, (0, 3, 2, 1)), IMAGE),
    "broadcast": (lambda x: tf.broadcast_to(x[:, :1], (2, 4, 10, 3)), IMAGE),
    "tile": (lambda x: tf.tile(x, (2, 1, 3, 1)), IMAGE),
    "concat": (lambda x: tf.concat([x, tf.zeros((1, 2, 10, 3)), x[:, 2:]], 1), IMAGE),
    "concat_v1": (lambda x: raw.Concat(concat_dim=2, values=[x, x]), IMAGE),
    "stack": (lambda x: tf.stack([x, tf.ones_like(x), x * 2], 2), IMAGE),
    "unstack": (lambda x: tf.unstack(x, axis=2)[3] + tf.unstack(x, axis=2)[5], IMAGE),
    "split": (lambda x: tf.concat(tf.split(x, 2, 1)[::-1], 2), IMAGE),
    "split_v": (lambda x: tf.split(x, [3, -1, 2], 2)[1], IMAGE),
    "slice": (lambda x: tf.slice(x, (0, 2, 1, 0), (1, -1, 4, 2)), IMAGE),
    "strided": (lambda x: x[:, 1::2, ::-1, 0], IMAGE),
    "strided_negative": (lambda x: x[..., -2:1:-3, -1:], IMAGE),
    "strided_new": (lambda x: x[:, tf.newaxis, 2, ..., tf.newaxis, 1:], IMAGE),
    "strided_ellipsis": (lambda x: x[..., 2:5, :], IMAGE),
    "pad": (lambda x: tf.pad(x, [[0, 0], [2, 1], [0, 3], [0, 0]]), IMAGE),
    "pad_value": (lambda x: tf.pad(x, [[0, 0], [2, 1], [0, 3], [0, 0]], constant_values=2.0), IMAGE),
    "pad_reflect": (lambda x: tf.pad(x, [[0, 0], [2, 1], [0, 3], [0, 0]], "REFLECT"), IMAGE),
    "pad_symmetric": (lambda x: tf.pad(x, [[0, 0], [3, 2], [1, 4], [0, 0]], "SYMMETRIC"), IMAGE),
    "reverse": (lambda x: tf.reverse(x, [1, 2]), IMAGE),
    "reverse_v1": (lambda x: raw.Reverse(tensor=x, dims=[False, True, False, False]), IMAGE),
    "roll": (lambda x: tf.roll(x, (2, -3), (1, 2)), IMAGE),
    "reverse_sequence": (lambda x: tf.reverse_sequence(x, [5], seq_axis=1), IMAGE),
    "depth_to_space": (lambda x: tf.nn.depth_to_space(tf.tile(x, (1, 1, 1, 4)), 2), IMAGE),
    "space_to_depth": (lambda x: tf.nn.space_to_depth(x, 2), IMAGE),
    "space_to_batch": (lambda x: tf.space_to_batch(x, [2, 5], [[1, 1], [0, 0]]), IMAGE),
    "batch_to_space": (lambda x: tf.batch_to_space(tf.tile(x, (6, 1, 1, 1)), [2, 3], [[1, 0], [0, 2]]), IMAGE),
    "space_to_batch_v1": (lambda x: raw.BatchToSpace(input=raw.SpaceToBatch(input=x, paddings=[[1, 1], [0, 0]], block_size=2) * 2, crops=[[1, 1], [0, 0]], block_size=2), IMAGE),  # noqa: E501
    "shifted_windows": (lambda x: tf.transpose(tf.reshape(tf.roll(x, (-1, -1), (1, 2)), (1, 2, 4, 5, 2, 3)), (0, 1, 3, 2, 4, 5)), IMAGE),
}  # fmt: skip

INDEX: dict[str, Case] = {
    "gather": (lambda x: tf.gather(x, [3, 1, 1, 7], axis=1), IMAGE),
    "gather_one": (lambda x: tf.gather(x, 2, axis=1), IMAGE),
    "gather_even": (lambda x: tf.gather(x, [[0, 2], [4, 6]], axis=2), IMAGE),
    "gather_v1": (lambda x: raw.Gather(params=x[0], indices=[3, 2]), IMAGE),
    "gather_batched": (lambda x: tf.gather(x, [[2, 0, 5]], axis=2, batch_dims=1), IMAGE),
    "gather_nd": (lambda x: tf.gather_nd(x, [[[0, 3, 2], [0, 7, 1]]]), IMAGE),
    "scatter_nd": (lambda x: tf.scatter_nd([[2], [0], [2], [5]], x[0, :4], (9, 10, 3)), IMAGE),
    "scatter_update": (lambda x: tf.tensor_scatter_nd_update(x[0], [[1], [4]], x[0, :2] * 2), IMAGE),
    "scatter_constant": (lambda x: tf.tensor_scatter_nd_update(x[0], [[1], [4]], tf.zeros((2, 10, 3))), IMAGE),
    "scatter_add": (lambda x: tf.tensor_scatter_nd_add(x[0], [[1], [4], [1]], x[0, :3]), IMAGE),
    "stitch": (lambda x: tf.dynamic_stitch([[0, 2, 3], [1, 4]], [x[0, :3], x[0, 5:7]]), IMAGE),
    "_gather_by_values": (lambda x: tf.gather(x, tf.cast(x[0, 0, :, 0], tf.int32) % 8, axis=1), IMAGE),
    "_scatter_by_values": (lambda x: tf.scatter_nd(tf.cast(x[0, 0, :4, :1], tf.int32) % 9, x[0, :4], (9, 10, 3)), IMAGE),
    "_where": (lambda x: tf.reduce_sum(tf.gather_nd(x, tf.where(x > 0.5))) + x, IMAGE),
    "_dynamic_slice": (lambda x: tf.slice(x, tf.stack([0, tf.cast(x[0, 0, 0, 0], tf.int32) % 4, 0, 0]), (1, 2, 2, 3)), IMAGE),
}

MIXED: dict[str, Case] = {
    **{f"reduce_{n}": (lambda x, n=n: getattr(tf, f"reduce_{n}")(x, (1, 2)), IMAGE) for n in ("mean", "sum", "max", "min", "prod")},
    "reduce_norm": (lambda x: tf.norm(x, axis=2, keepdims=True), IMAGE),
    "reduce_euclidean": (lambda x: raw.EuclideanNorm(input=x, axis=[1]), IMAGE),
    "reduce_rows": (lambda x: tf.reduce_mean(x, 1, keepdims=True), IMAGE),
    "reduce_all": (lambda x: tf.reduce_sum(x) + x, IMAGE),
    "any": (lambda x: tf.cast(tf.reduce_any(x > 0.7, 2), tf.float32), IMAGE),
    "all": (lambda x: tf.cast(tf.reduce_all(x < 1.4, 2), tf.float32), IMAGE),
    "l2_loss": (lambda x: tf.nn.l2_loss(x) * x, IMAGE),
    "argmax": (lambda x: tf.cast(tf.argmax(x, 2), tf.float32), IMAGE),
    "argmin": (lambda x: tf.cast(tf.argmin(x, 2), tf.float32), IMAGE),
    "softmax": (lambda x: tf.nn.softmax(tf.transpose(x, (0, 1, 3, 2))), IMAGE),
    "log_softmax": (lambda x: tf.nn.log_softmax(tf.transpose(x, (0, 1, 3, 2))), IMAGE),
    "softmax_channels": (lambda x: tf.nn.softmax(x, -1), IMAGE),
    "top_k": (lambda x: tf.math.top_k(tf.transpose(x, (0, 1, 3, 2)), 3)[0], IMAGE),
    "nth": (lambda x: raw.NthElement(input=tf.transpose(x, (0, 1, 3, 2)), n=2), IMAGE),
    "cumsum": (lambda x: tf.cumsum(x, 1), IMAGE),
    "cumsum_reverse": (lambda x: tf.cumsum(x, 2, reverse=True), IMAGE),
    "cumsum_exclusive": (lambda x: tf.cumsum(x, 2, exclusive=True), IMAGE),
    "cumsum_both": (lambda x: tf.cumsum(x, 2, exclusive=True, reverse=True), IMAGE),
    "cumprod": (lambda x: tf.math.cumprod(x + 1, 1), IMAGE),
    "cumlogsumexp": (lambda x: tf.math.cumulative_logsumexp(x, 1), IMAGE),
    "fft": (lambda x: tf.abs(tf.signal.fft(tf.cast(tf.transpose(x, (0, 1, 3, 2)), tf.complex64))), IMAGE),
    "rfft2d": (lambda x: tf.abs(tf.signal.rfft2d(tf.transpose(x, (0, 3, 1, 2)))), IMAGE),
    "irfft": (lambda x: tf.signal.irfft(tf.signal.rfft(tf.transpose(x, (0, 1, 3, 2)))), IMAGE),
    "fft3d": (lambda x: tf.math.real(tf.signal.ifft3d(tf.signal.fft3d(tf.cast(x, tf.complex64)))), IMAGE),
    "dense": (lambda x: tf.matmul(tf.reshape(x, (1, 240)), w(240, 5)), IMAGE),
    "tokens": (lambda x: tf.matmul(w(4, 8), tf.reshape(x, (1, 8, 30))), IMAGE),
    "tokens_turned": (lambda x: tf.matmul(w(8, 4), tf.reshape(x, (1, 8, 30)), transpose_a=True), IMAGE),
    "matmul_turned": (lambda x: raw.MatMul(a=tf.reshape(x, (8, 30)), b=w(8, 4), transpose_a=True), IMAGE),
    "batch_matmul": (lambda x: raw.BatchMatMul(x=x, y=w(1, 8, 3, 2)), IMAGE),
    "batch_matmul_v3": (lambda x: raw.BatchMatMulV3(x=x, y=w(3, 2), Tout=tf.float32), IMAGE),
    "zeros_of_a_matrix": (lambda x: tf.matmul(tf.constant(np.triu(np.ones((8, 8), np.float32))), tf.reshape(x, (1, 8, 30))), IMAGE),
    "attention": (lambda x: attention(tf.reshape(x, (1, 40, 6))), IMAGE),
    "causal": (lambda x: attention(x, np.triu(np.full((12, 12), -np.inf, np.float32), 1)), SERIES),
    "causal_finite": (lambda x: attention(x, np.triu(np.full((12, 12), -1e9, np.float32), 1)), SERIES),
    "einsum": (lambda x: tf.einsum("bhwc,cd->bhwd", x, w(3, 4)), IMAGE),
    "einsum_rows": (lambda x: tf.einsum("bhwc,hk->bwkc", x, w(8, 5)), IMAGE),
    "einsum_two": (lambda x: tf.einsum("bhwc,bhvc->bhwv", x, x), IMAGE),
    "einsum_dots": (lambda x: tf.einsum("...c,cd->...d", x, w(3, 2)), IMAGE),
    "einsum_one": (lambda x: tf.einsum("bhwc->bch", x), IMAGE),
    "_cross": (lambda x: tf.linalg.cross(x, x[:, ::-1]), IMAGE),
    "diagonal": (lambda x: tf.linalg.diag_part(tf.transpose(x, (0, 3, 1, 2))), IMAGE),
    "lrn": (lambda x: tf.nn.lrn(x, 1), IMAGE),
    "batch_norm": (lambda x: norm(x, False), IMAGE),
    "batch_norm_training": (lambda x: norm(x, True), IMAGE),
    "_svd": (lambda x: tf.linalg.svd(x, compute_uv=False), IMAGE),
}  # fmt: skip


def attention(x: Any, mask: np.ndarray | None = None) -> Any:
    """Every token with every token, or with those that a mask leaves."""
    scores = tf.matmul(x, x, transpose_b=True) * 0.1
    return tf.matmul(tf.nn.softmax(scores if mask is None else scores + mask), x)


def norm(x: Any, training: bool) -> Any:
    """A fused batch norm."""
    given = ([], []) if training else (w(3), w(3))
    return raw.FusedBatchNormV3(x=x, scale=w(3), offset=w(3), mean=given[0], variance=given[1], is_training=training)[0]


PICKED: dict[str, Case] = {
    "bias": (lambda x: tf.nn.bias_add(x, w(3)), IMAGE),
    "bias_of_data": (lambda x: tf.nn.bias_add(x, x[0, 0, 0]), IMAGE),
    "leaky": (lambda x: tf.nn.leaky_relu(x, 0.3), IMAGE),
    "clip": (lambda x: tf.clip_by_value(x, 0.0, 6.0), IMAGE),
    "clip_by_data": (lambda x: tf.clip_by_value(x * 2, x[:, :1], 9.0), IMAGE),
    "cast": (lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32) + 1, IMAGE),
    "identity": (lambda x: tf.identity_n([tf.stop_gradient(x), x])[0] + 1, IMAGE),
    "select": (lambda x: tf.where(np.arange(10)[:, None] % 3 == 0, x, x[:, ::-1]), IMAGE),
    "select_constant": (lambda x: tf.where(np.arange(10)[:, None] % 3 == 0, x, 0.0), IMAGE),
    "select_v1": (lambda x: raw.Select(condition=[True] * 3 + [False] * 5, x=x[0], y=x[0, ::-1]), IMAGE),
    "select_by_data": (lambda x: tf.where(x[:, :1] > 0.9, x, x[:, ::-1]), IMAGE),
    "zeroed": (lambda x: x * tf.constant([[0.0], [1.0]] * 5), IMAGE),
    "band": (lambda x: tf.linalg.band_part(tf.transpose(x, (0, 3, 1, 2)), 1, 2), IMAGE),
    "one_hot": (lambda x: tf.one_hot(tf.cast(x, tf.int32), 4, axis=2), IMAGE),
    "quantize": (lambda x: tf.quantization.fake_quant_with_min_max_args(x), IMAGE),
    "quantize_all": (lambda x: raw.QuantizeAndDequantizeV2(input=x, input_min=0.0, input_max=0.0), IMAGE),
    "quantize_given": (lambda x: raw.QuantizeAndDequantizeV4(input=x, input_min=-6.0, input_max=6.0, range_given=True), IMAGE),
    "gelu": (lambda x: tf.nn.gelu(x), IMAGE),
    "swish": (lambda x: tf.nn.silu(x), IMAGE),
    "embedding": (lambda x: tf.gather(w(5, 4), tf.cast(x, tf.int32) % 5), IMAGE),
    "dropout": (lambda x: tf.nn.dropout(x, 0.4, seed=1), IMAGE),
    "noise": (lambda x: x + tf.random.normal(tf.shape(x)), IMAGE),
}


def whole(x: Any) -> Any:
    """Numbers without fractions."""
    return tf.cast(x * 100, tf.int32)


def real(x: Any) -> Any:
    """What a case gives is a float."""
    return tf.cast(x, tf.float32)


def complex_of(x: Any) -> Any:
    """A complex number of the image and of its mirror image."""
    return tf.complex(x, x[:, ::-1])


RARE: dict[str, Case] = {
    "add_n": (lambda x: tf.add_n([x, x[:, ::-1], w(1, 8, 10, 3)]), IMAGE),
    "angle": (lambda x: tf.math.angle(complex_of(x)), IMAGE),
    "conj": (lambda x: tf.math.imag(tf.math.conj(complex_of(x)) * (1 + 2j)), IMAGE),
    "approximate": (lambda x: real(raw.ApproximateEqual(x=x, y=x[:, ::-1] + 0.2, tolerance=0.3)), IMAGE),
    "betainc": (lambda x: tf.math.betainc(x + 1, x[:, ::-1] + 1, w(1, 8, 10, 3) / 2), IMAGE),
    "bias_v1": (lambda x: raw.BiasAddV1(value=x, bias=w(3)), IMAGE),
    "bitcast": (lambda x: tf.bitcast(x, tf.float32) + 1, IMAGE),
    **{f"bits_{n}": (lambda x, n=n: real(getattr(raw, n)(x=whole(x), y=whole(x[:, ::-1]))), IMAGE) for n in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")},  # noqa: E501
    "shift_left": (lambda x: real(raw.LeftShift(x=whole(x), y=tf.constant(1))), IMAGE),
    "shift_right": (lambda x: real(raw.RightShift(x=whole(x), y=tf.constant(1))), IMAGE),
    "invert": (lambda x: real(raw.Invert(x=whole(x))), IMAGE),
    "population": (lambda x: real(raw.PopulationCount(x=whole(x))), IMAGE),
    "logic": (lambda x: real(tf.logical_and(x > 0.6, tf.logical_not(x[:, ::-1] > 1.4))), IMAGE),
    "logic_or": (lambda x: real(tf.logical_or(x > 0.9, x[:, ::-1] > 1.2)), IMAGE),
    "truncate": (lambda x: real(raw.TruncateDiv(x=whole(x), y=tf.constant(3))), IMAGE),
    "bucketize": (lambda x: real(raw.Bucketize(input=x, boundaries=[0.1, 0.7, 1.0, 1.2, 5.0])), IMAGE),
    "checked": (lambda x: tf.debugging.check_numerics(x, "no") + 1, IMAGE),
    "checked_v1": (lambda x: raw.CheckNumerics(tensor=x, message="no") + 1, IMAGE),
    "held": (lambda x: raw.PreventGradient(input=raw.Snapshot(input=x)) + 1, IMAGE),
    "ensured": (lambda x: tf.ensure_shape(x, (1, 8, 10, 3)) + 1, IMAGE),
    "default": (lambda x: tf.compat.v1.placeholder_with_default(x, (1, 8, 10, 3)) + 1, IMAGE),
    "clip_raw": (lambda x: raw.ClipByValue(t=x, clip_value_min=0.0, clip_value_max=6.0), IMAGE),
    "conjugate_transpose": (lambda x: raw.ConjugateTranspose(x=x, perm=[0, 2, 1, 3]), IMAGE),
    "conv_any": (lambda x: raw.Conv(input=x, filter=w(3, 3, 3, 2), strides=[1, 2, 2, 1], padding="SAME"), IMAGE),
    "depthwise_transpose": (lambda x: tf.nn.depthwise_conv2d_backprop_input((1, 16, 20, 3), w(3, 3, 3, 1), x, (1, 2, 2, 1), "SAME"), IMAGE),
    **{f"fft_{n}": (lambda x, n=n: tf.abs(getattr(raw, n)(input=tf.complex(tf.transpose(x, (0, 3, 1, 2)), 0.0))), IMAGE) for n in ("FFT2D", "IFFT", "IFFT2D")},  # noqa: E501
    "fft_back": (lambda x: tf.signal.irfft2d(tf.signal.rfft2d(tf.transpose(x, (0, 3, 1, 2)))), IMAGE),
    "fft_volume": (lambda x: tf.signal.irfft3d(tf.signal.rfft3d(x[..., :2])), IMAGE),
    **{f"slope_{n}": (lambda x, n=n: getattr(raw, n)(gradients=x, features=x[:, ::-1]), IMAGE) for n in ("ReluGrad", "Relu6Grad")},
    "slope_elu": (lambda x: raw.EluGrad(gradients=x, outputs=x[:, ::-1] - 1.01), IMAGE),
    **{f"slope_{n}": (lambda x, n=n: getattr(raw, n)(y=x[:, ::-1] * 0.3 + 0.1, dy=x), IMAGE) for n in ("RsqrtGrad", "SigmoidGrad", "SqrtGrad", "TanhGrad")},  # noqa: E501
    **{f"scatter_{n}": (lambda x, n=n: getattr(tf, f"tensor_scatter_nd_{n}")(x[0] * 0.9, [[1], [4], [1]], x[0, :3]), IMAGE) for n in ("sub", "max", "min")},  # noqa: E501
    "diagonal_v1": (lambda x: raw.MatrixDiagPart(input=tf.transpose(x, (0, 3, 1, 2))), IMAGE),
    "diagonal_v2": (lambda x: raw.MatrixDiagPartV2(input=tf.transpose(x, (0, 3, 1, 2)), k=0, padding_value=0.0), IMAGE),
    "_diagonal_beside": (lambda x: tf.linalg.diag_part(tf.transpose(x, (0, 3, 1, 2)), k=1), IMAGE),
    "quantize_vars": (lambda x: tf.quantization.fake_quant_with_min_max_vars(x, -6.0, 6.0), IMAGE),
    "quantize_channels": (lambda x: tf.quantization.fake_quant_with_min_max_vars_per_channel(x, [-6.0] * 3, [6.0] * 3), IMAGE),
    "quantize_v3": (lambda x: raw.QuantizeAndDequantizeV3(input=x, input_min=-6.0, input_max=6.0, num_bits=8), IMAGE),
    "norm_v1": (lambda x: raw.FusedBatchNorm(x=x, scale=w(3), offset=w(3), mean=w(3), variance=w(3), is_training=False)[0], IMAGE),
    "norm_v2": (lambda x: raw.FusedBatchNormV2(x=x, scale=w(3), offset=w(3), mean=[], variance=[])[0], IMAGE),
    "stitch_parallel": (lambda x: raw.ParallelDynamicStitch(indices=[[0, 2, 3], [1, 4]], data=[x[0, :3], x[0, 5:7]]), IMAGE),
    "polygamma": (lambda x: tf.math.polygamma(tf.ones(()), x + 1), IMAGE),
    "zeta": (lambda x: tf.math.zeta(x + 2, w(1, 8, 10, 3)), IMAGE),
}  # fmt: skip


ARITHMETIC = (
    "Abs Acos Acosh Asin Asinh Atan Atanh BesselI0e BesselI1e Ceil Cos Cosh Digamma Elu Erf Erfc Erfinv Exp Expm1 Floor Inv Lgamma "
    " Log Log1p Ndtri Neg Reciprocal Relu Relu6 Rint Round Rsqrt Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Square Tan "
    "Tanh"
).split()
PAIRS = (
    "Add AddV2 Sub Mul Div RealDiv DivNoNan MulNoNan Maximum Minimum Pow SquaredDifference Xdivy Xlogy Xlog1py Atan2 Greater GreaterEqual "
    "Less LessEqual Equal NotEqual FloorDiv FloorMod Mod TruncateMod Igamma NextAfter"
).split()


def pointwise() -> dict[str, Case]:
    """Ops of one number, and of two: an image with itself turned around."""
    found: dict[str, Case] = {
        n: (lambda x, n=n: tf.cast(getattr(raw, n)(**{_first(n): x + 1 if n == "Acosh" else x * 0.4}), tf.float32), IMAGE)
        for n in ARITHMETIC
    }
    return found | {n: (lambda x, n=n: tf.cast(_pair(n, x, x[:, ::-1, :1]), tf.float32), IMAGE) for n in PAIRS}


def _first(name: str) -> str:
    return "features" if name in ("Relu", "Relu6", "Elu", "Selu", "Softplus", "Softsign") else "x"


def _pair(name: str, x: Any, y: Any) -> Any:
    if name == "Igamma":
        return raw.Igamma(a=x + 1, x=y + 1)
    if name == "NextAfter":
        return raw.NextAfter(x1=x, x2=y)
    return raw.Atan2(y=x, x=y) if name == "Atan2" else getattr(raw, name)(x=x, y=y)


def cases() -> dict[str, Case]:
    """All of them."""
    return windows() | resizes() | MOVES | INDEX | MIXED | PICKED | RARE | pointwise()


def models() -> dict[tuple[int, ...], tuple[list[str], Any]]:
    """By the shape of the image, the names of all cases of it, and one function that gives the results of all: it is traced once."""
    found: dict[tuple[int, ...], list[str]] = {}
    every = cases()
    for name, (_, shape) in every.items():
        found.setdefault(shape, []).append(name)

    def together(names: list[str]) -> Any:
        def run(x: Any) -> dict[str, Any]:
            made = {}
            for name in names:
                with tf.name_scope(name.strip("_")):
                    made[name.strip("_")] = every[name][0](x) + 0  # an op of its own
            return made

        return tf.function(run, autograph=False)

    return {shape: (names, together(names)) for shape, names in found.items()}
