"""Complete networks: those of onnx's own tests, with published fields, and exports of PyTorch, which must agree with the module itself."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

torch = pytest.importorskip("torch")

from examples import models  # noqa: E402
from torch import nn  # noqa: E402

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


class Every(nn.Module):
    """One convolution after another, strided, dilated, depthwise, with every activation that an exporter could take apart."""

    def __init__(self) -> None:
        super().__init__()
        names = "ReLU6 SiLU GELU Mish Hardswish Softplus PReLU ELU SELU Tanh Hardsigmoid Hardtanh Sigmoid LeakyReLU".split()
        parts: list[nn.Module] = [nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)]
        for k, name in enumerate(names):
            windows = {"kernel_size": (3, 5), "padding": (1, 2), "dilation": 1 + k % 2} if k < 4 else {"kernel_size": 1}
            parts += [getattr(nn, name)(), nn.Conv2d(8, 8, **windows, groups=8 if k % 3 else 1)]
        pools = [nn.AvgPool2d(2), nn.GELU("tanh"), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(8, 8, 1), nn.MaxPool2d(2)]
        self.parts = nn.Sequential(*parts, *pools)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.parts(x) * 0.5 / 3


MODELS = {
    "every": (1, 3, 48, 48),
    "resnet18": (1, 3, 96, 96), "resnet50": (1, 3, 96, 96), "resnet50_dilated": (1, 3, 96, 96), "resnet101": (1, 3, 64, 64),
    "se_resnet": (1, 3, 96, 96), "vgg16": (1, 3, 224, 224), "alexnet": (1, 3, 224, 224), "unet": (1, 3, 64, 64),
    "unet_bilinear": (1, 3, 64, 64), "highres3dnet": (1, 1, 24, 24, 24), "wavenet": (1, 1, 2000), "swin_block": (1, 3, 16, 16),
}  # fmt: skip


FAST = {("every", False), ("every", True), ("resnet18", False), ("unet", True), ("swin_block", False), ("wavenet", False)}
"""Name, and whether the newer exporter; the others take the time of drawing many weights, or of exporting."""

EXPORTS = [
    pytest.param(name, new, id=f"{name}-{'dynamo' if new else 'script'}", marks=() if (name, new) in FAST else pytest.mark.slow)
    for name in MODELS
    for new in (False, True)
]


@pytest.mark.parametrize(("name", "dynamo"), EXPORTS)
@pytest.mark.filterwarnings("ignore")
def test_exports_of_torch_agree(name: str, dynamo: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    model = (Every if name == "every" else getattr(models, name))().eval()
    path = tmp_path / "x.onnx"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        torch.onnx.export(model, (torch.zeros(MODELS[name]),), path, dynamo=dynamo)
    live, stored = ip.analyze(model, MODELS[name]), ip.analyze(path)
    assert [field(live, o) for o in live.outputs] == [field(stored, o) for o in stored.outputs]
    both = [n for n in live.layers if n in stored.layers and live[n].shape == stored[n].shape]
    assert len(both) > 3
    assert {n: field(live, n) for n in both} == {n: field(stored, n) for n in both}
    for one in both[:: max(len(both) // 8, 1)]:
        same_expected(live[one], stored[one])
    convs = [[field(a, o.name) for o in a.graph.ops if o.kind.startswith("conv")] for a in (live, stored)]
    assert convs[0][: len(convs[1])] == convs[1] and len(convs[1]) >= len(convs[0]) - 1  # a layer that no output needs is not exported


def same_expected(live: Any, stored: Any) -> None:
    """The expected fields are the same numbers, scale and all, under the same assumptions; or neither is known."""
    try:
        one = live.expected()
    except ip.UsageError as error:
        with pytest.raises(ip.UsageError, match=str(error).partition(" ")[0]):
            stored.expected()
        return
    other = stored.expected()
    assert one.applies == other.applies, (one, other)
    if one.applies:
        assert (one.origin, one.center, one.size, set(one.assumptions)) == (other.origin, other.center, other.size, set(other.assumptions))
        np.testing.assert_allclose(other.map, one.map, rtol=1e-9, atol=1e-12 * one.map.max())


def field(analysis: ip.Analysis, name: str) -> Any:
    """What must agree: on the plane its numbers; without a plane (windows that shift), the regions of all units."""
    f = analysis[name]
    if f.basis == "plane":
        return f.size, f.stride, f.start, f.exactness, f.basis, f.context
    lo, hi = f.regions()
    return f.size, f.exactness, f.basis, f.context, np.array(lo).tolist(), np.array(hi).tolist()
