"""Complete networks: those of onnx's own tests, with published fields, and exports of PyTorch, which must agree with the module itself."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

import isopter as ip  # noqa: E402

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

GOLDEN = {
    "bvlc_alexnet": ("MaxPool", 195, 32),  # Araujo et al. 2019, AlexNet (v1)
    "zfnet512": ("MaxPool", 155, 32),
    "vgg19": ("MaxPool", 268, 32),
    "squeezenet": ("Concat", 207, 16),
    "inception_v1": ("Concat", 715, 32),
    "inception_v2": ("Concat", 699, 32),  # Araujo et al. 2019, Inception (v2)
    "resnet50": ("Conv", 427, 32),
    "densenet121": ("Concat", 2071, 32),
    "shufflenet": ("Conv", 527, 32),
}
"""The op, and the size and stride of the field of the last of its kind before the classifier."""


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_networks_of_the_onnx_package(name: str) -> None:
    kind, size, stride = GOLDEN[name]
    found = ip.analyze(LIGHT / f"light_{name}.onnx")
    assert not found.issues
    assert found.graph.ops[0].shape == (1, 3, 224, 224)
    made = {n: f"{o.source}" for n, o in zip(found.ops, found.graph.ops, strict=True)}
    word = {"MaxPool": "max_pool2d", "Concat": "cat", "Conv": "convolution"}[kind]
    local = [found[n] for n in found.ops if made[n] == word and len(found[n].shape) == 4 and found[n].basis == "plane"]
    assert (local[-1].size, local[-1].stride) == ((size, size), (stride, stride))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_networks_are_proved(name: str) -> None:
    pytest.importorskip("onnxruntime")
    found = ip.verify(LIGHT / f"light_{name}.onnx", units=4)
    assert found.checked > 1000 and found.missed == 0, found


MODELS = {
    "resnet18": (1, 3, 96, 96), "resnet50": (1, 3, 96, 96), "resnet50_dilated": (1, 3, 96, 96), "resnet101": (1, 3, 64, 64),
    "se_resnet": (1, 3, 96, 96), "vgg16": (1, 3, 224, 224), "alexnet": (1, 3, 224, 224), "unet": (1, 3, 64, 64),
    "unet_bilinear": (1, 3, 64, 64), "highres3dnet": (1, 1, 24, 24, 24), "wavenet": (1, 1, 2000), "swin_block": (1, 3, 16, 16),
}  # fmt: skip


@pytest.mark.parametrize("dynamo", [False, True], ids=["script", "dynamo"])
@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.filterwarnings("ignore")
def test_exports_of_torch_agree(name: str, dynamo: bool, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from examples import models

    model = getattr(models, name)().eval()
    path = tmp_path / "x.onnx"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        torch.onnx.export(model, (torch.zeros(MODELS[name]),), path, dynamo=dynamo)
    live, stored = ip.analyze(model, MODELS[name]), ip.analyze(path)
    assert [field(live, o) for o in live.outputs] == [field(stored, o) for o in stored.outputs]
    both = [n for n in live.layers if n in stored.layers and live[n].shape == stored[n].shape]
    assert len(both) > 3
    assert {n: field(live, n) for n in both} == {n: field(stored, n) for n in both}
    convs = [[field(a, o.name) for o in a.graph.ops if o.kind.startswith("conv")] for a in (live, stored)]
    assert convs[0][: len(convs[1])] == convs[1] and len(convs[1]) >= len(convs[0]) - 1  # a layer that no output needs is not exported


def field(analysis: ip.Analysis, name: str) -> Any:
    """What must agree: on the plane its numbers; without a plane (windows that shift), the regions of all units."""
    f = analysis[name]
    if f.basis == "plane":
        return f.size, f.stride, f.start, f.exactness, f.basis, f.context
    lo, hi = f.regions()
    return f.size, f.exactness, f.basis, f.context, np.array(lo).tolist(), np.array(hi).tolist()
