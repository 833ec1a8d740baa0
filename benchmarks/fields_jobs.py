"""What is measured of effective fields: ``python benchmarks/fields_jobs.py JOB ARGUMENTS`` prints its result as JSON.

isopter's own measurement is always one whole call of `isopter.effective`, its analysis and its trial of the canvas included.
"""

from __future__ import annotations

import copy
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import fields_judge as judge
import isopter as ip
from fields_nets import CASES, TIMED, Timed, chain, ready, resnet18
from isopter.erf.maps.field import EffectiveField
from jobs import job, main
from measure import added, clocked, exponent, peak

# ---- the theory against sampling -------------------------------------------------------------------------------------------


@job
def convergence(name: str, *counts: str) -> dict[str, Any]:
    """Distance of the expected field from sampled ones, by how many random models were sampled; weights and input drawn anew each time.

    `assumed`: by the architecture alone; `live`: with one forward pass of the first model. `agrees`: how far `isopter.effective` is from
    plain PyTorch on that model and input. Double precision; `seconds` on the clock.
    """
    case, began = CASES[name], time.perf_counter()
    net = ready(case.build, torch.float64)
    field = ip.analyze(net, case.shape)[case.layer]
    unit = tuple(n // 2 for n in field.units)
    found = judge.Convergence([int(count) for count in counts])
    known, agrees = {"assumed": on_image(field.expected())}, 0.0
    for number in range(max(found.counts)):
        x = torch.randn(case.shape, dtype=torch.float64, requires_grad=True)
        judge.redraw(net)
        if case.calibrated:
            judge.calibrate(net, x)
        if number == 0:
            known["live"] = on_image(field.expected(model=net, data=x.detach()))
            agrees = disagreement(net, x, case.layer, unit)
        y = judge.into(net, x, case.before)
        found.add(judge.energy(judge.gradient(y, x, unit, judge.signs(y)))[0])
    errors = {which: found.errors(values) for which, values in known.items()}
    return {
        "counts": found.counts,
        "errors": errors,
        "exponents": {which: exponent(found.counts, values) for which, values in errors.items()},
        "sigma": {which: judge.spread(values) for which, values in known.items()} | {"sampled": judge.spread(np.asarray(found.total))},
        "held": "live" if case.live else "assumed",
        "size": field.size[0],
        "agrees": agrees,
        "seconds": time.perf_counter() - began,
    }


def on_image(field: EffectiveField) -> np.ndarray:
    """The map laid on the image. ValueError if it does not lie inside: sampling would see borders that it does not."""
    if any(o < 0 or o + n > m for o, n, m in zip(field.origin, field.map.shape, field.image, strict=True)):
        raise ValueError(f"the field of {field.layer} does not lie inside the image")
    canvas = np.zeros(field.image)
    canvas[tuple(slice(o, o + n) for o, n in zip(field.origin, field.map.shape, strict=True))] = field.map
    return canvas


def disagreement(net: nn.Module, x: Tensor, layer: str, unit: tuple[int, ...]) -> float:
    """Largest difference of isopter's map of one sample from the gradient as PyTorch gives it, over the largest value."""
    y = judge.out_of(net, x, layer)
    plain = judge.energy(judge.gradient(y, x, unit, torch.ones_like(y[:, :, 0, 0])))[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one sample has no error bar
        ours = on_image(ip.effective(net, layer, tuple(x.shape), data=x.detach(), samples=1, target="sum")[layer])
    return float(np.abs(ours - plain).max() / plain.max())


# ---- time ------------------------------------------------------------------------------------------------------------------


@job
def against_samples(samples: str, pixels: str = "224", rounds: str = "9") -> dict[str, Any]:
    """The expected field of ResNet-18's layer4, and measuring it on so many samples: seconds, "cpu" and "wall"."""
    net, shape = ready(resnet18), (1, 3, int(pixels), int(pixels))
    analyses = [ip.analyze(net, shape) for _ in range(int(rounds) + 1)]  # a fresh one each time: nothing is left over

    def expect() -> object:
        forget()
        return analyses.pop()["layer4"].expected()

    expect()
    theory = clocked({"expected": expect}, int(rounds))["expected"]
    ip.effective(net, "layer4", shape, samples=2)
    sampled = clocked({"measured": lambda: ip.effective(net, "layer4", shape, samples=int(samples))}, 1)["measured"]
    return {"expected": theory, "measured": sampled, "samples": int(samples)}


def forget() -> None:
    """Empty every cache of isopter that outlives an analysis."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "isopter":
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


@job
def overhead(name: str, samples: str, rounds: str) -> dict[str, Any]:
    """`isopter.effective` per sample, beside one forward pass to the layer and one backward pass to the same input in plain PyTorch.

    `canvas` and `rows` are the input's size and how many samples shared a pass, as the model saw them.
    """
    timed, count = TIMED[name], int(samples)
    net = ready(timed.build)
    canvas, rows = seen_by(net, lambda: measured(net, timed, count))
    plain = plain_sample(net, timed, canvas)

    def many() -> None:
        for _ in range(count):
            plain()

    plain()
    tasks = {"plain": many, "isopter": lambda: measured(net, timed, count), "isopter, a quarter": lambda: measured(net, timed, count // 4)}
    found = clocked(tasks, int(rounds), budget=100)
    return {"canvas": canvas, "rows": rows, "samples": count, "seconds": found}


def measured(net: nn.Module, timed: Timed, samples: int, **options: Any) -> Any:
    return ip.effective(net, timed.layer, timed.shape, samples=samples, **options)


def seen_by(net: nn.Module, run: Callable[[], object]) -> tuple[tuple[int, ...], int]:
    """Size of the input per axis in the last pass that `run` makes, and the most samples in one pass."""
    seen: list[torch.Size] = []
    hook = net.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape))
    try:
        run()
    finally:
        hook.remove()
    return tuple(seen[-1][2:]), max(shape[0] for shape in seen)


def plain_sample(net: nn.Module, timed: Timed, canvas: Sequence[int]) -> Callable[[], Tensor]:
    """One forward and one backward pass of plain PyTorch, of the middle unit."""

    def run() -> Tensor:
        x = torch.randn((*timed.shape[:2], *canvas)).requires_grad_()
        y = judge.out_of(net, x, timed.layer)
        return judge.gradient(y, x, [n // 2 for n in y.shape[2:]], judge.signs(y))

    return run


@job
def cropping(layer: str, pixels: str, samples: str, rounds: str) -> dict[str, Any]:
    """`isopter.effective` on images with and without cropping them to the field: seconds of the whole call."""
    n, count = int(pixels), int(samples)
    net, timed, images = ready(resnet18), Timed(resnet18, (1, 3, n, n), layer), torch.rand(count, 3, n, n)
    maps = {crop: measured(net, timed, count, data=images, crop=crop)[layer] for crop in (True, False)}
    found = clocked({str(crop): lambda crop=crop: measured(net, timed, count, data=images, crop=crop) for crop in maps}, int(rounds), 100)
    difference = np.abs(on_image(maps[True]) - on_image(maps[False])).max() / maps[False].map.max()
    return {"cropped": found["True"], "whole": found["False"], "samples": count, "difference": float(difference)}


# ---- beside other ways -----------------------------------------------------------------------------------------------------


@job
def replknet(layer: str, pixels: str, samples: str, rounds: str) -> dict[str, Any]:
    """The loop of RepLKNet's script (Ding et al. 2022) and isopter in its convention: the maps' difference, seconds of each."""
    n, count = int(pixels), int(samples)
    net, timed, images = ready(resnet18), Timed(resnet18, (1, 3, n, n), layer), torch.randn(count, 3, n, n)
    convention = {"target": "positive", "statistic": "relu"}
    exact = copy.deepcopy(net).double()
    few = images[:2].double()
    theirs, ours = erf(exact, few, layer), measured(exact, timed, 2, data=few, **convention)[layer]
    found = clocked(
        {"theirs": lambda: erf(net, images, layer), "isopter": lambda: measured(net, timed, count, data=images, **convention)},
        int(rounds),
        budget=60,
    )
    return {"difference": float(np.abs(theirs - on_image(ours)).max() / theirs.max()), "samples": count, "seconds": found}


def erf(net: nn.Module, images: Tensor, layer: str) -> np.ndarray:
    """Positive gradients of the positive outputs at the middle, summed over colours, averaged over images; all of the image runs."""
    total = np.zeros(tuple(images.shape[2:]))
    for image in images:
        x = image[None].clone().requires_grad_()
        y = judge.out_of(net, x, layer)
        target = y[:, :, y.shape[2] // 2, y.shape[3] // 2].relu().sum()
        total += torch.autograd.grad(target, x)[0].relu().sum((0, 1)).double().numpy()
    return total / len(images)


@job
def receptivefield(layer: str, pixels: str, rounds: str) -> dict[str, Any]:
    """The package's answer, by gradients of three units, beside three samples of isopter's: seconds, "cpu" and "wall"."""
    from peers import receptivefield as ask

    n = int(pixels)
    net, timed = ready(resnet18), Timed(resnet18, (1, 3, n, n), layer)
    cut = Upto(copy.deepcopy(net), layer)
    tasks = {"theirs": lambda: ask(cut, timed.shape), "isopter": lambda: measured(net, timed, 3)}
    for task in tasks.values():
        task()
    return {"seconds": clocked(tasks, int(rounds), budget=60)}


class Upto(nn.Module):
    """A network that returns the output of one of its layers."""

    def __init__(self, net: nn.Module, layer: str) -> None:
        super().__init__()
        self.net, self.layer = net, layer

    def forward(self, x: Tensor) -> Tensor:
        return judge.out_of(self.net, x, self.layer)


# ---- error bars ------------------------------------------------------------------------------------------------------------

SHARES = tuple(s / 100 for s in range(50, 100, 5))
METRICS: dict[str, Callable[[Any], Sequence[float]]] = {
    "sigma": lambda field: field.sigma,
    "side(0.95)": lambda field: (field.side(0.95),),
    "side of ten shares": lambda field: tuple(field.side(share) for share in SHARES),
    "threshold_size": lambda field: (field.threshold_size(),),
}


@job
def calibration(repeats: str, samples: str, truth: str) -> dict[str, Any]:
    """How often two standard errors hold the truth, for metrics and for pixels, over repeats that draw all inputs anew.

    One network with fixed weights; the truth is that of so many other inputs, sampled in plain PyTorch.
    """
    net, shape, layer = ready(lambda: chain(5, 8, strides={0: 2, 1: 2})), (1, 3, 64, 64), "9"
    runs = [ip.effective(net, layer, shape, samples=int(samples), seed=seed)[layer] for seed in range(int(repeats))]
    mean = sampled(net, layer, runs[0], int(truth))
    true = EffectiveField(**{key: getattr(runs[0], key) for key in PLACE}, map=mean)
    held = {name: [bar(e, t) for run in runs for e, t in zip(ask(run), ask(true), strict=True)] for name, ask in METRICS.items()}
    held["pixels of the map"] = [ok for run in runs for ok in (np.abs(run.map - mean) <= 2 * run.stderr)[mean > 0]]
    spread = {name: float(np.std([ask(run)[0] for run in runs])) for name, ask in METRICS.items()}
    errors = {name: float(np.median([ask(run)[0].stderr for run in runs])) for name, ask in METRICS.items()}
    return {
        "held": {name: float(np.mean(oks)) for name, oks in held.items()},
        "truth": {name: float(ask(true)[0]) for name, ask in METRICS.items()},
        "spread": spread,
        "stderr": errors,
    }


PLACE = ("layer", "origin", "center", "size", "image", "unit", "statistic")


def bar(estimate: Any, truth: float) -> bool:
    return abs(float(estimate) - truth) <= 2 * estimate.stderr + 1e-9 * abs(truth)


def sampled(net: nn.Module, before: str, like: Any, count: int, rows: int = 256) -> np.ndarray:
    """The mean map in plain PyTorch, of normal noise in the whole image."""
    torch.manual_seed(1)
    total, box = np.zeros((64, 64)), tuple(slice(o, o + n) for o, n in zip(like.origin, like.map.shape, strict=True))
    for start in range(0, count, rows):
        x = torch.randn((min(rows, count - start), 3, 64, 64)).requires_grad_()
        y = judge.into(net, x, before)
        total += judge.energy(judge.gradient(y, x, like.unit, judge.signs(y))).sum(0)
    return total[box] / count


# ---- memory ----------------------------------------------------------------------------------------------------------------


@job
def held(layer: str, *canvas: str) -> dict[str, Any]:
    """Memory of a process that measures a layer of ResNet-18 at 224, in MB: `added` by it, and `peak` of all.

    Without `canvas` isopter measures 16 samples, and the canvas it ran on is told; with one, plain PyTorch makes one pass on it.
    """
    net, timed = ready(resnet18), Timed(resnet18, (1, 3, 224, 224), layer)
    size = tuple(map(int, canvas))
    found, more = added(plain_sample(net, timed, size) if size else lambda: seen_by(net, lambda: measured(net, timed, 16)))
    return {"added": more, "peak": peak()} | ({} if size else {"canvas": found[0], "rows": found[1]})


if __name__ == "__main__":
    main(*sys.argv[1:])
