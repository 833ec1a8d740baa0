"""Networks written in TensorFlow and in PyTorch: the two captures must say the same of every map they have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import isopter as ip  # noqa: E402

N = 32


def w(*shape: int) -> Any:
    return tf.constant(np.random.default_rng(0).random(shape).astype(np.float32) + 0.1)


def conv(x: Any, k: int, c: int, s: int = 1, d: int = 1) -> Any:
    """Padded by hand as PyTorch pads, on both sides alike."""
    p = d * (k - 1) // 2
    return tf.nn.conv2d(x, w(k, k, x.shape[3], c), s, [[0, 0], [p, p], [p, p], [0, 0]], dilations=d)


class Torch(nn.Module):
    """A function of an image as a module, with convolutions made as they are first met."""

    def __init__(self, run: Callable[..., Any]) -> None:
        super().__init__()
        self.run, self.made, self.at = run, nn.ModuleList(), 0

    def forward(self, x: Any) -> Any:
        self.at = 0
        return self.run(self, x)

    def layer(self, make: Callable[[], nn.Module], x: Any) -> Any:
        if len(self.made) == self.at:
            self.made.append(make())
        self.at += 1
        return self.made[self.at - 1](x)

    def conv(self, x: Any, k: int, c: int, s: int = 1, d: int = 1) -> Any:
        return self.layer(lambda: nn.Conv2d(x.shape[1], c, k, s, d * (k - 1) // 2, d), x)


def statistics_tf(x: Any, axes: tuple[int, ...]) -> Any:
    mean, variance = tf.nn.moments(x, axes, keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, None, None, 1e-3)


def residual_tf(x: Any) -> Any:
    x = tf.nn.relu(conv(x, 7, 4, 2))
    y = tf.nn.max_pool2d(x, 3, 2, [[0, 0], [1, 1], [1, 1], [0, 0]])
    z = conv(tf.nn.relu(conv(y, 3, 4)), 3, 4, d=2)
    return tf.nn.relu(y + z)


def residual_torch(net: Torch, x: Any) -> Any:
    x = F.relu(net.conv(x, 7, 4, 2))
    y = F.max_pool2d(x, 3, 2, 1)
    z = net.conv(F.relu(net.conv(y, 3, 4)), 3, 4, d=2)
    return F.relu(y + z)


def gate_tf(x: Any) -> Any:
    x = conv(x, 3, 4, 2)
    gate = tf.reduce_mean(x, (1, 2), keepdims=True)
    return conv(x * tf.sigmoid(conv(gate, 1, 4)), 3, 4)


def gate_torch(net: Torch, x: Any) -> Any:
    x = net.conv(x, 3, 4, 2)
    gate = x.mean((2, 3), keepdim=True)
    return net.conv(x * torch.sigmoid(net.conv(gate, 1, 4)), 3, 4)


def layer_norm_tf(x: Any) -> Any:
    x = conv(x, 3, 4, 2)
    return conv(statistics_tf(x, (3,)), 3, 4)


def layer_norm_torch(net: Torch, x: Any) -> Any:
    x = net.conv(x, 3, 4, 2)
    return net.conv(F.layer_norm(x.permute(0, 2, 3, 1), (4,)).permute(0, 3, 1, 2), 3, 4)


def group_norm_tf(x: Any) -> Any:
    x = conv(x, 3, 4, 2)
    n, h, wide, _ = x.shape
    x = statistics_tf(tf.reshape(x, (n, h, wide, 2, 2)), (1, 2, 4))
    return conv(tf.reshape(x, (n, h, wide, 4)), 3, 4)


def group_norm_torch(net: Torch, x: Any) -> Any:
    return net.conv(F.group_norm(net.conv(x, 3, 4, 2), 2), 3, 4)


def instance_norm_tf(x: Any) -> Any:
    return conv(statistics_tf(conv(x, 3, 4, 2), (1, 2)), 3, 4)


def instance_norm_torch(net: Torch, x: Any) -> Any:
    return net.conv(F.instance_norm(net.conv(x, 3, 4, 2)), 3, 4)


def unet_tf(x: Any) -> Any:
    a = tf.nn.relu(conv(x, 3, 4))
    b = tf.nn.relu(conv(tf.nn.avg_pool2d(a, 2, 2, "VALID"), 3, 4))
    c = tf.nn.relu(conv(tf.nn.max_pool2d(b, 2, 2, "VALID"), 3, 4))
    c = tf.image.resize(c, b.shape[1:3])
    d = conv(tf.concat([b, c], 3), 3, 4)
    d = tf.nn.conv2d_transpose(d, w(2, 2, 4, 4), (1, N, N, 4), 2, "VALID")
    return conv(d + a, 3, 2)


def unet_torch(net: Torch, x: Any) -> Any:
    a = F.relu(net.conv(x, 3, 4))
    b = F.relu(net.conv(F.avg_pool2d(a, 2), 3, 4))
    c = F.relu(net.conv(F.max_pool2d(b, 2), 3, 4))
    c = F.interpolate(c, b.shape[2:], mode="bilinear")
    d = net.conv(torch.cat([b, c], 1), 3, 4)
    d = net.layer(lambda: nn.ConvTranspose2d(4, 4, 2, 2), d)
    return net.conv(d + a, 3, 2)


def shuffle_tf(x: Any) -> Any:
    x = tf.nn.space_to_depth(x, 2)
    return conv(tf.nn.depth_to_space(conv(x, 3, 8), 2), 3, 2)


def shuffle_torch(net: Torch, x: Any) -> Any:
    x = F.pixel_unshuffle(x, 2)
    return net.conv(F.pixel_shuffle(net.conv(x, 3, 8), 2), 3, 2)


def transformer_tf(x: Any) -> Any:
    x = tf.reshape(conv(x, 3, 4, 4), (1, 64, 4))
    scores = tf.nn.softmax(tf.matmul(x, x, transpose_b=True))
    return tf.matmul(scores, x) + x


def transformer_torch(net: Torch, x: Any) -> Any:
    x = net.conv(x, 3, 4, 4).flatten(2).transpose(1, 2)
    return torch.softmax(x @ x.transpose(1, 2), -1) @ x + x


def windows_tf(x: Any) -> Any:
    """Attention in windows that shift."""
    x = tf.roll(conv(x, 4, 4, 4)[:, :8, :8], (-2, -2), (1, 2))
    x = tf.reshape(tf.transpose(tf.reshape(x, (1, 2, 4, 2, 4, 4)), (0, 1, 3, 2, 4, 5)), (4, 16, 4))
    x = tf.matmul(tf.nn.softmax(tf.matmul(x, x, transpose_b=True)), x)
    x = tf.reshape(tf.transpose(tf.reshape(x, (1, 2, 2, 4, 4, 4)), (0, 1, 3, 2, 4, 5)), (1, 8, 8, 4))
    return tf.roll(x, (2, 2), (1, 2))


def windows_torch(net: Torch, x: Any) -> Any:
    x = net.conv(x, 4, 4, 4)[:, :, :8, :8].permute(0, 2, 3, 1).roll((-2, -2), (1, 2))
    x = x.reshape(1, 2, 4, 2, 4, 4).permute(0, 1, 3, 2, 4, 5).reshape(4, 16, 4)
    x = torch.softmax(x @ x.transpose(1, 2), -1) @ x
    return x.reshape(1, 2, 2, 4, 4, 4).permute(0, 1, 3, 2, 4, 5).reshape(1, 8, 8, 4).roll((2, 2), (1, 2))


def classifier_tf(x: Any) -> Any:
    x = tf.reshape(conv(x, 3, 4, 4), (1, 256))
    return tf.nn.softmax(tf.matmul(x, w(256, 5)) + w(5))


def classifier_torch(net: Torch, x: Any) -> Any:
    x = net.conv(x, 3, 4, 4).flatten(1)
    return torch.softmax(net.layer(lambda: nn.Linear(256, 5), x), -1)


PAIRS = {
    name: (globals()[f"{name}_tf"], globals()[f"{name}_torch"])
    for name in "residual gate layer_norm group_norm instance_norm unet shuffle transformer windows classifier".split()
}


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_the_two_captures_agree(name: str) -> None:
    ours, theirs = PAIRS[name]
    net = Torch(theirs)
    net(torch.zeros(1, 3, N, N))
    other = ip.analyze(net, (1, 3, N, N))
    axes = (1, 2) if name == "shuffle" else None  # what comes before its first window folds them
    mine = ip.analyze(tf.function(ours), (1, N, N, 3), axes=axes)
    assert not mine.issues and not other.issues
    for kind in ("conv", "conv_transpose", "pool", "resample", "matmul"):
        both = [[said(a, o.name) for o in a.graph.ops if o.kind == kind] for a in (mine, other)]
        assert both[0] == both[1], kind
    assert said(mine, mine.outputs[0]) == said(other, other.outputs[0])
    for context in (False, True):
        at = tuple(n // 2 for n in mine[mine.outputs[0]].units)
        regions = [a[a.outputs[0]].region(at, context=context) for a in (mine, other)]
        assert (regions[0].lo, regions[0].hi) == (regions[1].lo, regions[1].hi)


def said(analysis: ip.Analysis, name: str) -> Any:
    f = analysis[name]
    if f.basis == "plane":
        return f.size, f.stride, f.start, f.exactness, f.basis, f.context
    lo, hi = f.regions()
    return f.size, f.exactness, f.basis, f.context, np.array(lo).tolist(), np.array(hi).tolist()


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_networks_are_proved(name: str) -> None:
    found = ip.verify(tf.function(PAIRS[name][0]), (1, N, N, 3), units=12)
    assert found.ok, found
