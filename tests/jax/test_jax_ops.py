"""Every translator, on functions of a few primitives: nothing missed, and nothing in excess where the field is said to be exact."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("jax")

from jax import lax
from tests.jax.one_op import ALL

import isopter as ip

BOUNDED = {
    "move-dynamic_slice_open", "index-chosen", "control-scan_long", "control-while_open", "control-cond_open",
    "control-fori_open", "control-while_of_items", "control-while_of_items_open", "mix-sort_by_constants",
}  # fmt: skip
"""Cases in which values decide what is read, or a loop is too long: with an issue that says so. All others are exact."""


@pytest.mark.parametrize("name", sorted(ALL))
def test_proved(name: str) -> None:
    function, shape = ALL[name]
    found = ip.analyze(function, shape)
    assert bool(found.issues) == (name in BOUNDED), found.issues
    assert (found["output"].exactness == "exact") == (name not in BOUNDED)
    proof = ip.verify(function, shape, units=8)
    assert proof.ok, proof


RESAMPLED = {
    "resize-nearest_up_2": "nearest-exact", "resize-linear_up_2": "linear", "resize-linear_up_odd": "linear", "resize-cubic_up_2": "cubic",
    "resize-linear_down_2": "linear", "resize-cubic_down_odd": "cubic", "move-repeat": "nearest",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(RESAMPLED))
def test_interpolation_is_one_op(name: str) -> None:
    """Products with matrices of weights, gathers and repeats are known again."""
    function, shape = ALL[name]
    kinds = [(op.kind, op.params.get("mode")) for op in ip.analyze(function, shape).graph.ops]
    assert ("resample", RESAMPLED[name]) in kinds
    assert not {"matmul", "transpose", "take"} & {kind for kind, _ in kinds}, kinds


PATTERNS = {
    "mix-softmax": "softmax", "mix-log_softmax": "softmax", "mix-layer_norm": "norm", "mix-instance_norm": "norm", "mix-rms_norm": "norm",
    "mix-norm_then_shift": "norm", "mix-norm_then_mean_off": "norm",
    "pool-average": "pool", "pool-average_same": "pool", "move-roll": "roll", "move-pad_reflect": "take",
    "conv-transposed": "conv_transpose",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_what_is_spelt_out_is_known_again(name: str) -> None:
    function, shape = ALL[name]
    kinds = [op.kind for op in ip.analyze(function, shape).graph.ops]
    assert set(kinds) == {"input", PATTERNS[name]}, kinds


@pytest.mark.parametrize("other", [
    lambda x, mean, factor: x * factor + mean * factor,  # not taken off, but added
    lambda x, mean, factor: x * factor - -mean * factor,
    lambda x, mean, factor: x * factor - mean * (factor * 2),  # another factor
    lambda x, mean, factor: x * factor - x.max(-1, keepdims=True) * factor,  # no mean
    lambda x, mean, factor: x * factor - x.mean(1, keepdims=True) * factor,  # over other axes
])  # fmt: skip
def test_what_only_looks_like_a_norm(other: Any) -> None:
    def function(x: Any) -> Any:
        mean = x.mean(-1, keepdims=True)
        return other(x, mean, lax.rsqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5))

    found = ip.analyze(function, (1, 4, 5, 3))
    assert [op.source for op in found.graph.ops][-1] != "layer_norm" and not ip.verify(function, (1, 4, 5, 3)).missed
