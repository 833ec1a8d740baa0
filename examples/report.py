"""The report of a ResNet-50 beside its dilated variant, with effective fields measured on photographs: ``python examples/report.py``.

The photographs come with scikit-learn and scikit-image; nothing is downloaded. Weights are random. Writes ``report.html`` to ``--out DIR``
(default: here), a minute or two of work; with ``--small`` a ResNet-18 alone, in seconds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import isopter as ip

sys.path.insert(0, str(Path(__file__).parent))
import models

SIDE = 224
COLORS = (torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225]))
"""Mean and standard deviation that such networks expect of their input, per colour."""


LAYERS = ["maxpool", "layer1", "layer2", "layer3", "layer4.0", "layer4"]


def photographs() -> list[np.ndarray]:
    """Pictures (height, width, 3) of bytes."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    china, flower = load_sample_images().images
    return [flower, china, data.astronaut(), data.chelsea(), data.coffee()]


def inputs(pictures: list[np.ndarray], count: int) -> Tensor:
    """`count` parts of the pictures, drawn at random, as a network takes them: (count, 3, SIDE, SIDE)."""
    draw = np.random.default_rng(0)
    parts = []
    for number in range(count):
        picture = pictures[number % len(pictures)]
        top, left = (int(draw.integers(n - SIDE + 1)) for n in picture.shape[:2])
        part = torch.from_numpy(picture[top : top + SIDE, left : left + SIDE].copy()).float() / 255
        parts.append(((part - COLORS[0]) / COLORS[1]).permute(2, 0, 1))
    return torch.stack(parts)


def as_published(net: nn.Module) -> nn.Module:
    """Convolutions drawn as He et al. 2015 have it, as the networks of torchvision are."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("."), help="folder for report.html (default: here)")
    parser.add_argument("--small", action="store_true", help="a ResNet-18 alone: seconds")
    chosen = parser.parse_args()
    torch.manual_seed(0)
    nets = [models.resnet18()] if chosen.small else [models.resnet50(), models.resnet50_dilated()]
    nets = [as_published(net) for net in nets]
    titles = ["ResNet-18"] if chosen.small else ["ResNet-50", "ResNet-50, dilated"]
    pictures = photographs()
    data = inputs(pictures, 4 if chosen.small else 6)
    analyses, measured = [], []
    for net, title in zip(nets, titles, strict=True):
        analysis = ip.analyze(net, tuple(data[:1].shape))
        analysis.name = title
        analyses.append(analysis)
        measured.append(ip.effective(net, LAYERS, tuple(data[:1].shape), data=data, samples=len(data), progress="auto"))
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = analyses[0].save_html(chosen.out / "report.html", image=pictures[0], compare=analyses[1:], effective=measured)
    print(f"{path} ({path.stat().st_size / 1000:,.0f} kB): open it in a browser")


if __name__ == "__main__":
    main()
