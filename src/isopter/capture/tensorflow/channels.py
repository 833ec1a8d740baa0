"""Ops on channels first, for which there are kernels on the GPU alone, made of those on channels last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf  # type: ignore[import-untyped]

FIRST = {b"NCHW": b"NHWC", b"NCDHW": b"NDHWC"}

IMAGES = {
    "Conv2D": 0, "Conv3D": 0, "DepthwiseConv2dNative": 0, "MaxPool": 0, "AvgPool": 0, "MaxPool3D": 0, "AvgPool3D": 0, "DepthToSpace": 0,
    "SpaceToDepth": 0, "Conv2DBackpropInput": 2, "Conv3DBackpropInputV2": 2, "DepthwiseConv2dNativeBackpropInput": 2,
}  # fmt: skip
"""At which position the image is; before one at 2, the sizes of the result."""

Make = Callable[[Sequence[Any], dict[str, Any]], list[Any]]


def is_first(kind: str, attributes: dict[str, Any]) -> bool:
    """Whether an op is one that has its channels first."""
    return kind in IMAGES and "data_format" in attributes and attributes["data_format"].s in FIRST


def with_channels_last(kind: str, inputs: Sequence[Any], attributes: dict[str, Any], make: Make) -> list[Any]:
    """The op by `make`, with its image and its numbers turned, and its result turned back."""
    at = IMAGES[kind]
    rank = len(inputs[at].shape)
    last, first = [0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]
    given = list(inputs)
    given[at] = tf.transpose(given[at], last)
    if at == 2:
        given[0] = tf.gather(given[0], last)
    turned = {name: type(value).FromString(value.SerializeToString()) for name, value in attributes.items()}
    turned["data_format"].s = FIRST[attributes["data_format"].s]
    for name in ("strides", "dilations", "ksize"):
        numbers = list(turned[name].list.i) if name in turned else []
        if len(numbers) == rank:
            turned[name].list.i[:] = [numbers[a] for a in last]
    pads = list(turned["explicit_paddings"].list.i) if "explicit_paddings" in turned else []
    if len(pads) == 2 * rank:
        turned["explicit_paddings"].list.i[:] = [pads[2 * a + side] for a in last for side in (0, 1)]
    return [tf.transpose(made, first) for made in make(given, turned)]
