"""diffusers: U-Nets and autoencoders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import diffusers
import torch

from zoo.entry import Built, Entry

NARROW: dict[str, Any] = {"block_out_channels": (32, 32, 64), "norm_num_groups": 8}
CODER = {**NARROW, "down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3, "layers_per_block": 1}
CONDITION = torch.zeros(1, 4, 32)


def entries() -> Iterator[Entry]:
    """Published layouts at small widths."""
    for name, (convolutional, options, inputs) in SETTINGS.items():
        kind = name.partition("-")[0]
        yield Entry(
            "diffusers",
            kind,
            name,
            lambda kind=kind, options=options, inputs=inputs: build(kind, options, inputs),
            convolutional,
            name in ("UNet2DModel-plain", "AutoencoderKL-plain"),
        )


def build(kind: str, options: dict[str, Any], inputs: Any) -> Built:
    """A network without weights, and its inputs by name."""
    return getattr(diffusers, kind)(**options), inputs


def denoise(*shape: int, **more: Any) -> dict[str, Any]:
    """The arguments of a denoising step."""
    return {"sample": torch.zeros(shape), "timestep": 7, **more}


SETTINGS: dict[str, tuple[bool, dict[str, Any], Any]] = {
    "UNet2DModel-plain": (
        True,
        {**NARROW, "down_block_types": ("DownBlock2D",) * 3, "up_block_types": ("UpBlock2D",) * 3, "add_attention": False},
        denoise(1, 3, 64, 64),
    ),
    "UNet2DModel-attention": (
        False,
        {**NARROW, "down_block_types": ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
         "up_block_types": ("AttnUpBlock2D", "UpBlock2D", "UpBlock2D")},
        denoise(1, 3, 64, 64),
    ),
    "UNet2DModel-resnet": (
        True,
        {**NARROW, "down_block_types": ("ResnetDownsampleBlock2D",) * 3, "up_block_types": ("ResnetUpsampleBlock2D",) * 3,
         "add_attention": False},
        denoise(1, 3, 64, 64),
    ),
    "UNet2DConditionModel": (
        False,
        {**NARROW, "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
         "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), "cross_attention_dim": 32, "attention_head_dim": 8},
        denoise(1, 4, 32, 32, encoder_hidden_states=CONDITION),
    ),
    "UNet1DModel": (
        False,
        {"block_out_channels": (32, 32, 64), "sample_size": 256, "in_channels": 2, "out_channels": 2, "extra_in_channels": 64},
        denoise(1, 2, 256),
    ),
    "AutoencoderKL": (False, {**CODER}, (1, 3, 64, 64)),
    "AutoencoderKL-plain": (True, {**CODER, "mid_block_add_attention": False}, (1, 3, 64, 64)),
    "AutoencoderTiny": (True, {"encoder_block_out_channels": (16, 16), "decoder_block_out_channels": (16, 16),
                               "num_encoder_blocks": (1, 2), "num_decoder_blocks": (2, 1), "upsampling_scaling_factor": 2}, (1, 3, 64, 64)),
    "VQModel": (False, {**CODER, "num_vq_embeddings": 16}, (1, 3, 64, 64)),
    "AsymmetricAutoencoderKL": (
        False,
        {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2, "norm_num_groups": 8,
         "down_block_out_channels": (16, 32), "up_block_out_channels": (16, 32)},
        (1, 3, 64, 64),
    ),
    "UNet3DConditionModel": (
        False,
        {"block_out_channels": (32, 64), "norm_num_groups": 8, "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
         "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"), "cross_attention_dim": 32, "attention_head_dim": 8},
        denoise(1, 4, 2, 16, 16, encoder_hidden_states=CONDITION),
    ),
    "StableCascadeUNet": (
        False,
        {"in_channels": 16, "out_channels": 16, "timestep_ratio_embedding_dim": 16, "patch_size": 1, "conditioning_dim": 32,
         "block_out_channels": (32, 32), "num_attention_heads": (4, 4), "down_num_layers_per_block": (1, 1), "clip_text_in_channels": 32,
         "up_num_layers_per_block": (1, 1), "down_blocks_repeat_mappers": (1, 1), "up_blocks_repeat_mappers": (1, 1),
         "clip_text_pooled_in_channels": 32, "clip_image_in_channels": 32,
         "block_types_per_layer": (("SDCascadeResBlock", "SDCascadeTimestepBlock"),) * 2, "switch_level": (False,)},
        {"sample": torch.zeros(1, 16, 16, 16), "timestep_ratio": torch.full((1,), 0.5), "clip_text_pooled": torch.zeros(1, 1, 32)},
    ),
}  # fmt: skip
