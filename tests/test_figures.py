"""Static pictures: what is drawn, and where. Every test reads the artists back, and draws the figure to the end."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgba
from PIL import Image
from torch import Tensor, nn

import isopter as ip
from isopter.cli.app import cli
from isopter.errors import MissingExtra, UsageError
from isopter.fields.field import Field
from isopter.fields.paths import EnergyPaths, PathDistribution
from isopter.fields.unit import Region
from isopter.report.figures import accuracy, look
from isopter.report.figures.growth import points
from isopter.report.figures.layers import MOST_DOTS, PLAIN, blended
from isopter.report.figures.paths import DEEP, MOST_BARS, count
from isopter.report.figures.scene import HOLE, NOWHERE, PADDING, READ, UNREAD
from isopter.report.figures.strip import reach

HOSTILE = "$a_{b$ </script> \n%s \\frac{" + "x" * 300


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Every figure a test makes can be drawn, and is closed."""
    before = dict(matplotlib.rcParams)
    yield
    for number in plt.get_fignums():
        plt.figure(number).savefig(io.BytesIO(), format="png", dpi=40)
    plt.close("all")
    assert dict(matplotlib.rcParams) == before, "a picture changed the user's settings"


def field(text: str, shape: tuple[int, ...], layer: str | None = None) -> Field:
    analysis = ip.analyze(text, shape)
    return analysis[layer or analysis.outputs[-1]]


def of(*layers: nn.Module, shape: tuple[int, ...]) -> Field:
    analysis = ip.analyze(nn.Sequential(*layers), shape)
    return analysis[analysis.outputs[-1]]


def codes(ax: Axes) -> tuple[np.ndarray, tuple[int, int]]:
    """What each pixel is said to be, and the pixel (row, column) of the first."""
    image = ax.images[-1]
    left, _, _, top = image.get_extent()
    return np.asarray(image.get_array()), (round(top + 0.5), round(left + 0.5))


def patch(ax: Axes, label: str) -> Any:
    return next(p for p in ax.patches if p.get_label() == label)


def edges(ax: Axes, label: str) -> tuple[float, float, float, float]:
    """Left, top, width, height of a drawn box."""
    box = patch(ax, label)
    return box.get_x(), box.get_y(), box.get_width(), box.get_height()


def read_of(ax: Axes) -> set[tuple[int, int]]:
    values, (top, left) = codes(ax)
    return {(top + int(y), left + int(x)) for y, x in np.argwhere((values == READ) | (values == PADDING))}


def key(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []


# ---- what a unit reads -----------------------------------------------------------------------------------------------------


def test_unit_of_two_axes() -> None:
    """The pixels drawn as read are those of the support on the plane; box and image stand where they are."""
    f = field("conv 3 s2 p1, conv 3 p1", (1, 3, 20, 30))
    ax = f.plot(unit=(0, 2), zoom=False)
    whole = f.support((0, 2), clip=False)
    assert read_of(ax) == {(int(y) + whole.origin[0], int(x) + whole.origin[1]) for y, x in np.argwhere(whole.mask)}
    values, (top, left) = codes(ax)
    assert values[-1 - top, 3 - left] == PADDING and values[0 - top, 3 - left] == READ and values[10 - top, 3 - left] == UNREAD
    (y0, y1), (x0, x1) = f.region((0, 2)).unclipped or ()
    assert edges(ax, "field") == (x0 - 0.5, y0 - 0.5, x1 - x0, y1 - y0)
    assert edges(ax, "image") == (-0.5, -0.5, 30, 20)
    assert to_hex(patch(ax, "field").get_edgecolor()) == look.THEORY
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "rows go down, as in images"
    title = ax.get_title(loc="left")
    assert "conv2 \u00b7 unit (0, 2)" in title and "7 \u00d7 7 px" in title and "density 100%" in title and "padding 43%" in title


def test_padding_is_hatched_outside_the_image_only() -> None:
    f = field("conv 5 p2", (1, 1, 9, 9))
    hatched = patch(f.plot(unit=(0, 4)), "padding")
    assert hatched.get_hatch()
    path = hatched.get_path()
    assert path.vertices[:, 1].min() == -2.5 and path.vertices[:5, 1].max() == 2.5
    assert path.vertices[5:, 1].min() == -0.5, "the part in the image is a hole"
    assert not [p for p in f.plot(unit=(4, 4)).patches if p.get_label() == "padding"]


def test_holes() -> None:
    """Three layers of dilation 2 read 7 x 7 of 13 x 13 pixels."""
    ax = field("[conv 3 d2 p2]*3", (1, 1, 40, 40)).plot()
    values, _ = codes(ax)
    assert (values == READ).sum() == 49 and "density 29%" in ax.get_title(loc="left")
    assert key(ax) == ["read", "not read", "field"]
    corner = field("[conv 3 d2 p2]*3", (1, 1, 40, 40)).plot(unit=(0, 0))
    values, _ = codes(corner)
    assert (values == READ).sum() + (values == PADDING).sum() == 49 and (values == HOLE).sum() == 13 * 13 - 7 * 7 - (49 - 4 * 4)


def test_zoom() -> None:
    """A small field is shown alone with a map of where it is, a large one with the image; zoom decides otherwise."""
    small, large = field("conv 3 p1", (1, 1, 64, 64)), field("conv 41 p20", (1, 1, 64, 64))
    near, far = small.plot(), large.plot()
    assert near.get_xlim()[1] - near.get_xlim()[0] == 5 and [a.get_label() for a in near.child_axes] == ["whole image"]
    assert far.get_xlim()[0] < 0 < 64 < far.get_xlim()[1] and not far.child_axes
    assert small.plot(zoom=False).get_xlim()[1] > 64
    assert large.plot(zoom=True).get_xlim()[0] > 0


def test_pixels_are_mixed_as_colours() -> None:
    """Of a large view several pixels share a dot: mixing the numbers would draw padding where half is read and half is not."""
    image = field("[conv 3 d2 p2]*20", (1, 1, 300, 300)).plot().images[-1]
    assert image.get_interpolation_stage() == "rgba"


def test_views_larger_than_any_print() -> None:
    """Blocks of pixels in the mean of their colours, where they belong; seconds for a field of 4,000 pixels."""
    f = field("conv 3 d1000 p1000", (1, 1, 30, 30))
    ax = f.plot()
    image = ax.images[-1]
    mixed = np.asarray(image.get_array())
    assert mixed.ndim == 3 and max(mixed.shape) <= MOST_DOTS and np.isfinite(mixed).all()
    left, right, bottom, top = image.get_extent()
    assert (left, top) == (ax.get_xlim()[0], ax.get_ylim()[1]) and right >= ax.get_xlim()[1] and bottom >= ax.get_ylim()[0]
    assert key(ax) == ["read", "not read", "padding", "field"]


def test_blocks_of_pixels() -> None:
    codes = np.full((MOST_DOTS * 2 + 2, 7), READ, np.uint8)
    codes[::2] = UNREAD
    mixed, steps = blended(codes, PLAIN)
    mean = (np.array(to_rgba(PLAIN[READ])) + to_rgba(PLAIN[UNREAD])) / 2
    assert steps == (5, 1) and mixed.shape == (641, 7, 4), "along the long axis alone"
    np.testing.assert_allclose(mixed[:2].mean(0), np.broadcast_to(mean, (7, 4)), atol=1e-5)
    np.testing.assert_allclose(mixed[-1, :, 3], 0.4, atol=1e-5, err_msg="two pixels; the rest of the block is beyond the edge, and clear")
    np.testing.assert_allclose(mixed[-1, :, :3], np.broadcast_to(mean[:3], (7, 3)), atol=1e-5)


def test_long_strip() -> None:
    """Of more samples than dots: what is read fills the cells, and nothing else."""
    ax = of(nn.Conv1d(1, 1, 3, dilation=1), nn.Conv1d(1, 1, 4001), shape=(1, 1, 9000)).plot(unit=(2500,), zoom=False)
    image = ax.images[-1]
    mixed, (left, _, bottom, top) = np.asarray(image.get_array()), image.get_extent()
    assert mixed.shape[0] == 1 and (top, bottom) == (-0.5, 0.5)
    step = (image.get_extent()[1] - left) / mixed.shape[1]
    read = np.abs(mixed[0] - to_rgba(PLAIN[READ])).max(1) < 1e-5
    assert read.sum() * step == pytest.approx(4003, abs=2 * step) and left + read.argmax() * step == pytest.approx(2500, abs=step)


def test_after_upsampling() -> None:
    """The two phases of a transposed convolution read different sets."""
    f = of(nn.Conv2d(1, 1, 3, padding=1), nn.ConvTranspose2d(1, 1, 3, 2, 1), shape=(1, 1, 9, 9))
    assert [len(read_of(f.plot(unit=(4, at)))) for at in (4, 5)] == [f.support((4, at), clip=False).count for at in (4, 5)] == [9, 12]


def test_unit_that_reads_nothing() -> None:
    f = of(nn.ConvTranspose2d(1, 1, 1, 3), shape=(1, 1, 6, 6))
    ax = f.plot(unit=(1, 1))
    assert "reads nothing" in ax.get_title(loc="left") and not read_of(ax) and key(ax) == ["not read"]
    assert "reads nothing" in f.region((1, 1)).plot().get_title(loc="left")


def test_unit_that_reads_padding_alone() -> None:
    ax = field("conv 1 p2", (1, 1, 5, 5)).plot(unit=(0, 0))
    values, (top, left) = codes(ax)
    assert values[-2 - top, -2 - left] == PADDING and (values == READ).sum() == 0 and "padding 100%" in ax.get_title(loc="left")


def test_unbounded() -> None:
    """A fully connected layer: no unit axes, the whole image, no padding."""
    f = of(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(2 * 6 * 8, 3), shape=(1, 1, 6, 8))
    ax = f.plot()
    values, _ = codes(ax)
    assert (values == READ).sum() == 48 and PADDING not in values and edges(ax, "field") == (-0.5, -0.5, 8, 6)
    assert "\u221e \u00d7 \u221e px" in ax.get_title(loc="left")


def test_no_plane_says_so() -> None:
    class Halves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, x], 3)

    analysis = ip.analyze(Halves(), (1, 1, 6, 6))
    assert "at this input size" in analysis[analysis.outputs[-1]].plot().get_title(loc="left")


def test_context() -> None:
    class Gate(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x.mean((2, 3), keepdim=True).sigmoid()

    analysis = ip.analyze(Gate(), (1, 1, 6, 6))
    f = analysis[analysis.outputs[-1]]
    assert len(read_of(f.plot())) == 1 and len(read_of(f.plot(context=True))) == 36
    assert "with context" in f.plot(context=True).get_title(loc="left")


def test_size_one() -> None:
    ax = field("conv 3 p1", (1, 1, 1, 1)).plot()
    assert (codes(ax)[0] == READ).sum() == 1 and (codes(ax)[0] == PADDING).sum() == 8


@pytest.mark.parametrize(("shape", "rank"), [((1, 1, 32), 1), ((1, 1, 8, 9), 2), ((1, 1, 6, 7, 8), 3)])
def test_wrong_unit(shape: tuple[int, ...], rank: int) -> None:
    layer = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[rank](1, 1, 3)
    with pytest.raises(UsageError, match="out of range"):
        of(layer, shape=shape).plot(unit=(99,) * rank)


def test_hostile_names() -> None:
    analysis = ip.analyze("conv 3 p1, conv 3 p1", (1, 1, 16, 16))
    analysis.name = HOSTILE
    f = Field(analysis["conv2"].walks, analysis["conv2"].op, HOSTILE)
    title = f.plot().get_title(loc="left")
    assert len(title.split("\n")) == 2 and "x" * 100 not in title
    f.plot_padding()
    analysis.plot()
    accuracy.plot(analysis)
    f.region((1, 1)).plot()


def test_given_axes() -> None:
    """Drawn into, returned, and left in the user's style; nothing else is made."""
    figure, ax = plt.subplots()
    f = field("conv 3 p1", (1, 1, 16, 16))
    assert f.plot(ax) is ax and f.plot(ax=ax) is ax and plt.get_fignums() == [figure.number]
    assert ax.xaxis.label.get_fontsize() == matplotlib.rcParams["font.size"]
    with pytest.raises(UsageError, match="is no Axes"):
        f.plot("here")
    with pytest.raises(UsageError, match="is no Axes"):
        f.plot(np.array([ax, ax]))


# ---- the effective field in it ---------------------------------------------------------------------------------------------


def test_effective_square() -> None:
    f = field("[conv 3 p1]*10", (1, 4, 64, 64))
    e = f.expected((20, 30))
    ax = f.plot(effective=e)
    side = e.side(0.95)
    assert edges(ax, "effective") == (30 - side / 2, 20 - side / 2, side, side)
    assert "effective, 95 %" in key(ax) and "unit (20, 30)" in ax.get_title(loc="left")
    with pytest.raises(UsageError, match="is the field of unit"):
        f.plot(unit=(1, 1), effective=e)


# ---- on an image -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 30)),
        np.zeros((20, 30, 3)),
        np.full((40, 60, 3), 255, np.uint8),
        torch.rand(20, 30),
        np.ones((20, 30, 1)),
        np.eye(5) > 0,
        torch.rand(20, 30, requires_grad=True),
        Image.fromarray(np.eye(20, 30, dtype=np.uint8)).convert("P"),
        Image.fromarray(np.eye(20, 30, dtype=np.uint16) * 60_000),
    ],
    ids=["grey", "rgb", "bytes", "tensor", "one channel", "bools", "gradients", "palette", "scan"],
)
def test_image(image: Any) -> None:
    """Laid over the input exactly, whatever its resolution; not read is darkened, read is clear."""
    ax = field("conv 3 p1", (1, 3, 20, 30)).plot(image=image, zoom=False)
    photo, mask = ax.images
    assert tuple(photo.get_extent()) == (-0.5, 29.5, 19.5, -0.5)
    assert mask.cmap(READ / 4)[3] == 0 and 0.4 < mask.cmap(UNREAD / 4)[3] < 0.9 and mask.cmap(NOWHERE)[3] == 0


def test_image_is_cut_at_its_centre() -> None:
    """A wide image keeps its middle; no pixel is moved by more than half of one."""
    wide = np.zeros((10, 40))
    wide[:, 15:25] = 1
    photo = field("conv 3 p1", (1, 1, 20, 20)).plot(image=wide).images[0]
    assert np.asarray(photo.get_array()).shape == (10, 10) and np.asarray(photo.get_array()).all()


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (torch.rand(3, 20, 30), r"channels first.*permute\(1, 2, 0\)"),
        (np.zeros((1, 3, 20, 30)), "has the shape"),
        (np.zeros((20, 30, 2)), "has the shape"),
        (np.zeros((0, 30)), "has the shape"),
        (np.zeros(30), "has the shape"),
        (np.full((20, 30, 3), np.nan), "from nan"),
        (np.full((20, 30, 3), -1.5), "undo the standardisation"),
        (np.full((20, 30, 3), 128.0), "hold 0 to 1"),
        (np.full((20, 30, 3), 300), "hold 0 to 255"),
        (np.full((20, 30), "x"), "values"),
        ([[1, 2], [3]], "that is no array"),
        (None, ""),
    ],
)  # fmt: skip
def test_wrong_image(image: Any, says: str) -> None:
    f = field("conv 3 p1", (1, 3, 20, 30))
    if image is None:
        assert len(f.plot(image=None).images) == 1
        return
    for plot in (lambda: f.plot(image=image), lambda: f.region((1, 1)).plot(image)):
        with pytest.raises(UsageError, match=says):
            plot()
    assert not plt.get_fignums(), "nothing was begun"


def test_image_of_other_axes() -> None:
    with pytest.raises(UsageError, match="two axes of space"):
        of(nn.Conv1d(1, 1, 3), shape=(1, 1, 9)).plot(image=np.zeros((3, 3)))


# ---- region ----------------------------------------------------------------------------------------------------------------


def test_region() -> None:
    """Clipped and on the plane; the image's edge is known to the region."""
    r = field("conv 7 p3, conv 3 s2 p1", (1, 1, 12, 16)).region((0, 7))
    assert r.image == (12, 16)
    ax = r.plot()
    values, (top, left) = codes(ax)
    inside = np.argwhere(values == READ) + np.array((top, left))
    assert inside.min(0).tolist() == list(r.lo) and (inside.max(0) + 1).tolist() == list(r.hi)
    assert edges(ax, "field") == (9.5, -4.5, 9, 9) and "[\u22124, 5) \u00d7 [10, 19)" in ax.get_title(loc="left")
    assert len(r.plot(np.zeros((12, 16, 3))).images) == 2


def test_region_of_one_and_three_axes() -> None:
    assert (codes(of(nn.Conv1d(1, 1, 5, padding=2), shape=(1, 1, 20)).region((10,)).plot())[0] == READ).sum() == 5
    drawn = of(nn.Conv3d(1, 1, 3, padding=1), shape=(1, 1, 6, 7, 8)).region((0, 3, 3)).plot()
    assert [int((codes(ax)[0] == READ).sum()) for ax in drawn] == [9, 6, 6]


# ---- one axis, three axes --------------------------------------------------------------------------------------------------


def test_strip() -> None:
    """A causal stack: 14 samples back, none ahead; holes between."""
    f = of(nn.ConstantPad1d((14, 0), 0.0), nn.Conv1d(1, 1, 3, dilation=2), nn.Conv1d(1, 1, 3, dilation=4), nn.Conv1d(1, 1, 2, dilation=2),
           shape=(1, 1, 64))  # fmt: skip
    ax = f.plot(unit=(40,))
    (values, (_, left)), read = codes(ax), f.support((40,))
    assert [left + int(i) for i in np.flatnonzero(values[0] == READ)] == (np.flatnonzero(read.mask) + read.origin[0]).tolist()
    assert edges(ax, "field")[0::2] == (25.5, 15)
    assert [t.get_text() for t in ax.texts if t.get_text()] == ["look-back 14 \u00b7 look-ahead 0"]
    assert next(line for line in ax.lines if line.get_label() == "unit").get_xdata()[0] == 40
    assert f"padding {f.region((3,)).padding_share:.0%}" in f.plot(unit=(3,)).get_title(loc="left")


def test_reach() -> None:
    assert reach(10, (8, 13)) == (2, 2) and reach(10, (10, 11)) == (0, 0) and reach(10, (12, 15)) == (0, 4) and reach(9, (2, 5)) == (7, 0)


def test_strip_with_strides_and_without_units() -> None:
    f = of(nn.Conv1d(1, 1, 4, stride=4), nn.Conv1d(1, 1, 3, padding=1), shape=(1, 1, 64))
    assert "look-back 4 \u00b7 look-ahead 7" in [t.get_text() for t in f.plot(unit=(5,)).texts]
    up = of(nn.Upsample(scale_factor=2), shape=(1, 1, 8))
    assert "look-back 0 \u00b7 look-ahead 0" in [t.get_text() for t in up.plot(unit=(7,)).texts]
    whole = of(nn.Linear(4, 2), shape=(1, 4)).plot()
    assert (codes(whole)[0] == READ).sum() == 4 and not whole.texts


def test_volume() -> None:
    """Three planes through the middle, in one scale; or the last two axes in one given Axes."""
    f = of(nn.Conv3d(1, 1, (3, 5, 7), padding=(1, 2, 3)), shape=(1, 1, 10, 12, 14))
    drawn = f.plot(unit=(5, 6, 7))
    assert isinstance(drawn, np.ndarray) and drawn.shape == (3,)
    assert [edges(ax, "field")[2:] for ax in drawn] == [(7, 5), (7, 3), (5, 3)]
    assert [edges(ax, "image")[2:] for ax in drawn] == [(14, 12), (14, 10), (12, 10)]
    assert [ax.get_title(loc="left").split("\n")[-1] for ax in drawn] == [f"axis {k} at pixel {5 + k}" for k in range(3)]
    assert key(drawn[-1]) == ["read", "not read", "field"]
    given = plt.subplots(1, 3)[1]
    assert f.plot(given)[1] is given[1]
    assert f.plot(given[0], unit=(0, 0, 0)) is given[0] and "axis 0 at pixel 0" in given[0].get_title(loc="left")
    with pytest.raises(UsageError, match="holds 2 Axes"):
        f.plot(given[:2])


def test_volume_with_holes_is_cut_where_it_reads() -> None:
    f = of(nn.Conv3d(1, 1, 2, dilation=4), shape=(1, 1, 12, 12, 12))
    assert [int((codes(ax)[0] == READ).sum()) for ax in f.plot(unit=(1, 1, 1))] == [4, 4, 4]


# ---- padding ---------------------------------------------------------------------------------------------------------------


NETS = {
    "strided": ("conv 7 s2 p3, [conv 3 p1]*3, pool 3 s2 p1", (1, 1, 30, 41)),
    "holes": ("[conv 3 d3 p3]*2", (1, 1, 9, 20)),
    "no padding": ("conv 3, conv 3", (1, 1, 9, 9)),
    "size one": ("conv 5 p2", (1, 1, 1, 1)),
}


@pytest.mark.parametrize("name", NETS)
def test_padding_shares(name: str) -> None:
    """Those of the regions, unit by unit."""
    f = field(*NETS[name])
    shares = f.padding_shares()
    expected = [[f.region((y, x)).padding_share for x in range(f.units[1])] for y in range(f.units[0])]
    np.testing.assert_allclose(shares, expected, atol=1e-12)
    ax = f.plot_padding()
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), 100 * shares)
    assert ax.images[0].get_clim() == (0, 100) and f"{shares.mean() * 100:.0f} %" in ax.get_title(loc="left")


def test_padding_shares_by_phase_and_where_nothing_is_read() -> None:
    f = of(nn.ConvTranspose2d(1, 1, 2, 3, padding=1), nn.Conv2d(1, 1, (1, 3), padding=(0, 1)), shape=(1, 1, 5, 6))
    expected = [[f.region((y, x)).padding_share for x in range(f.units[1])] for y in range(f.units[0])]
    assert f.region((1, 0)).size == (0, 0)
    np.testing.assert_allclose(f.padding_shares(), expected, atol=1e-12)


def test_padding_of_one_and_three_axes() -> None:
    line = of(nn.Conv1d(1, 1, 3, padding=1), shape=(1, 1, 9)).plot_padding()
    assert (np.asarray(line.lines[0].get_ydata()) > 0).tolist() == [True] + [False] * 7 + [True]
    f = of(nn.Conv3d(1, 1, 3, padding=1), shape=(1, 1, 5, 6, 7))
    volume = f.plot_padding()
    np.testing.assert_allclose(np.asarray(volume.images[0].get_array()), 100 * f.padding_shares()[2])
    assert "unit axis 0 at 2" in volume.get_title(loc="left")


def test_padding_without_bounds() -> None:
    f = of(nn.Flatten(), nn.Linear(16, 3), shape=(1, 1, 4, 4))
    assert f.padding_shares() == 0.0

    class Halves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, x], 3)

    analysis = ip.analyze(Halves(), (1, 1, 6, 6))
    with pytest.raises(UsageError, match="no field on the plane"):
        analysis[analysis.outputs[-1]].plot_padding()
    f.plot_padding()


# ---- paths -----------------------------------------------------------------------------------------------------------------


def test_paths() -> None:
    """A bar per size, as high as its share, and the mean."""
    found = PathDistribution((3, 7, 11, 19), (1, 2, 3, 2))
    ax = found.plot()
    assert [b.get_x() + b.get_width() / 2 for b in ax.patches] == pytest.approx([3, 7, 11, 19])
    assert [b.get_height() for b in ax.patches] == pytest.approx([12.5, 25, 37.5, 25])
    assert ax.lines[0].get_xdata()[0] == pytest.approx(found.mean)
    assert ax.get_title(loc="left").startswith("8 paths\nmean 11.0")
    assert to_hex(ax.patches[0].get_facecolor()) == look.THEORY


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_paths_beyond_floats(scale: Any) -> None:
    """Counts have any number of digits; so do the smallest shares on the logarithmic scale."""
    counts = tuple(math.comb(4000, k) for k in range(0, 4001, 100))
    found = PathDistribution(tuple(range(1, 4002, 100)), counts)
    assert counts[20] > 10**1000 and math.isfinite(found.mean)
    ax = found.plot(scale=scale)
    heights = [b.get_y() + b.get_height() for b in ax.patches]
    assert len(heights) == 41 and np.isfinite(heights).all() and "\u00b710^" in ax.get_title(loc="left")
    if scale == "log":
        assert heights[0] == pytest.approx(-math.log10(found.total), abs=1e-6) and ax.patches[0].get_y() == -DEEP
        assert ax.get_ylim()[0] <= heights[0] and ax.get_ylim()[1] == 0
    else:
        assert sum(heights) == pytest.approx(100)


def test_paths_share_bars_where_there_are_many() -> None:
    found = PathDistribution(tuple(range(1, 1001, 2)), (1,) * 500)
    bars = found.plot().patches
    assert len(bars) <= MOST_BARS and sum(b.get_height() for b in bars) == pytest.approx(100)
    assert bars[0].get_x() + bars[0].get_width() / 2 == pytest.approx(5), "the middle of 1, 3, 5, 7, 9"


def test_paths_unbounded_and_single() -> None:
    whole = PathDistribution((), (), 5).plot()
    assert not whole.patches and "every path reads the whole axis" in [t.get_text() for t in whole.texts]
    some = PathDistribution((3,), (3,), 1).plot()
    assert some.patches[0].get_height() == 75 and "1 of them read the whole axis" in some.get_title(loc="left")
    with pytest.raises(UsageError, match="scale='cubic'"):
        PathDistribution((3,), (3,)).plot(scale="cubic")  # type: ignore[arg-type]


def test_paths_by_energy_beside_those_by_number() -> None:
    f = field("[conv 3 p1]*3", (1, 1, 32, 32))
    ax = f.expected().paths().plot()
    assert to_hex(ax.patches[0].get_facecolor()) == look.EFFECTIVE and ax.patches[0].get_height() == pytest.approx(100)
    both = PathDistribution((3, 5), (1, 3)).plot()
    assert EnergyPaths((3, 5), (0.75, 0.25)).plot(both) is both
    steps = next(line for line in both.lines if line.get_label() == "paths, by energy")
    assert list(steps.get_ydata()) == pytest.approx([75, 25])
    assert sorted(key(both)) == ["mean 3.5", "mean 4.5", "paths, by energy", "paths, by number"]


@pytest.mark.parametrize(("n", "said"), [(0, "0"), (12345, "12,345"), (10**12, "1\u00b710^12"), (2**5000, "1.41\u00b710^1505")])
def test_count(n: int, said: str) -> None:
    assert count(n) == said


# ---- growth ----------------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """A block whose shortcut sees less than its branch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
        self.short = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.body(x) + self.short(x)
        return self.head(x.mean((2, 3)))


def test_growth() -> None:
    """The line follows the widest way; the shortcut is a point of its own; what is unbounded stands at the upper edge."""
    analysis = ip.analyze(Residual(), (1, 3, 16, 16))
    by_name = {p.name: p for p in points(analysis)}
    assert by_name["body.2"].main and not by_name["short"].main and by_name["body.2"].size == 9 and by_name["short"].size == 5
    ax = analysis.plot()
    lines = {line.get_label(): line for line in ax.lines}
    main, beside = lines["theoretical field"], lines["parallel branches"]
    assert list(main.get_ydata()) == sorted(main.get_ydata()) and main.get_ydata()[-1] == 9 and ax.get_yscale() == "log"
    assert list(beside.get_ydata()) == [5] and beside.get_linestyle() == "None" and beside.get_alpha() < 1
    assert lines["input, 16"].get_ydata()[0] == 16 and len(lines["the whole input"].get_xdata()) >= 1


def test_growth_with_effective_fields() -> None:
    analysis = ip.analyze("[conv 3 p1]*6", (1, 4, 32, 32))
    fields = {name: analysis[name].expected() for name in ("conv6", "conv2")}
    for given in (fields, list(fields.values())):
        line = next(line for line in analysis.plot(effective=given).lines if line.get_label() == "effective, 95 %")
        assert list(line.get_xdata()) == [2, 6] and list(line.get_ydata()) == [fields["conv2"].side(0.95), fields["conv6"].side(0.95)]
        assert to_hex(line.get_color()) == look.EFFECTIVE
    for wrong in ({"conv2": 5}, [5], 5):
        with pytest.raises(UsageError, match=r"Give what isopter\.effective returned"):
            analysis.plot(effective=wrong)


def test_growth_passes_over_what_theory_cannot_say() -> None:
    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.softmax(x @ x.transpose(-1, -2), -1) @ x

    analysis = ip.analyze(Attention(), (1, 2, 8, 8))
    field = analysis[analysis.outputs[-1]].expected()
    assert not field.applies
    assert "effective, 95 %" not in [line.get_label() for line in analysis.plot(effective={analysis.outputs[-1]: field}).lines]


def test_growth_of_some_layers() -> None:
    analysis = ip.analyze("[conv 3 p1, relu]*4", (1, 1, 32, 32))
    assert list(analysis.plot(layers="conv[12]").lines[0].get_ydata()) == [3, 5]
    assert list(analysis.plot(layers=["conv1", "conv4"]).lines[0].get_ydata()) == [3, 9]
    with pytest.raises(ip.LayerNotFound):
        analysis.plot(layers="nope")


def test_growth_of_other_ranks_and_of_what_has_no_size() -> None:
    assert ip.analyze(nn.Conv1d(1, 1, 3), (1, 1, 9)).plot().lines[0].get_ydata()[0] == 3
    assert ip.analyze(nn.Conv3d(1, 1, (3, 5, 1)), (1, 1, 9, 9, 9)).plot().lines[0].get_ydata()[0] == 5
    whole = ip.analyze(nn.Linear(4, 3), (1, 4)).plot()
    assert [line.get_label() for line in whole.lines] == ["the whole input", "input, 4"]


# ---- accuracy --------------------------------------------------------------------------------------------------------------


def test_accuracy_fit() -> None:
    """As published: 0.0584 ln r + 0.354 over ten networks, R\u00b2 0.69, and 0.91 without AlexNet."""
    networks = accuracy.published()
    found = accuracy.fit(networks)
    assert len(networks) == 10 and (round(found.slope, 4), round(found.intercept, 3), round(found.r2, 2)) == (0.0584, 0.354, 0.69)
    assert round(accuracy.fit([n for n in networks if n.family != "alexnet"]).r2, 2) == 0.91
    with pytest.raises(UsageError, match="Give two or more"):
        accuracy.fit(networks[:1])


def test_accuracy_plot() -> None:
    ax = accuracy.plot()
    assert ax.get_xscale() == "log" and len(ax.collections) == 10
    at = {tuple(np.round(c.get_offsets()[0], 1)) for c in ax.collections}
    assert (483, 75.2) in at, "ResNet-50 with its stride in the first 1x1 convolution, as TF-Slim has it"
    assert {n.name for n in accuracy.published()} <= {t.get_text() for t in ax.texts}
    (line,) = ax.lines
    x, y = line.get_xdata(), line.get_ydata()
    found = accuracy.fit(accuracy.published())
    np.testing.assert_allclose(y, 100 * (found.slope * np.log(x) + found.intercept))


def test_accuracy_marks_a_network() -> None:
    analysis = ip.analyze("conv 7 s2 p3, [conv 3 p1]*4", (1, 3, 64, 64))
    ax = accuracy.plot(analysis)
    mark = ax.lines[0]
    assert mark.get_xdata()[0] == 23 and to_hex(mark.get_color()) == look.THEORY and mark.get_label().endswith(": 23")
    assert ax.get_xlim()[0] < 23
    with pytest.raises(UsageError, match="no bounded receptive field"):
        accuracy.plot(ip.analyze(nn.Linear(4, 3), (1, 4)))


# ---- files -----------------------------------------------------------------------------------------------------------------


TEXT = "conv 7 s2 p3, pool 3 s2 p1, [conv 3 p1]*4"
STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(cli, list(map(str, arguments)))


@pytest.mark.parametrize(
    ("form", "command"),
    [
        ("png", ("unit", "-l", "conv4")),
        ("svg", ("unit", "-l", "conv4")),
        ("pdf", ("paths", "-l", "conv4")),
        ("svg", ("table",)),
        ("png", ("table", "-l", "conv*")),
    ],
)
def test_files(command: tuple[str, ...], form: str, tmp_path: Path) -> None:
    """By the file's suffix; nothing on standard output; the same bytes each time."""
    files = [tmp_path / f"{k}.{form}" for k in range(2)]
    for file in files:
        done = run(command[0], TEXT, *command[1:], "-o", file)
        assert done.exit_code == 0 and done.stdout == "", done.output
    assert files[0].read_bytes().startswith(STARTS[form]) and files[0].read_bytes() == files[1].read_bytes()


def test_unit_on_an_image(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 80, 3), np.uint8)).save(photo)
    plain, over = tmp_path / "plain.png", tmp_path / "over.png"
    assert run("unit", TEXT, "-l", "conv4", "--at", "3,50", "-o", plain).exit_code == 0
    assert run("unit", TEXT, "-l", "conv4", "--at", "3,50", "--image", photo, "-o", over).exit_code == 0
    assert plain.read_bytes() != over.read_bytes()


def test_wrong_files(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"\x89PNG no")
    out = tmp_path / "unit.png"
    for arguments, says in (
        (("--image", damaged, "-o", out), "Cannot read the image"),
        (("--image", tmp_path / "none.png", "-o", out), "There is no image"),
        (("--image", tmp_path, "-o", out), "no regular file"),
        (("--image", damaged), "--image is what a picture is drawn on"),
        (("--image", damaged, "-o", tmp_path / "unit.txt"), "--image is what a picture is drawn on"),
        (("-f", "json", "-o", out), "has no form 'json'"),
        (("-o", tmp_path / "none" / "unit.png"), "Cannot write"),
        (("--at", "999,0", "-o", out), "out of range"),
    ):
        done = run("unit", TEXT, "-l", "conv4", *arguments)
        assert done.exit_code == 2 and says in done.stderr and done.stdout == "", done.output
    assert not out.exists()


def test_without_matplotlib() -> None:
    """The install line, from every picture; and nothing here needs a framework."""
    code = """
import sys
sys.modules["matplotlib"] = None
import isopter as ip
from isopter.report.figures import accuracy
a = ip.analyze("conv 3 p1", (1, 1, 9, 9)); f = a["conv1"]
for plot in (f.plot, f.plot_padding, f.region((0, 0)).plot, f.paths().plot, a.plot, accuracy.plot):
    try: plot()
    except ip.MissingExtra as error: print("isopter[plot]" in str(error))
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 6 + ["False"], done.stdout


def test_missing_extra_is_an_import_error() -> None:
    assert issubclass(MissingExtra, ImportError) and Region.plot.__doc__
