"""The recorder writes the jaxpr that JAX's own trace does, or leaves the trace to JAX."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flax")
pytest.importorskip("equinox")

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.extend.core.primitives import convert_element_type_p as convert
from tests.jax import nets_equinox, nets_lax, nets_linen, nets_nnx
from tests.jax.one_op import ALL

from isopter.capture.dispatch import to_graph
from isopter.capture.jax import recorder
from isopter.graph import Graph

NETWORKS = {
    "se_resnet": lambda: (nets_lax.se_resnet, (1, 96, 96, 3)),
    "unet_bilinear": lambda: (nets_lax.unet_bilinear, (1, 64, 64, 3)),
    "wavenet": lambda: (nets_lax.wavenet, (1, 500, 1)),
    "nnx": lambda: (nnx.eval_shape(nets_nnx.resnet18), (1, 64, 64, 3)),
    "linen": lambda: (nets_linen.resnet18(), (1, 64, 64, 3)),
    "equinox": lambda: (eqx.filter_eval_shape(nets_equinox.resnet18), (3, 64, 64)),
}  # fmt: skip


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the recorder returned or raised so far."""
    made: list[Any] = []
    original = recorder.recorded

    def recorded(*args: Any) -> Any:
        try:
            made.append(original(*args))
        except Exception as error:
            made.append(error)
            raise
        return made[-1]

    monkeypatch.setattr(recorder, "recorded", recorded)
    yield made


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on JAX traces."""

    def unsuited(*args: Any) -> Any:
        raise recorder.Unsuited("a test")

    monkeypatch.setattr(recorder, "recorded", unsuited)


def plain(x: Any) -> Any:
    """Without arrays, whose `==` is no answer."""
    if isinstance(x, np.ndarray):
        return x.shape, x.tobytes()
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    return tuple(map(plain, x)) if isinstance(x, tuple | list) else x


def said(graph: Graph) -> Any:
    ops = [(op.name, op.kind, op.shape, op.inputs, op.module, op.source, plain(op.params)) for op in graph.ops]
    return ops, graph.outputs, dict(graph.layers), dict(graph.input_names), graph.issues, set(graph.calls)


def both(model: Any, size: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    ours = said(to_graph(model, size, None, False)[0])
    without(monkeypatch)
    return ours, said(to_graph(model, size, None, False)[0])


@pytest.mark.parametrize("name", ALL)
def test_ops_are_those_of_jax(name: str, traces: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    function, shape = ALL[name]
    ours, theirs = both(function, shape, monkeypatch)
    assert not isinstance(traces[-1], Exception), traces[-1]
    assert ours == theirs


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_those_of_jax(name: str, traces: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, size = NETWORKS[name]()
    ours, theirs = both(model, size, monkeypatch)
    assert not isinstance(traces[-1], Exception), traces[-1]
    assert ours == theirs


def net(activation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: activation(x * 2) + x


@jax.custom_vjp
def straight(x: Any) -> Any:
    return jnp.sign(x)


straight.defvjp(lambda x: (jnp.sign(x), None), lambda _, g: (g,))


@pytest.mark.parametrize("function", [
    lambda x: x @ jnp.ones((3, 5)) / 3.0 - 1,
    lambda x: 2 * x + x * x - (x - x) / (1 + x),
    lambda x: x * np.float32(2) + np.ones((3,), np.float32) * x,
    lambda x: x * -0.0 + x * 0.0 + True * x,
    lambda x: jnp.ones(3) @ jnp.swapaxes(x, 1, 2),
    lambda x: lax.scan(lambda c, r: (c + x * x + r * x[0, 0], None), x, jnp.ones((3, 3)))[0],
    lambda x: lax.cond(x.sum() > 0, lambda: x * x, lambda: x + x),
    lambda x: jax.vmap(lambda row: row * x[0, 0] + row * row)(x[0]),
    lambda x: jax.grad(lambda y: (y * y * x).sum())(x),
    lambda x: jax.jvp(jax.nn.relu, (x,), (x * 2,))[1],
    lambda x: jax.checkpoint(lambda y: y * y + x)(x),
    lambda x: jax.random.uniform(jax.random.key(0), (3,)) * x,
    lambda x: jax.jit(lambda y: jax.nn.relu(y) * y)(x),
    lambda x: (x, {"a": x + 1, "b": [x * x]}),
    net(jax.nn.relu), net(straight), net(jax.jit(straight)), net(jax.nn.gelu), net(jax.nn.softmax),
])  # fmt: skip
def test_ways_of_writing(function: Any, traces: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators, closed-over values in inner traces, derivatives: the same graph."""
    ours, theirs = both(function, (1, 4, 3), monkeypatch)
    assert not isinstance(traces[-1], Exception), traces[-1]
    assert ours == theirs


def test_equations_are_those_of_jax() -> None:
    """One by one, with their types, but for numbers, whose type JAX changes while it traces."""

    def function(x: Any) -> list[Any]:
        for k in range(3):
            x = (x - jnp.ones(3)) * jnp.full(3, k) + x @ jnp.ones((3, 3))
        return [lax.sin(x)]

    struct = jax.ShapeDtypeStruct((2, 3), np.float32)
    ours, theirs = (
        [(e.primitive, e.params, [v.aval for v in (*e.invars, *e.outvars)]) for e in made.jaxpr.eqns if e.primitive is not convert]
        for made in (recorder.recorded(function, [struct]), jax.make_jaxpr(function)(struct))
    )
    assert ours == theirs and len(ours) > 12


def test_an_operator_is_looked_up_by_types() -> None:
    """Of whole and real numbers, of one and more axes: nothing is taken for another."""

    def function(x: Any, n: Any) -> list[Any]:
        return [x * n, n * n, x * x, x[0] * x, x * n[0, 0], n * x, x * jnp.ones((2, 3), jnp.bfloat16), n / n]

    structs = [jax.ShapeDtypeStruct((2, 3), np.float32), jax.ShapeDtypeStruct((2, 3), np.int32)]
    ours, theirs = recorder.recorded(function, structs), jax.make_jaxpr(function)(*structs)
    assert [v.aval for v in ours.jaxpr.outvars] == [v.aval for v in theirs.jaxpr.outvars]


def test_effects_are_left_to_jax(traces: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def function(x: Any) -> Any:
        jax.debug.print("{}", x.sum())
        return x[:, 1:]

    ours, theirs = both(function, (1, 4, 3), monkeypatch)
    assert isinstance(traces[-1], recorder.Unsuited) and ours == theirs


def test_errors_are_said_by_jax() -> None:
    with pytest.raises(Exception, match="traced array with shape bool"):
        to_graph(lambda x: x if x.sum() > 0 else -x, (1, 4, 3), None, False)


def test_nothing_is_left_behind() -> None:
    """After a trace, and after one that fails, JAX is as it was."""
    before = jax.custom_jvp.__call__, jax.custom_vjp.__call__
    to_graph(net(jax.nn.relu), (1, 4, 3), None, False)
    with pytest.raises(Exception, match="boolean"):
        to_graph(lambda x: x if x.sum() > 0 else -x, (1, 4, 3), None, False)
    assert (jax.custom_jvp.__call__, jax.custom_vjp.__call__) == before
    assert float(jax.grad(jax.nn.relu)(0.0)) == 0.0 and float(jnp.ones(()) + 1) == 2.0
