"""Draws the pictures of README and docs: ``make pictures``. From real networks.

The photographs come with scikit-learn and scikit-image. The report is taken in Chromium as the system has it, offline; the rest is drawn
by matplotlib.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # files only

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

import isopter as ip
from isopter.fields.field import Field
from isopter.report.figures import accuracy

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
import models
from report import as_published, inputs, photographs

HERE = Path(__file__).resolve().parent

GRIDDING = "conv 1, [conv 3 p2 d2]*2, [conv 3 p4 d4]*2, [conv 3 p8 d8]*2"
"""Dilations that have the divisor 2 in common: neighbours of a pixel that is read are not."""

COLORS = 256
"""In the palette of a picture: enough for a photograph on a page, at half the bytes."""


def main() -> None:
    torch.manual_seed(0)
    pictures = photographs()
    for name, figure in figures(pictures):
        file = io.BytesIO()
        figure.savefig(file, dpi=160)
        plt.close(figure)
        save(name, Image.open(file))
    for name, image in screens(pictures):
        save(name, image)


def save(name: str, image: Image.Image) -> None:
    path = HERE / f"{name}.png"
    image.convert("RGB").quantize(COLORS, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{path.relative_to(HERE.parent.parent)} ({path.stat().st_size / 1000:,.0f} kB)")


# ---- figures ------------------------------------------------------------------------------------------------------------------


def figures(pictures: list[np.ndarray]) -> Iterator[tuple[str, Figure]]:
    yield "reads", reads(pictures)
    resnet = ip.analyze(models.resnet50(), (1, 3, 224, 224))
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.1), layout="constrained")
    resnet.plot(axes[0], effective={name: resnet[name].expected() for name in ("maxpool", "layer1", "layer2", "layer3", "layer4")})
    resnet["layer4"].paths().plot(axes[1])
    accuracy.plot(resnet, axes[2])
    yield "resnet50", figure
    unet = ip.analyze(models.unet(), (1, 3, 256, 256))
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
    unet["head"].plot_padding(axes[0])
    unet.plot(axes[1])
    yield "unet", figure


def reads(pictures: list[np.ndarray]) -> Figure:
    """What one unit reads, of four networks."""
    shown: list[tuple[str, Field, tuple[int, ...]]] = [
        ("ResNet-18", ip.analyze(models.resnet18(), (1, 3, 224, 224))["layer2"], (9, 4)),
        ("U-Net", ip.analyze(models.unet(), (1, 3, 256, 256))["merge.0"], (20, 9)),
        ("Dilations 2, 2, 4, 4, 8, 8", ip.analyze(GRIDDING, (1, 3, 224, 224))["conv7"], (120, 120)),
        ("Swin block, shifted windows", ip.analyze(models.SwinBlock(28, 7, 3), (1, 3, 28, 28))["add_2"], (12, 16)),
    ]
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.6), layout="constrained")
    for ax, (name, field, unit), picture in zip(axes, shown, pictures, strict=False):
        prior = field.expected(unit, clip=True) if field.basis == "plane" else None
        field.plot(ax, unit=unit, image=picture, effective=prior, zoom=False if field.density == 1 else None)
        ax.set_title(f"{name}\n{' x '.join(map(str, field.size))} px, density {field.support(unit).density:.0%}", loc="left", fontsize=10)
        ax.set(xlabel="", ylabel="")
        if ax.get_legend() is not None and ax is not axes[0]:
            ax.get_legend().remove()
    return figure


# ---- the report ---------------------------------------------------------------------------------------------------------------


def screens(pictures: list[np.ndarray]) -> Iterator[tuple[str, Image.Image]]:
    from playwright.sync_api import sync_playwright

    nets = [as_published(net) for net in (models.resnet50(), models.resnet50_dilated())]
    data = inputs(pictures, 8)
    layers = ["maxpool", "layer1", "layer2.1", "layer2", "layer3.2", "layer3", "layer4.0", "layer4"]
    analyses = [ip.analyze(net, tuple(data[:1].shape)) for net in nets]
    for analysis, title in zip(analyses, ("ResNet-50", "ResNet-50, dilated"), strict=True):
        analysis.name = title
    measured = [ip.effective(net, layers, tuple(data[:1].shape), data=data, samples=len(data), progress="auto") for net in nets]
    gridding = ip.analyze(GRIDDING, (1, 3, 224, 224))
    gridding.name = "Dilations 2, 2, 4, 4, 8, 8"
    wavenet = ip.analyze(models.wavenet(), (1, 1, 4096))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=["--no-sandbox"])
        files = {
            "resnet": analyses[0].save_html(Path(folder, "resnet.html"), image=pictures[0], compare=analyses[1], effective=measured),
            "holes": gridding.save_html(Path(folder, "holes.html"), image=pictures[0]),
            "flow": wavenet.save_html(Path(folder, "flow.html")),
        }
        for name, file, link, scheme in (
            ("report", "resnet", "#layer=layer2.3.add&unit=9,5", "light"),
            ("report-dark", "resnet", "#layer=layer3.2.add&unit=6,6", "dark"),
            ("report-holes", "holes", "#layer=conv7&unit=100,120", "light"),
            ("report-flow", "flow", "#layer=layers.9.conv&unit=3000", "light"),
        ):
            page = browser.new_context(offline=True, viewport={"width": 1480, "height": 940}, color_scheme=scheme).new_page()  # type: ignore[arg-type]
            page.goto(files[file].as_uri() + link)
            page.wait_for_selector("html[data-ready]")
            page.wait_for_timeout(500)
            yield name, Image.open(io.BytesIO(page.screenshot()))
        browser.close()


if __name__ == "__main__":
    main()
