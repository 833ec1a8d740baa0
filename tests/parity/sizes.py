"""The architectures that are written once in each framework: name -> (channels, *space) of their input. Odd sizes, so that SAME tells."""

from __future__ import annotations

SIZES: dict[str, tuple[int, ...]] = {
    "plain": (3, 33, 29),
    "strided_same": (3, 37, 30),
    "dilated": (2, 31, 28),
    "grouped": (4, 19, 22),
    "depthwise": (4, 24, 21),
    "transposed": (3, 18, 14),
    "unet": (3, 24, 32),
    "inception": (3, 23, 20),
    "squeeze_excite": (3, 17, 20),
    "group_norm": (4, 16, 19),
    "layer_norm": (4, 15, 18),
    "attention": (3, 24, 16),
    "masked_attention": (3, 20),
    "causal": (2, 90),
    "volume": (2, 11, 14, 12),
    "nearest": (3, 17, 12),
    "bilinear": (3, 15, 18),
    "pixel_shuffle": (3, 16, 13),
    "residual": (3, 33, 26),
    "classifier": (3, 29, 24),
    "batch_norm_mobile": (3, 30, 27),
}
