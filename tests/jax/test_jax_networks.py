"""Whole networks: the same fields as PyTorch's capture of the same network, and proved."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("flax")
pytest.importorskip("equinox")
pytest.importorskip("torch")

import equinox as eqx
from examples import models
from flax import nnx
from tests.jax import nets_equinox, nets_lax, nets_linen, nets_nnx

import isopter as ip

SIZES = {"wavenet": (1, 1, 2000), "unet": (1, 3, 64, 64), "unet_bilinear": (1, 3, 64, 64)}


def last(size: tuple[int, ...]) -> tuple[int, ...]:
    return (size[0], *size[2:], size[1])


def convolutions(analysis: ip.Analysis) -> list[Any]:
    fields = [analysis[op.name] for op in analysis.graph.ops if op.kind.startswith("conv")]
    return [(f.size, f.stride, f.start, f.exactness, f.basis, f.context) for f in fields]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "se_resnet", "unet", "unet_bilinear", "wavenet"])
def test_functions_agree_with_torch(name: str) -> None:
    size = SIZES.get(name, (1, 3, 96, 96))
    torch, found = ip.analyze(getattr(models, name)().eval(), size), ip.analyze(getattr(nets_lax, name), last(size))
    assert not found.issues
    ours, theirs = convolutions(found), convolutions(torch)
    if name == "wavenet":  # the last layer's residual leads nowhere, and only a module keeps it
        assert len(theirs) == len(ours) + 1
        assert ours == theirs[:-3] + theirs[-2:]
    else:
        assert ours == theirs


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("library", ["nnx", "linen", "equinox"])
def test_modules_agree_with_torch(library: str, depth: int) -> None:
    torch = ip.analyze(getattr(models, f"resnet{depth}")().eval(), (1, 3, 96, 96))
    nets = {"nnx": nets_nnx, "linen": nets_linen, "equinox": nets_equinox}[library]
    make = getattr(nets, f"resnet{depth}")
    made = {"nnx": nnx.eval_shape, "equinox": eqx.filter_eval_shape}.get(library, lambda make: make())(make)  # without numbers
    found = ip.analyze(made, (3, 96, 96) if library == "equinox" else (1, 96, 96, 3))
    assert not found.issues
    renamed = {name.replace("_", "."): name for name in found.layers}
    both = [name for name in torch.layers if name in renamed and name.startswith(("conv", "bn", "layer"))]
    assert len(both) > 2 * depth
    for name in both:
        a, b = torch[name], found[renamed[name]]
        assert (a.size, a.stride, a.start, a.exactness) == (b.size, b.stride, b.start, b.exactness), name
    lost = set(torch.layers) - set(renamed)
    assert all("relu" in n or n.endswith(("downsample", "pool")) or n in ("layer1", "layer2", "layer3", "layer4") for n in lost), lost


@pytest.mark.parametrize("name", ["se_resnet", "unet_bilinear", "unet"])
def test_functions_are_proved(name: str) -> None:
    size = (1, 32, 32, 3)
    if name.startswith("unet"):
        proof = ip.verify(lambda x: nets_lax.unet(x, name.removeprefix("unet_").replace("unet", "transposed"), 4, 2), size, units=6)
    else:
        proof = ip.verify(getattr(nets_lax, name), size, units=4)
    assert proof.missed == 0 and proof.excess == 0, proof


@pytest.mark.slow
@pytest.mark.parametrize("net", [nets_nnx.resnet18, nets_linen.resnet18, nets_nnx.resnet50])
def test_modules_are_proved(net: Any) -> None:
    proof = ip.verify(net(), (1, 64, 64, 3), units=8)
    assert proof.ok, proof
