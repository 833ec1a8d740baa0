"""`verify`: hold the analysis against the real model. Change an input pixel, see which units change."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isopter.analysis import Analysis
from isopter.capture.dispatch import capture_of, check_size, framework
from isopter.capture.target import Target, progress_bar
from isopter.entry import analyze
from isopter.errors import UsageError
from isopter.graph import Op

Pixel = tuple[int, ...]


@dataclass(frozen=True)
class LayerVerdict:
    """One layer: `checked` pairs of pixel and unit; units that changed though the analysis says they do not read the pixel
    (`missed`), and units said to read it that no probe changed (`excess`, a fault only where the field is `exact`)."""

    name: str
    checked: int
    missed: int
    excess: int
    exact: bool


@dataclass(frozen=True)
class Verification:
    """The result of `verify`. `ok`: nothing missed anywhere, and nothing in excess where the field says exact."""

    layers: tuple[LayerVerdict, ...]
    pixels: tuple[Pixel, ...]
    weights: str

    @property
    def checked(self) -> int:
        """How many (pixel, unit) pairs were compared."""
        return sum(layer.checked for layer in self.layers)

    @property
    def missed(self) -> int:
        """Units that changed against the analysis."""
        return sum(layer.missed for layer in self.layers)

    @property
    def excess(self) -> int:
        """Units that never changed though an exact field names them."""
        return sum(layer.excess for layer in self.layers if layer.exact)

    @property
    def ok(self) -> bool:
        """Nothing missed, nothing in excess, and something checked."""
        return self.missed == 0 and self.excess == 0 and self.checked > 0

    def __repr__(self) -> str:
        head = (
            f"{'ok' if self.ok else 'FAILED'}: {self.checked:,} pairs of pixel and unit compared "
            f"({len(self.pixels)} pixels, {len(self.layers)} layers), {self.missed} missed, {self.excess} in excess"
        )
        wrong = [
            f"  {v.name}: {v.missed} missed, {v.excess} in excess of {v.checked:,}"
            for v in self.layers
            if v.missed or (v.excess and v.exact)
        ]
        return "\n".join([head, *wrong[:20]])


def verify(
    model: Any,
    input_size: Sequence[int] | None = None,
    *,
    inputs: Any = None,
    axes: str | Sequence[int] | None = None,
    layers: Sequence[str] | None = None,
    units: int = 64,
    seed: int = 0,
    training: bool = False,
    weights: str = "positive",
    progress: bool = False,
) -> Verification:
    """Prove the analysis on the model itself.

    `units` units are chosen at random and at the corners of the layers (`layers`: names or globs; default every module's
    output). For each, one pixel is perturbed: at an edge of its field, just outside, in a hole, or at a corner of the image.
    Every unit of every layer that changes is held against the analysis, context reads included. The probe runs in float64
    on a copy, by several finite steps; ``weights="positive"`` gives it positive weights and resting normalisation, so
    that no read cancels out, ``weights="as-is"`` keeps the model's own (then a dead unit counts as excess). An ONNX model is run by
    onnxruntime, in the precision it is stored in; its layers are the values of its graph.

    Raises UsageError and CaptureError as `analyze` does.
    """
    runs = framework(model)
    if runs is None:
        raise UsageError(f"verify runs the model itself, and a {type(model).__name__} cannot be run. Expected a model of a framework.")
    if isinstance(units, bool) or not isinstance(units, int) or units < 1:
        raise UsageError(f"units={units!r} must be a whole number of 1 or more.")
    analysis = analyze(model, input_size, inputs=inputs, axes=axes, training=training)
    prober = capture_of(runs).prober(model, check_size(input_size), inputs, weights=weights, training=training, seed=seed)
    watched = targets(analysis, layers)
    rng = np.random.default_rng(seed)
    verdicts = {name: np.zeros(3, np.int64) for name in watched}
    exact: dict[str, bool] = dict.fromkeys(watched, True)
    chosen: list[Pixel] = []

    for position, origin in enumerate(analysis.graph.inputs):
        plan = analysis._walk(origin).plan
        mine = {
            name: replace(t, units=plan.units[op])
            for name, t in watched.items()
            if plan.depends(op := analysis.find(name)) and 0 not in t.shape
        }
        if 0 in analysis.graph.ops[origin].shape:
            raise UsageError(f"The input has shape {analysis.graph.ops[origin].shape}: an empty axis leaves no pixel to change.")
        if not mine:
            continue
        pixels = choose_pixels(analysis, list(mine), origin, units, rng)
        expected = reached(analysis, origin, list(mine), pixels)
        seen = {name: np.zeros_like(e) for name, e in expected.items()}
        for probe in range(len(prober.steps)):
            exacts = [n for n in mine if plan.exactness[analysis.find(n)] == "exact"]
            open_ = np.zeros(len(pixels), np.bool_)
            for name in exacts:
                open_ |= (expected[name] & ~seen[name]).reshape(len(pixels), -1).any(axis=1)
            todo = np.arange(len(pixels)) if probe < 2 else np.flatnonzero(open_)
            if not len(todo):
                break
            changed = prober.changed(mine, position, plan.axes, [pixels[i] for i in todo], probe)
            for name, block in changed.items():
                seen[name][todo] |= block.reshape(len(todo), *seen[name].shape[1:])
            progress_bar(probe + 1, len(prober.steps), progress)
        for name in mine:
            exact[name] &= plan.exactness[analysis.find(name)] == "exact"
            missed = seen[name] & ~expected[name]
            if missed.any():
                missed &= ~reached(with_rounding(analysis), origin, [name], pixels)[name]
            verdicts[name] += [missed.size, missed.sum(), (expected[name] & ~seen[name]).sum()]
        chosen += pixels
    progress_bar(len(prober.steps), len(prober.steps), progress)
    result = tuple(LayerVerdict(n, int(v[0]), int(v[1]), int(v[2]), exact[n]) for n, v in verdicts.items() if v[0])
    return Verification(result, tuple(chosen), weights)


def targets(analysis: Analysis, layers: Sequence[str] | None) -> dict[str, Target]:
    """The tensors to watch: one per distinct op among the module outputs asked for."""
    graph = analysis.graph
    patterns = [layers] if isinstance(layers, str) else layers
    names = None if patterns is None else {n for p in patterns for n in (analysis.match(p) or (p,)) if analysis.find(n) >= 0}
    found: dict[str, Target] = {}
    seen: set[int] = set()
    for name, op in graph.layers.items():
        if (names is not None and name not in names) or name not in graph.calls or op in seen:
            continue
        seen.add(op)
        found[name] = Target(*graph.calls[name], graph.ops[op].shape, analysis._walk(analysis._origin_of(op)).plan.units[op])
    if not found:
        raise UsageError(f"No layer to verify matches {layers}. Layers are modules' outputs: {', '.join(list(graph.calls)[:5])}, ...")
    return found


def choose_pixels(analysis: Analysis, names: Sequence[str], origin: int, count: int, rng: np.random.Generator) -> list[Pixel]:
    """`count` pixels: the image's corners first, then for random and corner units an edge, an outside or a hole of the field."""
    walks = analysis._walk(origin)
    size = tuple(walks.graph.ops[origin].shape[a] for a in walks.plan.axes)
    pixels: dict[Pixel, None] = dict.fromkeys(itertools.islice(itertools.product(*((0, n - 1) for n in size)), max(count // 4, 1)))
    attempts = 0
    while len(pixels) < count and attempts < 20 * count:
        attempts += 1
        name = names[int(rng.integers(len(names)))]
        field = analysis._field(analysis.find(name), origin)
        unit = tuple(int(rng.choice([0, n - 1, int(rng.integers(n))])) for n in field.units)
        pixel = tuple(int(rng.integers(n)) for n in size)
        support = field.support(unit, context=True) if attempts % 4 else None
        if support is not None and support.count:
            read = np.argwhere(support.mask) + support.origin
            if attempts % 4 == 1:
                pixel = tuple(int(v) for v in read[[0, -1][int(rng.integers(2))]])
            elif attempts % 4 == 2:
                step = rng.integers(-1, 2, len(size))
                pixel = tuple(int(v) for v in np.clip(read[int(rng.integers(len(read)))] + step, 0, np.array(size) - 1))
            else:
                holes = np.argwhere(~support.mask) + support.origin
                pixel = tuple(int(v) for v in (holes[int(rng.integers(len(holes)))] if len(holes) else read[int(rng.integers(len(read)))]))
        pixels[pixel] = None
    return list(pixels)[:count]


def reached(analysis: Analysis, origin: int, names: Sequence[str], pixels: Sequence[Pixel]) -> dict[str, np.ndarray]:
    """For each layer, which of its units the analysis says each pixel reaches, context included: shape (pixels, *units)."""
    walks = analysis._walk(origin)
    ops = {name: analysis.find(name) for name in names}
    rows: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for pixel in pixels:
        masks = walks.push(pixel, True)
        for name, op in ops.items():
            mask = masks[op]
            assert mask is not None
            rows[name].append(mask)
    return {name: np.array(row, np.bool_) for name, row in rows.items()}


def with_rounding(analysis: Analysis) -> Analysis:
    """The same analysis with what reads by a vanishing weight only: interpolation where rounding leaves 1e-16, a finite attention
    mask. A change there is no miss."""

    def loosened(op: Op) -> Op:
        if op.params.get("faint"):
            return replace(op, params={k: v for k, v in op.params.items() if k not in ("unread", "left_pattern", "right_pattern")})
        return replace(op, params={**op.params, "rounding": True}) if op.kind == "resample" else op

    ops = map(loosened, analysis.graph.ops)
    return Analysis(replace(analysis.graph, ops=tuple(ops)), analysis.axes, analysis.name)
