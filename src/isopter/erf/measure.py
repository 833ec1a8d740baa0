"""`effective`: the effective field of layers, measured on the live model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from isopter.capture.dispatch import check_size, framework
from isopter.entry import analyze
from isopter.erf import canvas
from isopter.erf.asks import Target
from isopter.erf.data.numbered import numbered
from isopter.erf.frame import Frame
from isopter.erf.groups import Statistic, group
from isopter.erf.layers import chosen
from isopter.erf.live import measures
from isopter.erf.maps.measured import Measured
from isopter.erf.plan import Planner
from isopter.erf.progress import Progress, progress_bar
from isopter.erf.result import Effective
from isopter.erf.run import Run
from isopter.errors import DeadUnits, UsageError

if TYPE_CHECKING:
    from isopter.erf.maps.measured import Sums
    from isopter.erf.plan import Course


def effective(
    model: Any,
    layers: Any = None,
    input_size: Sequence[int] | None = None,
    *,
    data: Any = None,
    samples: int = 64,
    until: float | None = None,
    seed: int = 0,
    unit: Literal["center", "interior"] | tuple[int, ...] = "center",
    target: Target = "random",
    statistic: Statistic = "energy",
    dtype: Any = None,
    device: Any = None,
    batch: int | None = None,
    crop: bool = True,
    axes: str | Sequence[int] | None = None,
    training: bool = False,
    transform: Callable[[Any], Any] | None = None,
    progress: Progress = False,
) -> Effective:
    """The effective field of layers of `model`, measured: the mean over inputs of a unit's squared gradient by every input pixel.

    `model`: a `torch.nn.Module`, a Keras model, a function or module of JAX, or a function of TensorFlow; it runs as it is, with its
    weights, and is left as it was found. Or an ONNX model or its file: without gradients, its pixels are moved one by one, which takes
    longer, and `dtype` and `device` are its own. `layers`: names, globs or module objects whose output to measure (of a compiled model
    those of the module inside); default the last that is still a map, neither pooled to one unit nor flattened. `input_size`: of the one
    input tensor, with a batch of 1, such as ``(1, 3, 224, 224)``; default the model's own, where it has one. `axes`: which of its axes are
    space, as of `analyze`.

    `data`: the inputs, as a tensor, a folder of images, a Dataset or DataLoader (see `isopter.erf.data.numbered`); default standard
    normal noise. `transform`: makes an image a tensor. `samples`: how many. `until`: stop earlier, when the relative error of every
    layer's map is at most this. `seed`: of all that is random; the result depends on it, never on batches, order or processes.

    `unit`: "center" (n // 2 along each axis), an index, or "interior": another unit for each sample, out of those whose whole field
    is inside the image, aligned by their fields. `target`: what is differentiated. "random": the unit's channels times random signs,
    before the layer's activation (a unit that its ReLU closed has no gradient); the energy is then an unbiased estimate of the sum
    over channels. "sum": the sum of the channels as they are; "positive": of those above 0 (the RepLKNet script). `statistic`
    of the gradient g, per pixel summed over input channels: "energy" g^2, "abs" |g|, "relu" max(g, 0).

    `crop`: run only the part of the input that the unit reads. Noise is laid under the whole field, also beyond the image, where no
    border clips it; real inputs are cut to the image. Each such canvas is tried: the unit must read the same there, and its gradient
    be the same on a larger one. Where it is not, where the canvas would take some 4 GB, or where a layer reads the whole image, the
    whole image runs, and `notes` say why. ``crop=False`` always runs the image as it is.

    `dtype`, `device`: run a copy in that precision ("float64") or place. `batch`: samples per forward pass (default: as
    many as fit a CPU's cache, or a GPU's memory). `training`: in training mode. `progress`: True, or "auto" for a bar only on a terminal.

    Under torchrun, or where torch.distributed is initialised, each process measures a part, and all return the whole.

    Raises UsageError for wrong arguments, layers without a gradient, gradients that are not finite, and where no layer has a gradient
    other than zero; if only some do it warns, and their metrics are nan. Raises CaptureError where the model itself fails.
    """
    package = measures(model)
    size = _check(model, input_size, samples, until, target, statistic, batch, unit)
    if framework(model) == "torch":
        from isopter.erf.torch.ready import uncompiled

        model, layers = uncompiled(model, layers)
    analysis = analyze(model, size, axes=axes, training=training)
    frame = Frame.of_input(analysis)
    _one_sample(frame)
    wanted = chosen(analysis, layers)
    feed = None if data is None else numbered(data, frame, seed=seed, count=samples, transform=transform)
    count = samples if feed is None or feed.length is None else min(samples, feed.length)
    live = package.live_model(model, analysis, target=target, statistic=statistic, seed=seed, training=training, dtype=dtype, device=device)
    with live.open():
        courses = Planner(live, frame, unit, data is None, crop, live.theory(wanted)).courses(wanted)
        run = Run(live, group(courses), feed, frame, statistic, count, live.processes(), batch)
        with progress_bar("effective field", count, progress if run.processes.rank == 0 else False) as tell:
            sums = run.until(until, tell)
    _warn(sums)
    fields = {c.layer.name: _measured(c, sums[c.layer.name], statistic, seed, live.notes(c.layer.name)) for c in courses}
    return Effective(fields, analysis.name)


def _measured(course: Course, sums: Sums, statistic: Statistic, seed: int, notes: tuple[str, ...]) -> Measured:
    field, place = course.layer.field, course.place
    said = [*notes, *course.notes]
    if course.wander is not None:
        count = " x ".join(str(len(options)) for options in course.wander)
        said.append(f"mean over units drawn from {count}, laid on that of {place.unit}")
    return Measured(
        layer=course.layer.name,
        sums=sums,
        origin=tuple(lo for lo, _ in place.box),
        center=canvas.center(field, place.unit),
        size=canvas.size(field, place.unit),
        image=field.input_shape,
        unit=place.unit,
        statistic=statistic,
        clipped=course.wander is None and canvas.is_clipped(field, place),
        seed=seed,
        notes=tuple(said),
    )


def _warn(sums: Mapping[str, Sums]) -> None:
    dead = [name for name, own in sums.items() if not own.mean().any()]
    if len(dead) == len(sums):
        raise DeadUnits(
            f"No gradient but zero reached the input from {', '.join(dead[:4])} in {next(iter(sums.values())).count} samples: the unit is "
            "closed, or its weights are zero. Use target='random', more samples, another unit, or real data."
        )
    if dead:
        warnings.warn(f"Only zero gradients from {', '.join(dead)}: their metrics are nan. Try another unit, or real data.", stacklevel=3)
    if next(iter(sums.values())).count < 2:
        warnings.warn("One sample tells nothing about its own error: all errors are nan. Use samples=64 or more.", stacklevel=3)


def _one_sample(frame: Frame) -> None:
    shape = frame.shape
    if len(shape) > 1 and shape[0] != 1 and 0 not in frame.axes and len(frame.others) > 1:
        raise UsageError(f"input_size={shape} has a batch of {shape[0]}. Give {(1, *shape[1:])}; batch= says how many samples run at once.")


def _check(
    model: Any, size: Sequence[int] | None, samples: int, until: float | None, target: str, statistic: str, batch: int | None, unit: Any
) -> tuple[int, ...] | None:
    shape = check_size(size)
    if shape is None and framework(model) == "torch":  # others may have a size of their own, or say themselves that they need one
        raise UsageError("Give input_size, the shape of the model's input, such as (1, 3, 224, 224).")
    for name, number in (("samples", samples), ("batch", batch)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise UsageError(f"{name}={number!r} must be a whole number of 1 or more.")
    if until is not None and not (isinstance(until, int | float) and 0 < until < 1):
        raise UsageError(f"until={until!r} must be a relative error between 0 and 1, such as 0.05.")
    for name, given, known in (("target", target, Target), ("statistic", statistic, Statistic)):
        if given not in get_args(known):
            raise UsageError(f"{name}={given!r} is unknown. Choose one of {', '.join(get_args(known))}.")
    if isinstance(unit, str) and unit not in ("center", "interior"):
        raise UsageError(f"unit={unit!r} is unknown. Choose 'center', 'interior', or an index such as (7, 7).")
    return shape
