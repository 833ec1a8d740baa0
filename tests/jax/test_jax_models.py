"""What can be given: functions, bound and unbound modules, several inputs; names; modes; refusals; nothing is changed."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")
pytest.importorskip("flax")
pytest.importorskip("equinox")

import equinox as eqx  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from flax import linen as nn  # noqa: E402
from flax import nnx  # noqa: E402

import isopter as ip  # noqa: E402
from isopter.capture.jax.capture import jaxpr_graph  # noqa: E402
from isopter.capture.jax.evaluate import evaluate  # noqa: E402
from isopter.report.rows import select  # noqa: E402

KEY = jax.random.key(0)


class Net(nn.Module):
    """A linen module with norms, attention, a recurrent layer and a mode."""

    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        x = nn.BatchNorm(use_running_average=not train, name="bn")(nn.Conv(8, (3, 3), name="conv")(x))
        x = nn.Dropout(0.1, deterministic=not train)(nn.GroupNorm(2, name="gn")(x))
        tokens = x.reshape(x.shape[0], -1, 8)
        tokens = nn.SelfAttention(2, name="attention")(tokens, mask=nn.make_causal_mask(tokens[..., 0]))
        return {"tokens": nn.RNN(nn.GRUCell(4), name="rnn")(tokens), "map": x}


class Blocks(nnx.Module):
    """An nnx module with a list, a norm over groups, a transposed convolution and a layer that is called twice."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.stem = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.blocks = nnx.List([nnx.Conv(8, 8, (3, 3), rngs=rngs), nnx.GroupNorm(8, 4, rngs=rngs)])
        self.bn = nnx.BatchNorm(8, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.up = nnx.ConvTranspose(8, 4, (2, 2), (2, 2), rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = self.blocks[0](self.bn(self.stem(x)))
        return self.up(self.drop(jax.nn.silu(self.blocks[1](self.blocks[0](x)))))


class Tokens(eqx.Module):
    """An Equinox module of one sample: attention under a mask, and layers mapped over tokens."""

    attention: eqx.nn.MultiheadAttention
    norm: eqx.nn.LayerNorm
    group: eqx.nn.GroupNorm
    mlp: eqx.nn.MLP

    def __init__(self) -> None:
        self.attention, self.norm = eqx.nn.MultiheadAttention(2, 8, key=KEY), eqx.nn.LayerNorm(8)
        self.group, self.mlp = eqx.nn.GroupNorm(2, 8), eqx.nn.MLP(8, 8, 16, 1, key=KEY)

    def __call__(self, x: Any) -> Any:
        tokens = jax.vmap(self.norm)(self.group(x).reshape(8, -1).T)
        n = len(tokens)
        tokens = self.attention(tokens, tokens, tokens, mask=np.tril(np.ones((n, n), bool)))
        return jax.vmap(self.mlp)(tokens)


def variables() -> Any:
    shapes = jax.eval_shape(lambda: Net().init({"params": KEY, "dropout": KEY}, jnp.ones((1, 2, 2, 3)), True))
    return jax.tree.map(lambda s: jnp.asarray(np.random.default_rng(0).random(s.shape), s.dtype), shapes)


@functools.cache
def given() -> dict[str, Any]:
    held = variables()
    return {
        "unbound": Net(), "bound": Net().bind(held), "partial": functools.partial(Net().apply, held, train=False),
        "function": lambda x: Net().apply(held, x, False),
    }  # fmt: skip


@pytest.mark.parametrize("form", ["unbound", "bound", "partial", "function"])
def test_linen_in_all_forms(form: str) -> None:
    model, size = given()[form], (1, 2, 2, 3)
    found = ip.analyze(model, size)
    assert {"conv", "bn", "gn", "attention.query", "attention", "rnn"} <= set(found.layers)
    assert found["conv"].size == (3, 3) and found["gn"].context
    assert [i.what for i in found.issues] == ["A finite attention mask is taken as -inf: what it hides has a weight of less than e^-50"]
    proof = ip.verify(model, size, units=4)
    assert proof.ok, proof


def test_nnx() -> None:
    model, size = nnx.eval_shape(lambda: Blocks(nnx.Rngs(0))), (1, 6, 6, 3)
    before = jax.tree.leaves(nnx.state(model))
    found = ip.analyze(model, size)
    names = ["stem", "bn", "blocks.0", "blocks.0#2", "blocks.1", "drop", "up"]
    assert [n for n in found.layers if n != "output"] == names
    assert [found[n].size for n in ("blocks.0", "blocks.0#2")] == [(5, 5), (7, 7)]
    assert [op.source for op in found.graph.ops if op.kind == "norm"] == ["group_norm"]
    assert ip.verify(model, size, units=4).ok
    training = ip.analyze(model, size, training=True)
    assert training["bn"].context and not found["bn"].context
    assert all(a is b for a, b in zip(before, jax.tree.leaves(nnx.state(model)), strict=True))
    assert not model.drop.deterministic and type(model.stem).__call__.__qualname__ == "Conv.__call__"


def test_equinox() -> None:
    found = ip.analyze(Tokens(), (8, 3, 4), axes=(1, 2))
    assert {"group", "norm", "attention.query_proj", "attention", "mlp.layers.0", "mlp"} <= set(found.layers)
    proof = ip.verify(Tokens(), (8, 3, 4), units=4, layers=["group", "norm", "attention", "mlp"])
    assert proof.ok, proof
    batched = ip.analyze(jax.vmap(Tokens()), (2, 8, 3, 4))
    assert batched.exact


def test_causal_attention_hides_the_future() -> None:
    mask = np.tril(np.ones((6, 6), bool))

    def attend(x: Any) -> Any:
        weights = jax.nn.softmax(jnp.where(mask, jnp.einsum("nic,njc->nij", x, x), -jnp.inf), axis=-1)
        return jnp.einsum("nij,njc->nic", weights, x)

    field = ip.analyze(attend, (1, 6, 4), axes=(1,))["output"]
    assert [field.region((i,)).hi for i in range(6)] == [(i + 1,) for i in range(6)]
    assert ip.verify(attend, (1, 6, 4), axes=(1,), units=8).ok


def test_several_inputs_by_name() -> None:
    def join(image: Any, other: Any, scale: float = 1.0) -> Any:
        return image[:, 1:] * scale + other["mask"][:, :-1]

    struct = jax.ShapeDtypeStruct((1, 8, 8, 2), jnp.float32)
    found = ip.analyze(join, inputs={"image": struct, "other": {"mask": struct}})
    assert tuple(found.inputs) == ("image", "other.mask")
    assert ip.analyze(join, inputs=(struct, {"mask": struct}, 2.0)).exact
    assert ip.verify(join, inputs=(struct, {"mask": struct}), units=6).ok


def test_scopes_are_modules_of_functions() -> None:
    def net(x: Any) -> Any:
        with jax.named_scope("stem"):
            x = jnp.roll(x, 1, 1) + x
        with jax.named_scope("head"), jax.named_scope("last"):
            return x[:, ::2] * 2

    assert {"stem", "head", "head.last"} <= set(ip.analyze(net, (1, 8, 2)).layers)
    assert ip.verify(net, (1, 8, 2), axes=(1,), units=4).ok


def test_graph_of_a_jaxpr() -> None:
    """The entry for captures that trace by themselves."""

    def net(w: Any, x: Any) -> Any:
        with jax.named_scope("Net"), jax.named_scope("dense"):
            return x @ w

    closed = jax.make_jaxpr(net)(jnp.ones((3, 4)), jnp.ones((1, 5, 3)))
    graph = jaxpr_graph(closed, [None, "x"], "Net")
    assert list(graph.layers) == ["dense", "output"] and graph.calls["dense"] == ("0:0", 0)
    with pytest.raises(ip.CaptureError, match="1 names for the 2 arguments"):
        jaxpr_graph(closed, ["x"])


def test_evaluation_can_be_differentiated() -> None:
    """As effective fields need it."""
    closed = jax.make_jaxpr(lambda x: jnp.sin(x) * 2)(jnp.ones(3))

    def last(x: Any) -> Any:
        return jax.jit(lambda x: evaluate(closed, [x], frozenset(("1:0",))))(x)["1:0"].sum()

    x = jnp.arange(3.0)
    assert np.allclose(jax.grad(last)(x), 2 * np.cos(x))


def test_weights_as_they_are() -> None:
    """A dead path is excess, and no miss."""
    proof = ip.verify(lambda x: x * np.array([0.0, 0.5, 2.0], np.float32), (1, 5, 3), axes=(1,), units=4, weights="as-is")
    assert proof.missed == 0
    with pytest.raises(ip.UsageError, match="bind the module"):
        ip.verify(Net(), (1, 4, 4, 3), weights="as-is")


@pytest.mark.parametrize(
    ("model", "arguments", "said"),
    [
        (lambda x: x, {}, "Give input_size"),
        (lambda x: x, {"inputs": (1.0,)}, "must hold arrays"),
        (lambda x: x, {"inputs": {"y": np.ones((1, 3))}}, "no argument 'y'. It has: x"),
        (lambda x: x, {"inputs": (np.ones((1, 3)), np.ones(3))}, "2 inputs were given, and the model takes 1"),
        (lambda x: x, {"input_size": (1, 3), "training": True}, "A function says itself"),
        (nn.Dense(3), {"input_size": (1, 3), "training": True}, "no argument that says whether it trains"),
        (lambda x: jnp.ones(3), {"input_size": (1, 3)}, "depends on its input"),
        (lambda x: x if x.sum() > 0 else -x, {"input_size": (1, 3)}, "while tracing the model"),
        (lambda x: x.reshape(7), {"input_size": (1, 3)}, "while tracing the model"),
        (lambda x: x, {"inputs": np.float32(1)}, "no space to see"),
    ],
)
def test_refusals_say_why(model: Any, arguments: Any, said: str) -> None:
    with pytest.raises(ip.IsopterError, match=said):
        ip.analyze(model, **arguments)


def test_edges() -> None:
    """One pixel, an empty axis, one axis, integers."""
    assert ip.analyze(lambda x: x * 2, (1, 1, 1, 1)).exact
    assert ip.analyze(lambda x: jnp.concatenate([x, x[:, :0]], 1), (1, 4, 2)).exact
    assert ip.analyze(lambda x: jnp.flip(x), (5,))["output"].region((0,)).lo == (4,)
    table = np.random.default_rng(0).random((10, 4)).astype(np.float32)
    found = ip.verify(lambda i: jnp.asarray(table)[i], inputs=(jax.ShapeDtypeStruct((1, 6), jnp.int32),), units=4)
    assert found.missed == 0
    x64 = jax.config.jax_enable_x64
    assert ip.verify(lambda x: x.astype(jnp.bfloat16) + 1, (1, 4), units=2).ok and jax.config.jax_enable_x64 == x64


@pytest.mark.parametrize("library", ["nnx", "linen", "dense"])
def test_weights_under_a_mask_read_what_it_leaves(library: str) -> None:
    """Masked convolutions (PixelCNN) and products: the mask is a constant, and what it hides is not read."""
    mask = np.broadcast_to(np.array([1, 1, 0], np.float32)[:, None, None], (3, 4, 2))
    if library == "dense":
        model: Any = Masked(jnp.full((7, 7), 0.5))
        size: tuple[int, ...] = (4, 7)
    else:
        size = (1, 9, 4)
        model = nn.Conv(2, (3,), mask=mask) if library == "linen" else nnx.Conv(4, 2, (3,), mask=mask, rngs=nnx.Rngs(0))
    axes = (1,)
    found = ip.analyze(model, size, axes=axes)["output"]
    region = found.region((4,))
    assert (region.lo, region.hi) == (((3,), (5,)) if library != "dense" else ((4,), (7,)))
    assert found.exactness == "exact" and ip.verify(model, size, axes=axes, units=8).ok


class Masked(eqx.Module):
    """A product with weights of which a constant leaves some."""

    weight: Any

    def __call__(self, x: Any) -> Any:
        return x @ (self.weight * np.tril(np.ones((7, 7), np.float32)))


def test_rows_have_the_names_of_layers() -> None:
    """A convolution of Equinox gains and drops a batch; its one row is the layer's."""

    class Two(eqx.Module):
        first: eqx.nn.Conv2d
        second: eqx.nn.Conv2d

        def __init__(self) -> None:
            self.first, self.second = eqx.nn.Conv2d(3, 4, 3, key=KEY), eqx.nn.Conv2d(4, 2, 3, key=KEY)

        def __call__(self, x: Any) -> Any:
            return self.second(jax.nn.relu(self.first(x)))

    analysis = ip.analyze(Two(), (3, 20, 20))
    assert [name for name, _ in select(analysis).rows] == ["first", "second"] and analysis["second"].size == (5, 5)
