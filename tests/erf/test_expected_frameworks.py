"""`Field.expected(model=...)`: what one forward pass tells is the same in every framework, and what it cannot tell is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import twins
from torch import nn

import isopter as ip
from isopter.errors import CaptureError, UsageError
from isopter.fields.field import Field

SAME = 1e-6
"""Of the largest number of a map. The weights are in single precision, and so are the values of PyTorch and ONNX."""

FIRST, LAST = (1, 3, 24, 20), (1, 24, 20, 3)


def output(model: Any, size: tuple[int, ...] | None = None, **options: Any) -> Field:
    analysis = ip.analyze(model, size, **options)
    return analysis[analysis.outputs[0]]


@pytest.mark.parametrize("name", ["plain", "unet"])
def test_jax_says_what_torch_says(name: str) -> None:
    pytest.importorskip("jax")
    network = twins.NETWORKS[name]
    module, function = twins.Torch(network), twins.jax_net(network)
    theirs, field = output(module, FIRST).expected(model=module), output(function, LAST)
    ours = field.expected(model=function)
    assert twins.close(ours.map, theirs.map, SAME) and ours.assumptions == theirs.assumptions
    assert not twins.close(field.expected().map, theirs.map, 0.01)


@pytest.mark.parametrize("name", ["plain", "strided", "unet"])
def test_tensorflow_says_what_torch_says(name: str) -> None:
    pytest.importorskip("tensorflow")
    network = twins.NETWORKS[name]
    module, function = twins.Torch(network), twins.tensorflow_net(network)
    theirs, ours = output(module, FIRST).expected(model=module), output(function, LAST).expected(model=function)
    assert twins.close(ours.map, theirs.map, SAME) and ours.assumptions == theirs.assumptions


class Residual(nn.Module):
    """A batch norm whose scales differ, a max pool after a ReLU, and a skip whose branch has another activation."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 6, 3, padding=1)
        self.norm, self.relu, self.pool, self.elu = nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.ELU()
        random = np.random.default_rng(1)
        for tensor, low, high in zip(self.scales(), (0.3, -0.3, -0.3, 0.3), (1.5, 0.3, 0.3, 1.5), strict=True):
            tensor.data = torch.from_numpy(random.uniform(low, high, 8).astype(np.float32))
        self.eval()

    def scales(self) -> list[torch.Tensor]:
        found = [self.norm.weight, self.norm.bias, self.norm.running_mean, self.norm.running_var]
        return [tensor for tensor in found if tensor is not None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.pool(self.relu(self.norm(self.a(x))))
        made: torch.Tensor = self.c(y + self.elu(self.b(y)))
        return made


def last(conv: nn.Conv2d) -> np.ndarray:
    return conv.weight.detach().numpy().transpose(2, 3, 1, 0)


def test_keras_says_what_torch_says() -> None:
    keras = pytest.importorskip("keras")
    module, made = Residual(), keras.layers
    image = keras.Input((None, None, 3))
    a, b, c = (made.Conv2D(n, 3, padding="same", use_bias=k > 0, activation="elu" if k == 1 else None) for k, n in enumerate((8, 8, 6)))
    norm = made.BatchNormalization(epsilon=1e-5)
    y = made.MaxPooling2D(2)(made.ReLU()(norm(a(image))))
    model = keras.Model(image, c(made.Add()([y, b(y)])))
    a.set_weights([last(module.a)])
    for layer, own in ((b, module.b), (c, module.c)):
        assert own.bias is not None
        layer.set_weights([last(own), own.bias.detach().numpy()])
    norm.set_weights([tensor.detach().numpy() for tensor in module.scales()])
    theirs, field = output(module, FIRST).expected(model=module), output(model, LAST)
    before = [np.array(w) for w in model.get_weights()]
    # On PyTorch, values are moved in the order that Keras has them: an element that is moved across a kink counts.
    tolerance = 1e-3 if keras.backend.backend() == "torch" else SAME
    assert twins.close(field.expected(model=model).map, theirs.map, tolerance)
    image = np.random.default_rng(2).standard_normal((3, 24, 20, 3)).astype(np.float32)
    theirs = output(module, FIRST).expected(model=module, data=torch.from_numpy(image.transpose(0, 3, 1, 2)))
    for data in (image, [image], {model.inputs[0].name: image}):
        assert twins.close(field.expected(model=model, data=data).map, theirs.map, tolerance)
    assert all(np.array_equal(x, y) for x, y in zip(before, model.get_weights(), strict=True))
    with pytest.raises(UsageError, match="not the model that was analysed"):
        output(model, LAST).expected(model=keras.Sequential([keras.Input((None, None, 3)), made.Conv2D(4, 3)]))


def residual_in_jax(module: Residual) -> Any:
    """The same in JAX, whose norm is a quotient and a product: two ops that are not independent."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    a, b, c = (jnp.asarray(last(conv)) for conv in (module.a, module.b, module.c))
    scale, shift, mean, variance = (jnp.asarray(t.detach().numpy()) for t in module.scales())

    def conv(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def net(x: Any) -> Any:
        y = jax.nn.relu((conv(x, a) - mean) / jnp.sqrt(variance + 1e-5) * scale + shift)
        y = lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        made = y + jax.nn.elu(conv(y, b) + jnp.asarray(module.b.bias.detach().numpy()))  # type: ignore[union-attr]
        return conv(made, c)

    return net


def test_a_norm_of_two_ops_is_one_factor() -> None:
    pytest.importorskip("jax")
    module = Residual()
    net = residual_in_jax(module)
    assert twins.close(output(net, LAST).expected(model=net).map, output(module, FIRST).expected(model=module).map, SAME)


@pytest.fixture(scope="module")
def exported() -> Any:
    """An ONNX model of SiLU and GELU, taken apart, with its module."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import helper, numpy_helper

    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.SiLU(), nn.Conv2d(6, 6, 3, padding=1), nn.GELU(), nn.Conv2d(6, 5, 3)).eval()
    held = {"two": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}
    held |= {f"{kind}{k}": p.detach().numpy() for k in (0, 2, 4) for kind, p in zip("wb", module[k].parameters(), strict=True)}
    around = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["a"], **around), helper.make_node("Sigmoid", ["a"], ["s"]),
        helper.make_node("Mul", ["a", "s"], ["silu"]), helper.make_node("Conv", ["silu", "w2", "b2"], ["c"], **around),
        helper.make_node("Div", ["c", "two"], ["d"]), helper.make_node("Erf", ["d"], ["e"]), helper.make_node("Add", ["e", "one"], ["f"]),
        helper.make_node("Mul", ["c", "f"], ["g"]), helper.make_node("Mul", ["g", "half"], ["gelu"]),
        helper.make_node("Conv", ["gelu", "w4", "b4"], ["y"]),
    ]  # fmt: skip
    values = [helper.make_tensor_value_info(name, 1, shape) for name, shape in (("x", ["n", 3, "h", "w"]), ("y", None))]
    stored = [numpy_helper.from_array(np.asarray(v), k) for k, v in held.items()]
    graph = helper.make_graph(nodes, "net", values[:1], values[1:], stored)
    return module, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), onnx


def test_onnx_says_what_torch_says(exported: Any, tmp_path: Path) -> None:
    module, model, onnx = exported
    theirs = output(module, FIRST).expected(model=module)
    assert twins.close(output(model, FIRST).expected(model=model).map, theirs.map, SAME)
    onnx.save(model, tmp_path / "net.onnx")
    assert twins.close(output(str(tmp_path / "net.onnx"), FIRST).expected(model=tmp_path / "net.onnx").map, theirs.map, SAME)
    with pytest.raises(UsageError, match="not the model that was analysed"):
        output(module[:2], FIRST).expected(model=model)


def test_writes_to_weights_count() -> None:
    """What a module computes of its weights in place."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.variance, self.scale = nn.Parameter(torch.full((1, 3, 1, 1), 0.25)), nn.Parameter(torch.full((1, 3, 1, 1), 3.0))
            self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.a(x)
            made: torch.Tensor = self.b(y) + y * (self.variance + 0.0).rsqrt_().mul_(self.scale)
            return made

    module = Scaled()
    shares = {s.layer: s.energy for s in output(module, FIRST).expected(model=module).shares}
    branch = 3 * float(module.b.weight.detach().square().mean())
    assert shares["b"] == pytest.approx(branch / (branch + 36), rel=1e-4)
    assert torch.equal(module.scale, torch.full((1, 3, 1, 1), 3.0)) and torch.equal(module.variance, torch.full((1, 3, 1, 1), 0.25))


# ---- modules of JAX --------------------------------------------------------------------------------------------------------


def test_modules_of_flax_and_equinox() -> None:
    """The share of a skip's branch is that of its weights, whatever library holds them, and whichever mode it is in."""
    jax, nnx, linen, eqx = (pytest.importorskip(name) for name in ("jax", "flax.nnx", "flax.linen", "equinox"))

    class Nnx(nnx.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            rngs = nnx.Rngs(0)
            self.a, self.b = (nnx.Conv(n, 4, (3, 3), rngs=rngs) for n in (3, 4))
            self.norm, self.drop, self.never = nnx.BatchNorm(4, rngs=rngs), nnx.Dropout(0.5, rngs=rngs), nnx.Conv(3, 3, (1, 1), rngs=rngs)

        def __call__(self, x: Any) -> Any:
            y = self.norm(self.a(x))
            return y + self.drop(self.b(y))

    class Linen(linen.Module):  # type: ignore[misc, name-defined]
        @linen.compact  # type: ignore[untyped-decorator]
        def __call__(self, x: Any, train: bool = False) -> Any:
            y = linen.BatchNorm(use_running_average=not train)(linen.Conv(4, (3, 3), name="a")(x))
            return y + linen.Dropout(0.5, deterministic=not train)(linen.Conv(4, (3, 3), name="b")(y))

    class Equinox(eqx.Module):  # type: ignore[misc, name-defined]
        a: Any
        b: Any

        def __call__(self, x: Any) -> Any:
            y = self.a(x)
            return y + self.b(y)

    key = jax.random.key(0)
    variables = Linen().init(key, np.ones(LAST, np.float32))
    net = Equinox(*(eqx.nn.Conv2d(n, 4, 3, padding=1, key=key) for n in (3, 4)))
    trained, bound = Nnx(), Linen().bind(variables)
    cases = [
        (trained, LAST, trained.b.kernel[...]),
        (bound, LAST, variables["params"]["b"]["kernel"]),
        (net, FIRST[1:], net.b.weight),
    ]
    for model, size, kernel in cases:
        field = output(model, size)
        shares = {s.layer: s.energy for s in field.expected(model=model).shares}
        branch = 36 * float(np.square(np.asarray(kernel, np.float64)).mean())
        name = next(layer for layer in shares if layer == "b" or layer.startswith("b."))
        assert shares[name] == pytest.approx(branch / (1 + branch), rel=1e-5)
    with pytest.raises(UsageError, match="no weights yet"):
        output(Linen(), LAST).expected(model=Linen())


# ---- where it breaks -------------------------------------------------------------------------------------------------------


def small(dtype: str = "float32", times: float = 1.0) -> tuple[Any, Any, Any]:
    """A convolution in JAX of 3 or of 4 channels, and `jax` itself."""
    jax = pytest.importorskip("jax")
    from jax import lax

    kernels = [times * np.random.default_rng(n).standard_normal((3, 3, n, 4)) for n in (3, 4)]

    def conv(x: Any) -> Any:
        kernel = jax.numpy.asarray(kernels[x.shape[-1] - 3], dtype)
        return lax.conv_general_dilated(x.astype(dtype), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    return conv, jax.nn.relu, jax


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision(dtype: str) -> None:
    """The pass is run in double precision, on the weights as they are."""
    (conv, relu, _), (exact, _, _) = small(dtype), small()
    models = [lambda x: conv(relu(conv(x))), lambda x: exact(relu(exact(x)))]
    low, high = (output(model, (1, 9, 7, 3)).expected(model=model) for model in models)
    assert low.applies and twins.close(low.map, high.map, 0.05)
    assert np.allclose(low.sigma, high.sigma)


@pytest.mark.parametrize(("times", "said"), [(np.nan, "not finite"), (0.0, "No gradient reaches")])
def test_weights_without_numbers(times: float, said: str) -> None:
    conv, relu, _ = small(times=times)
    model = lambda x: relu(conv(x))  # noqa: E731
    field = output(model, (1, 9, 7, 3))
    with pytest.raises(UsageError, match=said):
        field.expected(model=model)
    assert field.expected().applies


def test_nan_in_a_module() -> None:
    module = nn.Conv2d(3, 4, 3)
    nn.init.constant_(module.weight, float("nan"))
    with pytest.raises(UsageError, match="not finite"):
        output(module, FIRST).expected(model=module)


def test_attention_does_not_apply() -> None:
    conv, _, jax = small()

    def net(x: Any) -> Any:
        y = conv(x).reshape(1, -1, 4)
        return jax.nn.softmax(y @ y.transpose(0, 2, 1)) @ y

    found = output(net, (1, 6, 5, 3), axes=(1, 2)).expected(model=net)
    assert not found.applies and "attention" in found.why


@pytest.mark.parametrize("size", [(1, 1, 1, 3), (1, 1, 9, 3), (1, 2, 3, 3)])
def test_small_sizes(size: tuple[int, ...]) -> None:
    conv, relu, _ = small()
    model = lambda x: conv(relu(conv(x)))  # noqa: E731
    found = output(model, size).expected(model=model)
    assert found.map.shape == (5, 5) and np.allclose(found.sigma, (4 / 3) ** 0.5)


def test_several_inputs() -> None:
    conv, relu, jax = small()

    def net(x: Any, y: Any) -> Any:
        return conv(relu(conv(x) + conv(y)))

    struct = jax.ShapeDtypeStruct((1, 9, 7, 3), np.float32)
    field = output(net, inputs=(struct, struct))
    assert np.allclose(field.expected(model=net).sigma, (4 / 3) ** 0.5)
    x = np.random.default_rng(0).standard_normal((2, 9, 7, 3)).astype(np.float32)
    maps = [field.expected(model=net, data=data).map for data in ((x, x), {"y": x, "x": x}, (torch.from_numpy(x), x))]
    assert all(np.array_equal(made, maps[0]) for made in maps)
    with pytest.raises((UsageError, CaptureError), match="'y'"):
        field.expected(model=net, data=x)


def test_loops() -> None:
    """Loops that are taken apart are entered, on the way to the numbers, too."""
    conv, _, jax = small()
    looped = lambda x: jax.lax.fori_loop(0, 2, lambda _, y: jax.nn.elu(conv(y)), conv(x))  # noqa: E731
    written = lambda x: jax.nn.elu(conv(jax.nn.elu(conv(conv(x)))))  # noqa: E731
    ours, theirs = (output(model, (1, 9, 7, 3)).expected(model=model) for model in (looped, written))
    assert twins.close(ours.map, theirs.map, SAME)


@pytest.mark.parametrize("model", [3, "conv 3", None.__class__])
def test_what_cannot_be_run(model: Any) -> None:
    conv, _, _ = small()
    with pytest.raises(UsageError, match="cannot be run"):
        output(conv, (1, 9, 7, 3)).expected(model=model)


def test_layer_of_a_saved_model(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    kernel = tf.Variable(np.random.default_rng(0).standard_normal((3, 3, 3, 4)).astype(np.float32))

    class Net(tf.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.kernel = kernel

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            return tf.nn.relu(tf.nn.conv2d(x, self.kernel, 2, "SAME"))

    net = Net()
    tf.saved_model.save(net, str(tmp_path))
    live, stored = (output(model, LAST).expected(model=model) for model in (net, tmp_path))
    assert np.array_equal(live.map, stored.map)
    assert live.map.sum() == pytest.approx(0.5 * 9 * 3 * 4 * float(np.square(kernel.numpy().astype(np.float64)).mean()), rel=0.1)
