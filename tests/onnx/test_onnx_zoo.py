"""Networks of torchvision, timm and smp, exported by both exporters of PyTorch: the same fields as from the modules themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from tests.onnx.agree import common, disagreements, exported  # noqa: E402

import isopter as ip  # noqa: E402

NETWORKS = {
    "torchvision:resnet50": (1, 3, 128, 128),
    "torchvision:resnext50_32x4d": (1, 3, 128, 128),
    "torchvision:densenet121": (1, 3, 128, 128),
    "torchvision:inception_v3": (1, 3, 299, 299),
    "torchvision:googlenet": (1, 3, 128, 128),
    "torchvision:mobilenet_v2": (1, 3, 128, 128),
    "torchvision:mobilenet_v3_small": (1, 3, 128, 128),
    "torchvision:efficientnet_b0": (1, 3, 128, 128),
    "torchvision:convnext_tiny": (1, 3, 128, 128),
    "torchvision:regnet_y_400mf": (1, 3, 128, 128),
    "torchvision:shufflenet_v2_x1_0": (1, 3, 128, 128),
    "torchvision:squeezenet1_1": (1, 3, 128, 128),
    "torchvision:mnasnet0_5": (1, 3, 128, 128),
    "torchvision:swin_t": (1, 3, 224, 224),
    "torchvision:vit_b_16": (1, 3, 224, 224),
    "torchvision:maxvit_t": (1, 3, 224, 224),
    "torchvision:fcn_resnet50": (1, 3, 128, 128),
    "torchvision:deeplabv3_mobilenet_v3_large": (1, 3, 128, 128),
    "torchvision:lraspp_mobilenet_v3_large": (1, 3, 128, 128),
    "timm:mixer_s32_224": (1, 3, 224, 224),
    "timm:deit_tiny_patch16_224": (1, 3, 224, 224),
    "timm:resnetblur50": (1, 3, 128, 128),
    "timm:coatnet_0_rw_224": (1, 3, 224, 224),
    "smp:unet-resnet34": (1, 3, 128, 128),
}
"""Networks of the zoo, with a size that they take."""


@pytest.mark.slow
@pytest.mark.parametrize("dynamo", [False, True], ids=["script", "dynamo"])
@pytest.mark.parametrize("name", NETWORKS)
def test_exports_of_the_zoo_agree(name: str, dynamo: bool, tmp_path: Path) -> None:
    from zoo.catalogue import catalogue

    entries, _ = catalogue()
    if name not in entries:
        pytest.skip(f"{name.partition(':')[0]} is not installed")
    torch.manual_seed(0)
    model, size = entries[name].build()[0].eval(), NETWORKS[name]
    live, stored = ip.analyze(model, size), ip.analyze(exported(model, size, tmp_path / "x.onnx", dynamo=dynamo))
    shared = common(live, stored)
    assert len(shared) > 10
    assert list(disagreements(live, stored)) == []
