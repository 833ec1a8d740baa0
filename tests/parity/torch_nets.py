"""The architectures in PyTorch: channels first, SAME by explicit padding."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lambdas import Lambda

Nets = dict[str, Callable[[], nn.Module]]


def same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """TensorFlow's SAME: the odd pixel comes behind."""
    pads: list[int] = []
    for n in reversed(x.shape[2:]):
        total = max((-(-n // stride) - 1) * stride + kernel - n, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)


def plain() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, (5, 3)), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(5, 2, 3))


def strided_same() -> nn.Module:
    def forward(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
        x = F.relu(a(same(x, 3, 2)))
        x = F.max_pool2d(same(x, 3, 2, -torch.inf), 3, 2)
        return b(same(x, 4, 3))

    return Lambda(forward, a=nn.Conv2d(3, 4, 3, 2), b=nn.Conv2d(4, 4, 4, 3))


def dilated() -> nn.Module:
    return nn.Sequential(*(layer for d, c in ((1, 2), (2, 3), (4, 3)) for layer in (nn.Conv2d(c, 3, 3, padding=d, dilation=d), nn.ReLU())))


def grouped() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.ReLU(), nn.Conv2d(6, 4, 3, stride=2, padding=1, groups=2))


def depthwise() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(4, 4, 5, padding=2, groups=4), nn.Conv2d(4, 6, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, 2, groups=6), nn.Conv2d(6, 3, 1)
    )


def transposed() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.ConvTranspose2d(3, 2, 2, 2))


def unet() -> nn.Module:
    def forward(x: Tensor, a: nn.Module, b: nn.Module, c: nn.Module, up: nn.Module, low: nn.Module, end: nn.Module) -> Tensor:
        one = F.relu(a(x))
        two = F.relu(b(F.max_pool2d(one, 2)))
        three = F.relu(c(F.max_pool2d(two, 2)))
        two = F.relu(low(torch.cat([up(three), two], 1)))
        return end(torch.cat([F.interpolate(two, scale_factor=2.0, mode="nearest"), one], 1))

    parts = {"a": (3, 3), "b": (3, 4), "c": (4, 5), "low": (8, 3), "end": (6, 2)}
    return Lambda(forward, **{k: nn.Conv2d(i, o, 3, padding=1) for k, (i, o) in parts.items()}, up=nn.ConvTranspose2d(5, 4, 2, 2))


def inception() -> nn.Module:
    def forward(x: Tensor, one: nn.Module, three: nn.Module, five: nn.Module, pool: nn.Module, end: nn.Module) -> Tensor:
        return end(torch.cat([one(x), three(x), five(x), pool(F.max_pool2d(x, 3, 1, 1))], 1))

    sizes = {"one": 1, "three": 3, "five": 5, "pool": 1}
    return Lambda(forward, **{name: nn.Conv2d(3, 2, k, padding=k // 2) for name, k in sizes.items()}, end=nn.Conv2d(8, 3, 3))


def squeeze_excite() -> nn.Module:
    def forward(x: Tensor, first: nn.Module, down: nn.Module, up: nn.Module, last: nn.Module) -> Tensor:
        x = first(x)
        gate = torch.sigmoid(up(F.relu(down(x.mean((2, 3))))))
        return last(x * gate[:, :, None, None])

    return Lambda(forward, first=nn.Conv2d(3, 4, 3), down=nn.Linear(4, 2), up=nn.Linear(2, 4), last=nn.Conv2d(4, 3, 3))


def group_norm() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 2, 3))


def layer_norm() -> nn.Module:
    def forward(x: Tensor, first: nn.Module, norm: nn.Module, last: nn.Module) -> Tensor:
        return last(norm(first(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2))

    return Lambda(forward, first=nn.Conv2d(4, 4, 3, padding=1), norm=nn.LayerNorm(4), last=nn.Conv2d(4, 2, 5))


def attention() -> nn.Module:
    def forward(x: Tensor, patch: nn.Module, q: nn.Module, k: nn.Module, v: nn.Module, last: nn.Module) -> Tensor:
        tokens = patch(x).flatten(2).transpose(1, 2)
        scores = torch.softmax(q(tokens) @ k(tokens).transpose(1, 2) / 2.0, -1)
        return last(tokens + scores @ v(tokens))

    return Lambda(forward, patch=nn.Conv2d(3, 4, 4, 4), **{n: nn.Linear(4, 4) for n in ("q", "k", "v", "last")})


def masked_attention() -> nn.Module:
    def forward(x: Tensor, first: nn.Module, q: nn.Module, k: nn.Module, v: nn.Module) -> Tensor:
        tokens = first(x).transpose(1, 2)
        scores = q(tokens) @ k(tokens).transpose(1, 2) / 2.0
        n = scores.shape[-1]
        hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
        return torch.softmax(scores.masked_fill(hidden, -torch.inf), -1) @ v(tokens)

    return Lambda(forward, first=nn.Conv1d(3, 4, 3), **{n: nn.Linear(4, 4) for n in ("q", "k", "v")})


def causal() -> nn.Module:
    def forward(x: Tensor, **layers: nn.Module) -> Tensor:
        for d in (1, 2, 4):
            x = x + torch.tanh(layers[f"c{d}"](F.pad(x, (2 * d, 0))))
        return x

    return Lambda(forward, **{f"c{d}": nn.Conv1d(2, 2, 3, dilation=d) for d in (1, 2, 4)})


def volume() -> nn.Module:
    return nn.Sequential(nn.Conv3d(2, 3, 3, padding=1), nn.ReLU(), nn.AvgPool3d(2), nn.Conv3d(3, 2, (3, 1, 3)))


def nearest() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Upsample(scale_factor=2.0, mode="nearest"), nn.Conv2d(3, 2, 3))


def bilinear() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 3, 3, 2, 1), nn.Upsample(scale_factor=2.0, mode="bilinear"), nn.Conv2d(3, 2, 3, padding=1))


def pixel_shuffle() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(3, 2, 3))


def residual() -> nn.Module:
    def forward(x: Tensor, a: nn.Module, b: nn.Module, skip: nn.Module, c: nn.Module, d: nn.Module) -> Tensor:
        x = F.relu(b(F.relu(a(x))) + skip(x))
        return x + d(F.relu(c(x)))

    return Lambda(
        forward,
        a=nn.Conv2d(3, 4, 3, 2, 1), b=nn.Conv2d(4, 4, 3, padding=1), skip=nn.Conv2d(3, 4, 1, 2),
        c=nn.Conv2d(4, 4, 3, padding=1), d=nn.Conv2d(4, 4, 3, padding=1),
    )  # fmt: skip


def classifier() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def batch_norm_mobile() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU6(), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.BatchNorm2d(4), nn.ReLU6(),
        nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6),
    )  # fmt: skip


NETS: Nets = {
    f.__name__: f
    for f in (
        plain, strided_same, dilated, grouped, depthwise, transposed, unet, inception, squeeze_excite, group_norm, layer_norm, attention,
        masked_attention, causal, volume, nearest, bilinear, pixel_shuffle, residual, classifier, batch_norm_mobile,
    )
}  # fmt: skip
