"""The figures of Luo et al. 2016, Understanding the effective receptive field: theory's curve, and points measured on live networks.

``python examples/luo2016.py`` takes minutes, ``python examples/luo2016.py --small`` seconds; both write PNG and CSV to ``out/``, or to
``--out DIR``.

    luo2016-depth      n convolutions 3 x 3: the theoretical size grows as n, the effective as sqrt(n), their ratio falls as 1 / sqrt(n)
    luo2016-maps       the fields themselves
    luo2016-wider      what widens a field: subsampling and dilation, beside a plain network of as many layers
    luo2016-residual   what narrows it: skip connections, and the paths that carry the gradient

What is estimated: the mean over *random weights* of the squared gradient of one unit, which is what `Field.expected` computes. So every
sample must have weights of its own. `FreshConv` draws them whenever it runs, and `isopter.effective` runs with ``batch=1``: each sample is
one draw of all weights, of the input, and of the signs of the unit's channels. The error bars are then those of the mean over networks.
(One network, measured on many inputs, has a field of its own, off by what its few channels happen to be.) With batch norm, theory too
takes its numbers from a network: from one draw of the weights, so that its line is itself uncertain, by some percent.

Of the two measures sigma is the sounder. The size at a threshold, which Luo et al. plot, is relative to a single pixel in the middle, which
few samples leave uncertain; with very few it comes out too small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

import isopter as ip
from figures import COLORS, COLUMN, LOOK, PAGE, Output, arguments

# ---- networks whose weights are drawn anew in every run ---------------------------------------------------------------------


class FreshConv(nn.Module):
    """A 3 x 3 convolution whose weights are normal, of variance `gain` / fan-in, and drawn whenever it runs."""

    def __init__(self, c_in: int, c_out: int, gain: float, stride: int = 1, dilation: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.shape = (c_out, c_in, 3, 3)
        self.deviation = (gain / (9 * c_in)) ** 0.5
        self.options: dict[str, int] = {"stride": stride, "dilation": dilation, "padding": padding}

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, torch.randn(self.shape) * self.deviation, **self.options)


class UniformConv(nn.Conv2d):
    """A 3 x 3 convolution of one channel that takes the mean."""

    def __init__(self) -> None:
        super().__init__(1, 1, 3, bias=False)
        nn.init.constant_(self.weight, 1 / 9)


@dataclass(frozen=True)
class Kind:
    """What stands between the convolutions, and the gain of their weights: as `torch.nn.init.calculate_gain` has it, squared, so that
    deep networks keep their signal; the sigmoid's slope is 1/4 at most, and with PyTorch's gain of 1 no gradient would be left."""

    name: str
    activation: Callable[[], nn.Module]
    gain: float


KINDS = (
    Kind("random, linear", nn.Identity, 1.0),
    Kind("random, ReLU", nn.ReLU, 2.0),
    Kind("random, tanh", nn.Tanh, (5 / 3) ** 2),
    Kind("random, sigmoid", nn.Sigmoid, 16.0),
)


def stack(depth: int, channels: int, kind: Kind, strides: Sequence[int] = (), dilations: Sequence[int] = ()) -> nn.Sequential:
    """`depth` convolutions without padding; `strides` and `dilations` by layer, 1 where they say nothing."""
    layers: list[nn.Module] = []
    for at in range(depth):
        stride, dilation = (several[at] if at < len(several) else 1 for several in (strides, dilations))
        layers += [FreshConv(channels if at else 1, channels, kind.gain, stride, dilation), kind.activation()]
    return nn.Sequential(*layers[:-1])


def uniform(depth: int) -> nn.Sequential:
    return nn.Sequential(*(UniformConv() for _ in range(depth)))


class Residual(nn.Module):
    """A block of He et al. 2016 (Identity mappings): (norm), ReLU, convolution, twice, beside a skip connection."""

    def __init__(self, channels: int, norm: bool) -> None:
        super().__init__()
        half = [
            [nn.BatchNorm2d(channels, momentum=None) if norm else nn.Identity(), nn.ReLU(), FreshConv(channels, channels, 2.0, padding=1)]
            for _ in range(2)
        ]
        self.branch = nn.Sequential(*half[0], *half[1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def residual(blocks: int, channels: int, norm: bool = False) -> nn.Sequential:
    """A stem and `blocks` blocks of two convolutions. With `norm` their statistics are the mean over a few runs on noise."""
    net = nn.Sequential(FreshConv(1, channels, 1.0, padding=1), *(Residual(channels, norm) for _ in range(blocks)))
    if norm:
        with torch.no_grad():
            for _ in range(16):
                net(torch.randn(1, 1, 32, 32))
    return net.eval()


# ---- theory and measurement -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A network's field by theory, and measured."""

    theory: Any
    measured: Any

    def row(self, net: str, depth: int) -> dict[str, Any]:
        """The numbers; sigma is that along the first axis."""
        theory, measured = self.theory, self.measured
        return {
            "network": net,
            "layers": depth,
            "size": theory.size[0],
            "sigma_theory": theory.sigma[0],
            "sigma": float(measured.sigma[0]),
            "sigma_stderr": measured.sigma[0].stderr,
            "ratio_theory": theory.ratio,
            "ratio": float(measured.ratio),
            "ratio_stderr": measured.ratio.stderr,
            "samples": measured.samples,
        }


def last_field(net: nn.Module) -> Any:
    """The field of the unit in the middle, on an image that is just as large as the field."""
    size = (1, 1, 400, 400)
    for _ in range(2):
        analysis = ip.analyze(net, size)
        found = analysis[analysis.outputs[0]]
        size = (1, 1, *found.size)
    return found


def pair(net: nn.Module, samples: int, statistic: str = "energy", **theory: Any) -> Pair:
    """Both fields of the last layer. `theory`: options of `expected`."""
    own = last_field(net)
    options: dict[str, Any] = {"samples": samples, "batch": 1, "crop": False, "statistic": statistic}
    return Pair(own.expected(**theory), ip.effective(net, [own.name], (1, 1, *own.size), **options)[own.name])


# ---- figure 1: depth --------------------------------------------------------------------------------------------------------


def depth_pairs(depths: Sequence[int], channels: int, samples: int) -> Iterator[tuple[str, int, Pair]]:
    """(Kind, depth, fields). With uniform weights |gradient| is what the energy is with random ones, the n-fold box; it is exact."""
    for depth in depths:
        yield "uniform", depth, pair(uniform(depth), 2, "abs")
        for kind in KINDS:
            yield kind.name, depth, pair(stack(depth, channels, kind), samples)


def depth_figure(found: Sequence[tuple[str, int, Pair]]) -> Figure:
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 2.7), layout="constrained")
    theory = {depth: pair.theory for _, depth, pair in found}
    depths = sorted(theory)
    axes[0].plot(depths, [theory[n].ratio for n in depths], "k-", label="theory")
    axes[0].plot(depths, [theory[depths[-1]].ratio * (depths[-1] / n) ** 0.5 for n in depths], "k:", label=r"$\propto 1/\sqrt{n}$")
    axes[1].plot(depths, [theory[n].sigma[0] for n in depths], "k-", label=r"theory, $\sqrt{2n/3}$")
    axes[1].plot(
        depths, [n / 3**0.5 for n in (t.size[0] / 2 for t in theory.values())], "k--", label="a unit that reads its whole field evenly"
    )
    names = list(dict.fromkeys(name for name, _, _ in found))
    for place, (name, color, marker) in enumerate(zip(names, COLORS, "xos^D", strict=True)):
        own = [(depth * 1.035 ** (place - 2), pair) for n, depth, pair in found if n == name]  # side by side, not over one another
        at = [x for x, _ in own]
        for ax, value in zip(axes, ([p.measured.ratio for _, p in own], [p.measured.sigma[0] for _, p in own]), strict=True):
            ax.errorbar(at, value, [v.stderr for v in value], fmt=marker, color=color, label=name, linewidth=0.9)
    for ax, label in zip(axes, ("effective size / theoretical size", r"standard deviation $\sigma$ (pixels)"), strict=True):
        ax.set(xscale="log", yscale="log", xlabel=r"layers $n$ ($3 \times 3$)", ylabel=label)
        _plain_ticks(ax, depths)
    axes[0].set_yticks([0.2, 0.3, 0.4, 0.6, 0.8], ["0.2", "0.3", "0.4", "0.6", "0.8"])
    axes[1].set_yticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
    axes[1].set_ylim(1.4, 160)
    axes[0].legend(loc="lower left")
    axes[1].legend(*_first_legend(axes[1], 2), loc="upper left")
    return figure


def _plain_ticks(ax: Axes, at: Sequence[int]) -> None:
    ax.set_xticks(at, [str(n) for n in at])
    ax.minorticks_off()


def _first_legend(ax: Axes, count: int) -> tuple[list[Any], list[str]]:
    handles, labels = ax.get_legend_handles_labels()
    return handles[:count], labels[:count]


def maps_figure(found: Sequence[tuple[str, int, Pair]]) -> Figure:
    """A row per kind, a column per depth; every map fills the theoretical field, and its brightest pixel is white."""
    depths = sorted({depth for _, depth, _ in found})
    names = list(dict.fromkeys(name for name, _, _ in found))
    cell = 0.79 * COLUMN / len(depths)
    figure, axes = plt.subplots(len(names) + 1, len(depths), figsize=(COLUMN, cell * (len(names) + 1) + 0.4), squeeze=False)
    figure.subplots_adjust(left=0.2, right=0.99, top=1 - 0.36 / figure.get_figheight(), bottom=0.01, wspace=0.06, hspace=0.06)
    maps = {(name, depth): pair.measured.map for name, depth, pair in found}
    maps |= {("theory", depth): pair.theory.map for name, depth, pair in found if name == names[-1]}
    for row, name in zip(axes, ["theory", *names], strict=True):
        row[0].set_ylabel(name.replace("random, ", ""), rotation=0, ha="right", va="center")
        for ax, depth in zip(row, depths, strict=True):
            ax.imshow(maps[name, depth], cmap="gray", interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
    for ax, depth in zip(axes[0], depths, strict=True):
        ax.set_title(f"n = {depth}\n{2 * depth + 1} px")
    return figure


# ---- figure 2: subsampling and dilation -------------------------------------------------------------------------------------

WIDER: dict[str, dict[str, Sequence[int]]] = {
    "15 layers": {},
    "stride 2 at three": {"strides": [2 if at in (0, 5, 10) else 1 for at in range(15)]},
    "dilation 2, 4, 8 at three": {"dilations": [1] * 12 + [2, 4, 8]},
}


def wider_pairs(channels: int, samples: int) -> dict[str, Pair]:
    return {name: pair(stack(15, channels, KINDS[1], **how), samples) for name, how in WIDER.items()}


def wider_figure(found: dict[str, Pair]) -> Figure:
    """The measured maps at one scale, each in its theoretical field; then how much of the energy a centred square holds."""
    figure, axes = plt.subplots(1, 4, figsize=(PAGE, 2.5), layout="constrained", width_ratios=[1, 1, 1, 1.6])
    widest = max(p.theory.size[0] for p in found.values()) / 2 + 1
    for ax, (name, own), color in zip(axes, found.items(), COLORS[1:], strict=False):
        middle, sigma = own.measured.center[0], own.measured.sigma[0]
        own.measured.plot(ax)
        ax.set(xlim=(middle - widest, middle + widest), ylim=(middle + widest, middle - widest), xticks=[], yticks=[])
        ax.set(xlabel=rf"$\sigma$: {sigma!r}" + f"\n(theory {own.theory.sigma[0]:.3f})", ylabel="", facecolor="#eeeeee")
        ax.set_title(f"{name}\n{own.theory.size[0]} pixels", color=color)
        ax.spines[:].set_visible(False)
        _squares(axes[-1], own, color)
    axes[-1].plot([], [], "k-", label="theory")
    axes[-1].errorbar([], [], xerr=[], fmt="ko", label="measured")
    axes[-1].set(xlabel="side of a centred square (pixels)", ylabel="share of the energy in it", xscale="log", ylim=(0, 1.02))
    _plain_ticks(axes[-1], (3, 10, 30, 100))
    axes[-1].legend(loc="lower right")
    return figure


def _squares(ax: Axes, own: Pair, color: str) -> None:
    fine, shares = np.linspace(0.02, 0.999, 200), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
    sides = [own.measured.side(share) for share in shares]
    ax.plot([own.theory.side(share) for share in fine], fine, color=color)
    ax.errorbar(sides, shares, xerr=[side.stderr for side in sides], fmt="o", color=color, markersize=3, linewidth=0.9)


# ---- figure 3: skip connections ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Skips:
    """Networks of the same convolutions: plain, with skip connections, with skips and batch norm; and the paths of the deepest."""

    found: list[tuple[str, int, Pair]]
    counts: Any
    paths: dict[str, Any] = field(default_factory=dict)


def skips(blocks: Sequence[int], channels: int, samples: int) -> Skips:
    found = []
    for many in blocks:
        found.append(("plain", many, pair(stack(1 + 2 * many, channels, KINDS[1]), samples)))
        found.append(("residual", many, pair(residual(many, channels), samples)))
        normed = residual(many, channels, norm=True)
        found.append(("residual, batch norm", many, pair(normed, samples, model=normed)))
    deepest = {name: own.theory.paths() for name, many, own in found if many == blocks[-1] and name != "plain"}
    return Skips(found, last_field(residual(blocks[-1], channels)).paths(), deepest)


def skips_figure(own: Skips) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 2.7), layout="constrained")
    blocks = sorted({many for _, many, _ in own.found})
    names = list(dict.fromkeys(name for name, _, _ in own.found))
    laws = (r", $\sigma^2 = \frac{2}{3}(1 + 2b)$", r", $\sigma^2 = \frac{2}{3}(1 + b)$", "")
    for name, color, marker, law in zip(names, COLORS[1:], "so^", laws, strict=False):
        pairs = [pair for n, _, pair in own.found if n == name]
        sigma = [pair.measured.sigma[0] for pair in pairs]
        left.plot(blocks, [pair.theory.sigma[0] for pair in pairs], "-", color=color)
        left.errorbar(blocks, sigma, [s.stderr for s in sigma], fmt=marker, color=color, label=name + law, linewidth=0.9)
    left.set(xscale="log", xlabel=r"blocks $b$ of two convolutions $3 \times 3$", ylabel=r"standard deviation $\sigma$ (pixels)")
    left.set_ylim(0, left.get_ylim()[1] * 1.25)
    _plain_ticks(left, blocks)
    left.legend(loc="upper left", title="lines: theory")
    total = own.counts.total
    right.bar(own.counts.sizes, [c / total for c in own.counts.counts], 3.4, color="#cccccc", label="number of paths")
    for (name, paths), color, marker in zip(own.paths.items(), COLORS[2:], "o^", strict=False):
        right.plot(paths.sizes, paths.shares, marker, color=color, label=f"energy, {name}")
    right.set(xlabel=f"size of a path's field (pixels), {blocks[-1]} blocks", ylabel="share", ylim=(0, None))
    right.set_ylim(0, right.get_ylim()[1] * 1.3)
    right.legend(loc="upper right")
    return figure


# ---- all of them ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    depths: tuple[int, ...] = (5, 10, 20, 40, 80)
    channels: int = 24
    samples: int = 64
    wider_samples: int = 128
    blocks: tuple[int, ...] = (1, 2, 4, 8, 16)


SMALL = Plan(depths=(5, 10, 20), channels=8, samples=24, wider_samples=16, blocks=(1, 2, 4))


def main(out: Output, plan: Plan) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # maps this small are sooner done by one thread than divided among several
    with plt.rc_context(LOOK):
        depths = list(depth_pairs(plan.depths, plan.channels, plan.samples))
        out.figure("luo2016-depth", depth_figure(depths))
        out.figure("luo2016-maps", maps_figure(depths))
        out.numbers("luo2016-depth", [own.row(name, depth) for name, depth, own in depths])
        wider = wider_pairs(plan.channels, plan.wider_samples)
        out.figure("luo2016-wider", wider_figure(wider))
        out.numbers("luo2016-wider", [own.row(name, 15) for name, own in wider.items()])
        skipping = skips(plan.blocks, plan.channels, plan.samples)
        out.figure("luo2016-residual", skips_figure(skipping))
        out.numbers("luo2016-residual", [own.row(name, 1 + 2 * many) for name, many, own in skipping.found])
        out.numbers("luo2016-paths", _path_rows(skipping))


def _path_rows(own: Skips) -> list[dict[str, Any]]:
    shares = {name: dict(zip(paths.sizes, paths.shares, strict=True)) for name, paths in own.paths.items()}
    return [
        {"size": size, "paths": count, **{f"energy, {name}": by_size.get(size, 0.0) for name, by_size in shares.items()}}
        for size, count in zip(own.counts.sizes, own.counts.counts, strict=True)
    ]


if __name__ == "__main__":
    given = arguments(__doc__)
    main(Output(given.out), SMALL if given.small else Plan())
