"""The table of Araujo, Norris & Sim 2019, Computing Receptive Fields of Convolutional Neural Networks (Distill), from keras.applications.

``python examples/araujo2019.py`` takes a minute or two, ``python examples/araujo2019.py --small`` less; both print the table, and write
it as CSV and the figure of receptive field against accuracy as PNG to ``out/``, or to ``--out DIR``. Needs
``pip install "isopter[keras,plot]"`` and a backend of Keras (tensorflow, jax or torch, chosen by KERAS_BACKEND).

Published numbers are those of TF-Slim's networks, at the last layer before global pooling: size, effective stride, and effective padding at
images of 224 and 321 pixels, where padding follows from the image's size (``SAME``). Keras' networks are the same but for some paddings,
which it writes out (ZeroPadding2D), so that they do not follow. What that makes is worked out from the paddings that isopter finds, and
held against the difference of the totals: `Row.explained`. TF-Slim's alexnet_v2, inception_v2, inception_v4 and resnet_v1_200 are not in
keras.applications.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

import isopter as ip
from figures import COLUMN, LOOK, Output, arguments
from isopter.report.figures import accuracy

IMAGES = (224, 321)


@dataclass(frozen=True)
class Network:
    """A published network. `padding`: by size of the image. `padded`: layers of Keras that pad where TF-Slim has ``SAME``."""

    slim: str
    keras: str
    size: int
    padding: tuple[int, int]
    padded: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def build(self) -> Any:
        """Without its classifier: what it returns is what it would pool. Random weights: fields do not depend on them."""
        return getattr(keras.applications, self.keras)(weights=None, include_top=False, input_shape=(None, None, 3), **self.options)


STRIDED = ("conv_pad_2", "conv_pad_4", "conv_pad_6", "conv_pad_12")
"""Before the depthwise convolutions of stride 2 in MobileNet."""

NETWORKS = (
    Network("vgg_16", "VGG16", 212, (90, 90)),
    Network("mobilenet_v1", "MobileNet", 315, (126, 157), STRIDED),
    Network("resnet_v1_50", "ResNet50", 483, (239, 241), ("pool1_pad",)),
    Network("mobilenet_v1_075", "MobileNet", 315, (126, 157), STRIDED, {"alpha": 0.75}),
    Network("resnet_v1_101", "ResNet101", 1027, (511, 513), ("pool1_pad",)),
    Network("inception_v3", "InceptionV3", 1311, (618, 618)),
    Network("resnet_v1_152", "ResNet152", 1507, (751, 753), ("pool1_pad",)),
    Network("inception_resnet_v2", "InceptionResNetV2", 3039, (1482, 1482)),
)
"""Of the tables of google-research/receptive_field (Apache License 2.0); the stride is 32 in all of them."""

SMALL = ("vgg_16", "mobilenet_v1", "resnet_v1_50")


@dataclass(frozen=True)
class Row:
    """A network at one size of image. `same`: pixels that TF-Slim's ``SAME`` would pad more than the layers of Keras do."""

    network: Network
    image: int
    size: int
    stride: int
    padding: int
    same: int
    maps: tuple[int, ...]

    @property
    def published(self) -> int:
        """The padding, at this size of image."""
        return self.network.padding[IMAGES.index(self.image)]

    @property
    def explained(self) -> bool:
        """Whether size and stride are those published, and the padding differs by no more and no less than Keras' own paddings make."""
        return self.size == self.network.size and self.stride == 32 and self.padding + self.same == self.published

    @property
    def why(self) -> str:
        """What differs, in one line; empty if nothing does."""
        if self.padding == self.published and self.size == self.network.size:
            return ""
        layers, maps = ", ".join(self.network.padded), ", ".join(map(str, self.maps))
        return f"{layers} pad alike at any size; SAME, at maps of {maps}, pads {self.same:+} px in front"


def rows(networks: Sequence[Network]) -> Iterator[Row]:
    """Every network at both sizes of image."""
    for network in networks:
        model = network.build()
        for image in IMAGES:
            analysis = ip.analyze(model, (1, image, image, 3))
            found = analysis[analysis.outputs[0]]
            steps = [_same(model, analysis, name, image) for name in network.padded]
            maps = tuple(n for n, _ in steps)
            yield Row(network, image, found.size[0], found.stride[0], -found.start[0], sum(more for _, more in steps), maps)


def _same(model: Any, analysis: ip.Analysis, name: str, image: int) -> tuple[int, int]:
    """Of a ZeroPadding2D before a window without padding: the length of TF-Slim's map there, which halves and rounds up, and how many input
    pixels ``SAME`` pads more in front of it.

    Example: of 161 positions a window of 3 and stride 2 makes 81. SAME pads (81 - 1) * 2 + 3 - 161 = 2, one in front; MobileNet none.
    If neighbours are 2 pixels apart, that makes 2 pixels of the input.
    """
    layer = model.get_layer(name)
    (before,) = (node.input_tensors[0]._keras_history.operation.name for node in layer._inbound_nodes)
    (after,) = (node.operation for node in layer._outbound_nodes)
    jump = analysis[before].stride[0]
    length = -(-image // jump)
    kernel = (getattr(after, "kernel_size", None) or after.pool_size)[0]
    total = max((-(-length // 2) - 1) * 2 + kernel - length, 0)
    own = (analysis[before].start[0] - analysis[name].start[0]) // jump
    return length, (total // 2 - own) * jump


def table(found: Sequence[Row]) -> str:
    """As text: published, found."""
    lines = [f"{'network':<20} {'image':>5}  {'field':>11}  {'stride':>7}  {'padding':>11}  why"]
    for row in found:
        own = f"{row.network.size:>5} {row.size:>5}", f"{32:>3} {row.stride:>3}", f"{row.published:>5} {row.padding:>5}"
        verdict = row.why if row.explained else f"NOT EXPLAINED {row.why}"
        lines.append(f"{row.network.slim:<20} {row.image:>5}  {own[0]}  {own[1]}  {own[2]}  {verdict}".rstrip())
    return "\n".join([*lines, "Each pair: as published, as isopter finds it in keras.applications."])


def figure(found: Sequence[Row]) -> Figure:
    """The published figure, with a ring at the field that isopter found."""
    known = {network.name: network.accuracy for network in accuracy.published()}
    fig, ax = plt.subplots(figsize=(1.4 * COLUMN, 3.2), layout="constrained")
    accuracy.plot(ax=ax)
    rings = {row.network.slim: row.size for row in found if row.network.slim in known}
    ax.scatter(
        list(rings.values()), [100 * known[name] for name in rings], s=130, facecolor="none", edgecolor="#d55e00", linewidth=1.2, zorder=4,
        label="isopter, of keras.applications",
    )  # fmt: skip
    ax.legend(loc="lower right", frameon=False, fontsize=7)
    return fig


def main(out: Output, networks: Sequence[Network]) -> list[Row]:
    found = list(rows(networks))
    print(table(found))
    with plt.rc_context(LOOK):
        out.figure("araujo2019", figure(found))
    out.numbers("araujo2019", [_numbers(row) for row in found])
    return found


def _numbers(row: Row) -> dict[str, Any]:
    return {
        "network": row.network.slim, "keras": row.network.keras, "image": row.image,
        "size_published": row.network.size, "size": row.size, "stride_published": 32, "stride": row.stride,
        "padding_published": row.published, "padding": row.padding, "explained": row.explained, "why": row.why,
    }  # fmt: skip


if __name__ == "__main__":
    given = arguments(__doc__)
    main(Output(given.out), [n for n in NETWORKS if not given.small or n.slim in SMALL])
