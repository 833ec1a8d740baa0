"""Gradients of the values of one jaxpr."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.extend.core import ClosedJaxpr

from isopter.erf.activations import before_activation
from isopter.erf.jax.run import values_of
from isopter.erf.jax.values import At, Values
from isopter.erf.traced import Wanted
from isopter.errors import CaptureError

Unit = tuple[str, tuple[int, ...], bool]
"""A value by its key, the axes its units are found along, and whether its channels have weights."""


class JaxProgram:
    """A jaxpr as it was traced for one sample. `weights`: its first arguments; the image is the argument after those, at `image`.

    `keys`: those of values, by the call that returned them and its position.
    """

    def __init__(
        self,
        closed: ClosedJaxpr,
        weights: Sequence[Any],
        image: int,
        keys: Mapping[tuple[str, int], str],
        dtype: str,
        device: Any,
    ) -> None:
        self.closed, self.image, self.keys, self.device = closed, image, keys, device
        self.weights = list(weights)
        self.double = dtype == "float64"
        self.values = Values(closed, [image])
        self._function = functools.cache(self._made)

    def key(self, call: str, output: int) -> Hashable:
        """The key of a value."""
        return self.keys[call, output]

    def before(self, key: str) -> Hashable | None:
        """The value before an activation."""
        at = self.values.at(key)
        found = None if at is None else before_activation(at, self.values.step)
        return self.values.key(found) if isinstance(found, At) else None

    def aval(self, key: str) -> tuple[tuple[int, ...], str]:
        """The shape and type of a value."""
        at = self.values.at(key)
        if at is None:
            with self._precision():
                made = jax.eval_shape(lambda x: self._run([key], x, self._numbers()), self._struct())[0]
            return tuple(made.shape), str(made.dtype)
        return tuple(at.var.aval.shape), str(at.var.aval.dtype)

    def gradients(self, samples: npt.NDArray[np.floating], wanted: Sequence[Wanted]) -> list[npt.NDArray[np.floating]]:
        """Of each unit the gradients with respect to the samples, each of which is run by itself."""
        units = tuple((w.key, w.axes, w.weights is not None) for w in wanted)
        places = tuple(jnp.asarray(w.at, jnp.int32) for w in wanted)
        rows = [np.zeros((len(samples), 1)) if w.weights is None else w.weights for w in wanted]
        try:
            with self._precision():
                function = self._function(units)
                found = function(jnp.asarray(samples, self._dtype()), places, tuple(map(jnp.asarray, rows)), self._numbers())
                return [np.asarray(g) for g in found]
        except Exception as error:  # whatever JAX, or what the model calls, raises
            shape = "x".join(map(str, samples.shape[1:]))
            line = next(iter(str(error).strip().splitlines()), "")[:300]
            raise CaptureError(f"JAX could not run the model on an input of {shape}: {type(error).__name__}: {line}") from error

    @contextlib.contextmanager
    def _precision(self) -> Any:
        device = contextlib.nullcontext() if self.device is None else jax.default_device(self.device)
        with device, jax.enable_x64(self.double or jax.numpy.zeros(()).dtype == np.float64):
            yield

    def _dtype(self) -> Any:
        return jnp.float64 if self.double else self.closed.jaxpr.invars[self.image].aval.dtype

    def _struct(self) -> Any:
        struct: Any = jax.ShapeDtypeStruct  # which has no types
        return struct(self.closed.jaxpr.invars[self.image].aval.shape, self._dtype())

    def _numbers(self) -> tuple[list[Any], list[Any]]:
        """Weights and constants: arguments of what is compiled, so that the compiler does not compute with them."""
        return self.weights, list(self.closed.consts)

    def _run(self, keys: Sequence[str], x: Any, numbers: tuple[list[Any], list[Any]]) -> list[Any]:
        weights, consts = numbers
        arguments = [*weights, *(jnp.zeros(v.aval.shape, v.aval.dtype) for v in self.closed.jaxpr.invars[len(weights) :])]
        arguments[self.image] = x
        return values_of(self.closed, arguments, keys, consts, self.double)

    def _made(self, units: tuple[Unit, ...]) -> Callable[..., Any]:
        """Gradients, compiled: of samples, places of units, weights of channels, and the model's numbers."""

        def unit(x: Any, places: Any, numbers: Any) -> list[Any]:
            values = self._run([key for key, _, _ in units], x, numbers)
            return [_at(v, axes, place) for v, (_, axes, _), place in zip(values, units, places, strict=True)]

        def gradients(x: Any, places: Any, rows: Any, numbers: Any) -> list[Any]:
            values, back = jax.vjp(lambda y: unit(y, places, numbers), x)
            found = []
            for k, (value, (_, _, weighed)) in enumerate(zip(values, units, strict=True)):
                factors = rows[k].reshape(value.shape).astype(value.dtype) if weighed else (value > 0).astype(value.dtype)
                found.append(back([factors if i == k else jnp.zeros_like(v) for i, v in enumerate(values)])[0])
            return found

        options = {"xla_backend_optimization_level": 1} if self._on_cpu() else {}
        return jax.jit(jax.vmap(gradients, in_axes=(0, None, 0, None)), compiler_options=options)

    def _on_cpu(self) -> bool:
        """Where XLA's last optimisations cost twice the time of compiling, and gain nothing: most of these functions run a few times."""
        return (jax.default_backend() if self.device is None else self.device.platform) == "cpu"


def _at(value: Any, axes: tuple[int, ...], place: Any) -> Any:
    """The unit's channels."""
    for axis in sorted(axes, reverse=True):
        value = jax.lax.dynamic_index_in_dim(value, place[axes.index(axis)], axis, keepdims=False)
    return value
