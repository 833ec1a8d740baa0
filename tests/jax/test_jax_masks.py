"""Masks that later constants take back hide nothing."""

from __future__ import annotations

import numpy as np
import pytest

import isopter as ip

jax = pytest.importorskip("jax")
jnp = jax.numpy

MASK = np.triu(np.full((6, 6), -60.0, np.float32), 1)


@pytest.mark.parametrize("back", [lambda s: s + MASK - MASK, lambda s: s + MASK + (-MASK), lambda s: (s - -MASK) - MASK])
def test_a_finite_mask_can_be_taken_back(back: object) -> None:
    def net(x: object) -> object:
        scores = back(jnp.einsum("bic,bjc->bij", x, x))  # type: ignore[operator]
        return jax.nn.softmax(scores) @ x

    a = ip.analyze(net, (1, 6, 4), axes=(1,))
    assert a[a.outputs[0]].region((0,), context=True).hi == (6,)  # the first reads the last


def test_it_hides_where_it_stays() -> None:
    a = ip.analyze(lambda x: jax.nn.softmax(jnp.einsum("bic,bjc->bij", x, x) + MASK) @ x, (1, 6, 4), axes=(1,))
    assert a[a.outputs[0]].region((0,), context=True).hi == (1,)
