"""Equations of nothing but constants: iotas, masks, index arithmetic, interpolation matrices. Evaluated in numpy, when somebody asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from isopter.capture.jax.node import Holed
from isopter.capture.static.values import Array, Const, Value, Weight
from isopter.graph import Shape

LOADED = 16_000_000
"""Entries of constants that are worth looking at: those of masks and tables. Larger ones are weights."""

DEEP = 60
"""Equations in a row that may wait for an answer before one is computed at once; Python's stack is finite."""

Params = Mapping[str, Any]
Function = Callable[..., Any]

_MATH: dict[str, Function] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative, "abs": np.abs, "sign": np.sign, "floor": np.floor,
    "ceil": np.ceil, "exp": np.exp, "exp2": np.exp2, "log": np.log, "log1p": np.log1p, "expm1": np.expm1, "sqrt": np.sqrt, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "tanh": np.tanh, "max": np.maximum, "min": np.minimum, "eq": np.equal, "ne": np.not_equal,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "atan2": np.arctan2, "pow": np.power,
    "is_finite": np.isfinite, "square": np.square, "xor": np.bitwise_xor, "and": np.bitwise_and, "or": np.bitwise_or,
    "shift_left": np.left_shift,
}  # fmt: skip

_MOVED: dict[str, Function] = {
    "broadcast_in_dim": lambda p, x: _broadcast(_placed(x, p["shape"], p["broadcast_dimensions"]), p["shape"]),
    "reshape": lambda p, x: x.reshape(p["new_sizes"]),
    "squeeze": lambda p, x: np.squeeze(x, tuple(int(d) for d in p["dimensions"])),
    "expand_dims": lambda p, x: np.expand_dims(x, tuple(p["dimensions"])),
    "transpose": lambda p, x: np.transpose(x, p["permutation"]),
    "stack": lambda p, *xs: np.stack(xs, axis=p["axis"]),
    "concatenate": lambda p, *xs: np.concatenate(xs, axis=p["dimension"]),
    "rev": lambda p, x: np.flip(x, tuple(p["dimensions"])),
    "tile": lambda p, x: np.tile(x, p["reps"]),
    "slice": lambda p, x: x[tuple(map(slice, p["start_indices"], p["limit_indices"], p["strides"] or (1,) * x.ndim))],
    "stop_gradient": lambda p, x: x,
    "copy": lambda p, x: x,
    "copy_p": lambda p, x: x,
}
"""What only moves numbers: nothing can overflow."""

_WITH: dict[str, Function] = {
    "iota": lambda p: _iota(p["shape"], p["dimension"], p["dtype"]),
    "integer_pow": lambda p, x: x ** p["y"],
    "rsqrt": lambda p, x: 1 / np.sqrt(x),
    "not": lambda p, x: np.bitwise_not(x),
    "div": lambda p, x, y: np.trunc(np.true_divide(x, y)).astype(x.dtype) if x.dtype.kind in "iu" else np.true_divide(x, y),
    "rem": lambda p, x, y: np.fmod(x, y),
    "clamp": lambda p, low, x, high: np.minimum(np.maximum(x, low), high),
    "round": lambda p, x: np.round(x) if "EVEN" in str(p.get("rounding_method")) else np.trunc(x + np.copysign(0.5, x)),
    "convert_element_type": lambda p, x: x.astype(p["new_dtype"]),
    "select_n": lambda p, which, *cases: np.choose(np.broadcast_to(which, np.shape(cases[0])).astype(np.int64), cases),
    "reduce_sum": lambda p, x: x.sum(axis=tuple(p["axes"]), dtype=x.dtype),
    "reduce_max": lambda p, x: x.max(axis=tuple(p["axes"])),
    "reduce_min": lambda p, x: x.min(axis=tuple(p["axes"])),
    "reduce_prod": lambda p, x: x.prod(axis=tuple(p["axes"]), dtype=x.dtype),
    "reduce_and": lambda p, x: x.all(axis=tuple(p["axes"])),
    "reduce_or": lambda p, x: x.any(axis=tuple(p["axes"])),
    "cumsum": lambda p, x: np.flip(np.flip(x, p["axis"]).cumsum(p["axis"], dtype=x.dtype), p["axis"])
    if p["reverse"]
    else x.cumsum(p["axis"], dtype=x.dtype),
}

_RANDOM = ("random_", "threefry", "rng_", "isopter_weight")
"""How primitives begin that draw numbers: weights, whatever they are drawn from."""


def still(primitive: Any, params: Params, ins: Sequence[Value], outs: Sequence[Any]) -> list[Value]:
    """The results (of the abstract values `outs`) of an equation that reads no data."""
    shapes: list[Shape] = [tuple(out.shape) for out in outs]
    name = primitive.name
    known = [v.shape for v in ins if isinstance(v, Const)]
    if len(known) < len(ins) or name.startswith(_RANDOM) or sum(map(math.prod, (*shapes, *known))) > LOADED:
        return [_masked(name, ins, shapes[0])] if len(shapes) == 1 else [Weight(s) for s in shapes]
    run = _Later(primitive, params, ins, [out.dtype for out in outs])
    if run.depth > DEEP + 1:
        run.results()
    return [Const(s, _Loaded(run, k)) for k, s in enumerate(shapes)]


def _masked(name: str, ins: Sequence[Value], shape: Shape) -> Weight:
    """A weight; one times a constant is known to be 0 where that is."""
    if name in ("convert_element_type", "copy", "stop_gradient") and isinstance(ins[0], Holed):
        return ins[0]
    masks = [v for v in ins if isinstance(v, Const)]
    if name == "mul" and len(masks) == 1 and masks[0].shape == shape and math.prod(shape) <= LOADED:
        return Holed(shape, masks[0])
    return Weight(shape)


class _Later:
    """An equation to be evaluated once, when one of its results is asked for."""

    def __init__(self, primitive: Any, params: Params, ins: Sequence[Value], dtypes: Sequence[Any]) -> None:
        self.primitive, self.params, self.ins, self.dtypes = primitive, params, ins, dtypes
        self.depth = 1 + max((_depth(v) for v in ins), default=0)
        self.done: list[Array | None] | None = None

    def results(self) -> list[Array | None]:
        """One array per result; None where they cannot be had."""
        if self.done is None:
            arrays = [v.load() if isinstance(v, Const) else None for v in self.ins]
            unknown = any(a is None for a in arrays)
            self.done = [None] * len(self.dtypes) if unknown else evaluated(self.primitive, self.params, arrays, self.dtypes)
            self.depth, self.ins = 0, ()
        return self.done


class _Loaded:
    """One result of an equation to be evaluated."""

    __slots__ = ("at", "later")

    def __init__(self, later: _Later, at: int) -> None:
        self.later, self.at = later, at

    def __call__(self) -> Array | None:
        return self.later.results()[self.at]


def _depth(value: Value) -> int:
    load = value.load if isinstance(value, Const) else None
    return load.later.depth if isinstance(load, _Loaded) else 0


def evaluated(primitive: Any, params: Params, arrays: Sequence[Any], dtypes: Sequence[Any]) -> list[Array | None]:
    """By numpy where it knows the primitive, else by JAX itself."""
    moved, simple, special = (table.get(primitive.name) for table in (_MOVED, _MATH, _WITH))
    try:
        if moved is not None:
            return [moved(params, *arrays).astype(dtypes[0], copy=False)]
        with np.errstate(all="ignore"):
            if simple is not None:
                return [np.asarray(simple(*arrays)).astype(dtypes[0], copy=False)]
            if special is not None:
                return [np.asarray(special(params, *arrays)).astype(dtypes[0], copy=False)]
        found = primitive.bind(*arrays, **params)
        return [np.asarray(x) for x in (found if primitive.multiple_results else [found])]
    except (TypeError, ValueError, NotImplementedError, RuntimeError, IndexError, AttributeError):
        return [None] * len(dtypes)  # its values stay unknown, as those of a weight


def _iota(shape: Shape, dimension: int, dtype: Any) -> Array:
    along = np.arange(shape[dimension], dtype=dtype).reshape([-1 if a == dimension else 1 for a in range(len(shape))])
    return np.broadcast_to(along, shape)


def _broadcast(x: Array, shape: Shape) -> Array:
    return x if x.shape == shape else np.broadcast_to(x, shape)


def _placed(x: Array, shape: Shape, dims: Sequence[int]) -> Array:
    sizes = [1] * len(shape)
    for axis, dim in enumerate(dims):
        sizes[dim] = x.shape[axis]
    return x.reshape(sizes)
