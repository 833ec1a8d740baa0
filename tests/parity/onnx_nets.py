"""The architectures as ONNX files: nodes written one by one, channels first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from parity.sizes import SIZES


class Net:
    """Nodes so far, each with an output of its own name."""

    def __init__(self, name: str) -> None:
        self.name, self.nodes, self.tensors = name, [], []  # type: ignore[var-annotated]
        self.random = np.random.default_rng(0)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def weights(self, *shape: int) -> str:
        return self.constant(self.random.standard_normal(shape))

    def conv(
        self, x: str, out: int, into: int, kernel: int | tuple[int, ...], stride: int = 1, pad: Any = 0, ndim: int = 2, **more: Any
    ) -> str:
        """A convolution; `pad` on every side, "SAME_UPPER", or all pads as ONNX counts them."""
        sizes = (kernel,) * ndim if isinstance(kernel, int) else kernel
        pads = {"auto_pad": pad} if isinstance(pad, str) else {"pads": [pad] * 2 * ndim if isinstance(pad, int) else list(pad)}
        weight = self.weights(out, into // more.get("group", 1), *sizes)
        return self.op("Conv", x, weight, self.weights(out), strides=[stride] * ndim, **pads, **more)

    def relu_conv(self, x: str, out: int, into: int, pad: int = 1) -> str:
        return self.op("Relu", self.conv(x, out, into, 3, pad=pad))

    def max_pool(self, x: str, size: int, stride: int, **more: Any) -> str:
        return self.op("MaxPool", x, kernel_shape=[size] * 2, strides=[stride] * 2, **more)

    def up(self, x: str, out: int, into: int, kernel: int, stride: int, pad: int = 0) -> str:
        return self.op("ConvTranspose", x, self.weights(into, out, kernel, kernel), strides=[stride] * 2, pads=[pad] * 4)

    def dense(self, x: str, out: int, into: int) -> str:
        return self.op("Add", self.op("MatMul", x, self.weights(into, out)), self.weights(out))

    def doubled(self, x: str, mode: str) -> str:
        grid = "half_pixel" if mode == "linear" else "asymmetric"
        scales = self.constant([1, 1, 2, 2])
        return self.op("Resize", x, "", scales, mode=mode, coordinate_transformation_mode=grid, nearest_mode="floor")

    def norm(self, x: str, channels: int) -> str:
        variance = self.constant(self.random.random(channels) + 0.5)
        return self.op("BatchNormalization", x, *(self.weights(channels) for _ in range(3)), variance)

    def model(self, output: str) -> ModelProto:
        image = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, *SIZES[self.name]))
        made = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, self.name, [image], [made], self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def plain(n: Net) -> str:
    x = n.op("Relu", n.conv("x", 4, 3, 3))
    x = n.op("Relu", n.conv(x, 5, 4, (5, 3)))
    return n.conv(n.max_pool(x, 2, 2), 2, 5, 3)


def strided_same(n: Net) -> str:
    x = n.op("Relu", n.conv("x", 4, 3, 3, 2, "SAME_UPPER"))
    return n.conv(n.max_pool(x, 3, 2, auto_pad="SAME_UPPER"), 4, 4, 4, 3, "SAME_UPPER")


def dilated(n: Net) -> str:
    x = "x"
    for d, c in ((1, 2), (2, 3), (4, 3)):
        x = n.op("Relu", n.conv(x, 3, c, 3, pad=d, dilations=[d, d]))
    return x


def grouped(n: Net) -> str:
    x = n.op("Relu", n.conv("x", 6, 4, 3, group=2))
    return n.conv(x, 4, 6, 3, 2, 1, group=2)


def depthwise(n: Net) -> str:
    x = n.op("Relu", n.conv(n.conv("x", 4, 4, 5, pad=2, group=4), 6, 4, 1))
    return n.conv(n.conv(x, 6, 6, 3, 2, group=6), 3, 6, 1)


def transposed(n: Net) -> str:
    x = n.op("Relu", n.conv("x", 4, 3, 4, 2, 1))
    return n.up(n.up(x, 3, 4, 4, 2, 1), 2, 3, 2, 2)


def unet(n: Net) -> str:
    one = n.relu_conv("x", 3, 3)
    two = n.relu_conv(n.max_pool(one, 2, 2), 4, 3)
    three = n.relu_conv(n.max_pool(two, 2, 2), 5, 4)
    two = n.relu_conv(n.op("Concat", n.up(three, 4, 5, 2, 2), two, axis=1), 3, 8)
    return n.conv(n.op("Concat", n.doubled(two, "nearest"), one, axis=1), 2, 6, 3, pad=1)


def inception(n: Net) -> str:
    branches = [n.conv("x", 2, 3, k, pad=k // 2) for k in (1, 3, 5)]
    branches.append(n.conv(n.max_pool("x", 3, 1, pads=[1] * 4), 2, 3, 1))
    return n.conv(n.op("Concat", *branches, axis=1), 3, 8, 3)


def squeeze_excite(n: Net) -> str:
    x = n.conv("x", 4, 3, 3)
    down = n.op("Relu", n.conv(n.op("GlobalAveragePool", x), 2, 4, 1))
    return n.conv(n.op("Mul", x, n.op("Sigmoid", n.conv(down, 4, 2, 1))), 3, 4, 3)


def group_norm(n: Net) -> str:
    x = n.op("GroupNormalization", n.conv("x", 4, 4, 3), n.weights(4), n.weights(4), num_groups=2)
    return n.conv(n.op("Relu", x), 2, 4, 3)


def layer_norm(n: Net) -> str:
    x = n.op("Transpose", n.conv("x", 4, 4, 3, pad=1), perm=[0, 2, 3, 1])
    x = n.op("LayerNormalization", x, n.weights(4), n.weights(4), axis=-1)
    return n.conv(n.op("Transpose", x, perm=[0, 3, 1, 2]), 2, 4, 5)


def _mixed(n: Net, tokens: str, mask: str | None = None) -> str:
    keys = n.op("Transpose", n.dense(tokens, 4, 4), perm=[0, 2, 1])
    scores = n.op("Div", n.op("MatMul", n.dense(tokens, 4, 4), keys), n.constant(2.0))
    scores = scores if mask is None else n.op("Add", scores, mask)
    return n.op("MatMul", n.op("Softmax", scores, axis=-1), n.dense(tokens, 4, 4))


def attention(n: Net) -> str:
    flat = n.op("Reshape", n.conv("x", 4, 3, 4, 4), n.constant([1, 4, -1], np.int64))
    tokens = n.op("Transpose", flat, perm=[0, 2, 1])
    return n.dense(n.op("Add", tokens, _mixed(n, tokens)), 4, 4)


def masked_attention(n: Net) -> str:
    tokens = n.op("Transpose", n.conv("x", 4, 3, 3, ndim=1), perm=[0, 2, 1])
    hidden = np.triu(np.full((18, 18), -np.inf), 1)
    return _mixed(n, tokens, n.constant(hidden))


def causal(n: Net) -> str:
    x = "x"
    for d in (1, 2, 4):
        x = n.op("Add", x, n.op("Tanh", n.conv(x, 2, 2, 3, pad=(2 * d, 0), ndim=1, dilations=[d])))
    return x


def volume(n: Net) -> str:
    x = n.op("Relu", n.conv("x", 3, 2, 3, pad=1, ndim=3))
    x = n.op("AveragePool", x, kernel_shape=[2] * 3, strides=[2] * 3)
    return n.conv(x, 2, 3, (3, 1, 3), ndim=3)


def nearest(n: Net) -> str:
    return n.conv(n.doubled(n.conv("x", 3, 3, 3, pad=1), "nearest"), 2, 3, 3)


def bilinear(n: Net) -> str:
    return n.conv(n.doubled(n.conv("x", 3, 3, 3, 2, 1), "linear"), 2, 3, 3, pad=1)


def pixel_shuffle(n: Net) -> str:
    return n.conv(n.op("DepthToSpace", n.conv("x", 12, 3, 3, pad=1), blocksize=2, mode="CRD"), 2, 3, 3)


def residual(n: Net) -> str:
    y = n.conv(n.op("Relu", n.conv("x", 4, 3, 3, 2, 1)), 4, 4, 3, pad=1)
    y = n.op("Relu", n.op("Add", y, n.conv("x", 4, 3, 1, 2)))
    return n.op("Add", y, n.conv(n.relu_conv(y, 4, 4), 4, 4, 3, pad=1))


def classifier(n: Net) -> str:
    x = n.op("GlobalAveragePool", n.op("Relu", n.conv("x", 4, 3, 3, 2)))
    return n.op("Gemm", n.op("Flatten", x), n.weights(4, 3), n.weights(3))


def batch_norm_mobile(n: Net) -> str:
    low, high = n.constant(0.0), n.constant(6.0)
    x = n.op("Clip", n.norm(n.conv("x", 4, 3, 3, 2, 1), 4), low, high)
    x = n.op("Clip", n.norm(n.conv(x, 4, 4, 3, pad=1, group=4), 4), low, high)
    return n.norm(n.conv(x, 6, 4, 1), 6)


def _made(write: Callable[[Net], str]) -> Callable[[], ModelProto]:
    def make() -> ModelProto:
        net = Net(write.__name__)
        return net.model(write(net))

    return make


NETS: dict[str, Callable[[], ModelProto]] = {
    f.__name__: _made(f)
    for f in (
        plain, strided_same, dilated, grouped, depthwise, transposed, unet, inception, squeeze_excite, group_norm, layer_norm, attention,
        masked_attention, causal, volume, nearest, bilinear, pixel_shuffle, residual, classifier, batch_norm_mobile,
    )
}  # fmt: skip
