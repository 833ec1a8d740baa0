"""Every translator, on functions of a few primitives: nothing missed, and nothing in excess where the field is said to be exact."""

from __future__ import annotations

import pytest

pytest.importorskip("jax")

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
    "pool-average": "pool", "pool-average_same": "pool", "move-roll": "roll", "move-pad_reflect": "take",
    "conv-transposed": "conv_transpose",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_what_is_spelt_out_is_known_again(name: str) -> None:
    function, shape = ALL[name]
    kinds = [op.kind for op in ip.analyze(function, shape).graph.ops]
    assert set(kinds) == {"input", PATTERNS[name]}, kinds
