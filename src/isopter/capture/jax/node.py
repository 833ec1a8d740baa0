"""One equation of a jaxpr as a translator sees it, and the tape on which translators write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isopter.capture.static import node as static
from isopter.capture.static.builder import Builder
from isopter.capture.static.values import Const, Data, Value, Weight
from isopter.graph import Shape


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of an op as a function: it maps each position of op `root` by the functions `trail`, or, with `axes`, is such a map
    reduced over these axes of the root and mapped on.

    `dims` (with `axes`): for each axis of the op, the axis of the root it runs along; None for a new one. `of`: the op that was reduced.
    `grouped`: axis and count of groups of channels, each of which was reduced as well.
    """

    root: int
    trail: tuple[str, ...] = ()
    axes: tuple[int, ...] | None = None
    dims: tuple[int | None, ...] = ()
    of: int = -1
    grouped: tuple[int, int] | None = None


class Tape(Builder):
    """Ops so far, and what patterns (a softmax, a norm) need to know of them.

    `values`: the data of ops of which entries are known. `shifted`: data from which weights were subtracted, without an op. `factors`: what
    tensors and means were multiplied with in a norm, by the op that was made.
    """

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[int, Data] = {}
        self.facts: dict[int, Fact] = {}
        self.shifted: set[Data] = set()
        self.factors: dict[int, int] = {}

    def value_of(self, op: int) -> Data:
        """The data of an op, with the entries that are known of it."""
        return self.values.get(op) or Data(op)


@dataclass(frozen=True, slots=True)
class Holed(Weight):
    """A weight that is 0 where a constant is, as the filters of masked convolutions are."""

    mask: Const


def held_in(value: Value) -> Const | None:
    """A constant that is 0 where a constant, or a weight, is known to be; None where nothing is known."""
    known = value.mask if isinstance(value, Holed) else value
    return known if isinstance(known, Const) else None


def holes_of(value: Value) -> np.ndarray | None:
    """The numbers of `held_in`."""
    known = held_in(value)
    return None if known is None else known.load()


@dataclass(frozen=True, eq=False, slots=True)
class Node(static.Node):
    """`op` is a primitive; all shapes are known."""

    inputs: tuple[Value, ...]
    shapes: tuple[Shape, ...]
    outs: tuple[Shape, ...]
    params: Mapping[str, Any]
    eqn: Any

    def const(self, position: int) -> np.ndarray | None:
        """The numbers of a constant input, else None."""
        value = self.inputs[position]
        return value.load() if isinstance(value, Const) else None
