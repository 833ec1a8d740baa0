"""MONAI: the networks of medical imaging, in 2-D and 3-D."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import monai.networks.nets as nets

from zoo.entry import Entry

BY_VALUE_OR_ATTENTION = frozenset(
    "UNETR SwinUNETR ViT ViTAutoEnc DiffusionModelUNet AutoencoderKL MaskedAutoEncoderViT SPADEAutoencoderKL VQVAE Quicknat".split()
)
"""Networks that attend, or pick positions by value (a codebook, unpooling)."""
SAMPLE = {"UNet-3d", "DynUNet-3d", "SegResNet-3d", "HighResNet-3d", "AttentionUnet-2d", "BasicUNetPlusPlus-2d"}


def entries() -> Iterator[Entry]:
    """Each network in both dimensions, where it comes in both."""
    for dims in (2, 3):
        space = (128, 128) if dims == 2 else (64, 64, 64)
        for name, options in settings(dims, space).items():
            channels = options.get("in_channels", options.get("in_channel", 1))
            size = (1, channels, *((96,) * dims if name == "SwinUNETR" else space))
            variant = f"{name}-{dims}d"
            yield Entry(
                "monai",
                name,
                variant,
                lambda name=name, options=options, size=size: (getattr(nets, name)(**options), size),
                name not in BY_VALUE_OR_ATTENTION,
                variant in SAMPLE,
            )


def settings(dims: int, space: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    """The arguments of each network."""
    d: dict[str, Any] = {"spatial_dims": dims}
    io: dict[str, Any] = {"in_channels": 1, "out_channels": 2}
    every: dict[str, dict[str, Any]] = {
        "UNet": {**d, **io, "channels": (8, 16, 32, 64), "strides": (2, 2, 2), "num_res_units": 2},
        "DynUNet": {
            **d,
            **io,
            "kernel_size": [3] * 4,
            "strides": [1, 2, 2, 2],
            "upsample_kernel_size": [2, 2, 2],
            "filters": [8, 16, 32, 64],
            "res_block": True,
        },
        "SegResNet": {**d, **io, "init_filters": 8},
        "SegResNetDS": {**d, **io, "init_filters": 8},
        "SegResNetVAE": {**d, **io, "init_filters": 8, "input_image_size": space},
        "HighResNet": {**d, **io},
        "VNet": {**d, **io},
        "AttentionUnet": {**d, **io, "channels": (8, 16, 32, 64), "strides": (2, 2, 2)},
        "BasicUNet": {**d, **io, "features": (8, 8, 16, 32, 64, 8)},
        "BasicUNetPlusPlus": {**d, **io, "features": (8, 8, 16, 32, 64, 8)},
        "UNETR": {**d, **io, "img_size": space, "feature_size": 8, "hidden_size": 96, "mlp_dim": 192, "num_heads": 4},
        "SwinUNETR": {**d, **io, "feature_size": 12},
        "ViT": {"in_channels": 1, "img_size": space, "patch_size": (16,) * dims, "hidden_size": 96, "mlp_dim": 192, "num_layers": 4,
                "num_heads": 4, "spatial_dims": dims, "classification": True},
        "ViTAutoEnc": {"in_channels": 1, "img_size": space, "patch_size": (16,) * dims, "hidden_size": 96, "mlp_dim": 192,
                       "num_layers": 4, "num_heads": 4, "spatial_dims": dims},
        "AutoEncoder": {**d, **io, "channels": (8, 16, 32), "strides": (2, 2, 2)},
        "VarAutoEncoder": {**d, "in_shape": (1, *space), "out_channels": 1, "latent_size": 8, "channels": (8, 16), "strides": (2, 2)},
        "AutoencoderKL": {**d, **io, "num_res_blocks": (1, 1, 1), "channels": (8, 16, 16), "attention_levels": (False, False, True),
                          "latent_channels": 4, "norm_num_groups": 4},
        "VQVAE": {**d, **io, "channels": (8, 16), "num_res_channels": (8, 16), "num_embeddings": 16, "embedding_dim": 8,
                  "downsample_parameters": ((2, 4, 1, 1),) * 2, "upsample_parameters": ((2, 4, 1, 1, 0),) * 2},
        "DenseNet121": {**d, **io},
        "EfficientNetBN": {**d, "model_name": "efficientnet-b0", "in_channels": 1, "pretrained": False},
        "ResNet": {"block": "basic", "layers": [1, 1, 1, 1], "block_inplanes": [8, 16, 32, 64], "spatial_dims": dims,
                   "n_input_channels": 1, "in_channels": 1},
        "SEResNet50": {**d, "in_channels": 1, "num_classes": 2},
        "SENet154": {**d, "in_channels": 1, "num_classes": 2},
        "PatchDiscriminator": {**d, "channels": 8, "in_channels": 1, "out_channels": 1},
        "MedNeXtS": {**d, **io},
        "LocalNet": {**d, "in_channels": 1, "out_channels": 2, "num_channel_initial": 8, "extract_levels": [0, 2]},
        "RegUNet": {**d, "in_channels": 1, "out_channels": 2, "num_channel_initial": 8, "depth": 3},
        "VoxelMorphUNet": {**d, "in_channels": 2, "unet_out_channels": 3, "channels": (8, 8, 8, 8, 8, 8), "final_conv_channels": (8, 8)},
        "AHNet": {"layers": (3, 4, 6, 3), "spatial_dims": dims, "in_channels": 1, "out_channels": 2, "psp_block_num": 0},
    }  # fmt: skip
    every["ResNet"].pop("in_channels")
    if dims == 2:
        every["FlexibleUNet"] = {**d, **io, "backbone": "efficientnet-b0", "pretrained": False}
        every["Quicknat"] = {"num_classes": 2, "num_filters": 8}
    else:
        every["DAF3D"] = {"in_channels": 1, "out_channels": 2}
    return every
