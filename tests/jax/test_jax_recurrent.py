"""Scans over time: one recurrent op where step t sees all of the steps before it, written out where it does not; proved either way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402

import isopter as ip  # noqa: E402

STEPS, BATCH, WIDTH = 7, 1, 3
RANDOM = np.random.default_rng(0)
IN, BACK = (jnp.asarray(0.1 + 0.1 * RANDOM.random((WIDTH, WIDTH)), jnp.float32) for _ in range(2))
NONE = jnp.zeros((BATCH, WIDTH))

Step = Callable[[Any, Any], tuple[Any, Any]]


def plain(h: Any, x: Any) -> tuple[Any, Any]:
    h = jnp.tanh(h @ BACK + x @ IN)
    return h, h


def before(h: Any, x: Any) -> tuple[Any, Any]:
    """What a step returns is the state before it."""
    return plain(h, x)[0], h


def by_channel(h: Any, x: Any) -> tuple[Any, Any]:
    """A channel reads this step in itself alone, and all channels of the steps before."""
    h = jnp.tanh(h @ BACK + x)
    return h, h


def forgetful(h: Any, x: Any) -> tuple[Any, Any]:
    """Reads this step and the one before."""
    return x, h @ BACK + x @ IN


def counting(state: Any, x: Any) -> tuple[Any, Any]:
    """What comes after the third step is not read."""
    h, count = state
    h = jnp.tanh(h @ BACK + jnp.where(count < 3, x, 0.0) @ IN)
    return (h, count + 1), h


def over_time(step: Step, first: Any = NONE, **options: Any) -> Callable[[Any], Any]:
    return lambda x: jax.lax.scan(step, first, x, **options)[1]


def two_states(x: Any) -> Any:
    """A long short-term memory, in short."""

    def step(state: Any, x: Any) -> tuple[Any, Any]:
        h, c = state
        mixed = jax.nn.sigmoid(h @ BACK + x @ IN)
        c = mixed * c + mixed
        h = mixed * jnp.tanh(c)
        return (h, c), h

    (_, c), rows = jax.lax.scan(step, (NONE, NONE), x)
    return rows + c


def decoder(x: Any) -> Any:
    """The first state is data."""
    return over_time(plain, x[0])(x)


def drawn(x: Any) -> Any:
    """Every step draws numbers of its own, which are weights."""
    keys = jax.random.split(jax.random.key(0), STEPS)

    def step(h: Any, given: Any) -> tuple[Any, Any]:
        row, key = given
        return plain(h, row * jax.random.uniform(key, row.shape, minval=0.5))

    return jax.lax.scan(step, NONE, (x, keys))[1]


def masked(x: Any) -> Any:
    """Only even steps are taken in; a constant says so."""

    def step(h: Any, given: Any) -> tuple[Any, Any]:
        row, taken = given
        h = jnp.where(taken, plain(h, row)[0], h)
        return h, h

    return jax.lax.scan(step, NONE, (x, jnp.arange(STEPS) % 2 == 0))[1]


RECURRENT = {
    "plain": over_time(plain),
    "backwards": over_time(plain, reverse=True),
    "unrolled in part": over_time(plain, unroll=2),
    "two states": two_states,
    "decoder": decoder,
    "drawn": drawn,
}
WRITTEN_OUT = {
    "before": over_time(before),
    "by channel": over_time(by_channel),
    "forgetful": over_time(forgetful),
    "counting": over_time(counting, (NONE, 0)),
    "masked": masked,
}


def flooded(function: Callable[[Any], Any]) -> np.ndarray:
    """Which steps each step of the result changes with, (steps, steps), by derivatives at a random place."""
    found = jax.jacfwd(function)(jnp.asarray(RANDOM.standard_normal((STEPS, BATCH, WIDTH)), jnp.float32))
    return np.asarray(found != 0).any(axis=(1, 2, 4, 5))


@pytest.mark.parametrize("name", [*RECURRENT, *WRITTEN_OUT])
def test_scans_read_what_derivatives_say(name: str) -> None:
    function = {**RECURRENT, **WRITTEN_OUT}[name]
    a = ip.analyze(function, (STEPS, BATCH, WIDTH), axes=(0,))
    assert ("recurrent" in [op.kind for op in a.graph.ops]) == (name in RECURRENT)
    assert not a.issues
    seen = flooded(function)
    field = a[a.outputs[0]]
    if field.units == (STEPS,):
        assert (np.stack([field.support((t,)).mask.nonzero()[0].size for t in range(STEPS)]) == seen.sum(axis=1)).all()
        assert all(field.region((t,)).lo[0] == row.nonzero()[0].min() for t, row in enumerate(seen) if row.any())
    found = ip.verify(function, (STEPS, BATCH, WIDTH), axes=(0,), units=STEPS)
    assert found.checked and not found.missed and not found.excess


@pytest.mark.parametrize("name", RECURRENT)
def test_every_feature_is_read(name: str) -> None:
    """With features as a second axis of space: a recurrent op says that all are read, and they are."""
    found = ip.verify(RECURRENT[name], (STEPS, BATCH, WIDTH), axes=(0, 2), units=STEPS * WIDTH)
    assert found.checked and not found.missed and not found.excess


def test_a_long_scan_is_few_ops() -> None:
    a = ip.analyze(over_time(plain), (5000, BATCH, WIDTH), axes=(0,))
    assert len(a.graph.ops) < 10
    field = a[a.outputs[0]]
    assert field.units == (5000,)
    for t in (0, 1, 2500, 4999):
        assert field.region((t,)).lo == (0,) and field.region((t,)).hi == (t + 1,)
