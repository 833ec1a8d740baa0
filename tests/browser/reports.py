"""The reports that are looked at: networks of every kind, each analysed and written once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from examples import models
from torch import nn

import isopter as ip
from lambdas import Lambda

FOLDER = TemporaryDirectory(prefix="isopter-reports-")


@dataclass(frozen=True)
class Made:
    """An analysis, and the file of its report."""

    analysis: ip.Analysis
    file: Path


def photograph(size: tuple[int, int] = (256, 256)) -> np.ndarray:
    """A picture with something everywhere: waves of three lengths, one for each colour."""
    y, x = np.mgrid[: size[0], : size[1]]
    waves = [np.sin((x * a + y * b) / 9) for a, b in ((1, 0.3), (0.2, 1), (0.7, 0.7))]
    return np.stack([(127 + 120 * wave).astype(np.uint8) for wave in waves], -1)


class Two(nn.Module):
    """Two inputs of different sizes, the second one halved and added."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 5, 2, 2)
        self.head = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.head(self.left(x) + self.right(y))


class Shared(nn.Module):
    """One convolution called twice, then resampled to a size."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(self.c(self.c(x)), size=(2 * x.shape[2], 2 * x.shape[3]))


class Last(nn.Module):
    """Channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Second(nn.Module):
    """Of two inputs the output depends on the second alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.conv(y)


def branches() -> nn.Module:
    """Two branches that are joined: a change to one of them does not fit the other."""
    return Lambda(
        lambda x, stem, left, right, head: head(torch.cat([left(stem(x)), right(stem(x))], 1)),
        stem=nn.Conv2d(3, 4, 3, padding=1), left=nn.Conv2d(4, 4, 3, padding=1), right=nn.Conv2d(4, 4, 5, padding=2),
        head=nn.Conv2d(8, 2, 1),
    )  # fmt: skip


GRID = "conv 3 p1, conv 3 p4 d4, conv 3 p4 d4, conv 3 p8 d8, conv 3 p8 d8, conv 3 p16 d16"

MAKE: dict[str, Callable[[], ip.Analysis]] = {
    "resnet18": lambda: ip.analyze(models.resnet18(), (1, 3, 224, 224)),
    "resnet34": lambda: ip.analyze(models.resnet34(), (1, 3, 224, 224)),
    "small": lambda: ip.analyze(models.ResNet(models.BasicBlock, (1, 1, 1), width=8, classes=5), (1, 3, 97, 65)),
    "unet": lambda: ip.analyze(models.UNet(3, 4), (1, 3, 64, 96)),
    "vgg": lambda: ip.analyze(models.vgg16(10), (1, 3, 224, 224)),
    "grid": lambda: ip.analyze(GRID, (1, 3, 128, 128)),
    "gated": lambda: ip.analyze(models.se_resnet(), (1, 3, 96, 96)),
    "wavenet": lambda: ip.analyze(models.wavenet(), (1, 1, 4096)),
    "ahead": lambda: ip.analyze("conv 5 s2 p2, conv 3 p1, pool 2, conv 3 p2 d2", (1, 1, 400)),
    "volume": lambda: ip.analyze(models.highres3dnet(), (1, 1, 24, 24, 24)),
    "swin": lambda: ip.analyze(models.swin_block(), (1, 3, 16, 16)),
    "one": lambda: ip.analyze(nn.Conv2d(1, 1, 1), (1, 1, 1, 1)),
    "nothing": lambda: ip.analyze(nn.Identity(), (1, 3, 8, 8)),
    "two": lambda: ip.analyze(Two(), inputs={"x": torch.zeros(1, 3, 20, 24), "y": torch.zeros(1, 3, 40, 48)}),
    "shared": lambda: ip.analyze(Shared(), (1, 1, 32, 32)),
    "last axes": lambda: ip.analyze(Last(), (1, 24, 30, 3), axes=(1, 2)),
    "second": lambda: ip.analyze(Second(), inputs={"x": torch.zeros(1, 1, 8, 8), "y": torch.zeros(1, 3, 20, 24)}),
    "branches": lambda: ip.analyze(branches(), (1, 3, 32, 40)),
}


@cache
def analysis(name: str) -> ip.Analysis:
    torch.manual_seed(0)
    return MAKE[name]()


@cache
def report(name: str, compare: str | None = None, image: bool = False) -> Made:
    """The report of one of `MAKE`, beside another, on a picture."""
    file = Path(FOLDER.name) / f"{name}-{compare}-{image}.html"
    options: dict[str, Any] = {"image": photograph() if image else None}
    if compare is not None:
        options["compare"] = analysis(compare)
    return Made(analysis(name), analysis(name).save_html(file, **options))
