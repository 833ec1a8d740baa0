"""Layer texts as models: ``"conv 7 s2 p3, pool 3 s2 p1, [conv 3 p1]*4"`` to a Graph. The grammar is in `capture.grammar`.

    conv 3 s2 p1 d2 g4      convolution; pool / maxpool and avgpool likewise (their stride defaults to the kernel); dwconv is depthwise
    deconv 4 s2 p1 op1      transposed convolution (also convT), op is output padding
    up 2 bilinear           interpolation: nearest (the default), bilinear, bicubic, in any dimension
    gap, linear 10          global average pool; fully connected layer (also fc), over all that is left of space
    relu bn gelu silu ...   pointwise; norms are those of evaluation, where they are pointwise

Numbers may differ by axis, such as ``3x5``; ``same`` is padding that keeps ceil(n / stride) positions. Channels stay as they are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from isopter.capture.grammar import Layer, Option, fault, read
from isopter.errors import UsageError
from isopter.graph import Graph, Op, Shape, check

DEFAULT_SIZES: Mapping[int, Shape] = {1: (1, 1, 1024), 2: (1, 1, 224, 224), 3: (1, 1, 64, 64, 64)}
"""The input where none is given, by how many axes are space."""

MAX_AXIS = 2**24
"""Positions along one axis: more than an hour of audio at 4 kHz, and tables of it still fit in memory."""


def parse(text: str, size: tuple[int, ...] | None) -> Graph:
    """The graph of a layer text for an input of shape `size` (N, C, *space), one to three axes of space.

    Without a size the space is as many axes as a kernel such as ``3x5`` names, else two, of `DEFAULT_SIZES`. Output shapes are
    PyTorch's. Raises UsageError with the position in the text, what was expected and an example.
    """
    layers = read(text)
    shape = _input_shape(text, layers, size)
    names = _names(text, layers)
    ops, taken = [Op("input", "input", shape)], set(names)
    for layer, name in zip(layers, names, strict=True):
        _append(ops, _Step(text, layer, name, ops[-1].shape), taken)
    index = {op.name: i for i, op in enumerate(ops)}
    return check(Graph(tuple(ops), (len(ops) - 1,), {name: index[name] for name in names}, {"input": 0}))


def _input_shape(text: str, layers: tuple[Layer, ...], size: tuple[int, ...] | None) -> Shape:
    named = [option for layer in layers for option in layer.options.values() if len(option.numbers) > 1]
    if size is not None and not 3 <= len(size) <= 5:
        raise UsageError(f"A layer text needs an input (N, C, *space) with 1 to 3 axes of space, such as (1, 1, 224, 224), not {size}.")
    if size is not None and (min(size) < 1 or max(size) > MAX_AXIS):
        raise UsageError(f"The input size {size} must hold whole numbers from 1 to {MAX_AXIS:,}.")
    space = len(size) - 2 if size is not None else len(named[0].numbers) if named else 2
    for option in named:
        if len(option.numbers) != space:
            whose = "the input has" if size is not None else "the option before it names"
            raise fault(text, option.at, f"these are numbers for {len(option.numbers)} axes, but {whose} {space} axes of space")
    return size if size is not None else DEFAULT_SIZES[space]


def _names(text: str, layers: tuple[Layer, ...]) -> tuple[str, ...]:
    """The user's names, then ``conv1, conv2, pool1, ...``; a named layer inside a repeat is ``name``, ``name#2``, ``name#3``."""
    owner: dict[str, int] = {}
    for layer in layers:
        if layer.name and owner.setdefault(layer.name, layer.at) != layer.at:
            raise fault(text, layer.at, f"the name '{layer.name}' is used twice: expected another name")
    count: Counter[str] = Counter()
    result = []
    for layer in layers:
        if layer.name:
            count[layer.name + ":"] += 1
            repeat = count[layer.name + ":"]
            result.append(layer.name if repeat == 1 else f"{layer.name}#{repeat}")
            continue
        count[layer.word] += 1
        while f"{layer.word}{count[layer.word]}" in owner:
            count[layer.word] += 1
        result.append(f"{layer.word}{count[layer.word]}")
    return tuple(result)


@dataclass(frozen=True, slots=True)
class _Step:
    """A layer at its place: the name it got and the shape it reads."""

    text: str
    layer: Layer
    name: str
    shape: Shape

    @property
    def space(self) -> Shape:
        return self.shape[2:]

    def fault(self, message: str, option: str = "") -> UsageError:
        found = self.layer.options.get(option)
        return fault(self.text, found.at if found is not None else self.layer.at, f"{self.name}: {message}")

    def numbers(self, key: str, default: int) -> tuple[int, ...]:
        """The numbers of an option, one per axis of space."""
        option: Option | None = self.layer.options.get(key)
        values = option.numbers if option is not None else (default,)
        return tuple(int(v) for v in (values * len(self.space) if len(values) == 1 else values))

    def checked(self, sizes: list[int]) -> Shape:
        """The output shape; raises where an axis is empty or beyond all use."""
        for axis, (n, m) in enumerate(zip(self.space, sizes, strict=True)):
            if m < 1:
                was = f"which has {n} here (input {_show(self.shape)})"
                raise self.fault(f"the output would have {m} positions along space axis {axis}, {was}")
            if m > MAX_AXIS:
                raise self.fault(f"the output would have {m:,} positions along space axis {axis}: expected {MAX_AXIS:,} or less")
        return (*self.shape[:2], *sizes)


def _append(ops: list[Op], step: _Step, taken: set[str]) -> None:
    """Add the op of one layer; a linear layer over space is first a flattening."""
    family = step.layer.family
    if family not in ("linear", "pointwise") and not step.space:
        raise step.fault(f"a {step.layer.word} needs axes of space, but the tensor is {_show(step.shape)} after a linear layer")
    if family == "linear" and step.space:
        flat = (step.shape[0], math.prod(step.shape[1:]))
        name = next(n for n in (f"{step.name}.flatten{'_' * k}" for k in range(len(taken) + 1)) if n not in taken)
        ops.append(Op(name, "reshape", flat, (len(ops) - 1,), {}, step.name, "flatten"))
    kind, params, shape = _BUILDERS[family](step)
    ops.append(Op(step.name, kind, shape, (len(ops) - 1,), params, step.name, step.layer.word))


_Built = tuple[str, dict[str, Any], Shape]


def _conv(step: _Step) -> _Built:
    kernel, stride, dilation = step.numbers("k", 1), step.numbers("s", 1), step.numbers("d", 1)
    groups = step.shape[1] if step.layer.family == "dwconv" else _groups(step)
    pad, sizes = _windows(step, kernel, stride, dilation)
    params = {"kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad, "groups": groups}
    return "conv", params, step.checked(sizes)


def _groups(step: _Step) -> int:
    given = step.layer.options.get("g")
    if given is None:
        return 1
    if len(given.numbers) > 1 or step.shape[1] % int(given.numbers[0]):
        raise step.fault(f"groups must be one number that divides the {step.shape[1]} channels", "g")
    return int(given.numbers[0])


def _windows(step: _Step, kernel: Shape, stride: Shape, dilation: Shape, ceil: bool = False) -> tuple[Shape, list[int]]:
    """Left padding and output size per axis. With ``same`` and an odd total the extra position is behind."""
    same = "same" in step.layer.options
    pad, sizes = [], []
    for n, k, s, p, d in zip(step.space, kernel, stride, step.numbers("p", 0), dilation, strict=True):
        reach = d * (k - 1) + 1
        if same:
            m = -(-n // s)
            p = max((m - 1) * s + reach - n, 0) // 2
        else:
            m = (n + 2 * p - reach + (s - 1 if ceil else 0)) // s + 1
            if ceil and (m - 1) * s >= n + p:  # the last window would start behind the right padding
                m -= 1
        pad.append(p)
        sizes.append(m)
    return tuple(pad), sizes


def _pool(step: _Step) -> _Built:
    kernel, dilation = step.numbers("k", 1), step.numbers("d", 1)
    stride = step.numbers("s", 1) if "s" in step.layer.options else kernel
    if any(2 * p > k for p, k in zip(step.numbers("p", 0), kernel, strict=True)):
        raise step.fault("a pool's padding is at most half its kernel", "p")
    pad, sizes = _windows(step, kernel, stride, dilation, "ceil" in step.layer.options)
    mode = "avg" if step.layer.family == "avgpool" else "max"
    return "pool", {"mode": mode, "kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad}, step.checked(sizes)


def _deconv(step: _Step) -> _Built:
    kernel, stride, dilation = step.numbers("k", 1), step.numbers("s", 1), step.numbers("d", 1)
    pad, extra = step.numbers("p", 0), step.numbers("op", 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True) if e):
        raise step.fault("output padding must be smaller than the stride or the dilation", "op")
    numbers = zip(step.space, kernel, stride, dilation, pad, extra, strict=True)
    sizes = [(n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, d, p, e in numbers]
    params = {"kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad, "groups": _groups(step)}
    return "conv_transpose", params, step.checked(sizes)


def _up(step: _Step) -> _Built:
    given = step.layer.options["k"].numbers
    scales = [Fraction(s).limit_denominator(10_000) for s in (given * len(step.space) if len(given) == 1 else given)]
    mode = step.layer.options.get("mode")
    word = mode.word if mode is not None else "nearest"
    if word == "cubic" and len(step.space) != 2:
        raise step.fault(f"cubic interpolation is for 2 axes of space, and there are {len(step.space)}: expected nearest or linear", "mode")
    params = {"mode": word, "align_corners": False, "antialias": False, "steps": tuple(1 / s for s in scales)}
    return "resample", params, step.checked([math.floor(n * s) for n, s in zip(step.space, scales, strict=True)])


def _gap(step: _Step) -> _Built:
    axes = tuple(range(2, len(step.shape)))
    return "reduce", {"axes": axes, "keepdim": True}, (*step.shape[:2], *(1 for _ in axes))


def _linear(step: _Step) -> _Built:
    given = step.layer.options.get("k")
    if given is not None and len(given.numbers) > 1:
        raise step.fault("a linear layer takes one number of features", "k")
    features = int(given.numbers[0]) if given is not None else step.shape[1]
    return "matmul", {"operands": ("left",)}, (step.shape[0], features)


def _pointwise(step: _Step) -> _Built:
    return "pointwise", {}, step.shape


_BUILDERS: Mapping[str, Callable[[_Step], _Built]] = {
    "conv": _conv,
    "dwconv": _conv,
    "pool": _pool,
    "avgpool": _pool,
    "deconv": _deconv,
    "up": _up,
    "gap": _gap,
    "linear": _linear,
    "pointwise": _pointwise,
}


def _show(shape: Shape) -> str:
    return "x".join(map(str, shape))
