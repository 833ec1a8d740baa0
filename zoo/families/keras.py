"""keras.applications: every network of it, whole, for images smaller than usual where it has no fixed size of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

from zoo.entry import Entry

NETWORKS = {
    "ConvNeXt": "Tiny Small Base Large XLarge",
    "DenseNet": "121 169 201",
    "EfficientNet": "B0 B1 B2 B3 B4 B5 B6 B7",
    "EfficientNetV2": "B0 B1 B2 B3 S M L",
    "Inception": "V3 ResNetV2",
    "MobileNet": " V2 V3Small V3Large",
    "NASNet": "Mobile Large",
    "ResNet": "50 101 152 50V2 101V2 152V2",
    "VGG": "16 19",
    "Xception": " ",
}
"""Variants by family; a test holds that these are all."""

SAMPLE = {"MobileNetV2", "ResNet50", "EfficientNetV2B0"}

SIZE = (96, 96, 3)
"""All of them take this, and a proof runs dozens of images."""

LARGE = {"EfficientNetB7", "EfficientNetV2M", "EfficientNetV2L", "NASNetLarge"}
"""A thousand layers and more: traced and not proved."""

COMPILED = "ConvNeXt"
"""Its grouped convolutions are compiled anew by Keras whenever they run on TensorFlow, so a proof takes too long there."""

if importlib.util.find_spec("keras") is None:
    raise ImportError("No module named 'keras'")


def entries() -> Iterator[Entry]:
    """All of keras.applications, without importing it."""
    for family, variants in NETWORKS.items():
        for variant in variants.split(" ") if variants.strip() else [""]:
            name = family + variant
            proved = name not in LARGE and family != COMPILED
            yield Entry("keras", family, name, lambda name=name: build(name), True, name in SAMPLE, proved)


def build(name: str) -> tuple[Any, Any]:
    """A network with random weights, and None: it knows its input."""
    from isopter.capture.keras.start import import_keras

    return getattr(import_keras(f"keras:{name}").applications, name)(weights=None, input_shape=SIZE), None
