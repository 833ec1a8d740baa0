"""Answers of the Python walks, written for the page's engine to be held against: ``python tests/page_fixtures.py FOLDER``.

One JSON file per network: its data as the page gets it, and random questions with their answers. Sets are kept as origin, shape, count
and a digest of the mask, so that the files stay small.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from examples import models
from torch import Tensor, nn

import isopter as ip
from cases import CASES, INTEGER
from isopter.fields.field import Field
from isopter.graph import Op
from isopter.report.page.graph import graph_data
from lambdas import Lambda
from layouts import LAST, ODD, laid_out, plain
from networks import random_network

Size = tuple[int, ...]
Factory = Callable[[], nn.Module]

UNITS = 70
"""Questions about units, per network that is here by name."""

RANDOM = 36
"""Random networks, and how many questions about units each of them and each single operation gets."""
FEW = 6

EXPOSED = 900
"""An op with more units than this is not asked for the exposure of all of them: slow in Python, not in the page."""


def inception() -> nn.Module:
    """Branches of 1, 3, 5, and 1x7 after 7x1, side by side along channels, twice."""

    def block(c: int) -> nn.Module:
        long = nn.Sequential(nn.Conv2d(c, 2, (1, 7), padding=(0, 3)), nn.ReLU(), nn.Conv2d(2, 2, (7, 1), padding=(3, 0)))
        return Lambda(
            lambda x, one, three, five, long, pool: torch.cat([one(x), three(x), five(x), long(x), pool(x)], 1),
            one=nn.Conv2d(c, 2, 1), three=nn.Conv2d(c, 2, 3, padding=1), five=nn.Conv2d(c, 2, 5, padding=2), long=long,
            pool=nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(c, 2, 1)),
        )  # fmt: skip

    return nn.Sequential(block(3), nn.MaxPool2d(3, 2), block(10), nn.AvgPool2d(2, ceil_mode=True), block(10))


def gridding() -> nn.Module:
    """Dilations 2, 2, 4 and a stride: fields full of holes."""
    return nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=d, dilation=d, stride=s) for d, s in ((2, 1), (2, 2), (4, 1), (3, 1))))


def unet_nearest() -> nn.Module:
    """Down by 2 and 3, up again by nearest neighbours."""
    return Lambda(
        lambda x, a, b, c, d: d(torch.cat([a(x), F.interpolate(c(F.interpolate(b(a(x)), scale_factor=3)), size=x.shape[2:])], 1)),
        a=nn.Conv2d(3, 4, 3, padding=1), b=nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, 3, 1)), c=nn.Conv2d(4, 4, 3, padding=1),
        d=nn.Conv2d(8, 2, 3, padding=1),
    )  # fmt: skip


def turned() -> nn.Module:
    """Reflecting and circular borders, a roll, a flip, a crop."""

    def forward(x: Tensor, first: nn.Module, second: nn.Module) -> Tensor:
        x = first(F.pad(x, (3, 1, 2, 4), mode="reflect")).flip(3)
        return torch.roll(second(F.pad(x, (2, 2, 2, 2), mode="circular")), (2, -3), (2, 3))

    return Lambda(forward, first=nn.Conv2d(2, 3, 3, 2), second=nn.Conv2d(3, 3, (3, 2), dilation=(1, 2)))


def adaptive() -> nn.Module:
    """Adaptive pools to sizes that do not divide the map."""
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.AdaptiveAvgPool2d((7, 10)), nn.Conv2d(3, 3, 3), nn.AdaptiveMaxPool2d((4, 3)), nn.Conv2d(3, 2, 2)
    )

def shuffled() -> nn.Module:
    """Space to channels and back, grouped convolutions between, a shuffle of channels."""
    return nn.Sequential(
        nn.PixelUnshuffle(2), nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.ChannelShuffle(4), nn.Conv2d(8, 12, 3, 1, 1, groups=2),
        nn.PixelShuffle(2), nn.Conv2d(3, 3, 3, 2, 1),
    )  # fmt: skip

def shared() -> nn.Module:
    """A convolution that is called three times, a constant of the map's size, a resampling to a size, an adaptive pool."""

    def forward(x: Tensor, c: nn.Module, last: nn.Module) -> Tensor:
        x = c(F.interpolate(c(c(x)), size=(2 * x.shape[2], 2 * x.shape[3])))
        x = last(x[:, :, 1:] + torch.ones(x.shape[2] - 1, x.shape[3]))
        return torch.roll(F.adaptive_avg_pool2d(x, (5, 4)) @ torch.ones(4, 3), 1, 2)

    return Lambda(forward, c=nn.Conv2d(2, 2, 3, padding=1), last=nn.Conv2d(2, 3, 3))


NAMED: dict[str, tuple[Factory, Size]] = {
    "resnet18": (models.resnet18, (1, 3, 97, 65)),
    "bottlenecks": (lambda: models.ResNet(models.Bottleneck, (1, 2, 1, 1), width=8, classes=3), (1, 3, 66, 81)),
    "unet": (lambda: models.UNet(3, 4), (1, 3, 40, 56)),
    "unet_bilinear": (lambda: models.UNet(3, 4, up="bilinear"), (1, 3, 48, 40)),
    "unet_nearest": (unet_nearest, (1, 3, 41, 53)),
    "swin": (lambda: nn.Sequential(models.SwinBlock(16, 4, 2), nn.Conv2d(16, 3, 3, 2, 1), models.SwinBlock(8, 4, 1)), (1, 3, 16, 16)),
    "gridding": (gridding, (1, 3, 45, 62)),
    "squeeze_excite": (models.se_resnet, (1, 3, 65, 48)),
    "inception": (inception, (1, 3, 37, 44)),
    "causal": (models.wavenet, (1, 1, 1500)),
    "volume": (models.highres3dnet, (1, 1, 14, 11, 17)),
    "turned": (turned, (1, 2, 23, 30)),
    "adaptive": (adaptive, (1, 2, 31, 22)),
    "shuffled": (shuffled, (1, 2, 26, 34)),
    "shared": (shared, (1, 2, 13, 11)),
    "vgg": (lambda: models.vgg16(10).features[:24], (1, 3, 51, 75)),
}

def networks() -> Iterator[tuple[str, Factory, Size, int]]:
    """Name, factory, input size, and the number of questions about units."""
    for name, (factory, size) in NAMED.items():
        yield name, factory, size, UNITS
    for name, factory, size in CASES:
        if name in INTEGER or name == "constant_output":  # other inputs than images; nothing that depends on the input
            continue
        yield f"case_{name}", factory, size, FEW
    for seed in range(RANDOM):
        spec = random_network(seed)
        yield f"random_{seed}", spec.build, spec.input_size, FEW

def write(folder: Path) -> int:
    """Write every fixture into `folder`; the number of units asked about."""
    count = 0

    def analyses() -> Iterator[tuple[str, ip.Analysis, int]]:
        for name, factory, size, units in networks():
            torch.manual_seed(0)
            yield name, ip.analyze(factory().eval(), size), units
        yield "channels_last", laid_out(plain(), LAST), UNITS
        yield "batch_last", laid_out(plain(), ODD), UNITS

    for name, analysis, units in analyses():
        found = fixture(analysis, random.Random(name), units)
        (folder / f"{name}.json").write_text(json.dumps(found, allow_nan=False), encoding="utf-8")
        count += len(found["units"])
    return count

def fixture(analysis: ip.Analysis, rng: random.Random, units: int) -> dict[str, Any]:
    """The data of one network, and questions with their answers."""
    origin = analysis.origin
    plan = analysis._walk(origin).plan
    fields = [analysis._field(i, origin) for i in range(len(plan.graph.ops)) if plan.depends(i)]
    asked = [f for f in fields if 0 not in f.units]
    if 0 in fields[0].input_shape:
        asked = []
    pixels = [tuple(rng.randrange(n) for n in fields[0].input_shape) for _ in range(3)] if asked else []
    return {
        "graph": graph_data(analysis, origin),
        "cost": analysis.cost().to_dict(),
        "units": [unit(rng.choice(asked), rng) for _ in range(units if asked else 0)],
        "reach": [reach(fields, pixel) for pixel in pixels],
        "paths": [paths(rng.choice(fields), axis) for axis in range(len(plan.axes)) for _ in range(3)],
        "whatIf": [what_if(analysis, rng, min(units, 8)) for _ in range(4 if units == UNITS else 2)] if asked else [],
        "exposure": [exposure(f) for f in rng.sample(asked, min(len(asked), 3)) if math.prod(f.units) <= EXPOSED],
    }

def unit(field: Field, rng: random.Random) -> dict[str, Any]:
    """One unit: its set of pixels and its box."""
    index = tuple(rng.randrange(n) for n in field.units)
    context = rng.random() < 0.3
    clip = not field.walks.plane_is_pullable(field.op) or rng.random() < 0.6
    support, region = field.support(index, context=context, clip=clip), field.region(index, context=context)
    return {
        "op": field.op,
        "unit": list(index),
        "how": {"context": context, "clip": clip},
        "support": {"origin": list(support.origin), **masked(support.mask)} if support.count else None,
        "lo": list(region.lo),
        "hi": list(region.hi),
        "unclipped": None if region.unclipped is None else [[_number(v) for v in side] for side in region.unclipped],
        "paddingShare": None if region.padding_share is None else _number(region.padding_share),
    }

def reach(fields: list[Field], pixel: tuple[int, ...]) -> dict[str, Any]:
    """Which units of every op a pixel reaches."""
    return {"pixel": list(pixel), "ops": {str(f.op): masked(f.projective(pixel)) for f in fields}}

def paths(field: Field, axis: int) -> dict[str, Any]:
    """The paths of one op along one axis, counts as text."""
    found = field.paths(axis)
    return {
        "op": field.op,
        "axis": axis,
        "sizes": list(found.sizes),
        "counts": [str(c) for c in found.counts],
        "unbounded": str(found.unbounded),
        "total": str(found.total),
        "mean": _number(found.mean),
        "sd": _number(found.sd),
    }

def exposure(field: Field) -> dict[str, Any]:
    """The share of padding of every unit of an op."""
    shares = [field.region(index).padding_share for index in np.ndindex(*field.units)]
    return {"op": field.op, "shares": None if None in shares else [_number(s) for s in shares if s is not None]}

FACTS = ("shape", "units", "extent", "size", "stride", "start", "basis", "context", "whole", "exactness", "plane", "window")


def what_if(analysis: ip.Analysis, rng: random.Random, units: int) -> dict[str, Any]:
    """A random edit or another input size, and what every op is then; or which op stops matching, and why."""
    graph = analysis.graph
    plan = analysis._walk(analysis.origin).plan
    windows = [i for i, op in enumerate(graph.ops) if op.kind in ("conv", "conv_transpose", "pool") and _may_edit(analysis, i)]
    chosen = rng.sample(windows, min(len(windows), rng.choice((0, 1, 1, 2))))
    layers = {graph.ops[i].name.partition("#")[0]: i for i in chosen}  # an edit of one call is one of all
    edits = {i: _edit(graph.ops[i], rng) for i in layers.values()}
    size = list(graph.ops[plan.origin].shape)
    if not edits or rng.random() < 0.5:
        for axis in plan.axes:
            size[axis] = rng.choice((size[axis], size[axis] + rng.randint(1, 9), max(1, size[axis] - rng.randint(1, 5)), 2 * size[axis]))
    asked: dict[str, Any] = {
        "edits": {str(i): {key: list(value) for key, value in edit.items()} for i, edit in edits.items()},
        "inputSize": [size[axis] for axis in plan.axes],
    }
    try:
        found = analysis.what_if({graph.ops[i].name: edit for i, edit in edits.items()}, size, input=graph.ops[plan.origin].name)
    except ip.UsageError as error:
        return asked | {"broken": str(error)}
    notes = [str(issue) for issue in found.issues[len(analysis.issues) :]]
    data = graph_data(found, plan.origin)
    edges = [[[edge[0], edge[2]] for edge in op["edges"]] for op in data["ops"]]
    some = [found._field(i, plan.origin) for i, op in enumerate(data["ops"]) if 0 not in op["shape"] and plan.depends(i)]
    return asked | {
        "ops": [{key: op.get(key) for key in FACTS} | {"edges": known} for op, known in zip(data["ops"], edges, strict=True)],
        "units": [unit(rng.choice(some), rng) for _ in range(units)],
        "notes": notes,
        "cost": found.cost().to_dict(),
    }


def _may_edit(analysis: ip.Analysis, index: int) -> bool:
    """Whether the op is known by its own name alone, and is no fixed filter."""
    op = analysis.graph.ops[index]
    return analysis.find(op.name) == index and not {"taps", "squares"} & set(op.params)


def _edit(op: Op, rng: random.Random) -> dict[str, tuple[int, ...]]:
    """One or two of a window's numbers anew."""
    keys = ["kernel", "stride", "padding", *(["dilation"] if op.params.get("mode") != "avg" else [])]
    return {key: tuple(rng.randint(key != "padding", 4) for _ in op.params["kernel"]) for key in rng.sample(keys, rng.choice((1, 1, 2)))}


def masked(mask: np.ndarray) -> dict[str, Any]:
    """A mask's shape, count and digest."""
    data = np.ascontiguousarray(mask).astype(np.uint8).tobytes()
    return {"shape": list(mask.shape), "count": int(mask.sum()), "digest": hashlib.sha256(data).hexdigest()[:16]}

def _number(value: float) -> float | str:
    """JSON has no infinities: they are text."""
    return value if math.isfinite(value) else repr(float(value))

if __name__ == "__main__":
    print(write(Path(sys.argv[1])), "units")
