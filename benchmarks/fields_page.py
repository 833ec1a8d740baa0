"""What was measured of effective fields, as a page of Markdown tables. Numbers come from the measurement alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fields_nets import CASES
from page import table

Measured = dict[str, Any]

HEAD = """# Benchmarks of effective fields

Written by `make bench-fields`; not to be edited by hand. {machine} It took {minutes:.0f} minutes.

Jobs run in processes of their own on one thread; ratios are of CPU times, medians of repeats that take turns within one process, so that
a slow moment of the machine falls on all alike. Times on the clock are given besides. *isopter.effective* is always one whole call: the
analysis, the trial of the canvas and all samples. Networks have random weights; ResNet-18 is torchvision's.

## What isopter holds itself to

{bars}
"""

CONVERGENCE = """## The expected field against sampling

`Field.expected()` is what sampling random weights converges to, computed without sampling. Here it is sampled, by plain PyTorch in
double precision (`benchmarks/fields_judge.py`, in which isopter has no part): each sample draws all weights (He) and the input
(normal) anew, and takes the gradient of the middle unit before its activation, its channels times random signs. Errors are relative
L2 distances of maps of mass 1, at M samples the root mean square over disjoint runs of M. Noise alone falls as M to the power -0.5; what
the theory misses does not fall. *assumed*: by the architecture alone; *live*: with one forward pass of the first model, from which it
takes slopes, norms and gates. In bold the one that is held to its bar.

{errors}

Width in pixels (standard deviation), and how far `isopter.effective` is from plain PyTorch for the first model and input: the largest
difference over the largest value.

{widths}
"""

TIME = """## Time

The expected field of layer4 of ResNet-18 at 224, its analysis done, all other caches empty, beside measuring it on {samples} samples:

{theory}

`isopter.effective` per sample, beside one forward pass to the layer and one backward pass to the input in plain PyTorch, of the same
cropped input ({per_call} samples a call, the default). *further*: of one more sample, the fixed cost of a call taken off. Below 1:
several samples share a pass.

{overhead}

Images given as `data` and cut to the unit's field, beside the whole of them (`crop=False`): {per_call} images of random numbers, ResNet-18.
The maps differ by at most the last column, over the largest value.

{cropping}
"""

OTHERS = """## Beside other ways

The loop of RepLKNet's published script (Ding et al. 2022), written anew: the whole image runs, the gradient of the positive outputs at the
middle, its positive part. isopter in the same convention: `target="positive", statistic="relu"`. *difference* of the maps of two
images in double precision, over the largest value. Milliseconds of CPU per image, a call of isopter with all that belongs to it.

{replknet}

{receptivefield}
"""

PACKAGE = """The package receptivefield 0.5.0 tells the theoretical field by gradients of three units in the whole image, on a copy of the
network made linear. Beside it `isopter.effective` with three samples, which tells both fields. Milliseconds of CPU:

"""

ERRORS = """## Error bars

How often two standard errors hold the truth: {repeats} measurements of {samples} samples each, all inputs drawn anew, of one network with
fixed weights (five 3x3 convolutions, two strided; field of 31 pixels). The truth is that of {truth} other inputs, sampled in plain
PyTorch. For a normal estimate whose error is known from 16 groups it is 93.6 %. *spread*: standard deviation over the measurements;
*stderr*: the median of the errors stated. A side is a whole number of pixels; where every measurement finds the same, and the
truth is the same, it is held always and says little, so sides of ten shares (0.5 to 0.95) are counted too.

{calibration}

## Memory

What measuring 16 samples of a layer of ResNet-18 at 224 adds to a process, in MB (10^6 bytes), and the peak of it all; beside one
forward and one backward pass in plain PyTorch on the same canvas, of a single sample.

{held}
"""


def write(measured: Measured) -> str:
    """The whole page."""
    head = HEAD.format(
        machine=measured["machine"], minutes=measured["minutes"], bars=table(["", "wanted", "measured", "met"], rows(measured))
    )
    plan = measured["calibration"]["plan"]
    against, overheads = measured["against samples"], measured["overhead"]
    parts = (
        CONVERGENCE.format(errors=errors(measured), widths=widths(measured)),
        TIME.format(
            samples=against.get("samples", "?"),
            per_call=next((r["samples"] for r in overheads.values() if "samples" in r), "?"),
            theory=theory(against),
            overhead=overhead(overheads),
            cropping=cropping(measured["cropping"]),
        ),
        OTHERS.format(replknet=replknet(measured["replknet"]), receptivefield=receptivefield(measured["receptivefield"])),
        ERRORS.format(repeats=plan[0], samples=plan[1], truth=f"{int(plan[2]):,}", calibration=calibration(measured), held=held(measured)),
    )
    return "\n".join((head, *parts))


# ---- the bars ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """A promise: `value` of a result must be within `least` and `most`. Its result failed: not measured, not met."""

    what: str
    wanted: str
    result: Measured
    value: Callable[[Measured], float]
    form: str = "{:.2f}"
    least: float = -math.inf
    most: float = math.inf

    @property
    def met(self) -> bool:
        return "failed" not in self.result and self.least <= self.value(self.result) <= self.most

    @property
    def cells(self) -> list[str]:
        shown = "not measured" if "failed" in self.result else self.form.format(self.value(self.result))
        return [self.what, self.wanted, shown, "yes" if self.met else "no"]


CONVERGED = {"ResNet-18": 0.16, "U-Net": 0.2}
"""The largest error at the most samples; 0.05 for the others. The theory takes norms and the gates of maxima to be independent."""


def rows(measured: Measured) -> list[list[str]]:
    """The first table."""
    return [bar.cells for bar in bars(measured)]


def bars(measured: Measured) -> Iterator[Bar]:
    """Each promise with what was measured."""
    for name, result in _converged(measured):
        most = next((value for start, value in CONVERGED.items() if name.startswith(start)), 0.05)
        at = f" at M = {result['counts'][-1]}" if "counts" in result else ""
        yield Bar(f"expected against sampled, {name}{at}", f"{most}", result, _last_error, "{:.3f}", most=most)
    against = measured["against samples"]
    what = f"expected field of layer4 of ResNet-18: faster than measuring {against.get('samples', '')} samples"
    yield Bar(what, "1000 x", against, lambda r: r["measured"]["cpu"] / r["expected"]["cpu"], "{:,.0f} x", least=1000)
    for name, result in measured["overhead"].items():
        yield Bar(f"a sample beside a forward and a backward pass, {name}", "1.15 x", result, _per_sample, "{:.2f} x", most=1.15)
    for layer, n, result in measured["cropping"]:
        if layer == "layer1":
            yield Bar(f"cropped to the field, {layer} at {n}: faster", "5 x", result, _speedup, "{:.1f} x", least=5)
    for layer, n, result in measured["replknet"]:
        yield Bar(f"map equals that of RepLKNet's script, {layer} at {n}", "1e-9", result, lambda r: r["difference"], "{:.2g}", most=1e-9)
    errors = measured["calibration"]
    for name in errors.get("held", {"every metric": 0}):
        if name != "side(0.95)":
            yield Bar(f"two errors hold the truth: {name}", "90-99 %", errors, _share(name), "{:.1%}", 0.9, 0.99)


def _last_error(result: Measured) -> float:
    return result["errors"][result["held"]][-1]


def _per_sample(result: Measured) -> float:
    return result["seconds"]["isopter"]["cpu"] / result["seconds"]["plain"]["cpu"]


def _speedup(result: Measured) -> float:
    return result["whole"]["cpu"] / result["cropped"]["cpu"]


def _share(name: str) -> Callable[[Measured], float]:
    return lambda result: result["held"][name]


# ---- the theory ----------------------------------------------------------------------------------------------------------


def errors(measured: Measured) -> str:
    """Errors by number of samples, and how they fall."""
    return table(
        ["network", "theory", "error (at M)", "exponent", "seconds"], [line for item in _converged(measured) for line in _falling(*item)]
    )


def widths(measured: Measured) -> str:
    """Sigma of the maps, and the agreement."""
    head = ["network", "field", "assumed", "live", "sampled", "`isopter.effective` differs by"]
    return table(head, [_width(*item) for item in _converged(measured)], numbers=True)


def _converged(measured: Measured) -> list[tuple[str, Measured]]:
    return [(name, measured["convergence"][name]) for name in CASES if name in measured["convergence"]]


def _falling(name: str, result: Measured) -> Iterator[list[str]]:
    if "failed" in result:
        yield [name, "", result["failed"], "", ""]
        return
    for which, values in result["errors"].items():
        shown = ", ".join(f"{e:.3f} ({m})" for m, e in zip(result["counts"], values, strict=True))
        own = which == result["held"]
        yield [
            name,
            f"**{which}**" if own else which,
            shown,
            f"{result['exponents'][which]:.2f}",
            f"{result['seconds']:.0f}" if own else "",
        ]


def _width(name: str, result: Measured) -> list[str]:
    if "failed" in result:
        return [name, result["failed"], *[""] * 4]
    sigma = result["sigma"]
    return [name, str(result["size"]), *(f"{sigma[which]:.2f}" for which in ("assumed", "live", "sampled")), _small(result["agrees"])]


# ---- time ----------------------------------------------------------------------------------------------------------------


def theory(result: Measured) -> str:
    """The expected field beside sampling."""
    if "failed" in result:
        return f"No result: {result['failed']}."
    lines = [[name, f"{1000 * result[key]['cpu']:,.1f}", f"{1000 * result[key]['wall']:,.1f}"] for name, key in _THEORY]
    ratios = [f"{result['measured'][clock] / result['expected'][clock]:,.0f} x" for clock in ("cpu", "wall")]
    return table(["", "CPU, ms", "clock, ms"], [*lines, ["ratio", *ratios]], numbers=True)


_THEORY = (("`Field.expected()`", "expected"), ("`isopter.effective(...)`, run once", "measured"))


def overhead(results: Measured) -> str:
    """isopter beside plain PyTorch."""
    head = ["network", "canvas", "samples a pass", "plain, ms", "isopter, ms", "ratio", "on the clock", "further"]
    return table(head, [_overhead(name, result) for name, result in results.items()], numbers=True)


def _overhead(name: str, result: Measured) -> list[str]:
    if "failed" in result:
        return [name, result["failed"], *[""] * 6]
    seconds, count = result["seconds"], result["samples"]
    plain, ours, quarter = (seconds[key] for key in ("plain", "isopter", "isopter, a quarter"))
    ratios = [f"{ours[clock] / plain[clock]:.2f}" for clock in ("cpu", "wall")]
    further = (ours["cpu"] - quarter["cpu"]) / (count - count // 4) * count / plain["cpu"]
    each = [f"{1000 * s['cpu'] / count:.2f}" for s in (plain, ours)]
    return [name, " x ".join(map(str, result["canvas"])), str(result["rows"]), *each, *ratios, f"{further:.2f}"]


def cropping(results: list[Any]) -> str:
    """Cropped beside whole."""
    head = ["layer", "image", "whole, ms a sample", "cropped, ms a sample", "ratio", "on the clock", "difference"]
    return table(head, [[layer, n, *_cropping(result)] for layer, n, result in results], numbers=True)


def _cropping(result: Measured) -> list[str]:
    if "failed" in result:
        return [result["failed"], *[""] * 4]
    each = [f"{1000 * result[key]['cpu'] / result['samples']:.2f}" for key in ("whole", "cropped")]
    ratios = [f"{result['whole'][clock] / result['cropped'][clock]:.1f}" for clock in ("cpu", "wall")]
    return [*each, *ratios, _small(result["difference"])]


# ---- other ways ----------------------------------------------------------------------------------------------------------


def replknet(results: list[Any]) -> str:
    """isopter beside the loop of the script."""
    lines = [[layer, n, *_beside(result, result.get("samples", 1)), _difference(result)] for layer, n, result in results]
    return table(["layer", "image", "script", "isopter", "ratio", "on the clock", "difference"], lines, numbers=True)


def receptivefield(results: Any) -> str:
    """The package beside isopter, or why it was not asked."""
    if isinstance(results, str):
        return f"The package receptivefield 0.5.0 was not asked: {results}."
    lines = [[layer, n, *_beside(result, 1)] for layer, n, result in results]
    return PACKAGE + table(["layer", "image", "receptivefield", "isopter", "ratio", "on the clock"], lines, numbers=True)


def _beside(result: Measured, count: int) -> list[str]:
    """Milliseconds of theirs and of isopter, and how many times theirs is."""
    if "failed" in result:
        return [result["failed"], "", "", ""]
    theirs, ours = result["seconds"]["theirs"], result["seconds"]["isopter"]
    ratios = [f"{theirs[clock] / ours[clock]:.1f}" for clock in ("cpu", "wall")]
    return [*(f"{1000 * s['cpu'] / count:.1f}" for s in (theirs, ours)), *ratios]


def _difference(result: Measured) -> str:
    return _small(result["difference"]) if "difference" in result else ""


def _small(value: float) -> str:
    return f"{value:.0e}" if value else "0"


# ---- errors and memory ---------------------------------------------------------------------------------------------------


def calibration(measured: Measured) -> str:
    """How often the truth was held."""
    result = measured["calibration"]
    if "failed" in result:
        return f"No result: {result['failed']}."
    single = [name for name in result["truth"] if name != "side of ten shares"]
    lines = [
        [name, f"{share:.1%}", *(f"{result[key][name]:.3g}" if name in single else "" for key in _SPREADS)]
        for name, share in result["held"].items()
    ]
    return table(["", "held", *_SPREADS], lines, numbers=True)


_SPREADS = ("truth", "spread", "stderr")


def held(measured: Measured) -> str:
    """Memory."""
    head = ["layer", "canvas", "samples a pass", "isopter adds", "plain adds", "isopter's peak", "plain peak", "ratio of peaks"]
    return table(head, [_held(layer, result) for layer, result in measured["held"].items()], numbers=True)


def _held(layer: str, result: Measured) -> list[str]:
    ours, plain = result["isopter"], result["plain"]
    for one in (ours, plain):
        if "failed" in one:
            return [layer, one["failed"], *[""] * 6]
    numbers = [f"{one[key]:.0f}" for key in ("added", "peak") for one in (ours, plain)]
    return [layer, " x ".join(map(str, ours["canvas"])), str(ours["rows"]), *numbers, f"{ours['peak'] / plain['peak']:.2f}"]
