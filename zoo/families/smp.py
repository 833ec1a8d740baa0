"""segmentation_models_pytorch: every decoder, over encoders of several kinds."""

from __future__ import annotations

from collections.abc import Iterator

import segmentation_models_pytorch as smp

from zoo.entry import Built, Entry

ENCODERS = ("resnet34", "timm-efficientnet-b0", "mobilenet_v2", "densenet121", "mit_b0", "tu-convnext_tiny")
ATTENTION = {"MAnet", "PAN", "DPT"}
"""Decoders that attend over the map."""


def entries() -> Iterator[Entry]:
    """Every decoder with every encoder it takes."""
    for key, decoder in smp.MODEL_ARCHITECTURES_MAPPING.items():
        for encoder in ("tu-vit_tiny_patch16_224",) if decoder is smp.DPT else ENCODERS:
            if refused(decoder, encoder):
                continue
            yield Entry(
                "smp",
                decoder.__name__,
                f"{key}-{encoder}",
                lambda decoder=decoder, encoder=encoder: build(decoder, encoder),
                decoder.__name__ not in ATTENTION and encoder != "mit_b0",
                encoder == "resnet34" and key in ("unet", "fpn", "deeplabv3plus"),
            )


def refused(decoder: type, encoder: str) -> bool:
    """Pairs that the library itself does not build."""
    dilated = decoder.__name__ in ("DeepLabV3", "DeepLabV3Plus", "PAN")
    return (
        (encoder in ("mit_b0", "densenet121") and dilated)
        or (encoder == "mit_b0" and decoder.__name__ in ("Linknet", "UnetPlusPlus"))
        or (encoder == "tu-convnext_tiny" and decoder.__name__ not in ("FPN", "UPerNet", "Segformer"))
    )


def build(decoder: type, encoder: str) -> Built:
    """A network without weights."""
    return decoder(encoder, encoder_weights=None), (1, 3, 224, 224) if decoder is smp.DPT else (1, 3, 256, 256)
