"""The truth about a small network, by perturbing every input position, and the analysis held against it unit by unit."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from torch import nn

import isopter as ip
from isopter.analysis import Analysis
from isopter.capture.torch.probe import Prober
from isopter.fields.extent import Progression
from isopter.verification import reached, targets, with_rounding


@dataclass
class Report:
    """What disagreed. `checked` counts pairs of unit and pixel compared with the real model."""

    checked: int = 0
    wrong: list[str] = field(default_factory=list)

    def expect(self, same: bool, message: str) -> None:
        if not same:
            self.wrong.append(message)


def check(model: nn.Module, size: tuple[int, ...], *, seed: int = 0, axes: tuple[int, ...] | None = None, training: bool = False) -> Report:
    """Every unit of every module output against every input position; support, regions and push against each other."""
    report = Report()
    analysis = ip.analyze(model, size, axes=axes, training=training)
    prober = Prober(model, size, None, seed=seed, training=training)
    watched = targets(analysis, None)
    origin = analysis.graph.inputs[0]
    plan = analysis._walk(origin).plan
    watched = {name: t for name, t in watched.items() if plan.depends(analysis.find(name))}
    shape = tuple(size[a] for a in plan.axes)
    pixels = list(itertools.product(*map(range, shape)))
    expected = reached(analysis, origin, list(watched), pixels)
    truth = _truth(analysis, prober, watched, expected, plan.axes, pixels)
    for name, seen in truth.items():
        _check_layer(report, analysis, name, pixels, shape, seen, expected[name])
    return report


def _truth(analysis, prober, watched, expected, axes, pixels):
    seen: dict[str, np.ndarray] = {}
    for probe in range(len(prober.steps)):
        changed = prober.changed(watched, 0, axes, pixels, probe)
        for name, block in changed.items():
            seen[name] = seen[name] | block if name in seen else block
        if probe >= 1 and all(
            (expected[name] <= block.reshape(expected[name].shape)).all()
            for name, block in seen.items()
            if analysis[name].exactness == "exact"
        ):
            break
    return seen


def _check_layer(report: Report, analysis: Analysis, name: str, pixels, shape, seen: np.ndarray, expected: np.ndarray) -> None:
    f = analysis[name]
    seen = seen.reshape(expected.shape)
    report.checked += expected.size
    missed, excess = seen & ~expected, expected & ~seen
    if missed.any():
        missed &= ~reached(with_rounding(analysis), analysis.graph.inputs[0], [name], pixels)[name]
    report.expect(not missed.any(), f"{name}: {missed.sum()} missed, e.g. pixel, unit {_first(missed, pixels)}")
    if f.exactness == "exact":
        report.expect(not excess.any(), f"{name}: {excess.sum()} in excess, e.g. pixel, unit {_first(excess, pixels)}")
    lo, hi = f.regions(context=True)
    for unit in _some_units(f.units):
        column = expected[(slice(None), *unit)].reshape(shape)
        s = f.support(unit, context=True)
        report.expect((s.on(shape) == column).all(), f"{name} {unit}: support is not the transpose of push")
        r = f.region(unit, context=True)
        where = np.argwhere(column)
        hull = (tuple(where.min(0)), tuple(where.max(0) + 1)) if len(where) else ((0,) * len(shape),) * 2
        report.expect((r.lo, r.hi) == hull, f"{name} {unit}: region {r.lo}..{r.hi} is not the hull {hull}")
        all_units = tuple(int(a[unit]) for a in lo), tuple(int(a[unit]) for a in hi)
        report.expect(all_units == (r.lo, r.hi), f"{name} {unit}: regions() says {all_units}, region() {r.lo}..{r.hi}")


def _first(where: np.ndarray, pixels) -> object:
    if not where.any():
        return None
    at = np.argwhere(where)[0]
    return pixels[at[0]], tuple(int(v) for v in at[1:])


def _some_units(units: tuple[int, ...]):
    """Corners, the middle and a few more."""
    every = list(itertools.product(*(sorted({0, n // 2, n // 3, n - 1}) for n in units if n)))
    return every[:24] if all(units) else []


def check_plane(model: nn.Module, size: tuple[int, ...], *, grow: int = 3) -> tuple[Report, int]:
    """On a larger image the middle unit is far from all borders: its real region must be the box the extent names.

    Returns the report and how many layers could be compared.
    """
    report, compared = Report(), 0
    small = ip.analyze(model, size)
    try:
        large = ip.analyze(model, (*size[:2], *(n * grow for n in size[2:])))
    except ip.CaptureError:
        return report, 0  # the net has its size built in
    if [op.kind for op in small.graph.ops] != [op.kind for op in large.graph.ops]:
        return report, 0
    before, after = (a._walk(a.graph.inputs[0]).plan for a in (small, large))
    fixed = [  # an op whose map does not grow with the image has borders near its middle
        any(p.shape[a] >= q.shape[b] for a, b in zip(u, v, strict=False))
        for p, q, u, v in zip(small.graph.ops, large.graph.ops, before.units, after.units, strict=True)
    ]
    for name in large.layers:
        f = large[name]
        if any(fixed[: large.find(name) + 1]):
            continue
        if f.basis != "plane" or not all(isinstance(e, Progression) for e in f._extent) or not all(f.units):
            continue
        unit = tuple(n // 2 for n in f.units)
        r = f.region(unit)
        inside = all(low > 0 and high < n for low, high, n in zip(r.lo, r.hi, f.input_shape, strict=True))
        if not inside or r.unclipped is None or any(low < 0 or high > n for (low, high), n in zip(r.unclipped, f.input_shape, strict=True)):
            continue  # a border is near: of the image, or of a map in between
        compared += 1
        box = tuple(zip(r.lo, r.hi, strict=True))
        report.expect(box == r.unclipped, f"{name} {unit}: plane says {r.unclipped}, the middle of a large image {box}")
        report.expect(
            all(h - low in sizes for (low, h), sizes in zip(box, f.sizes_by_phase, strict=True)),
            f"{name} {unit}: {box} has none of the sizes {f.sizes_by_phase}",
        )
        if large._walk(large.graph.inputs[0]).plane_is_pullable(large.find(name)):
            plane, real = f.support(unit, clip=False), f.support(unit)
            same = plane.origin == real.origin and plane.mask.shape == real.mask.shape and (plane.mask == real.mask).all()
            report.expect(same, f"{name} {unit}: support on the plane differs from support in a large image")
    return report, compared
