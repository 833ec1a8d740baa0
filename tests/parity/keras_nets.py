"""The architectures in Keras: channels last, functional models."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers as L
from keras import ops

from parity.sizes import SIZES

Nets = dict[str, Callable[[], keras.Model]]


def image(name: str) -> keras.KerasTensor:
    """The input: (*space, channels)."""
    channels, *space = SIZES[name]
    return keras.Input((*space, channels), batch_size=1)


def padded(x: keras.KerasTensor, filters: int, kernel: int, strides: int = 1, pad: int = 1) -> keras.KerasTensor:
    """A convolution among `pad` rows and columns of zeros, as PyTorch pads."""
    return L.Conv2D(filters, kernel, strides)(L.ZeroPadding2D(pad)(x))


def relu_conv(x: keras.KerasTensor, filters: int, kernel: int = 3) -> keras.KerasTensor:
    return L.Conv2D(filters, kernel, padding="same", activation="relu")(x)


def plain() -> keras.Model:
    x = image("plain")
    y = L.Conv2D(5, (5, 3), activation="relu")(L.Conv2D(4, 3, activation="relu")(x))
    return keras.Model(x, L.Conv2D(2, 3)(L.MaxPooling2D(2)(y)))


def strided_same() -> keras.Model:
    x = image("strided_same")
    y = L.Conv2D(4, 3, 2, padding="same", activation="relu")(x)
    return keras.Model(x, L.Conv2D(4, 4, 3, padding="same")(L.MaxPooling2D(3, 2, padding="same")(y)))


def dilated() -> keras.Model:
    x = y = image("dilated")
    for d in (1, 2, 4):
        y = L.Conv2D(3, 3, padding="same", dilation_rate=d, activation="relu")(y)
    return keras.Model(x, y)


def grouped() -> keras.Model:
    x = image("grouped")
    y = L.ZeroPadding2D(1)(L.Conv2D(6, 3, groups=2, activation="relu")(x))
    return keras.Model(x, L.Conv2D(4, 3, 2, groups=2)(y))


def depthwise() -> keras.Model:
    x = image("depthwise")
    y = L.SeparableConv2D(6, 5, padding="same", activation="relu")(x)
    return keras.Model(x, L.Conv2D(3, 1)(L.DepthwiseConv2D(3, 2)(y)))


def transposed() -> keras.Model:
    x = image("transposed")
    y = padded(x, 4, 4, 2)
    y = L.Conv2DTranspose(3, 4, 2, padding="same")(L.ReLU()(y))
    return keras.Model(x, L.Conv2DTranspose(2, 2, 2)(y))


def unet() -> keras.Model:
    x = image("unet")
    one = relu_conv(x, 3)
    two = relu_conv(L.MaxPooling2D(2)(one), 4)
    three = relu_conv(L.MaxPooling2D(2)(two), 5)
    two = relu_conv(L.Concatenate()([L.Conv2DTranspose(4, 2, 2)(three), two]), 3)
    return keras.Model(x, L.Conv2D(2, 3, padding="same")(L.Concatenate()([L.UpSampling2D(2)(two), one])))


def inception() -> keras.Model:
    x = image("inception")
    branches = [L.Conv2D(2, k, padding="same")(x) for k in (1, 3, 5)]
    branches.append(L.Conv2D(2, 1)(L.MaxPooling2D(3, 1, padding="same")(x)))
    return keras.Model(x, L.Conv2D(3, 3)(L.Concatenate()(branches)))


def squeeze_excite() -> keras.Model:
    x = image("squeeze_excite")
    y = L.Conv2D(4, 3)(x)
    gate = L.Dense(4, activation="sigmoid")(L.Dense(2, activation="relu")(L.GlobalAveragePooling2D()(y)))
    return keras.Model(x, L.Conv2D(3, 3)(L.Multiply()([y, L.Reshape((1, 1, 4))(gate)])))


def group_norm() -> keras.Model:
    x = image("group_norm")
    return keras.Model(x, L.Conv2D(2, 3)(L.ReLU()(L.GroupNormalization(2)(L.Conv2D(4, 3)(x)))))


def layer_norm() -> keras.Model:
    x = image("layer_norm")
    return keras.Model(x, L.Conv2D(2, 5)(L.LayerNormalization()(L.Conv2D(4, 3, padding="same")(x))))


def attention() -> keras.Model:
    x = image("attention")
    y = L.Conv2D(4, 4, 4)(x)
    tokens = L.Reshape((-1, 4))(y)
    scores = L.Softmax()(L.Dot((2, 2))([L.Dense(4)(tokens), L.Dense(4)(tokens)]))
    return keras.Model(x, L.Dense(4)(L.Add()([tokens, L.Dot((2, 1))([scores, L.Dense(4)(tokens)])])))


def masked_attention() -> keras.Model:
    x = image("masked_attention")
    tokens = L.Conv1D(4, 3)(x)
    scores = ops.matmul(L.Dense(4)(tokens), ops.transpose(L.Dense(4)(tokens), (0, 2, 1))) / 2.0
    n = scores.shape[-1]
    scores = ops.where(np.tril(np.ones((n, n), bool)), scores, -np.inf)
    return keras.Model(x, ops.matmul(ops.softmax(scores, -1), L.Dense(4)(tokens)))


def causal() -> keras.Model:
    x = y = image("causal")
    for d in (1, 2, 4):
        y = L.Add()([y, L.Conv1D(2, 3, padding="causal", dilation_rate=d, activation="tanh")(y)])
    return keras.Model(x, y)


def volume() -> keras.Model:
    x = image("volume")
    y = L.AveragePooling3D(2)(L.Conv3D(3, 3, padding="same", activation="relu")(x))
    return keras.Model(x, L.Conv3D(2, (3, 1, 3))(y))


def nearest() -> keras.Model:
    x = image("nearest")
    return keras.Model(x, L.Conv2D(2, 3)(L.UpSampling2D(2)(L.Conv2D(3, 3, padding="same")(x))))


def bilinear() -> keras.Model:
    x = image("bilinear")
    y = L.UpSampling2D(2, interpolation="bilinear")(padded(x, 3, 3, 2))
    return keras.Model(x, L.Conv2D(2, 3, padding="same")(y))


def pixel_shuffle() -> keras.Model:
    x = image("pixel_shuffle")
    y = L.Conv2D(12, 3, padding="same")(x)
    _, h, w, c = y.shape
    y = ops.transpose(ops.reshape(y, (1, h, w, c // 4, 2, 2)), (0, 1, 4, 2, 5, 3))
    return keras.Model(x, L.Conv2D(2, 3)(ops.reshape(y, (1, 2 * h, 2 * w, c // 4))))


def residual() -> keras.Model:
    x = image("residual")
    y = L.Conv2D(4, 3, padding="same")(L.ReLU()(padded(x, 4, 3, 2)))
    y = L.ReLU()(L.Add()([y, L.Conv2D(4, 1, 2)(x)]))
    return keras.Model(x, L.Add()([y, L.Conv2D(4, 3, padding="same")(relu_conv(y, 4))]))


def classifier() -> keras.Model:
    x = image("classifier")
    return keras.Model(x, L.Dense(3)(L.GlobalAveragePooling2D()(L.Conv2D(4, 3, 2, activation="relu")(x))))


def batch_norm_mobile() -> keras.Model:
    x = image("batch_norm_mobile")
    y = L.ReLU(6.0)(L.BatchNormalization()(padded(x, 4, 3, 2)))
    y = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(y)))
    return keras.Model(x, L.BatchNormalization()(L.Conv2D(6, 1)(y)))


NETS: Nets = {
    f.__name__: f
    for f in (
        plain, strided_same, dilated, grouped, depthwise, transposed, unet, inception, squeeze_excite, group_norm, layer_norm, attention,
        masked_attention, causal, volume, nearest, bilinear, pixel_shuffle, residual, classifier, batch_norm_mobile,
    )
}  # fmt: skip
