"""timm: every architecture; its families are its modules."""

from __future__ import annotations

from collections.abc import Iterator

import timm
from timm.models import _registry

from zoo.entry import Built, Entry

CONVOLUTIONAL = frozenset(
    "convmixer convnext cspnet cspnext densenet dla dpn efficientnet fasternet focalnet ghostnet hardcorenas hgnet hrnet "
    "inception_next inception_resnet_v2 inception_v3 inception_v4 lcnetv2 mambaout mobilenetv3 nasnet nfnet pnasnet rdnet regnet "
    "repghost res2net resnest resnetv2 rexnet selecsls senet sknet starnet tresnet vgg vovnet xception "
    "xception_aligned".split()
)
"""Modules of timm in which every variant is a convolutional network, gates and norms included."""

SAMPLE = {
    "convnext_atto",
    "densenet121",
    "efficientnet_b0",
    "hrnet_w18_small",
    "mobilenetv3_small_050",
    "nf_regnet_b0",
    "regnety_002",
    "res2net50_26w_4s",
    "swin_tiny_patch4_window7_224",
    "vit_tiny_patch16_224",
}


def entries() -> Iterator[Entry]:
    """Every name that timm can build."""
    family = {name: module for module, names in _registry._module_to_models.items() for name in names}
    for name in timm.list_models():
        module = family[name]
        yield Entry("timm", module, name, lambda name=name: build(name), module in CONVOLUTIONAL, name in SAMPLE)


def build(name: str) -> Built:
    """A network without weights, and the input size it was published with."""
    model = timm.create_model(name, pretrained=False)
    return model, (1, *model.default_cfg["input_size"])
