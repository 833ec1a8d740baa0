"""Random networks for property tests: small DAGs of everything that moves, mixes or drops positions.

`networks()` is a hypothesis strategy, `random_network(seed)` the same draw from a seed. Both give a `Network`: a frozen spec
whose repr is the code that makes it again (``from networks import Network, op``), and whose `build()` makes the module.

``python tests/networks.py [draws]`` prints how often each op occurs.
"""

from __future__ import annotations

import itertools
import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import hypothesis.strategies as st
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lambdas import Lambda

T = TypeVar("T")
Shape = tuple[int, ...]
Args = dict[str, Any]

MAX_CHANNELS = 8
MAX_SIZE = {1: 60, 2: 20, 3: 10}
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
CONV_TRANSPOSE = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
LINEAR_MODE = {1: "linear", 2: "bilinear", 3: "trilinear"}
ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "silu": nn.SiLU, "gelu": nn.GELU}


class Choose(Protocol):
    """Picks one of the options: hypothesis, or a seeded generator."""

    def __call__(self, options: Sequence[T], /) -> T:
        """One of `options`."""
        ...


# ---- the spec ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Op:
    """One operation: its kind, its arguments, and for a branch the ops of each branch."""

    kind: str
    args: tuple[tuple[str, Any], ...] = ()
    branches: tuple[tuple[Op, ...], ...] = ()

    def __repr__(self) -> str:
        parts = [repr(self.kind), *(f"{name}={value!r}" for name, value in self.args)]
        return f"op({', '.join(parts + ([f'branches={self.branches!r}'] if self.branches else []))})"


def op(kind: str, *, branches: tuple[tuple[Op, ...], ...] = (), **args: Any) -> Op:
    """An `Op` as its repr writes it."""
    return Op(kind, tuple(args.items()), branches)


@dataclass(frozen=True)
class Network:
    """A network's spec. `build()` always makes the same module, with the same weights."""

    input_size: tuple[int, ...]
    ops: tuple[Op, ...]

    def build(self) -> nn.Module:
        """The module, in evaluation mode and float32."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return _build(self.ops, self.input_size[1:])[0].eval()

    def walk(self) -> Iterator[Op]:
        """Every op, those in branches included."""

        def inner(ops: Sequence[Op]) -> Iterator[Op]:
            for item in ops:
                yield item
                for branch in item.branches:
                    yield from inner(branch)

        return inner(self.ops)


def networks(max_ops: int = 8) -> st.SearchStrategy[Network]:
    """Specs of networks with at most `max_ops` ops, branches included."""

    @st.composite
    def strategy(draw: st.DrawFn) -> Network:
        return draw_network(lambda options: draw(st.sampled_from(options)), max_ops)

    return strategy()


def random_network(seed: int, max_ops: int = 8) -> Network:
    """The same draw from a seed, for runs too long for hypothesis."""
    return draw_network(random.Random(seed).choice, max_ops)


# ---- drawing and building ----------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """How arguments of a kind of op are drawn for an input shape (channels, *space), and how its module is made."""

    draw: Callable[[Choose, Shape], Args]
    make: Callable[..., nn.Module]


class Illegal(Exception):
    """The drawn op makes no sense for this shape."""


def draw_network(choose: Choose, max_ops: int = 8) -> Network:
    """One network. Ops that read the whole map hide the rest, so only every fourth network may have them."""
    dims = choose((2, 2, 2, 1, 1, 3))
    sizes = {1: range(5, 41), 2: range(5, 17), 3: range(4, 9)}[dims]
    space = tuple(choose(sizes) for _ in range(dims))
    shape = (choose((3, 1, 2, 4)), *space)
    whole = choose((False, False, False, True))
    ops, _ = _draw_ops(choose, shape, choose(range(1, max_ops + 1)), 0, whole)
    return Network((1, *shape), ops)


def _draw_ops(choose: Choose, shape: Shape, budget: int, depth: int, whole: bool) -> tuple[tuple[Op, ...], Shape]:
    ops: list[Op] = []
    while budget > 0:
        item, shape = _draw_op(choose, shape, budget, depth, whole)
        ops.append(item)
        budget -= sum(1 for _ in Network((), (item,)).walk())
    return tuple(ops), shape


def _draw_op(choose: Choose, shape: Shape, budget: int, depth: int, whole: bool) -> tuple[Op, Shape]:
    """An op legal on `shape`, and the shape it leaves: a few tries, then a 1x1 convolution."""
    for _ in range(6):
        kind = choose(_menu(len(shape) - 1, whole, branch=depth < 2 and budget > 1))
        try:
            item = _draw_branch(choose, shape, budget, depth, whole) if kind == "branch" else op(kind, **KINDS[kind].draw(choose, shape))
            return item, _build((item,), shape)[1]
        except (Illegal, RuntimeError, ValueError, NotImplementedError):
            continue
    return op("pointwise", out=shape[0]), shape


def _draw_branch(choose: Choose, shape: Shape, budget: int, depth: int, whole: bool) -> Op:
    count = choose((2, 2, 2, 3))
    split = choose((None, None, None, 1, *range(1, len(shape))))
    parts = _parts(choose, shape[split - 1], count) if split else None
    inner = []
    left = min(budget - 1, 5)
    for i in range(count):
        used = choose(range(left + 1)) if i else choose(range(min(1, left), left + 1))
        part = shape if parts is None else (*shape[: split - 1], parts[i], *shape[split:])
        inner.append(_draw_ops(choose, part, used, depth + 1, whole)[0])
        left -= used
    merge = choose(("add", "add", "cat", "cat", "mul", "space"))
    axis = choose(range(2, len(shape) + 1)) if merge == "space" else 1
    match = choose(("start", "middle", "end", "nearest", "linear", "pad"))
    return op("branch", split=split, parts=parts, merge="cat" if merge == "space" else merge, axis=axis, match=match, branches=tuple(inner))


def _parts(choose: Choose, size: int, count: int) -> Shape:
    if size < count:
        raise Illegal
    cuts = sorted({choose(range(1, size)) for _ in range(count - 1)})
    if len(cuts) < count - 1:
        cuts = [size * i // count for i in range(1, count)]
    return tuple(b - a for a, b in itertools.pairwise([0, *cuts, size]))


def _build(ops: Sequence[Op], shape: Shape) -> tuple[nn.Module, Shape]:
    """The module for `ops` on (channels, *space), and the shape it gives. Raises Illegal beyond the size limits."""
    layers: list[nn.Module] = []
    for item in ops:
        layer = Branch(item, shape) if item.kind == "branch" else KINDS[item.kind].make(shape, **dict(item.args))
        layer.eval()
        with torch.no_grad():
            made = layer(torch.zeros(1, *shape))
        given = made.shape
        if item.kind == "branch" and not torch.isfinite(made).all():
            raise Illegal  # a max-pool window of padding alone is -inf, and -inf times anything tells nothing of it
        if len(given) != len(shape) + 1 or given[0] != 1 or min(given) < 1 or given[1] > 2 * MAX_CHANNELS:
            raise Illegal
        if max(given[2:]) > MAX_SIZE[len(shape) - 1]:
            raise Illegal
        shape = tuple(given[1:])
        layers.append(layer)
        if shape[0] > MAX_CHANNELS:
            layers.append(_pointwise(shape, 4))
            shape = (4, *shape[1:])
    return (layers[0] if len(layers) == 1 else nn.Sequential(*layers)), shape


# ---- branches ----------------------------------------------------------------------------------------------------------


class Branch(nn.Module):
    """Two or more branches over the whole input or over parts of it, brought to one shape and merged.

    Factors of a product are raised by one, here and in the gates: a factor that is a padded or masked zero would hide the other.
    """

    def __init__(self, item: Op, shape: Shape) -> None:
        super().__init__()
        args = dict(item.args)
        self.split, self.parts = args["split"], args["parts"]
        self.merge, self.axis, self.match = args["merge"], args["axis"], args["match"]
        self.branches = nn.ModuleList()
        shapes = []
        for i, ops in enumerate(item.branches):
            part = shape if self.split is None else (*shape[: self.split - 1], self.parts[i], *shape[self.split :])
            module, given = _build(ops, part)
            self.branches.append(module)
            shapes.append(given)
        self.project = nn.ModuleList(
            nn.Identity() if self.axis == self.merge_axis("cat") == 1 or s[0] == shapes[0][0] else _pointwise(s, shapes[0][0])
            for s in shapes
        )

    def merge_axis(self, merge: str) -> int:
        """The axis of a concatenation; 0 for other merges."""
        return self.axis if self.merge == merge else 0

    def forward(self, x: Tensor) -> Tensor:
        """Run the branches, match their shapes, merge."""
        parts = [x] * len(self.branches) if self.split is None else list(x.split(self.parts, self.split))
        ys = [project(branch(part)) for branch, project, part in zip(self.branches, self.project, parts, strict=True)]
        ys = _match(ys, self.match, self.merge_axis("cat"))
        if self.merge == "cat":
            return torch.cat(ys, self.axis)
        total = ys[0]
        for y in ys[1:]:
            total = total + y if self.merge == "add" else (total + 1) * (y + 1)
        return total


def _match(ys: list[Tensor], how: str, free: int) -> list[Tensor]:
    """Bring the space axes to one size, all but the axis `free`."""
    axes = [a for a in range(2, ys[0].ndim) if a != free]
    if len({tuple(y.shape[a] for a in axes) for y in ys}) == 1:
        return ys
    if how in ("nearest", "linear"):
        mode, align = ("nearest", None) if how == "nearest" else (LINEAR_MODE[ys[0].ndim - 2], False)
        sizes = [[y.shape[a] if a == free else ys[0].shape[a] for a in range(2, y.ndim)] for y in ys]
        return [ys[0], *(F.interpolate(y, size=s, mode=mode, align_corners=align) for y, s in zip(ys[1:], sizes[1:], strict=True))]
    for a in axes:
        if how == "pad":
            n = max(y.shape[a] for y in ys)
            ys = [F.pad(y, (0, 0) * (y.ndim - 1 - a) + (0, n - y.shape[a])) for y in ys]
        else:
            n = min(y.shape[a] for y in ys)
            offset = {"start": lambda m, n: 0, "middle": lambda m, n: (m - n) // 2, "end": lambda m, n: m - n}[how]
            ys = [y.narrow(a, offset(y.shape[a], n), n) for y in ys]
    return ys


# ---- helpers -----------------------------------------------------------------------------------------------------------


def _each(choose: Choose, options: Sequence[int], dims: int) -> Shape:
    """One value for all axes, mostly; else one each."""
    if choose((True, True, False)):
        return (choose(options),) * dims
    return tuple(choose(options) for _ in range(dims))


def _strides(choose: Choose, shape: Shape, options: Sequence[int]) -> Shape:
    """Strides, where there is room for them."""
    stride = _each(choose, options, len(shape) - 1)
    return tuple(s if n >= 3 * s else 1 for s, n in zip(stride, shape[1:], strict=True))


def _axis(choose: Choose, shape: Shape) -> int:
    return choose(range(2, len(shape) + 1))


def _divisor(choose: Choose, n: int) -> int:
    return choose([k for k in range(1, n + 1) if n % k == 0])


def _pointwise(shape: Shape, out: int) -> nn.Module:
    return CONV[len(shape) - 1](shape[0], out, 1)


def _along(index: slice, axis: int) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, index)


def _trim(x: Tensor, multiple: int) -> Tensor:
    """Crop every space axis to a multiple."""
    for a in range(2, x.ndim):
        x = x.narrow(a, 0, x.shape[a] // multiple * multiple)
    return x


def _to_windows(x: Tensor, w: int) -> Tensor:
    """(B, C, *space) to (B, C, *windows, w**dims)."""
    dims = x.ndim - 2
    x = x.reshape(*x.shape[:2], *itertools.chain.from_iterable((n // w, w) for n in x.shape[2:]))
    x = x.permute(0, 1, *range(2, 2 + 2 * dims, 2), *range(3, 2 + 2 * dims, 2))
    return x.reshape(*x.shape[: 2 + dims], w**dims)


def _from_windows(x: Tensor, w: int) -> Tensor:
    """The inverse of `_to_windows`."""
    dims = x.ndim - 3
    grid = x.shape[2:-1]
    x = x.reshape(*x.shape[:-1], *[w] * dims)
    x = x.permute(0, 1, *itertools.chain.from_iterable((2 + i, 2 + dims + i) for i in range(dims)))
    return x.reshape(*x.shape[:2], *(n * w for n in grid))


# ---- convolution and pooling -------------------------------------------------------------------------------------------


def _draw_conv(choose: Choose, shape: Shape) -> Args:
    dims = len(shape) - 1
    groups = choose((1, 1, 1, shape[0], _divisor(choose, shape[0])))
    same = choose((False, False, False, True))
    return {
        "out": groups * choose((1, 2)) if groups > 1 else choose(range(1, 7)),
        "kernel": _each(choose, (3, 1, 2, 3, 4, 5), dims),
        "stride": (1,) * dims if same else _strides(choose, shape, (1, 1, 1, 2, 2, 3)),
        "padding": "same" if same else _each(choose, (0, 1, 1, 2, 3), dims),
        "dilation": _each(choose, (1, 1, 1, 2, 3), dims),
        "mode": choose(("zeros", "zeros", "zeros", "reflect", "replicate", "circular")),
        "groups": groups,
    }


def _conv(shape: Shape, out: int, kernel: Shape, stride: Shape, padding: Shape | str, dilation: Shape, mode: str, groups: int) -> nn.Module:
    conv = CONV[len(shape) - 1]
    return conv(shape[0], out, kernel, stride, padding, dilation, groups, padding_mode=mode)


def _draw_transposed(choose: Choose, shape: Shape) -> Args:
    dims = len(shape) - 1
    stride = tuple(s if n <= 12 or dims == 1 else 1 for s, n in zip(_each(choose, (2, 1, 2, 3), dims), shape[1:], strict=True))
    dilation = _each(choose, (1, 1, 2), dims)
    groups = choose((1, 1, shape[0]))
    return {
        "out": groups if groups > 1 else choose(range(1, 7)),
        "kernel": _each(choose, (3, 1, 2, 3, 4, 5), dims),
        "stride": stride,
        "padding": _each(choose, (0, 1, 2), dims),
        "output_padding": tuple(choose(range(max(s, d))) for s, d in zip(stride, dilation, strict=True)),
        "dilation": dilation,
        "groups": groups,
    }


def _transposed(
    shape: Shape, out: int, kernel: Shape, stride: Shape, padding: Shape, output_padding: Shape, dilation: Shape, groups: int
) -> nn.Module:
    conv = CONV_TRANSPOSE[len(shape) - 1]
    return conv(shape[0], out, kernel, stride, padding, output_padding, groups, True, dilation)


def _draw_pool(choose: Choose, shape: Shape) -> Args:
    dims = len(shape) - 1
    how = choose(("max", "max", "avg", "avg", "lp"))
    kernel = _each(choose, (2, 1, 2, 3, 4), dims)
    return {
        "how": how,
        "kernel": kernel,
        "stride": _strides(choose, shape, (2, 1, 2, 3)),
        "padding": tuple(min(p, k // 2) for p, k in zip(_each(choose, (0, 1, 2), dims), kernel, strict=True))
        if how != "lp"
        else (0,) * dims,
        "dilation": _each(choose, (1, 1, 2), dims) if how == "max" else (1,) * dims,
        "ceil_mode": choose((False, True)),
        "include_pad": choose((True, False)),
    }


def _pool(
    shape: Shape, how: str, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape, ceil_mode: bool, include_pad: bool
) -> nn.Module:
    dims = len(shape) - 1
    if how == "max":
        return {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[dims](kernel, stride, padding, dilation, ceil_mode=ceil_mode)
    if how == "avg":
        return {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}[dims](kernel, stride, padding, ceil_mode, include_pad)
    if dims == 1:
        return nn.LPPool1d(2, kernel[0], stride[0], ceil_mode)
    return {2: nn.LPPool2d, 3: nn.LPPool3d}[dims](2, kernel, stride, ceil_mode)


def _draw_adaptive(choose: Choose, shape: Shape) -> Args:
    return {
        "how": choose(("avg", "max")),
        "size": tuple(choose(range(max(1, n // 3), min(n + 4, MAX_SIZE[len(shape) - 1]))) for n in shape[1:]),
    }


def _adaptive(shape: Shape, how: str, size: Shape) -> nn.Module:
    pools = (
        nn.AdaptiveAvgPool1d,
        nn.AdaptiveAvgPool2d,
        nn.AdaptiveAvgPool3d,
        nn.AdaptiveMaxPool1d,
        nn.AdaptiveMaxPool2d,
        nn.AdaptiveMaxPool3d,
    )
    return pools[len(shape) - 2 + 3 * (how == "max")](size)


# ---- resampling --------------------------------------------------------------------------------------------------------


def _draw_interpolate(choose: Choose, shape: Shape) -> Args:
    dims = len(shape) - 1
    mode = choose(("nearest", "nearest-exact", LINEAR_MODE[dims], LINEAR_MODE[dims], "area", *(("bicubic",) * 2 if dims == 2 else ())))
    scales = [f for f in (2, 1.5, 1.7, 0.5, 0.7, 3) if max(shape[1:]) * f <= MAX_SIZE[dims] and min(shape[1:]) * f >= 1]
    by_size = not scales or choose((True, False))
    smooth = mode in (LINEAR_MODE[dims], "bicubic")
    return {
        "mode": mode,
        "size": tuple(choose(range(max(1, n // 2), min(2 * n + 2, MAX_SIZE[dims] + 1))) for n in shape[1:]) if by_size else None,
        "scale": None if by_size else _each(choose, scales, dims),
        "align": choose((False, True)) if smooth else None,
        "antialias": dims == 2 and smooth and choose((False, False, True)),
        "recompute": True if not by_size and choose((False, False, True)) else None,
    }


def _interpolate(
    shape: Shape, mode: str, size: Shape | None, scale: Shape | None, align: bool | None, antialias: bool, recompute: bool | None
) -> nn.Module:
    width = size[-1] if size is not None else math.floor(shape[-1] * scale[-1]) if scale is not None else 1
    if antialias and width == 1:
        raise Illegal  # PyTorch 2.13 returns the first row for every row of an antialiased map one pixel wide
    return Lambda(
        lambda x: F.interpolate(
            x, size=size, scale_factor=scale, mode=mode, align_corners=align, recompute_scale_factor=recompute, antialias=antialias
        )
    )


def _draw_shuffle(choose: Choose, shape: Shape) -> Args:
    return {"down": choose((True, False)), "factor": choose((2, 2, 3)), "out": choose((1, 2))}


def _shuffle(shape: Shape, down: bool, factor: int, out: int) -> nn.Module:
    if down:
        fuse = CONV[2](shape[0] * factor**2, 2 * out, 1)
        return Lambda(lambda x, fuse: fuse(F.pixel_unshuffle(_trim(x, factor), factor)), fuse=fuse)
    return nn.Sequential(_pointwise(shape, out * factor**2), nn.PixelShuffle(factor))


def _draw_repeat(choose: Choose, shape: Shape) -> Args:
    return {"how": choose(("interleave", "tile", "expand")), "axis": _axis(choose, shape)}


def _repeat(shape: Shape, how: str, axis: int) -> nn.Module:
    if how == "interleave":
        return Lambda(lambda x: x.repeat_interleave(2, axis))
    if how == "expand":
        return Lambda(lambda x: x.unsqueeze(axis + 1).expand(*x.shape[: axis + 1], 2, *x.shape[axis + 1 :]).flatten(axis, axis + 1))
    return Lambda(lambda x: x.repeat(*[2 if a == axis else 1 for a in range(x.ndim)]))


# ---- moving positions --------------------------------------------------------------------------------------------------


def _draw_pad(choose: Choose, shape: Shape) -> Args:
    mode = choose(("constant", "constant", "reflect", "replicate", "circular"))
    axes = choose(range(1, len(shape))) if mode == "constant" else len(shape) - 1
    return {
        "mode": mode,
        "pad": tuple(choose((1, 0, 2, 3, -1, -2)) for _ in range(2 * axes)),
        "value": choose((0, 1.5)) if mode == "constant" else None,
    }


def _pad(shape: Shape, mode: str, pad: Shape, value: float | None) -> nn.Module:
    sides = zip(reversed(shape[1:]), pad[::2], pad[1::2], strict=False)
    if mode == "circular" and any(n + min(low, 0) + min(high, 0) < max(low, high) for n, low, high in sides):
        raise Illegal  # PyTorch would wrap around memory it never wrote
    return Lambda(lambda x: F.pad(x, pad, mode, value))


def _draw_slice(choose: Choose, shape: Shape) -> Args:
    cuts = []
    for n in shape[1:]:
        start = choose((0, 0, 1, 2)) if n > 5 else 0
        cuts.append((start, choose((None, n - 1, n, -2)) if n > 5 else None, choose((1, 1, 1, 2, 3)) if n > 6 else 1))
    if all(cut == (0, None, 1) for cut in cuts):
        raise Illegal
    return {"cuts": tuple(cuts)}


def _slice(shape: Shape, cuts: Sequence[tuple[int, int | None, int]]) -> nn.Module:
    return Lambda(lambda x: x[(slice(None), slice(None), *(slice(*cut) for cut in cuts))])


def _draw_flip(choose: Choose, shape: Shape) -> Args:
    axes = tuple(a for a in range(2, len(shape) + 1) if choose((True, False)))
    return {"axes": axes or (len(shape),)}


def _flip(shape: Shape, axes: Shape) -> nn.Module:
    return Lambda(lambda x: x.flip(axes))


def _draw_roll(choose: Choose, shape: Shape) -> Args:
    axes = _draw_flip(choose, shape)["axes"]
    return {"shifts": tuple(choose((1, -1, 2, -2, 3, 7)) for _ in axes), "axes": axes}


def _roll(shape: Shape, shifts: Shape, axes: Shape) -> nn.Module:
    return Lambda(lambda x: x.roll(shifts, axes))


def _draw_transpose(choose: Choose, shape: Shape) -> Args:
    return {"order": choose([p for p in itertools.permutations(range(2, len(shape) + 1)) if list(p) != sorted(p)])}


def _transpose(shape: Shape, order: Shape) -> nn.Module:
    return Lambda(lambda x: x.permute(0, 1, *order))


def _draw_index(choose: Choose, shape: Shape) -> Args:
    axis = _axis(choose, shape)
    n = shape[axis - 1]
    return {
        "how": choose(("index_select", "brackets")),
        "axis": axis,
        "at": tuple(choose(range(n)) for _ in range(choose(range(min(2, n), n + 2)))),
    }


def _index(shape: Shape, how: str, axis: int, at: Shape) -> nn.Module:
    index = torch.tensor(at)
    if how == "index_select":
        return Lambda(lambda x, index: x.index_select(axis, index), index=index)
    return Lambda(lambda x, index: x[(*[slice(None)] * axis, index)], index=index)


def _draw_assign(choose: Choose, shape: Shape) -> Args:
    axis = _axis(choose, shape)
    n = shape[axis - 1]
    if n < 4:
        raise Illegal
    size = choose(range(1, n // 2 + 1))
    return {
        "how": choose(("constant", "copy", "copy", "add", "zero", "swapped", "channels")),
        "axis": axis,
        "to": choose(range(n - size + 1)),
        "source": choose(range(n - size + 1)),
        "size": size,
        "step": choose((1, 1, 2)),
    }


def _assign(shape: Shape, how: str, axis: int, to: int, source: int, size: int, step: int) -> nn.Module:
    target, origin = _along(slice(to, to + size, step), axis), _along(slice(source, source + size, step), axis)
    some = (slice(None), slice(0, (shape[0] + 1) // 2))

    def run(x: Tensor) -> Tensor:
        y = x.clone()
        if how == "constant":
            y[target] = 1.5
        elif how == "copy":
            y[target] = x[origin]
        elif how == "add":
            y[target] += x[origin]
        elif how == "zero":
            y[target].zero_()
        elif how == "swapped":
            y.transpose(1, axis)[:, to : to + size : step] = x.transpose(1, axis)[:, source : source + size : step] * 2
        else:
            y[some] = x.roll(1, axis)[some]
        return y

    return Lambda(run)


def _draw_mask(choose: Choose, shape: Shape) -> Args:
    return {"how": choose(("mul", "masked_fill", "where")), "period": choose((2, 3)), "axis": choose((0, *range(2, len(shape) + 1)))}


def _mask(shape: Shape, how: str, period: int, axis: int) -> nn.Module:
    grid = sum(torch.meshgrid(*map(torch.arange, shape[1:]), indexing="ij")) if axis == 0 else None
    line = torch.arange(shape[axis - 1]).reshape([-1 if a == axis else 1 for a in range(2, len(shape) + 1)]) if axis else None
    keep = ((grid if axis == 0 else line) % period != 0).expand(shape[1:]).clone()
    if how == "mul":
        return Lambda(lambda x, keep: x * keep, keep=keep.float())
    if how == "where":
        return Lambda(lambda x, keep: torch.where(keep, x, x.new_zeros(())), keep=keep)
    return Lambda(lambda x, keep: x.masked_fill(~keep, 0.5), keep=keep)


# ---- regrouping --------------------------------------------------------------------------------------------------------


def _draw_window(choose: Choose, shape: Shape) -> Args:
    if max(shape[1:]) < 4:
        raise Illegal
    return {"window": choose((2, 2, 3, 4)), "shift": choose((0, 1, 2))}


def _window(shape: Shape, window: int, shift: int) -> nn.Module:
    """Shift, cut into windows, mix the positions of each window, put together, shift back."""
    dims = len(shape) - 1
    axes = tuple(range(2, 2 + dims))

    def run(x: Tensor, mix: nn.Module) -> Tensor:
        x = _trim(x, window)
        x = x.roll([-shift] * dims, axes) if shift else x
        x = _from_windows(mix(_to_windows(x, window)), window)
        return x.roll([shift] * dims, axes) if shift else x

    return Lambda(run, mix=nn.Linear(window**dims, window**dims))


def _draw_patchify(choose: Choose, shape: Shape) -> Args:
    if max(shape[1:]) < 4:
        raise Illegal
    return {"patch": choose((2, 2, 3)), "back": choose((False, True)), "out": choose((2, 3, 4))}


def _patchify(shape: Shape, patch: int, back: bool, out: int) -> nn.Module:
    """Patches to tokens through a linear layer; back to a map of tokens, or of pixels."""
    dims = len(shape) - 1
    size = shape[0] * patch**dims

    def run(x: Tensor, embed: nn.Module) -> Tensor:
        x = _to_windows(_trim(x, patch), patch)
        grid = x.shape[2:-1]
        tokens = embed(x.movedim(1, -2).flatten(-2).flatten(1, -2))
        if not back:
            return tokens.transpose(1, 2).unflatten(2, grid)
        x = tokens.unflatten(1, grid).unflatten(-1, (shape[0], patch**dims)).movedim(-2, 1)
        return _from_windows(x, patch)

    return Lambda(run, embed=nn.Linear(size, size if back else out))


def _draw_interleave(choose: Choose, shape: Shape) -> Args:
    return {"how": choose(("interleave", "append", "deal")), "axis": _axis(choose, shape), "other": choose(("pointwise", "roll", "flip"))}


def _interleave(shape: Shape, how: str, axis: int, other: str) -> nn.Module:
    """Stack with another version of the input and reshape, or deal the positions into two halves."""
    twin = {"pointwise": _pointwise(shape, shape[0]), "roll": Lambda(lambda x: x.roll(1, axis)), "flip": Lambda(lambda x: x.flip(axis))}[
        other
    ]

    def run(x: Tensor, twin: nn.Module) -> Tensor:
        if how == "deal":
            x = x.narrow(axis, 0, x.shape[axis] // 2 * 2)
            return x.unflatten(axis, (-1, 2)).transpose(axis, axis + 1).flatten(axis, axis + 1)
        y = torch.stack([x, twin(x)], axis + 1 if how == "interleave" else axis)
        return y.reshape(*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])

    return Lambda(run, twin=twin)


def _draw_unfold(choose: Choose, shape: Shape) -> Args:
    how = choose(("axis", "blocks", "fold")) if len(shape) == 3 else "axis"
    return {
        "how": how,
        "kernel": choose((2, 3)),
        "stride": choose((1, 2)),
        "padding": choose((0, 1)),
        "dilation": choose((1, 2)),
        "axis": _axis(choose, shape),
    }


def _unfold(shape: Shape, how: str, kernel: int, stride: int, padding: int, dilation: int, axis: int) -> nn.Module:
    if how == "axis":
        return Lambda(lambda x, mix: mix(x.unfold(axis, kernel, stride)).squeeze(-1), mix=nn.Linear(kernel, 1))
    size = [(n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1 for n in shape[1:]]
    if min(size) < 1:
        raise Illegal
    if how == "blocks":
        fuse = nn.Conv2d(shape[0] * kernel**2, 3, 1)
        return Lambda(lambda x, fuse: fuse(F.unfold(x, kernel, dilation, padding, stride).unflatten(2, size)), fuse=fuse)
    return Lambda(lambda x: F.fold(F.unfold(x, kernel, dilation, padding, stride), shape[1:], kernel, dilation, padding, stride))


def _draw_rows(choose: Choose, shape: Shape) -> Args:
    return {"axis": _axis(choose, shape), "kernel": choose((3, 2, 5)), "dilation": choose((1, 2)), "causal": choose((False, True))}


def _rows(shape: Shape, axis: int, kernel: int, dilation: int, causal: bool) -> nn.Module:
    """A 1-D convolution along one axis, all other space axes folded into the batch."""
    reach = dilation * (kernel - 1)

    def run(x: Tensor, conv: nn.Module) -> Tensor:
        x = x.movedim(axis, -1).movedim(1, -2)
        batch = x.shape[:-2]
        x = conv(F.pad(x.flatten(0, -3) if len(batch) > 1 else x, (reach, 0) if causal else (reach // 2, reach - reach // 2)))
        return x.unflatten(0, batch).movedim(-2, 1).movedim(-1, axis)

    return Lambda(run, conv=nn.Conv1d(shape[0], shape[0], kernel, dilation=dilation))


# ---- over channels, and along an axis ----------------------------------------------------------------------------------


def _draw_channel_shuffle(choose: Choose, shape: Shape) -> Args:
    return {"groups": choose([k for k in range(2, shape[0] + 1) if shape[0] % k == 0] or [1])}


def _channel_shuffle(shape: Shape, groups: int) -> nn.Module:
    return Lambda(lambda x: x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2))


def _draw_activation(choose: Choose, shape: Shape) -> Args:
    return {"name": choose(tuple(ACTIVATIONS)), "inplace": choose((False, False, True))}


def _activation(shape: Shape, name: str, inplace: bool) -> nn.Module:
    if inplace and name != "gelu":
        return nn.Sequential(_pointwise(shape, shape[0]), ACTIVATIONS[name](inplace=True))
    return ACTIVATIONS[name]()


def _draw_cumsum(choose: Choose, shape: Shape) -> Args:
    return {"axis": _axis(choose, shape), "backwards": choose((False, True))}


def _cumsum(shape: Shape, axis: int, backwards: bool) -> nn.Module:
    return Lambda(lambda x: x.flip(axis).cumsum(axis).flip(axis) if backwards else x.cumsum(axis))


# ---- the whole map -----------------------------------------------------------------------------------------------------


def _draw_gate(choose: Choose, shape: Shape) -> Args:
    return {"how": choose(("sigmoid", "relu"))}


def _gate(shape: Shape, how: str) -> nn.Module:
    """Squeeze-excite."""
    last = nn.Sigmoid() if how == "sigmoid" else nn.ReLU()
    gate = nn.Sequential(
        _adaptive(shape, "avg", (1,) * (len(shape) - 1)), _pointwise(shape, 2), nn.ReLU(), _pointwise((2, *shape[1:]), shape[0]), last
    )
    return Lambda(lambda x, gate: (x + 1) * gate(x), gate=gate)


def _draw_norm(choose: Choose, shape: Shape) -> Args:
    if math.prod(shape[1:]) < 4:
        raise Illegal
    return {
        "how": choose(("group", "instance", "layer", *(("channel",) * 2 if shape[0] > 2 else ()))),
        "groups": _divisor(choose, shape[0]),
    }


def _norm(shape: Shape, how: str, groups: int) -> nn.Module:
    """A norm beside a skip: alone, its mean over the map is 0 whatever the input, and pooling after it would read nothing."""
    if how == "channel":
        return Lambda(lambda x, norm: x + norm(x.movedim(1, -1)).movedim(-1, 1), norm=nn.LayerNorm(shape[0]))
    if how == "group":
        norm: nn.Module = nn.GroupNorm(groups, shape[0])
    elif how == "instance":
        norm = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[len(shape) - 1](shape[0], affine=True)
    else:
        norm = nn.LayerNorm(shape)
    return Lambda(lambda x, norm: x + norm(x), norm=norm)


def _draw_global(choose: Choose, shape: Shape) -> Args:
    return {"how": choose(("mean", "sum", "pool", "resize")), "merge": choose(("add", "cat"))}


def _global(shape: Shape, how: str, merge: str) -> nn.Module:
    """The whole map pooled, spread again over every position, and merged with the input."""
    dims = len(shape) - 1
    axes = tuple(range(2, 2 + dims))
    pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[dims]

    def run(x: Tensor) -> Tensor:
        y = {"mean": lambda: x.mean(axes, keepdim=True), "sum": lambda: x.sum(axes, keepdim=True)}.get(how, lambda: pool(x, x.shape[2:]))()
        y = F.interpolate(y, size=x.shape[2:]) if how == "resize" else y
        return x + y if merge == "add" else torch.cat([x, y.expand_as(x)], 1)

    return Lambda(run)


def _draw_softmax(choose: Choose, shape: Shape) -> Args:
    return {"axis": _axis(choose, shape), "times_input": choose((False, True))}


def _softmax(shape: Shape, axis: int, times_input: bool) -> nn.Module:
    # Alone, its sum along the axis is 1 whatever the input: pooling after it would read nothing.
    return Lambda(lambda x: x.softmax(axis) * (x + 1) if times_input else x.softmax(axis) + x)


def _draw_axis_linear(choose: Choose, shape: Shape) -> Args:
    axis = _axis(choose, shape)
    n = shape[axis - 1]
    return {"axis": axis, "out": choose((n, max(1, n - 1), max(1, n // 2)))}


def _axis_linear(shape: Shape, axis: int, out: int) -> nn.Module:
    return Lambda(lambda x, mix: mix(x.transpose(axis, -1)).transpose(axis, -1), mix=nn.Linear(shape[axis - 1], out))


def _draw_attention(choose: Choose, shape: Shape) -> Args:
    return {
        "mask": choose(("window", "causal", "band", "none")),
        "window": choose((2, 3, 5)),
        "fused": choose((False, True)),
        "cosine": shape[0] > 1 and choose((True, False)),
        "skip": choose((True, False)),
    }


def _attention(shape: Shape, mask: str, window: int, fused: bool, cosine: bool, skip: bool) -> nn.Module:
    """Attention over the flattened map, positions that must not see each other masked with -inf."""
    c, n = shape[0], math.prod(shape[1:])
    at = torch.arange(n)
    i, j = at[:, None], at[None, :]
    allowed = {"window": i // window == j // window, "causal": i >= j, "band": (i - j).abs() < window, "none": i == i}[mask].expand(n, n)
    bias = torch.zeros(n, n).masked_fill(~allowed, -math.inf)

    def run(x: Tensor, q: nn.Module, k: nn.Module, v: nn.Module, out: nn.Module, bias: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        query, key, value = q(tokens), k(tokens), v(tokens)
        if cosine:
            query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        if fused and mask == "causal":
            y = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        elif fused:
            y = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        else:
            y = (query @ key.transpose(1, 2) * c**-0.5 + bias).softmax(-1) @ value
        y = out(y).transpose(1, 2).unflatten(2, shape[1:])
        return x + y if skip else y

    return Lambda(run, q=nn.Linear(c, c), k=nn.Linear(c, c), v=nn.Linear(c, c), out=nn.Linear(c, c), bias=bias)


# ---- the menu ----------------------------------------------------------------------------------------------------------

KINDS: dict[str, Kind] = {
    "pointwise": Kind(lambda choose, shape: {"out": choose(range(1, 7))}, _pointwise),
    "activation": Kind(_draw_activation, _activation),
    "conv": Kind(_draw_conv, _conv),
    "transposed": Kind(_draw_transposed, _transposed),
    "pool": Kind(_draw_pool, _pool),
    "adaptive": Kind(_draw_adaptive, _adaptive),
    "interpolate": Kind(_draw_interpolate, _interpolate),
    "pixel_shuffle": Kind(_draw_shuffle, _shuffle),
    "repeat": Kind(_draw_repeat, _repeat),
    "pad": Kind(_draw_pad, _pad),
    "slice": Kind(_draw_slice, _slice),
    "flip": Kind(_draw_flip, _flip),
    "roll": Kind(_draw_roll, _roll),
    "transpose": Kind(_draw_transpose, _transpose),
    "index": Kind(_draw_index, _index),
    "assign": Kind(_draw_assign, _assign),
    "mask": Kind(_draw_mask, _mask),
    "window": Kind(_draw_window, _window),
    "patchify": Kind(_draw_patchify, _patchify),
    "interleave": Kind(_draw_interleave, _interleave),
    "unfold": Kind(_draw_unfold, _unfold),
    "rows": Kind(_draw_rows, _rows),
    "channel_shuffle": Kind(_draw_channel_shuffle, _channel_shuffle),
    "cumsum": Kind(_draw_cumsum, _cumsum),
    "gate": Kind(_draw_gate, _gate),
    "norm": Kind(_draw_norm, _norm),
    "global": Kind(_draw_global, _global),
    "softmax": Kind(_draw_softmax, _softmax),
    "axis_linear": Kind(_draw_axis_linear, _axis_linear),
    "attention": Kind(_draw_attention, _attention),
}
LOCAL = {
    "activation": 3,
    "conv": 9,
    "transposed": 5,
    "pool": 6,
    "adaptive": 2,
    "interpolate": 5,
    "pixel_shuffle": 3,
    "repeat": 1,
    "pad": 3,
    "slice": 2,
    "flip": 1,
    "roll": 2,
    "transpose": 2,
    "index": 2,
    "assign": 3,
    "mask": 1,
    "window": 2,
    "patchify": 2,
    "interleave": 2,
    "unfold": 2,
    "rows": 2,
    "channel_shuffle": 1,
    "cumsum": 1,
}
WHOLE = {"gate": 4, "norm": 4, "global": 3, "softmax": 2, "axis_linear": 3, "attention": 4}
BRANCH = 14


def _menu(dims: int, whole: bool, branch: bool) -> list[str]:
    weights = {**LOCAL, **(WHOLE if whole else {}), **({"branch": BRANCH} if branch else {})}
    absent = {1: {"pixel_shuffle", "transpose"}, 2: set(), 3: {"pixel_shuffle"}}[dims]
    return [kind for kind, weight in weights.items() if kind not in absent for _ in range(weight)]


# ---- statistics --------------------------------------------------------------------------------------------------------


def _details(item: Op) -> Iterator[str]:
    """The variants of an op worth counting."""
    args = dict(item.args)
    for name in ("how", "mode", "name", "merge", "match"):
        if isinstance(args.get(name), str):
            yield f"{item.kind} {name}={args[name]}"
    for name in ("ceil_mode", "antialias", "align", "back", "down", "causal", "fused", "cosine", "inplace", "backwards", "recompute"):
        if args.get(name):
            yield f"{item.kind} {name}"
    if item.kind == "conv":
        yield from (f"conv {name}" for name in ("stride", "dilation") if max(args[name]) > 1)
        yield from (["conv even kernel"] if any(k % 2 == 0 for k in args["kernel"]) else [])
        yield from (["conv same"] if args["padding"] == "same" else [])
        yield from (["conv groups"] if args["groups"] > 1 else [])
    if item.kind == "transposed":
        pairs = list(zip(args["kernel"], args["stride"], strict=True))
        yield "transposed k<s" if any(k < s for k, s in pairs) else "transposed k=s" if pairs[0][0] == pairs[0][1] else "transposed k>s"
        yield from (["transposed output_padding"] if any(args["output_padding"]) else [])
    if item.kind == "branch" and args["split"]:
        yield f"branch split {'channels' if args['split'] == 1 else 'space'}"
    if item.kind == "attention":
        yield f"attention mask={args['mask']}"


def table(draws: int = 1000) -> str:
    """How often every op and variant occurs in `draws` networks."""
    nets = [random_network(seed) for seed in range(draws)]
    count, within = Counter[str](), Counter[str]()
    for net in nets:
        labels = [label for item in net.walk() for label in (item.kind, *_details(item))]
        count.update(labels)
        within.update(set(labels))
    rows = [f"{'op':34}{'count':>8}{'nets %':>8}"]
    rows += [f"{'  ' * (' ' in label) + label:34}{count[label]:8}{100 * within[label] / draws:8.1f}" for label in sorted(count)]
    whole = sum(any(item.kind in WHOLE for item in net.walk()) for net in nets)
    dims = Counter(len(net.input_size) - 2 for net in nets)
    branched = sum(any(item.branches for item in net.ops) for net in nets)
    total = sum(1 for net in nets for _ in net.walk())
    rows.append("")
    rows.append(f"nets: {draws}; by dimension: {dict(sorted(dims.items()))}; ops per net: {total / draws:.2f}")
    rows.append(f"nets with a branch: {branched}; with an op over the whole map: {whole}")
    rows.append(f"fallbacks (pointwise): {count['pointwise']} of {total} ops; never drawn: {sorted(set(KINDS) - set(count)) or 'none'}")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
