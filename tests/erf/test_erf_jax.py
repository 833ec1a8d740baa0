"""`effective` on functions and modules of JAX: the maps that the same network has in PyTorch, and errors that say what is wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("jax")

import jax
import jax.numpy as jnp
from jax import lax
from twins import NETWORKS, PLAIN, STRIDED, Torch, close, jax_net

import isopter as ip
from isopter.erf.jax.program import JaxProgram
from isopter.erf.jax.values import At, Values

SIZES = {"NHWC": (1, 24, 32, 3), "NCHW": (1, 3, 24, 32)}


def conv(x: Any, w: Any) -> Any:
    """Channels last, without padding."""
    return lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def kernel(*shape: int, seed: int = 0) -> Any:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape) / np.prod(shape[:-1]) ** 0.5, jnp.float32)


@functools.cache
def by_torch(name: str) -> Any:
    return ip.effective(Torch(NETWORKS[name]), LAYERS[name], (1, 3, 24, 32), samples=5, seed=3)


LAYERS = {"plain": ["3"], "strided": ["4"], "unet": ["8"]}


@pytest.mark.parametrize("order", ["NHWC", "NCHW"])
@pytest.mark.parametrize("name", NETWORKS)
def test_maps_are_those_of_pytorch(name: str, order: str) -> None:
    """The same seed, weights and layers: the same noise, signs and map, wherever the channels are."""
    layers, twin = LAYERS[name], by_torch(name)
    found = ip.effective(jax_net(NETWORKS[name], order), layers, SIZES[order], samples=5, seed=3, dtype="float64", batch=1)
    for layer in layers:
        assert close(found[layer].map, twin[layer].map), layer
        assert close(found[layer].stderr, twin[layer].stderr)
        assert (found[layer].origin, found[layer].size, found[layer].notes) == (twin[layer].origin, twin[layer].size, twin[layer].notes)


def test_single_precision() -> None:
    """To the precision of the numbers; and a network whose own numbers are double runs in those."""
    found = ip.effective(jax_net(PLAIN), "3", SIZES["NHWC"], samples=5, seed=3, batch=1)["3"]
    assert close(found.map, by_torch("plain")["3"].map, 1e-5) and not close(found.map, by_torch("plain")["3"].map)


@pytest.mark.parametrize("options", [{"unit": "interior"}, {"crop": False, "batch": 2}], ids=str)
def test_data(options: dict[str, Any]) -> None:
    """Arrays of NumPy and of JAX, wherever they are cut."""
    data = np.random.default_rng(1).standard_normal((3, 26, 32, 3)).astype(np.float32)
    twin = ip.effective(Torch(STRIDED), "2", (1, 3, 24, 32), data=data.transpose(0, 3, 1, 2), samples=3, **options)["2"]
    for form in (data, jnp.asarray(data)):
        found = ip.effective(jax_net(STRIDED), "2", SIZES["NHWC"], data=form, samples=3, dtype="float64", **options)["2"]
        assert close(found.map, twin.map) and found.clipped == twin.clipped


@pytest.mark.parametrize("statistic", ["abs", "relu"])
@pytest.mark.parametrize("target", ["sum", "positive"])
def test_targets_and_statistics(target: Any, statistic: Any) -> None:
    options: dict[str, Any] = {"samples": 3, "crop": False, "target": target, "statistic": statistic}
    twin = ip.effective(Torch(STRIDED), "3", (1, 3, 24, 32), **options)["3"]
    assert close(ip.effective(jax_net(STRIDED), "3", SIZES["NHWC"], dtype="float64", **options)["3"].map, twin.map)


def test_batches_change_nothing() -> None:
    one, three = (ip.effective(jax_net(PLAIN), ["1", "3"], SIZES["NHWC"], samples=7, crop=False, batch=b) for b in (1, 3))
    assert all(close(three[name].map, one[name].map, 1e-5) for name in one)


# ---- activations -----------------------------------------------------------------------------------------------------------

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": jax.nn.relu, "relu6": jax.nn.relu6, "silu": jax.nn.silu, "gelu": jax.nn.gelu, "exact gelu": lambda x: jax.nn.gelu(x, False),
    "elu": jax.nn.elu, "selu": jax.nn.selu, "leaky": jax.nn.leaky_relu, "hard swish": jax.nn.hard_swish, "tanh": jnp.tanh,
    "hard tanh": jax.nn.hard_tanh, "softplus": jax.nn.softplus, "sigmoid": jax.nn.sigmoid, "by hand": lambda x: x * (1 / (1 + jnp.exp(-x))),
    "clip": lambda x: jnp.clip(x, -1, 1), "where": lambda x: jnp.where(x > 0, x, 0), "mish": jax.nn.mish,
}  # fmt: skip


def before(net: Callable[[Any], Any]) -> tuple[str | None, list[str]]:
    """The key of the value before the activation that ends a network, and the keys of what its convolutions return."""
    closed = jax.make_jaxpr(net)(jax.ShapeDtypeStruct((1, 9, 9, 3), jnp.float32))
    values = Values(closed, [0])
    key = values.key(At((), closed.jaxpr.outvars[0]))
    assert key is not None
    program = JaxProgram(closed, [], 0, {}, "float32", None)
    return program.before(key), [f"{k}:0" for k, eqn in enumerate(closed.jaxpr.eqns) if "conv" in eqn.primitive.name]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_begins_where_the_convolution_ends(name: str) -> None:
    w = kernel(3, 3, 3, 4)
    found, convs = before(lambda x: ACTIVATIONS[name](conv(x, w)))
    assert [found] == convs
    inside, convs = before(jax.jit(lambda x: jax.jit(ACTIVATIONS[name])(conv(x, w))))
    assert inside is not None and inside.startswith("0/") and not convs


@pytest.mark.parametrize("last", [
    lambda x: x + jax.nn.relu(x[..., ::-1]), lambda x: x * jax.nn.sigmoid(x.mean((1, 2), keepdims=True)), lambda x: 2 * x + 1, lambda x: x,
    lambda x: x * jnp.arange(1.0, 5.0), lambda x: x[..., :2] * jax.nn.sigmoid(x[..., 2:]), jax.nn.softmax,
    lambda x: jax.nn.relu(x) @ jnp.ones((4, 2)),
], ids=["sum", "gate", "line", "nothing", "scale", "glu", "softmax", "product"])  # fmt: skip
def test_what_is_no_activation_is_not_bypassed(last: Callable[[Any], Any]) -> None:
    w = kernel(3, 3, 3, 4)
    assert before(lambda x: last(conv(x, w)))[0] is None


@pytest.mark.parametrize("name", ["hard swish", "relu6"])
def test_gradient_is_taken_before_the_activation(name: str) -> None:
    """The layer with its activation gives what the convolution alone gives, and says so."""
    w, options = kernel(3, 3, 3, 1), {"samples": 3, "data": np.random.default_rng(1).standard_normal((3, 9, 9, 3)), "crop": False}
    found = ip.effective(lambda x: ACTIVATIONS[name](conv(x, w)), "output", (1, 9, 9, 3), dtype="float64", **options)["output"]
    plain = ip.effective(lambda x: conv(x, w), "output", (1, 9, 9, 3), dtype="float64", **options)["output"]
    assert close(found.map, plain.map, 1e-12)
    assert any("before the activation" in note for note in found.notes) and not plain.notes


def test_a_relu_has_no_gradient_at_zero() -> None:
    """In a black region without biases all values are 0; the derivative of a maximum would be one half there."""
    w, v, data = kernel(3, 3, 1, 4), kernel(3, 3, 4, 2, seed=1), np.zeros((2, 9, 9, 1), np.float32)
    with pytest.raises(ip.UsageError, match="No gradient but zero"):
        ip.effective(lambda x: conv(jax.nn.relu(conv(x, w)), v), None, (1, 9, 9, 1), data=data, samples=2, crop=False)


# ---- theory ----------------------------------------------------------------------------------------------------------------


def test_measured_energy_is_the_expected_one() -> None:
    """Of random weights, many channels: within three errors, and what one draw of the weights adds."""
    ws = [kernel(3, 3, a, b, seed=k) * 2**0.5 for k, (a, b) in enumerate([(3, 48), (48, 48), (48, 48)])]

    def net(x: Any) -> Any:
        for w in ws:
            x = jax.nn.relu(conv(x, w))
        return x

    prior = ip.analyze(net, (1, 24, 24, 3))["output"].expected()
    found = ip.effective(net, "output", (1, 24, 24, 3), samples=64)["output"]
    for sigma, expected in zip(found.sigma, prior.sigma, strict=True):
        assert abs(sigma - expected) < 3 * sigma.stderr + 0.03 * expected  # type: ignore[attr-defined]
    assert found.against(prior).overlap > 0.9


# ---- modules ---------------------------------------------------------------------------------------------------------------


def test_nnx_module() -> None:
    """By the paths of modules; left as it was found, in its mode."""
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):  # type: ignore[name-defined, misc]
        def __init__(self, rngs: Any) -> None:
            self.first = nnx.Conv(3, 4, (3, 3), rngs=rngs)
            self.norm = nnx.BatchNorm(4, rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)
            self.second = nnx.Conv(4, 2, (3, 3), strides=2, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.second(self.drop(jax.nn.relu(self.norm(self.first(x)))))

    net = Net(nnx.Rngs(0))
    before = jax.tree.leaves(nnx.state(net))
    found = ip.effective(net, ["first", "second"], (1, 16, 16, 3), samples=2, batch=1)
    assert [f.size for f in found.values()] == [(3, 3), (5, 5)]
    assert all(a is b for a, b in zip(before, jax.tree.leaves(nnx.state(net)), strict=True)) and not net.drop.deterministic
    kernel_ = np.asarray(net.first.kernel[...])
    whole = ip.effective(net, "first", (1, 16, 16, 3), samples=2, target="sum")["first"]
    np.testing.assert_allclose(whole.map, (kernel_.sum(-1) ** 2).sum(-1), rtol=1e-4)


def test_linen_module() -> None:
    linen = pytest.importorskip("flax.linen")

    class Net(linen.Module):  # type: ignore[name-defined, misc]
        @linen.compact
        def __call__(self, x: Any) -> Any:
            y = linen.relu(linen.Conv(4, (3, 3))(x))
            return linen.Conv(2, (3, 3), strides=2)(y)

    variables = Net().init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    found = ip.effective(Net().bind(variables), "Conv_0", (1, 16, 16, 3), samples=2, target="sum")["Conv_0"]
    kernel_ = np.asarray(variables["params"]["Conv_0"]["kernel"])
    np.testing.assert_allclose(found.map, (kernel_.sum(-1) ** 2).sum(-1), rtol=1e-4)
    with pytest.raises(ip.UsageError, match="Net has no weights yet"):
        ip.effective(Net(), "Conv_0", (1, 16, 16, 3), samples=2)


def test_shapes_in_place_of_weights() -> None:
    nnx = pytest.importorskip("flax.nnx")
    model = nnx.eval_shape(lambda: nnx.Conv(3, 4, (3, 3), rngs=nnx.Rngs(0)))
    analysis = ip.analyze(model, (1, 9, 9, 3))
    for ask in (lambda: ip.effective(model, "output", (1, 9, 9, 3)), lambda: analysis["output"].expected(model=model)):
        with pytest.raises(ip.UsageError, match="shapes in place of weights"):
            ask()


def test_equinox_module_without_a_batch() -> None:
    """One image is one input: channels first, and no batch in front of them."""
    eqx = pytest.importorskip("equinox")
    net = eqx.nn.Sequential(
        [eqx.nn.Conv2d(3, 4, 3, key=jax.random.key(0)), eqx.nn.Lambda(jax.nn.relu), eqx.nn.Conv2d(4, 2, 3, key=jax.random.key(1))]
    )
    data = np.random.default_rng(0).standard_normal((4, 3, 16, 18)).astype(np.float32)
    found = ip.effective(net, None, (3, 16, 18), data=data, samples=4, batch=1)
    (field,) = found.values()
    assert field.map.shape == field.size == (5, 5) and field.samples == 4
    both = torch.nn.Sequential(*[torch.nn.Conv2d(*net[k].weight.shape[1::-1], 3) for k in (0, 2)]).eval()
    for ours, theirs in zip(both, (net[0], net[2]), strict=True):
        ours.weight.data, ours.bias.data = (torch.from_numpy(np.array(a)) for a in (theirs.weight, theirs.bias[:, 0, 0]))
    both.insert(1, torch.nn.ReLU())
    twin = ip.effective(both, "2", (1, 3, 16, 18), data=data, samples=4, target="sum", crop=False)["2"]
    (summed,) = ip.effective(net, None, (3, 16, 18), data=data, samples=4, target="sum", crop=False).values()
    assert close(summed.map, twin.map, 1e-5)


@jax.custom_vjp
def straight(x: Any) -> Any:
    return jnp.sign(x)


straight.defvjp(lambda x: (jnp.sign(x), None), lambda _, g: (g,))


@jax.custom_jvp
def forward(x: Any) -> Any:
    return jnp.sign(x)


@forward.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return jnp.sign(primals[0]), tangents[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("estimator", [straight, forward, jax.jit(straight)])
def test_functions_keep_their_own_derivatives(estimator: Any, dtype: str) -> None:
    """A straight-through estimator passes gradients on, though its function has none: the map is that of the network without it."""
    first, second = kernel(3, 3, 3, 4), kernel(3, 3, 4, 2, seed=1)

    def net(between: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: conv(between(conv(x, first)), second)

    found, plain = (ip.effective(net(f), "output", (1, 12, 12, 3), samples=4, dtype=dtype)["output"] for f in (estimator, lambda x: x))
    assert plain.map.any() and close(found.map, plain.map, 1e-5 if dtype == "float32" else 1e-12)


# ---- errors ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "size", "says"), [
    (lambda x: jnp.argmax(conv(x, kernel(3, 3, 3, 2)), -1), (1, 9, 9, 3), "has no gradient: its numbers are int32"),
    (lambda x: conv(x, 0 * kernel(3, 3, 3, 2)), (1, 9, 9, 3), "No gradient but zero reached the input"),
    (lambda x: lax.stop_gradient(conv(x, kernel(3, 3, 3, 2))), (1, 9, 9, 3), "No gradient but zero reached the input"),
    (lambda x: conv(jnp.sqrt(x), kernel(3, 3, 3, 2)), (1, 9, 9, 3), r"gradient of output by sample 0 is not finite.*float64"),
    (lambda x: conv(x, kernel(3, 3, 3, 2)), (2, 9, 9, 3), "has a batch of 2"),
    (lambda x: conv(x, kernel(3, 3, 3, 2)), None, "input_size"),
])  # fmt: skip
def test_errors(model: Any, size: Any, says: str) -> None:
    with pytest.raises(ip.UsageError, match=says):
        ip.effective(model, "output", size, samples=2)


@pytest.mark.parametrize(("options", "says"), [
    ({"dtype": "float16"}, "dtype='float16' must be one of float64, float32"), ({"device": "tpu"}, "device='tpu' cannot be used"),
    ({"data": np.zeros((2, 3, 24, 32), np.float32)}, r"Its channels seem to be first: np.moveaxis\(x, -3, -1\)"),
    ({"data": np.zeros((2, 24, 32, 3), np.uint8)}, "Expected floating point"), ({"unit": (99, 0)}, "out of range"),
])  # fmt: skip
def test_wrong_options(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ip.UsageError, match=says):
        ip.effective(jax_net(PLAIN), "0", SIZES["NHWC"], samples=2, **options)


def test_the_model_s_own_errors_keep_a_canvas_from_being_used() -> None:
    """A head that takes one size only: the whole image runs, and the result says why."""
    w, head = kernel(3, 3, 3, 2), kernel(14 * 14 * 2, 5)

    def net(x: Any) -> Any:
        with jax.named_scope("conv"):
            y = conv(x, w)
        return y.reshape(1, -1) @ head

    found = ip.effective(net, "conv", (1, 16, 16, 3), samples=2)["conv"]
    assert found.map.shape == (16, 16) and any("Ran on the whole image" in note for note in found.notes)


def test_settings_are_left_alone() -> None:
    ip.effective(jax_net(PLAIN), "0", SIZES["NHWC"], samples=2, dtype="float64")
    assert not jax.config.jax_enable_x64 and jnp.zeros(()).dtype == jnp.float32
