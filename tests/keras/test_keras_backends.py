"""The same tests with the other backends: Keras chooses one for good when it is imported, so each runs in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras")
MODELS = Path(__file__).with_name("test_keras_models.py")
PARITY = Path(__file__).parents[1] / "parity" / "test_parity.py"

SIZES = """
import keras, isopter
x = keras.Input((40, 41, 3))
y = keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
y = keras.layers.DepthwiseConv2D(3, dilation_rate=2, padding="same", name="depthwise")(keras.layers.ZeroPadding2D(((0, 1), (2, 1)))(y))
y = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="pool")(keras.layers.LayerNormalization(name="norm")(y))
gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(y)
y = keras.layers.multiply([y, keras.layers.Conv2D(4, 1, activation="sigmoid", name="excite")(gate)], name="gated")
y = keras.layers.Conv2DTranspose(2, 4, strides=2, padding="same", name="up")(y)
a = isopter.analyze(keras.Model(x, keras.layers.UpSampling2D(2, interpolation="bilinear", name="resized")(y)))
for name in sorted(a.layers):
    f = a[name]
    print(name, f.size, f.stride, f.start, f.exactness, bool(f.context), [str(r.tolist()) for side in f.regions() for r in side])
"""


def run(backend: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    env = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=env, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
def test_the_tests_pass_on(backend: str) -> None:
    """JAX compiles every operation that it runs, which takes a minute."""
    done = run(backend, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "keras", str(MODELS), str(PARITY))
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("backend", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_backends_agree(backend: str) -> None:
    """On the sizes, strides, starts and regions of every layer, whatever ops their graphs have."""
    first, other = (run(name, "-c", SIZES) for name in ("tensorflow", backend))
    assert first.returncode == other.returncode == 0, (first.stderr[-800:], other.stderr[-800:])
    assert len(first.stdout.splitlines()) == 11 and other.stdout == first.stdout
