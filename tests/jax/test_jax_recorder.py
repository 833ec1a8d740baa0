"""The recorder writes the jaxpr that JAX's own trace does, or leaves the trace to JAX."""

from __future__ import annotations

import gc
import weakref
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

import isopter as ip
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


@jax.custom_vjp
def swung(x: Any) -> Any:
    return jnp.tanh(x) * 2.0


swung.defvjp(lambda x: (swung(x), None), lambda _, g: (g,))


@jax.custom_jvp
def blurred(x: Any) -> Any:
    with jax.named_scope("inside"):
        return jnp.cumsum(x, 1) * x[:, :1] + 1


blurred.defjvp(lambda p, t: (blurred(*p), blurred(*t)))


@jax.custom_vjp
def kind_of(x: Any, n: Any) -> Any:
    return x * n if isinstance(n, int) else jnp.cumsum(x, 1)


kind_of.defvjp(lambda x, n: (kind_of(x, n), None), lambda _, g: (g, None))


def in_scopes(function: Any) -> Callable[[Any], Any]:
    def called(x: Any) -> Any:
        with jax.named_scope("a"), jax.named_scope("b"):
            return function(x) + x

    return called


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
    net(swung), net(blurred), net(lambda x: jax.vmap(blurred)(x[None])[0]), in_scopes(swung), in_scopes(blurred), lambda x: kind_of(x, 2),
    lambda x: jnp.logaddexp(x, 0.0), lambda x: jax.jit(swung)(x) * 2, lambda x: jax.vmap(swung)(x) * 2,
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


def test_measured_layers_are_those_of_the_analysis() -> None:
    """An activation of several operations is one op for both, so what is called by the same name is the same."""

    def window(x: Any) -> Any:
        return lax.conv_general_dilated(x, jnp.full((3, 3, 3), 0.3), (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))

    def function(x: Any) -> Any:
        return window(window(swung(window(x))) * jnp.array([1.0, 2.0, 3.0])) * 3.0

    layers = list(ip.analyze(function, (1, 20, 3)).graph.layers)
    assert layers[:4] == ["conv", "function", "conv_1", "mul"]
    found = ip.effective(function, "mul", (1, 20, 3), samples=2)["mul"]
    assert np.count_nonzero(found.map) == 5  # of `mul_1` it would be 7


@pytest.mark.parametrize("settings", [jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise")])
def test_settings_are_heeded(settings: Any) -> None:
    """Also by functions that were looked up without them before."""

    def function(x: Any) -> Any:
        return x * jnp.arange(3)

    to_graph(function, (1, 4, 3), None, False)
    with settings, pytest.raises(ip.IsopterError, match="promotion"):
        to_graph(function, (1, 4, 3), None, False)


def test_functions_that_users_make_are_not_looked_up() -> None:
    """What they do may change, and what they hold must not be kept."""

    class Factors:
        first = 2.0

    held = Factors()
    kept = weakref.ref(held)
    ufunc: Any = jnp.frompyfunc(lambda a, b, held=held: a * held.first + b, 2, 1)
    struct = jax.ShapeDtypeStruct((3, 3), np.float32)

    def function(x: Any) -> list[Any]:
        return [ufunc(x, x)]

    for factor in (2.0, 5.0):
        held.first = factor
        jax.clear_caches()  # JAX itself keeps them
        made = recorder.recorded(function, [struct])
        assert float(jax.core.eval_jaxpr(made.jaxpr, made.consts, np.ones((3, 3), np.float32))[0][0, 0]) == factor + 1
    held, ufunc, function, made = None, None, None, None  # type: ignore[assignment]
    jax.clear_caches()
    gc.collect()
    assert kept() is None


def test_callbacks_are_not_kept() -> None:
    class Weights:
        def __call__(self, x: Any) -> Any:
            return x

    held = Weights()
    kept = weakref.ref(held)
    to_graph(lambda x, held=held: jax.pure_callback(held, jax.ShapeDtypeStruct(x.shape, x.dtype), x) * 2, (1, 4, 3), None, False)
    del held
    jax.clear_caches()
    gc.collect()
    assert kept() is None


def test_values_that_are_computed_while_tracing_are_values(traces: list[Any]) -> None:
    """Libraries keep such tables from call to call: a value of a trace among them would break the next."""
    table: list[Any] = []

    def function(x: Any) -> Any:
        with jax.ensure_compile_time_eval():
            table.append(jnp.arange(3.0) * 2)
        return x * table[-1]

    to_graph(function, (1, 4, 3), None, False)
    assert isinstance(traces[-1], recorder.Unsuited)
    assert len(table) == 1 and not isinstance(table[0], jax.core.Tracer)


def test_functions_without_a_derivative_are_errors() -> None:
    with pytest.raises(ip.IsopterError, match="No VJP defined"):
        to_graph(jax.custom_vjp(lambda x: x * 2), (1, 4, 3), None, False)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_measured_functions_with_derivatives_may_close_over_arrays(dtype: str) -> None:
    weights = jnp.array([1.0, 2.0, 3.0])

    @jax.custom_vjp
    def scaled(x: Any) -> Any:
        return jnp.sign(x) * weights

    scaled.defvjp(lambda x: (scaled(x), None), lambda _, g: (g * weights,))
    maps = [
        ip.effective(lambda x, f=f: jnp.cumsum(f(x), 1), "output", (1, 8, 3), samples=2, dtype=dtype)["output"].map
        for f in (scaled, lambda x: x * weights)
    ]
    assert maps[0].any() and np.allclose(*maps, rtol=1e-5 if dtype == "float32" else 1e-12)


def test_inside_a_jit_of_the_user() -> None:
    """What the model closes over there has no numbers yet: it is a weight."""
    sizes = []

    @jax.jit
    def step(weight: Any) -> Any:
        sizes.append(ip.analyze(lambda x: lax.conv(x, weight, (1, 1), "VALID") * weight.sum(), (1, 2, 9, 9))["output"].size)
        return weight

    step(jnp.ones((4, 2, 3, 3)))
    assert sizes == [(3, 3)]
