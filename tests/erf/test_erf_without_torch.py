"""Whoever has JAX, Keras or TensorFlow need not have PyTorch: noise, arrays and folders of images are measured without it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

CODE = """
    import sys
    sys.modules["torch"] = None  # importing it is an ImportError now
    import numpy as np, isopter as ip
    from PIL import Image
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)).save("one.png")
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (30, 20, 3), dtype=np.uint8)).save("two.png")
    w = np.ones((3, 3, 3, 2), np.float32)
    {model}
    for data in (None, np.ones((2, 18, 18, 3)), [np.ones((18, 18, 3))] * 2, ".", iter(np.ones((2, 1, 18, 18, 3)))):
        found = ip.effective(net, "output", (1, 18, 18, 3), data=data, samples=2, target="sum", crop=False)["output"]
        assert found.map.shape == (18, 18) and found.samples == 2
        np.testing.assert_allclose(found.map[8:11, 8:11], 12, rtol=1e-5)
    watch = ip.Watch(net, "output", (1, 18, 18, 3), samples=2, out=None, crop=False)
    watch.step(500)
    assert [row.step for row in watch.history] == [0, 500]
    print("done")
"""

MODELS = {
    "jax": """
    import jax
    net = lambda x: jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    """,
    "tensorflow": """
    import tensorflow as tf
    net = tf.function(lambda x: tf.nn.conv2d(x, w, 1, "VALID"))
    """,
}


@pytest.mark.parametrize("framework", MODELS)
def test_without_torch(framework: str, tmp_path: Path) -> None:
    pytest.importorskip(framework)
    code = textwrap.dedent(CODE).replace("{model}", textwrap.dedent(MODELS[framework]))
    (tmp_path / "script.py").write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("done"), done.stderr[-2000:]
