"""Shapes after an edit: what an op makes of inputs of other sizes, told from its numbers and the shapes it was captured with.

What a program fixed and what it computed from a size looks alike in a capture. Where the two would differ, the op cannot follow: `Misfit`;
or, where one of them is how such programs are written, that one is assumed and said: `Place.notes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from isopter.design.misfit import Misfit
from isopter.design.place import Edit, Place, show
from isopter.design.windows import Transposed, Window, edited, edited_transposed, ended, transposed
from isopter.graph import Shape
from isopter.reads.layout import layout_of, ordered, restored, straightened
from isopter.reads.relation import regroup

After = tuple[Mapping[str, Any], Shape]
"""The op's new numbers, and its new shape."""

_SHAPES: dict[str, Callable[[Place], After]] = {}


def after(place: Place) -> After:
    """Numbers and shape of an op among its new inputs. Raises Misfit, with the reason."""
    if place.now == place.before and not place.edit:
        return place.op.params, place.op.shape
    function = _SHAPES.get(place.op.kind)
    if function is None or any(len(a) != len(b) for a, b in zip(place.before, place.now, strict=True)):
        raise Misfit(f"what {place.op.source or place.op.kind} makes of another size ({_moves(place)}) is not known")
    layout = layout_of(place.op.params)
    if layout is None:
        return function(place)
    op, before = straightened(place.op, place.before)
    now = (ordered(place.now[0], layout), *place.now[1:])
    params, shape = function(replace(place, op=op, before=before, now=now, layout=layout))
    return {**params, "layout": layout}, restored(shape, layout)


def shape_of(*kinds: str) -> Callable[[Callable[[Place], After]], Callable[[Place], After]]:
    """Register how ops of these kinds follow other sizes."""

    def register(function: Callable[[Place], After]) -> Callable[[Place], After]:
        for kind in kinds:
            _SHAPES[kind] = function
        return function

    return register


def _moves(place: Place) -> str:
    return ", ".join(f"{show(now)} instead of {show(old)}" for old, now in zip(place.before, place.now, strict=True) if old != now)


# ---- windows ---------------------------------------------------------------------------------------------------------------


@shape_of("conv", "conv_transpose", "pool")
def _windowed(place: Place) -> After:
    op, p, now = place.op, place.op.params, list(place.now[0])
    first = len(op.shape) - len(p["kernel"])
    if op.kind != "pool":
        if not place.same(1):
            raise Misfit(f"its weights take {place.before[0][1]} channels, not {now[1]}")
        if len(place.now) > 1 and ("kernel" in place.edit or place.now[1] != place.before[1]):
            raise Misfit("its filters are computed, and would have to change too")
        now[1] = op.shape[1]
    if place.now != place.before and _averages_all(place):
        raise Misfit(f"it averages the whole map of {show(place.before[0][first:])}; whether its window follows another size is not known")
    make = _transposed_axis if op.kind == "conv_transpose" else _window_axis
    windows: list[Window | Transposed] = []
    for k in range(len(p["kernel"])):
        window = make(place, k, first + k)
        now[first + k] = window.count(place.now[0][first + k])
        windows.append(window)
    numbers = {
        "kernel": tuple(w.kernel for w in windows),
        "stride": tuple(w.stride for w in windows),
        "dilation": tuple(w.dilation for w in windows),
        "pad": tuple(w.pad for w in windows),
    }
    return {**p, **numbers}, tuple(now)


def _averages_all(place: Place) -> bool:
    """Whether the window is the whole map, which may be by its size (`F.avg_pool2d(x, x.shape[2:])`) or by chance (`nn.AvgPool2d(7)`)."""
    p = place.op.params
    space = place.before[0][-len(p["kernel"]) :]
    return p.get("mode") == "avg" and p["kernel"] == space and max(space) > 2 and "kernel" not in place.edit


def _window_axis(place: Place, k: int, axis: int) -> Window:
    p = place.op.params
    plain = Window(p["kernel"][k], p["stride"][k], p["dilation"][k], p["pad"][k], ceil=p.get("ceil", False))
    window = ended(plain, place.before[0][axis], place.op.shape[axis])
    if window.back != window.pad and not place.same(axis) and "padding" not in place.edit:
        place.notes.append(f"Assumed to pad axis {place.own(axis)} by {window.pad} in front and {window.back} behind at any size")
    return edited(window, *_numbers(place.edit, k))


def _transposed_axis(place: Place, k: int, axis: int) -> Transposed:
    p = place.op.params
    plain = (p["kernel"][k], p["stride"][k], p["dilation"][k], p["pad"][k])
    return edited_transposed(transposed(plain, place.before[0][axis], place.op.shape[axis]), *_numbers(place.edit, k))


def _numbers(edit: Edit, k: int) -> list[int | None]:
    return [edit[key][k] if key in edit else None for key in ("kernel", "stride", "dilation", "padding")]


@shape_of("adaptive_pool")
def _adaptive(place: Place) -> After:
    """To the sizes it had: those of nn.AdaptiveAvgPool2d((7, 7)). (A None among them cannot be told from the size it stood for.) A size of
    1 is taken for granted."""
    axes, old = place.op.params["axes"], place.op.shape
    first = len(old) - axes
    if any(old[axis] > 1 and not place.same(axis) for axis in range(first, len(old))):
        place.notes.append(f"Assumed to pool to {show(old[first:])} positions at any size")
    return place.op.params, (*place.now[0][:first], *old[first:])


@shape_of("resample")
def _resample(place: Place) -> After:
    steps = place.op.params["steps"]
    first = len(place.op.shape) - len(steps)
    sizes = list(place.now[0])
    for axis, step in enumerate(steps, start=first):
        n, m, now = place.before[0][axis], place.op.shape[axis], place.now[0][axis]
        scale = Fraction(m, n) if step is None else 1 / Fraction(step).limit_denominator(10_000)
        if now == n:
            sizes[axis] = m
        elif math.floor(n * scale) != m or (step is None and (now * scale).denominator > 1):
            raise Misfit(f"it resamples {n} positions to {m}: of {now} it would make {float(now * scale):.4g}, which is no whole number")
        else:
            sizes[axis] = math.floor(now * scale)
            if step is None:
                place.notes.append(f"Assumed to resample axis {place.own(axis)} by the ratio of {n} to {m}, not to a fixed size")
    return place.op.params, tuple(sizes)


# ---- every position for itself ---------------------------------------------------------------------------------------------


@shape_of("pointwise", "overlay")
def _pointwise(place: Place) -> After:
    shape = _broadcast(place, len(place.op.shape), place.op.shape)
    for key in ("unread", "covered"):
        _fits_mask(place, place.op.params.get(key), shape)
    constant = place.op.params.get("constant", ())
    if any(n > 1 and old != now for n, old, now in zip(reversed(constant), reversed(place.op.shape), reversed(shape), strict=False)):
        place.notes.append(f"Assumed to have a constant, {show(constant)}, that changes with the map")
    return place.op.params, shape


def _broadcast(place: Place, ndim: int, old: Shape) -> Shape:
    """The sizes of all inputs together, aligned at the last axis; an axis that a constant made longer stays so long."""
    shape = []
    for axis in range(ndim):
        lengths = [(now[at], was[at]) for was, now in zip(place.before, place.now, strict=True) if (at := axis - ndim + len(now)) >= 0]
        sizes = {n for n, _ in lengths} - {1}
        if len(sizes) > 1:
            raise Misfit(_mismatch(place, "joins"))
        stretched = old[axis] > 1 and all(was == 1 for _, was in lengths)
        if stretched and sizes not in (set(), {old[axis]}):
            raise Misfit(f"a constant made axis {axis} {old[axis]} long, and an input is now {sizes.pop()} long there")
        shape.append(old[axis] if stretched else next(iter(sizes), 1))
    return tuple(shape)


def _mismatch(place: Place, what: str) -> str:
    branches = dict.fromkeys(f"{show(now)} (from {name})" for now, name in zip(place.now, place.names, strict=True))
    return f"it {what} " + " and ".join(branches)


def _fits_mask(place: Place, mask: Any, shape: Shape) -> None:
    if mask is None:
        return
    for n, old, now in zip(reversed(np.shape(mask)), reversed(place.op.shape), reversed(shape), strict=False):
        if n > 1 and old != now:
            raise Misfit(f"a mask of fixed size {show(np.shape(mask))} goes with it, and the map is now {show(shape)}")


@shape_of("norm", "scan")
def _alike(place: Place) -> After:
    p, fixed = place.op.params, place.op.source in ("layer_norm", "rms_norm")
    if fixed and not all(place.same(axis) for axis in p["axes"]):
        was, now = (show([shape[axis] for axis in p["axes"]]) for shape in (place.before[0], place.now[0]))
        raise Misfit(f"it normalises {was}, not {now}")
    return p, place.now[0]


@shape_of("softmax", "sort", "fourier")
def _mixed(place: Place) -> After:
    op, shape = place.op, list(place.now[0])
    for axis in range(len(shape)):
        if op.shape[axis] != place.before[0][axis]:
            if not place.same(axis):
                kept = f"{op.shape[axis]} of {place.before[0][axis]}"
                raise Misfit(f"it kept {kept} positions of axis {axis}; how many of {shape[axis]} it would keep is not known")
            shape[axis] = op.shape[axis]
    _fits_mask(place, op.params.get("unread"), tuple(shape))
    return op.params, tuple(shape)


@shape_of("reduce")
def _reduce(place: Place) -> After:
    axes, keep = place.op.params["axes"], place.op.params["keepdim"]
    sizes = [1 if axis in axes else n for axis, n in enumerate(place.now[0]) if keep or axis not in axes]
    return place.op.params, tuple(sizes)


@shape_of("recurrent")
def _recurrent(place: Place) -> After:
    if not place.same(len(place.now[0]) - 1):
        raise Misfit(f"its weights take {place.before[0][-1]} features, not {place.now[0][-1]}")
    if place.now[1:] != place.before[1:]:
        raise Misfit("its first state has another size")
    return place.op.params, (*place.now[0][:-1], place.op.shape[-1])


@shape_of("matmul")
def _matmul(place: Place) -> After:
    p, old = place.op.params, place.op.shape
    contracted: dict[str, int] = {}
    rows, columns = old[-2], old[-1]
    for side, was, now in zip(p["operands"], place.before, place.now, strict=True):
        mixed, own = (-1, -2) if side == "left" else (-2, -1)
        contracted[side] = now[mixed]
        if side == "left":
            rows = now[own]
        else:
            columns = now[own]
        if len(p["operands"]) == 1 and now[mixed] != was[mixed]:
            raise Misfit(f"its weights take {was[mixed]} features, not {now[mixed]}")
    if len(set(contracted.values())) > 1:
        raise Misfit(_mismatch(place, "multiplies"))
    batch = Place(place.op, tuple(s[:-2] for s in place.before), tuple(s[:-2] for s in place.now), place.names, {})
    shape = (*_broadcast(batch, len(old) - 2, old[:-2]), rows, columns)
    if any(p.get(key) is not None for key in ("left_pattern", "right_pattern")):
        raise Misfit(f"a mask of fixed size goes with it, and the map is now {show(shape)}")
    return p, shape


# ---- moves -----------------------------------------------------------------------------------------------------------------


@shape_of("transpose")
def _transpose(place: Place) -> After:
    return place.op.params, tuple(place.now[0][axis] for axis in place.op.params["perm"])


@shape_of("roll")
def _roll(place: Place) -> After:
    """By as many positions as before."""
    for axis, shift in place.op.params["shifts"].items():
        if shift and not place.same(axis):
            place.notes.append(f"Assumed to roll axis {axis} by {shift} at any size")
    return place.op.params, place.now[0]


@shape_of("pad")
def _pad(place: Place) -> After:
    """As many positions in front and behind as before."""
    p, shape = place.op.params, []
    for axis, (before, n, m, now) in enumerate(zip(p["before"], place.before[0], place.op.shape, place.now[0], strict=True)):
        behind = m - n - before
        limit = {"reflect": now - 1, "circular": now}.get(p["mode"], max(before, behind))
        if max(before, behind) > limit:
            raise Misfit(f"{p['mode']} padding of {max(before, behind)} is more than axis {axis} of length {now} has to offer")
        if now + before + behind < 1:
            raise Misfit(f"it crops all {now} positions of axis {axis}")
        if now != n and (before or behind):
            place.notes.append(f"Assumed to pad axis {place.own(axis)} by {before} in front and {behind} behind at any size")
        shape.append(now + before + behind)
    return p, tuple(shape)


@shape_of("slice")
def _slice(place: Place) -> After:
    """Slices that run to the end go on doing so: ``x[1:]``, ``x[::2]``, a flip. A slice that ends before says nothing of where, and one
    that begins past the middle may be a last part (`chunk`)."""
    p = place.op.params
    axis, start, step = p["axis"], p["start"], p["step"]
    n, m, now = place.before[0][axis], place.op.shape[axis], place.now[0][axis]
    if now == n:
        return p, _with(place.now[0], axis, m)
    first = (start, step, m) == (0, 1, 1)
    if first and axis not in place.units:  # x[:, 0]; along space, 1 of n may be a share of them
        place.notes.append(f"Assumed to take the first position of axis {axis} alone at any size")
        return p, _with(place.now[0], axis, 1)
    if step < 0 and (start, m) == (n - 1, -(-n // -step)):
        return {**p, "start": now - 1}, _with(place.now[0], axis, -(-now // -step))
    to_the_end = not first and step > 0 and start + m * step >= n and 2 * start <= max(n - 1, 2 * step - 2)
    if not to_the_end or start >= now:
        last = start + (m - 1) * step
        raise Misfit(f"it takes positions {start} to {last} of {n} along axis {axis}; which those are of {now} is not known")
    place.notes.append(f"Assumed to run to the end of axis {axis} at any size")
    return p, _with(place.now[0], axis, -(-(now - start) // step))


def _with(shape: Shape, axis: int, n: int) -> Shape:
    return (*shape[:axis], n, *shape[axis + 1 :])


@shape_of("concat")
def _concat(place: Place) -> After:
    """Side by side as before; constants between or behind the inputs keep their length."""
    p, axis = place.op.params, place.op.params["axis"]
    others = {_with(shape, axis, 0) for shape in place.now}
    if len(others) > 1:
        raise Misfit(_mismatch(place, "joins"))
    if _with(place.now[0], axis, 0) != _with(place.op.shape, axis, 0) and _has_constants(place):
        raise Misfit(f"it joins {show(place.now[0])} with a constant whose size is not known to change")
    if _has_constants(place) and any(was[axis] != now[axis] for was, now in zip(place.before, place.now, strict=True)):
        place.notes.append(f"Assumed to join constants that keep their length along axis {axis}")
    shift, offsets = 0, [0] * len(place.now)
    for k in sorted(range(len(place.now)), key=lambda k: (p["offsets"][k], place.before[k][axis])):
        offsets[k] = p["offsets"][k] + shift
        shift += place.now[k][axis] - place.before[k][axis]
    return {**p, "offsets": tuple(offsets)}, _with(place.now[0], axis, place.op.shape[axis] + shift)


def _has_constants(place: Place) -> bool:
    axis: int = place.op.params["axis"]
    return sum(shape[axis] for shape in place.before) < place.op.shape[axis]


@shape_of("reshape")
def _reshape(place: Place) -> After:
    """Axes that stay, follow; axes that are flattened into one, too. Into which lengths another size would be split is not known."""
    old, now, out = place.before[0], place.now[0], place.op.shape
    shape = list(out)
    links = [((o,), (i,)) for o, i in place.op.params["pairs"]] if "pairs" in place.op.params else _groups(old, out)
    for outs, ins in links:
        if all(old[i] == now[i] for i in ins):
            continue
        long = [o for o in outs if out[o] > 1] or [outs[0]]
        if len(long) > 1:
            was, wanted, given = (show(sizes) for sizes in ([old[i] for i in ins], [out[o] for o in outs], [now[i] for i in ins]))
            raise Misfit(f"it splits {was} into {wanted}; how it would split {given} is not known")
        shape[long[0]] = math.prod(now[i] for i in ins)
    if math.prod(shape) != math.prod(now):
        raise Misfit(f"it makes {show(out)} of {show(old)}; what it would make of {show(now)} is not known")
    return place.op.params, tuple(shape)


@shape_of("take")
def _take(place: Place) -> After:
    axis = place.op.params["axis"]
    if not place.same(axis):
        raise Misfit(f"it reads listed positions of axis {axis}, which was {place.before[0][axis]} long and is now {place.now[0][axis]}")
    return place.op.params, _with(place.now[0], axis, place.op.shape[axis])


@shape_of("gather")
def _gather(place: Place) -> After:
    p, shape = place.op.params, list(place.op.shape)
    if not all(place.same(axis) for axis in p["ins"]):
        raise Misfit(f"it reads listed positions of {show(place.before[0])}, which is now {show(place.now[0])}")
    for out, axis in p["pairs"]:
        shape[out] = place.now[0][axis]
    return p, tuple(shape)


def _groups(old: Shape, out: Shape) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(link.outs, link.ins) for link in regroup(old, out).links]
