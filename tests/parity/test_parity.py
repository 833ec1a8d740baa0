"""One network written in four frameworks sees the same: sizes, regions, exact sets, context, whatever framework it is read from."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import isopter as ip
from isopter.fields.field import Field
from parity import torch_nets
from parity.sizes import SIZES

UNITS = 6
"""Units of each output whose exact sets are compared."""


def first(name: str) -> tuple[int, ...]:
    return (1, *SIZES[name])


def last(name: str) -> tuple[int, ...]:
    channels, *space = SIZES[name]
    return (1, *space, channels)


def _keras(name: str) -> Any:
    pytest.importorskip("keras")
    from parity import keras_nets

    return keras_nets.NETS[name]()


def _jax(name: str) -> Any:
    pytest.importorskip("jax")
    from parity import jax_nets

    return jax_nets.NETS[name]()


def _onnx(name: str) -> Any:
    pytest.importorskip("onnx")
    from parity import onnx_nets

    return onnx_nets.NETS[name]()


FRAMEWORKS: dict[str, tuple[Callable[[str], Any], Callable[[str], tuple[int, ...]]]] = {
    "keras": (_keras, last),
    "jax": (_jax, last),
    "onnx": (_onnx, first),
}


@cache
def reference(name: str) -> Field:
    analysis = ip.analyze(torch_nets.NETS[name]().eval(), first(name))
    return analysis[analysis.outputs[0]]


def test_every_architecture_is_written_in_every_framework() -> None:
    keras_nets, jax_nets, onnx_nets = (pytest.importorskip(f"parity.{f}_nets") for f in FRAMEWORKS)
    for nets in (torch_nets, keras_nets, jax_nets, onnx_nets):
        assert list(nets.NETS) == list(SIZES)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", SIZES)
def test_fields_are_equal(name: str, framework: str) -> None:
    write, size = FRAMEWORKS[framework]
    analysis = ip.analyze(write(name), size(name))
    ours, theirs = analysis[analysis.outputs[0]], reference(name)
    assert analysis.exact, [str(issue) for issue in analysis.issues]
    assert ours.input_shape == theirs.input_shape and ours.units == theirs.units
    for fact in ("size", "stride", "start", "sizes_by_phase", "basis", "context", "exactness", "density"):
        assert getattr(ours, fact) == getattr(theirs, fact), fact
    for context in (False, True) if theirs.context else (False,):
        for mine, other in zip(ours.regions(context=context), theirs.regions(context=context), strict=True):
            assert np.array_equal(mine, other)
        units = np.random.default_rng(0).choice(math.prod(ours.units), UNITS) if ours.units else [0]
        for unit in (np.unravel_index(at, ours.units) for at in units):
            place = tuple(int(i) for i in unit)
            a, b = ours.support(place, context=context), theirs.support(place, context=context)
            assert a.origin == b.origin and np.array_equal(a.mask, b.mask)
