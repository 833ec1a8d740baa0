"""Listening to Flax linen: its modules say which of them is called, and weights need not be made."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FunctionType
from typing import Any

import jax
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from isopter.capture.jax.marks import PATCHING, heard

weight_p: Any = Primitive("isopter_weight")
"""Numbers of which the shape is known alone; params ``shape`` and ``dtype``."""

weight_p.def_impl(lambda *, shape, dtype: jax.numpy.zeros(shape, dtype))
weight_p.def_abstract_eval(lambda *, shape, dtype: jax.core.ShapedArray(shape, dtype))
mlir.register_lowering(weight_p, mlir.lower_fun(lambda *, shape, dtype: jax.numpy.zeros(shape, dtype), multiple_results=False))
batching.primitive_batchers[weight_p] = lambda xs, dims, **params: (weight_p.bind(*xs, **params), None)


def interception() -> Any:
    """A context within which linen modules are heard; none where linen was not imported."""
    linen = sys.modules.get("flax.linen")
    return nullcontext() if linen is None else _listening(linen)


@contextmanager
def _listening(linen: Any) -> Iterator[None]:
    def listen(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        path = ".".join(context.module.path)
        if context.method_name != "__call__" or not path or path in active[-1:]:
            return call(*args, **kwargs)
        active.append(path)
        try:
            return heard(lambda: call(*args, **kwargs), path)
        finally:
            active.pop()

    active: list[str] = []  # a call that a class hands on to its parent's is one call

    with linen.override_named_call(False), linen.intercept_methods(listen):
        yield


@contextmanager
def without_numbers() -> Iterator[None]:
    """Within, parameters and float variables of linen are made without drawing them: their shapes are all that matters."""
    from flax.core import scope

    Scope: Any = scope.Scope
    shapes: dict[Any, Any] = {}
    param, variable, make_rng = Scope.param, Scope.variable, Scope.make_rng
    key = jax.random.key(0)

    def shape_of(init: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        try:
            known = (_known_by(init), tuple(tuple(a) if isinstance(a, list) else a for a in args), tuple(sorted(kwargs.items())))
            hash(known)
        except TypeError:
            known = None
        if known is not None and known in shapes:
            return shapes[known]
        found = jax.eval_shape(lambda: init(*args, **kwargs))
        if known is not None:
            shapes[known] = found
        return found

    def abstract(init: Any) -> Any:
        def made(*args: Any, **kwargs: Any) -> Any:
            if args and isinstance(args[0], jax.Array) and jax.numpy.issubdtype(args[0].dtype, jax.dtypes.prng_key):
                found = shape_of(_Keyed(init, args[0]), args[1:], kwargs)
            else:  # zeros or ones: made sooner than asked for their shape
                found = init(*args, **kwargs)
            if any(not hasattr(leaf, "dtype") or not jax.numpy.issubdtype(leaf.dtype, np.inexact) for leaf in jax.tree.leaves(found)):
                return init(*args, **kwargs)
            return jax.tree.map(lambda leaf: weight_p.bind(shape=tuple(leaf.shape), dtype=np.dtype(leaf.dtype)), found)

        return made

    def new_param(self: Any, name: str, init_fn: Any, *args: Any, **kwargs: Any) -> Any:
        return param(self, name, abstract(init_fn), *args, **kwargs)

    def new_variable(self: Any, col: str, name: str, init_fn: Any = None, *args: Any, **kwargs: Any) -> Any:
        return variable(self, col, name, init_fn and abstract(init_fn), *args, **kwargs)

    def new_rng(self: Any, name: str = "params") -> Any:  # no numbers are drawn with it
        return key if name == "params" else make_rng(self, name)

    with PATCHING:
        Scope.param, Scope.variable, Scope.make_rng = new_param, new_variable, new_rng
        try:
            yield
        finally:
            Scope.param, Scope.variable, Scope.make_rng = param, variable, make_rng


def _known_by(init: Any) -> Any:
    """What tells an initialiser from others: its code, if it holds nothing else (a lambda is made anew at each call)."""
    if isinstance(init, FunctionType) and init.__closure__ is None and not init.__kwdefaults__:
        return init.__code__, init.__defaults__
    return init


class _Keyed:
    """An initialiser with its key: equal to the same initialiser with another, as shapes do not depend on it."""

    __slots__ = ("init", "key")

    def __init__(self, init: Any, key: Any) -> None:
        self.init, self.key = init, key

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.init(self.key, *args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and bool(_known_by(self.init) == _known_by(other.init))

    def __hash__(self) -> int:
        return hash(_known_by(self.init))
