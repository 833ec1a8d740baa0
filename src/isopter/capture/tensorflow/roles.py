"""Weights under which reads show: what the operands of ops are, and other numbers for them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from isopter.capture.static import probes
from isopter.capture.static.values import Array
from isopter.capture.tensorflow.flat import LOOPS, Flat
from isopter.capture.tensorflow.prepared import Operand
from isopter.graph import Shape

Known = Callable[[str], Array | None]
"""The numbers of a constant, by the name of its tensor; None for others."""

NORM: dict[int, probes.Role] = {1: "scale", 2: "zero", 3: "zero", 4: "one"}

ROLES: dict[str, dict[int, probes.Role]] = {
    "Conv2D": {1: "weight"},
    "Conv3D": {1: "weight"},
    "Conv": {1: "weight"},
    "DepthwiseConv2dNative": {1: "weight"},
    "Conv2DBackpropInput": {1: "weight"},
    "Conv3DBackpropInputV2": {1: "weight"},
    "MatMul": {0: "weight", 1: "weight"},
    "BatchMatMulV2": {0: "weight", 1: "weight"},
    "BatchMatMulV3": {0: "weight", 1: "weight"},
    "Einsum": {0: "weight", 1: "weight"},
    "BiasAdd": {1: "zero"},
    "FusedBatchNorm": NORM,
    "FusedBatchNormV2": NORM,
    "FusedBatchNormV3": NORM,
    "Mul": {0: "scale", 1: "scale"},
    "AddV2": {0: "zero", 1: "zero"},
    "Add": {0: "zero", 1: "zero"},
    "Sub": {1: "zero"},
    "RealDiv": {1: "scale"},
}
"""What an op's operands are that depend on no input."""

PER_CHANNEL = frozenset("Mul AddV2 Add Sub RealDiv".split())
"""Ops of which an operand is a scale or a shift only where it is one number per channel: the rest of a norm, written out."""

LOADED = 2**22


def roles(flat: Flat) -> Iterator[tuple[Operand, Any, probes.Role]]:
    """All operands of a graph that are weights, with their tensors."""
    moved = _moved(flat)
    for op in flat.graph.get_operations():
        if op.name not in moved:
            continue
        for position, tensor in enumerate(op.inputs):
            role = ROLES.get(op.type, {}).get(position)
            shape = tensor.shape
            if op.type in LOOPS and tensor.op.name in flat.held:
                role = "weight" if shape.rank and shape.rank > 1 else "zero"  # the kernels and biases of a recurrent net
            if role is None or tensor.op.name in moved or not shape.is_fully_defined() or not tensor.dtype.is_floating:
                continue
            if op.type not in PER_CHANNEL or sum(n > 1 for n in shape) == 1:
                yield (op.name, position), tensor, role


def _moved(flat: Flat) -> set[str]:
    """The names of the ops that an input changes."""
    found = set(flat.inputs)
    for op in flat.graph.get_operations():
        if any(t.op.name in found for t in op.inputs):
            found.add(op.name)
    return found


def draw(flat: Flat, known: Known, seed: int, signed: bool) -> dict[Operand, Array]:
    """Weights that average their inputs, biases of zero, norms at rest. A tensor with several uses gets the same numbers in all."""
    made: dict[Operand, Array] = {}
    for operand, tensor, role in roles(flat):
        shape = tuple(tensor.shape.as_list())
        own = known(tensor.name) if math.prod(shape) <= LOADED else None
        kind = flat.graph.get_operation_by_name(operand[0]).type
        if own is not None and kind in PER_CHANNEL and not (np.isfinite(own).all() and np.abs(own).max(initial=0) < 50):
            continue  # a mask
        random = np.random.default_rng([seed, zlib.crc32(tensor.name.encode())])
        drawn = probes.drawn(random, role, shape, signed, fan_in=_fan_in(kind, shape, operand, flat), known=own)
        made[operand] = drawn * (own != 0) if own is not None and role == "scale" and own.any() else drawn
    return made


def _fan_in(kind: str, shape: Shape, operand: Operand, flat: Flat) -> float:
    """How many numbers a weight is summed with."""
    if kind.startswith("Depthwise"):
        return float(math.prod(shape[:-2]))
    if kind.endswith(("BackpropInput", "BackpropInputV2")):
        return float(math.prod(shape[:-2]) * shape[-1])
    if kind.startswith("Conv"):
        return float(math.prod(shape[:-1]))
    return float(max((*shape[-2:], 1)))
