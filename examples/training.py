"""What training does to effective fields: small networks learn a local task and one that needs context, on photographs and on noise.

``python examples/training.py`` takes minutes, ``python examples/training.py --small`` seconds; both write PNG and CSV to ``out/``, or
to ``--out DIR``. The photographs come with scikit-image and scikit-learn; nothing is downloaded.

    training-course   width and centre of the field while the network learns
    training-maps     the fields: by theory, before, after, and as squared weights would have it

All networks are the same residual ones, and begin with the field that theory expects, a narrow one in the middle of what they could see.
A Laplacian is local: the field stays, or shrinks. A blurred copy, shifted to the right, needs pixels on the left: the field moves there and
widens. `Field.expected` with ``model=...`` puts the squares of the real weights in place of their variance. That is a statement about
weights that are independent, as they are before training; what a network has learned is not, and the figures show by how much it errs.
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
from matplotlib.patches import Ellipse
from torch import Tensor, nn

import isopter as ip
from figures import COLORS, COLUMN, LOOK, PAGE, Output, arguments

# ---- networks ---------------------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """A 3 x 3 convolution of what a ReLU passes, beside a skip connection; the sum is scaled, so that its variance stays the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.conv(F.relu(x))) * 0.5**0.5


def network(blocks: int, channels: int) -> nn.Sequential:
    """From one channel to one; its field is 2 * blocks + 3 pixels. Weights as He et al. 2015 initialise them."""
    net = nn.Sequential(nn.Conv2d(1, channels, 3, padding=1), *(Block(channels) for _ in range(blocks)), nn.Conv2d(channels, 1, 1))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)
    with torch.no_grad():
        net[-1].weight.mul_(0.1)  # it begins near zero, as what is to be learned is unknown; a factor leaves the field as it is
    return net


# ---- images -----------------------------------------------------------------------------------------------------------------

SHIPPED = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "moon")
"""Those of scikit-image's pictures that are in its wheels; to be trained on. Fields are measured on scikit-learn's two."""


def photographs() -> tuple[list[Tensor], list[Tensor]]:
    """(To train on, to measure on), each of shape (height, width), of mean 0 and variance 1."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    return [_gray(getattr(data, name)()) for name in SHIPPED], [_gray(image) for image in load_sample_images().images]


def _gray(image: Any) -> Tensor:
    values = torch.from_numpy(np.asarray(image, dtype=np.float32))
    values = values if values.dim() == 2 else values.mean(dim=-1)
    return (values - values.mean()) / values.std()


def patches(images: Sequence[Tensor], count: int, side: int, generator: torch.Generator) -> Tensor:
    """Patches at random places of random images, of shape (count, 1, side, side)."""
    return torch.stack([_patch(images, side, generator) for _ in range(count)])[:, None]


def _patch(images: Sequence[Tensor], side: int, generator: torch.Generator) -> Tensor:
    image = images[int(torch.randint(len(images), (), generator=generator))]
    top, left = (int(torch.randint(n - side + 1, (), generator=generator)) for n in image.shape)
    return image[top : top + side, left : left + side]


# ---- tasks ------------------------------------------------------------------------------------------------------------------


def laplacian(x: Tensor) -> Tensor:
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    return F.conv2d(x, kernel[None, None], padding=1)


def blurred_and_shifted(x: Tensor, deviation: float, shift: int) -> Tensor:
    """A Gaussian blur, shifted to the right. Within `shift` + 3 deviations of the patch's edge it is of no use."""
    reach = round(3 * deviation)
    at = torch.arange(-reach, reach + 1.0)
    kernel = torch.exp(-(at**2) / (2 * deviation**2))
    kernel = kernel / kernel.sum()
    rows = F.conv2d(x, kernel[None, None, :, None], padding=(reach, 0))
    return torch.roll(F.conv2d(rows, kernel[None, None, None, :], padding=(0, reach)), shift, -1)


@dataclass(frozen=True)
class Task:
    """What a network learns: `target` of a batch of inputs, drawn from `images`, or noise if there are none."""

    name: str
    target: Callable[[Tensor], Tensor]
    images: Sequence[Tensor] = ()
    measured_on: Sequence[Tensor] = ()

    def inputs(self, count: int, side: int, generator: torch.Generator) -> Tensor:
        if not self.images:
            return torch.randn(count, 1, side, side, generator=generator)
        return patches(self.images, count, side, generator)

    def samples(self, count: int, side: int) -> Tensor | None:
        """Inputs to measure on, which the network has not seen; None is noise."""
        return patches(self.measured_on, count, side, torch.Generator().manual_seed(1)) if self.measured_on else None


@dataclass(frozen=True)
class Plan:
    """How large all is. Lengths are in pixels; `margin` is what of a patch is too near its edge to be learned from."""

    blocks: int = 14
    channels: int = 8
    side: int = 64
    margin: int = 16
    deviation: float = 4.0
    shift: int = 8
    steps: int = 400
    batch: int = 4
    rate: float = 5e-3
    samples: int = 64
    looks: int = 6

    def context(self, x: Tensor) -> Tensor:
        return blurred_and_shifted(x, self.deviation, self.shift)


SMALL = Plan(blocks=5, channels=6, side=32, margin=6, deviation=1.0, shift=3, steps=100, batch=8, rate=2e-2, samples=24, looks=3)


def tasks(plan: Plan) -> list[Task]:
    seen, unseen = photographs()
    return [
        Task("photographs,\nLaplacian", laplacian, seen, unseen),
        Task("photographs,\nblur and shift", plan.context, seen, unseen),
        Task("noise,\nblur and shift", plan.context),
    ]


# ---- training, and looking at the field on the way --------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """A network's field after `step` steps: `measured`, and as its squared weights would have it. `loss`: its share of the target's
    variance, over the last steps."""

    step: int
    loss: float
    measured: Any
    squared: Any


@dataclass(frozen=True)
class Course:
    """A network's fields in the course of training. `prior`: what theory expects before, of the architecture alone. `ideal`: the field of
    the target itself, which is all that a network needs to see of noise."""

    task: str
    prior: Any
    ideal: Any
    looks: list[Look] = field(default_factory=list)

    @property
    def ideal_offset(self) -> float:
        """How far along x what the target reads lies from the middle of what the network can see."""
        return float(self.ideal.centroid[1] - self.prior.center[1])

    def rows(self) -> Iterator[dict[str, Any]]:
        """The numbers, in pixels. `from_center` is the root of the mean squared distance from the theoretical centre, along x."""
        for look in self.looks:
            sigma, offset = look.measured.sigma, look.measured.center_offset
            yield {
                "task": self.task.replace("\n", " "),
                "step": look.step,
                "loss": look.loss,
                "sigma_prior": self.prior.sigma[1],
                "sigma_x_target": float(self.ideal.sigma[1]),
                "offset_x_target": self.ideal_offset,
                "sigma_y": float(sigma[0]),
                "sigma_y_stderr": sigma[0].stderr,
                "sigma_x": float(sigma[1]),
                "sigma_x_stderr": sigma[1].stderr,
                "offset_x": float(offset[1]),
                "offset_x_stderr": offset[1].stderr,
                "from_center_x": float(np.hypot(sigma[1], offset[1])),
                "sigma_x_squared_weights": look.squared.sigma[1],
                "offset_x_squared_weights": look.squared.center_offset[1],
            }


def train(task: Task, plan: Plan, seed: int = 0) -> Course:
    torch.manual_seed(seed)
    net = network(plan.blocks, plan.channels)
    course = Course(task.name, last_field(net, plan).expected(), field_of_target(task, plan))
    course.looks.append(look_at(net, task, plan, 0, 1.0))
    seen = sorted({round(plan.steps * (k / plan.looks) ** 2) for k in range(1, plan.looks + 1)})
    for step, loss in enumerate(losses(net, task, plan, seed), 1):
        if step in seen:
            course.looks.append(look_at(net, task, plan, step, loss))
    return course


def losses(net: nn.Module, task: Task, plan: Plan, seed: int) -> Iterator[float]:
    """Train step by step; gives the mean loss of the last twenty steps or so, 1 being that of a constant."""
    generator = torch.Generator().manual_seed(seed)
    variance = float(inner(task.target(task.inputs(64, plan.side, generator)), plan).var())
    optimizer = torch.optim.Adam(net.parameters(), plan.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, plan.steps + 1)
    mean = 1.0
    for step in range(plan.steps):
        x = task.inputs(plan.batch, plan.side, generator)
        loss = (inner(net(x) - task.target(x) / variance**0.5, plan) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        mean += (loss.item() - mean) / min(step + 1, 20)
        yield mean


def inner(x: Tensor, plan: Plan) -> Tensor:
    """What lies in a patch so far from its edge that the target is right."""
    return x[..., plan.margin : -plan.margin, plan.margin : -plan.margin]


def last_field(net: nn.Module, plan: Plan) -> Any:
    analysis = ip.analyze(net, (1, 1, plan.side - 1, plan.side - 1))  # an odd side, to have a unit in the middle
    return analysis[analysis.outputs[0]]


class Target(nn.Module):
    """A target as a network, so that it has a field."""

    def __init__(self, target: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.target = target

    def forward(self, x: Tensor) -> Tensor:
        return self.target(x)


def field_of_target(task: Task, plan: Plan) -> Any:
    """Of the unit in the middle; of a linear target two samples give it exactly."""
    net = Target(task.target)
    own = last_field(net, plan)
    (found,) = ip.effective(net, [own.name], (1, 1, *own.input_shape), samples=2, crop=False).values()
    return found


def look_at(net: nn.Module, task: Task, plan: Plan, step: int, loss: float) -> Look:
    own = last_field(net, plan)
    size = (1, 1, *own.input_shape)
    data = task.samples(plan.samples, own.input_shape[0])
    measured = ip.effective(net, [own.name], size, data=data, samples=plan.samples)[own.name]
    example = torch.randn(size, generator=torch.Generator().manual_seed(0)) if data is None else data[:1]
    return Look(step, loss, measured, own.expected(model=net, data=example))


# ---- figures ----------------------------------------------------------------------------------------------------------------


def course_figure(courses: Sequence[Course]) -> Figure:
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 2.8), layout="constrained")
    for course, color, marker in zip(courses, COLORS[1:], "so^", strict=False):
        steps = [look.step for look in course.looks]
        for ax, read in zip(axes, (_sigma, _offset), strict=True):
            values = [read(look.measured) for look in course.looks]
            label = course.task.replace("\n", " ")
            ax.errorbar(steps, values, [v.stderr for v in values], fmt=f"{marker}-", color=color, label=label)
            ax.plot(steps, [read(look.squared) for look in course.looks], ":", color=color)
        for ax, ideal in zip(axes, (course.ideal.sigma[1], course.ideal_offset), strict=True):
            ax.plot(1.06 * steps[-1], ideal, marker, color=color, fillstyle="none", markersize=6)
    for ax, read in zip(axes, (_sigma, _offset), strict=True):
        ax.axhline(read(courses[0].prior), color="k", linewidth=0.8)
        ax.set_xlabel("training step")
    axes[0].set(ylabel=r"standard deviation $\sigma$ along $x$ (pixels)", ylim=(0, None))
    axes[1].set_ylabel("centre of the field, from the middle,\nalong $x$ (pixels)")
    axes[1].plot([], [], "k-", linewidth=0.8, label="theory, of the architecture")
    axes[1].plot([], [], "k:", label="squared weights")
    axes[1].plot([], [], "ko", fillstyle="none", markersize=6, label="what the target reads")
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _sigma(own: Any) -> Any:
    return own.sigma[1]


def _offset(own: Any) -> Any:
    return own.center_offset[1]


def maps_figure(courses: Sequence[Course]) -> Figure:
    """Root of the mean squared gradient in the theoretical field; marks at its middle, an ellipse of one sigma about the centroid."""
    rows: dict[str, Callable[[Course], Any]] = {
        "theory": lambda course: course.prior,
        "before": lambda course: course.looks[0].measured,
        "after": lambda course: course.looks[-1].measured,
        "after, by\nsquared\nweights": lambda course: course.looks[-1].squared,
    }
    figure, axes = plt.subplots(len(rows), len(courses), figsize=(COLUMN, 4.3), squeeze=False)
    figure.subplots_adjust(left=0.17, right=0.99, top=0.91, bottom=0.02, wspace=0.08, hspace=0.08)
    for line, (name, read) in zip(axes, rows.items(), strict=True):
        for ax, course in zip(line, courses, strict=True):
            _map(ax, read(course))
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, course in zip(axes[0], courses, strict=True):
        ax.set_title(course.task)
    return figure


def _map(ax: Axes, own: Any) -> None:
    own.rms.plot(ax, cmap="gray")
    (y, x), (height, width) = own.centroid, own.sigma
    for mark in ((0, 0.07), (0.93, 1)):
        ax.axvline(own.center[1], *mark, color=COLORS[4], linewidth=1)
        ax.axhline(own.center[0], *mark, color=COLORS[4], linewidth=1)
    ax.add_patch(Ellipse((x, y), 2 * width, 2 * height, fill=False, color=COLORS[2], linewidth=1.0))
    half = own.size[0] / 2
    ax.set(xlim=(own.center[1] - half, own.center[1] + half), ylim=(own.center[0] + half, own.center[0] - half))
    ax.set(xticks=[], yticks=[], xlabel="", ylabel="", title="")
    ax.spines[:].set_visible(False)


# ---- all of it --------------------------------------------------------------------------------------------------------------


def main(out: Output, plan: Plan) -> None:
    torch.set_num_threads(1)  # maps this small are sooner done by one thread than divided among several
    courses = [train(task, plan) for task in tasks(plan)]
    with plt.rc_context(LOOK):
        out.figure("training-course", course_figure(courses))
        out.figure("training-maps", maps_figure(courses))
    out.numbers("training", [row for course in courses for row in course.rows()])


if __name__ == "__main__":
    given = arguments(__doc__)
    main(Output(given.out), SMALL if given.small else Plan())
