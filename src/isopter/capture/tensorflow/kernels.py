"""Which types the ops of a graph take and give, and for which of them there is a kernel on the CPU."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf  # type: ignore[import-untyped]

from isopter.capture.tensorflow import api

WIDE = {tf.float16: tf.float64, tf.bfloat16: tf.float64, tf.float32: tf.float64, tf.complex64: tf.complex128}
"""What a type becomes in double precision."""


def widened(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of an op with every type of single precision made double."""
    found = {}
    for name, value in attributes.items():
        copied = type(value).FromString(value.SerializeToString())
        if copied.HasField("type"):
            copied.type = _wide(copied.type)
        elif copied.HasField("list") and copied.list.type:
            copied.list.type[:] = [_wide(t) for t in copied.list.type]
        found[name] = copied
    return found


def _wide(code: int) -> int:
    dtype = tf.as_dtype(code)
    return int(WIDE.get(dtype, dtype).as_datatype_enum)


def types_of(arguments: Sequence[Any], attributes: Mapping[str, Any]) -> list[Any]:
    """The dtype of every tensor of an op's inputs, or of its results, by its definition and attributes."""
    types: list[Any] = []
    for argument in arguments:
        if argument.type_list_attr:
            types += [tf.as_dtype(t) for t in attributes[argument.type_list_attr].list.type]
            continue
        one = tf.as_dtype(attributes[argument.type_attr].type if argument.type_attr else argument.type)
        types += [one] * (attributes[argument.number_attr].i if argument.number_attr else 1)
    return types


def runs(kind: str, attributes: Mapping[str, Any]) -> bool:
    """Whether there is a kernel on the CPU for an op with these types."""
    types = tuple(sorted((n, a.type) for n, a in attributes.items() if a.HasField("type")))
    return _runs(kind, types)


@functools.cache
def _runs(kind: str, types: tuple[tuple[str, int], ...]) -> bool:
    given = dict(types)
    for kernel in api.kernels_of(kind):
        asked = {c.name: list(c.allowed_values.list.type) for c in kernel.constraint if c.allowed_values.list.type}
        if kernel.device_type in ("CPU", "DEFAULT") and all(given.get(n) in allowed for n, allowed in asked.items() if n in given):
            return True
    return False
