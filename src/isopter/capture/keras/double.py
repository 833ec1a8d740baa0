"""Running a Keras model in double precision, whatever its layers compute in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras


@contextlib.contextmanager
def in_double(model: Any) -> Iterator[None]:
    """Let every layer of `model` compute in float64 and keep its variables as they are stored; its policies are not put back here.

    Quantized layers are left alone. With JAX, 64-bit numbers are allowed in this thread for the while.
    """
    for layer in model._flatten_layers():
        if layer.quantization_mode is None and keras.backend.is_float_dtype(layer.compute_dtype):
            policy = keras.DTypePolicy("float64")
            policy._variable_dtype = layer.variable_dtype
            layer._dtype_policy = policy
    with _wide():
        yield


def _wide() -> contextlib.AbstractContextManager[Any]:
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    from isopter.capture.keras.jax import wide

    return wide()
