"""transformers: vision backbones and audio encoders, from configurations at small widths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import transformers

from zoo.entry import Built, Entry

TINY: dict[str, Any] = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
IMAGE = (1, 3, 224, 224)
SOUND = (1, 8000)

CONVOLUTIONAL = {"ConvNextModel", "ConvNextV2Model", "ResNetModel", "RegNetModel", "BitModel", "MobileNetV1Model", "MobileNetV2Model",
                 "EfficientNetModel", "FocalNetModel", "VanModel", "TextNetModel", "UnivNetModel", "SpeechT5HifiGan"}  # fmt: skip
SAMPLE = {"ConvNextModel", "SegformerModel", "ResNetModel"}


def entries() -> Iterator[Entry]:
    """Each model class with its configuration."""
    for name, (config, options, size) in SETTINGS.items():
        if hasattr(transformers, name.partition("-")[0]):
            yield Entry(
                "transformers",
                name.partition("-")[0],
                name,
                lambda name=name, config=config, options=options, size=size: build(name, config, options, size),
                name in CONVOLUTIONAL,
                name in SAMPLE,
            )


def build(name: str, config: str, options: dict[str, Any], size: Any) -> Built:
    """A network without weights."""
    model = getattr(transformers, name.partition("-")[0])(getattr(transformers, config)(**options))
    for key, buffer in model.named_buffers():
        if key.endswith("codebook.embed"):  # empty until trained: all codes alike, and nothing would be read through them
            buffer.copy_(torch.rand(buffer.shape, generator=torch.Generator().manual_seed(0)) - 0.5)
    return model, size


def _mask2former() -> dict[str, Any]:
    return {"backbone_config": transformers.SwinConfig(embed_dim=24, depths=[1, 1, 1, 1], num_heads=[2, 2, 4, 4],
                                                       out_features=["stage1", "stage2", "stage3", "stage4"]),
            "feature_size": 32, "mask_feature_size": 32, "hidden_dim": 32, "encoder_layers": 2, "decoder_layers": 2,
            "num_attention_heads": 4, "encoder_feedforward_dim": 64, "dim_feedforward": 64, "num_queries": 8}  # fmt: skip


SETTINGS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "ViTModel": ("ViTConfig", TINY, IMAGE),
    "ViTForImageClassification": ("ViTConfig", TINY, IMAGE),
    "DeiTModel": ("DeiTConfig", TINY, IMAGE),
    "BeitModel": ("BeitConfig", {**TINY, "use_relative_position_bias": True}, IMAGE),
    "Dinov2Model": ("Dinov2Config", {**TINY, "mlp_ratio": 2}, IMAGE),
    "Dinov2WithRegistersModel": ("Dinov2WithRegistersConfig", {**TINY, "mlp_ratio": 2}, IMAGE),
    "DINOv3ViTModel": ("DINOv3ViTConfig", TINY, IMAGE),
    "DINOv3ConvNextModel": ("DINOv3ConvNextConfig", {"hidden_sizes": [24, 32, 48, 64], "depths": [1, 1, 2, 1]}, IMAGE),
    "SwinModel": ("SwinConfig", {"embed_dim": 24, "depths": [2, 2, 2], "num_heads": [2, 2, 4]}, IMAGE),
    "Swinv2Model": ("Swinv2Config", {"embed_dim": 24, "depths": [2, 2, 2], "num_heads": [2, 2, 4], "image_size": 224}, IMAGE),
    "Swin2SRModel": ("Swin2SRConfig", {"embed_dim": 24, "depths": [2, 2], "num_heads": [2, 2], "image_size": 64, "window_size": 8},
                     (1, 3, 64, 64)),
    "SegformerModel": ("SegformerConfig", {}, IMAGE),
    "SegformerForSemanticSegmentation": ("SegformerConfig", {}, IMAGE),
    "ConvNextModel": ("ConvNextConfig", {"hidden_sizes": [24, 32, 48, 64], "depths": [1, 1, 3, 1]}, IMAGE),
    "ConvNextV2Model": ("ConvNextV2Config", {"hidden_sizes": [24, 32, 48, 64], "depths": [1, 1, 3, 1]}, IMAGE),
    "ResNetModel": ("ResNetConfig", {}, IMAGE),
    "RegNetModel": ("RegNetConfig", {}, IMAGE),
    "BitModel": ("BitConfig", {"hidden_sizes": [128, 256, 512, 1024], "depths": [1, 2, 2, 1]}, IMAGE),
    "MobileNetV1Model": ("MobileNetV1Config", {}, IMAGE),
    "MobileNetV2Model": ("MobileNetV2Config", {}, IMAGE),
    "MobileViTModel": ("MobileViTConfig", {}, (1, 3, 256, 256)),
    "MobileViTV2Model": ("MobileViTV2Config", {}, (1, 3, 256, 256)),
    "EfficientNetModel": ("EfficientNetConfig", {"width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280}, IMAGE),
    "FocalNetModel": ("FocalNetConfig", {"embed_dim": 24, "depths": [1, 1, 2, 1]}, IMAGE),
    "PvtModel": ("PvtConfig", {}, IMAGE),
    "PvtV2Model": ("PvtV2Config", {}, IMAGE),
    "CvtModel": ("CvtConfig", {}, IMAGE),
    "LevitModel": ("LevitConfig", {"hidden_sizes": [64, 96, 128], "num_attention_heads": [2, 4, 6], "depths": [1, 1, 1]}, IMAGE),
    "PoolFormerModel": ("PoolFormerConfig", {}, IMAGE),
    "SwiftFormerModel": ("SwiftFormerConfig", {}, IMAGE),
    "HieraModel": ("HieraConfig", {"embed_dim": 24, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8]}, IMAGE),
    "DPTForDepthEstimation": ("DPTConfig", {**TINY, "num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3],
                                            "neck_hidden_sizes": [16, 16, 32, 32], "fusion_hidden_size": 16, "image_size": 224}, IMAGE),
    "UperNetForSemanticSegmentation": ("UperNetConfig", {"hidden_size": 32, "use_auxiliary_head": False}, IMAGE),
    "Mask2FormerModel": ("Mask2FormerConfig", _mask2former(), IMAGE),
    "DetrModel": ("DetrConfig", {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None, "backbone_config":
                                 transformers.ResNetConfig(out_features=["stage4"]), "d_model": 32, "encoder_layers": 1,
                                 "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "num_queries": 8}, IMAGE),
    "YolosModel": ("YolosConfig", {**TINY, "image_size": [224, 224]}, IMAGE),
    "GLPNModel": ("GLPNConfig", {}, IMAGE),
    "ViTMAEModel": ("ViTMAEConfig", TINY, IMAGE),
    "VivitModel": ("VivitConfig", {**TINY, "num_frames": 4, "image_size": 112}, (1, 4, 3, 112, 112)),
    "TimesformerModel": ("TimesformerConfig", {**TINY, "num_frames": 4, "image_size": 112}, (1, 4, 3, 112, 112)),
    "VideoMAEModel": ("VideoMAEConfig", {**TINY, "num_frames": 4, "image_size": 112}, (1, 4, 3, 112, 112)),
    "CLIPVisionModel": ("CLIPVisionConfig", TINY, IMAGE),
    "SiglipVisionModel": ("SiglipVisionConfig", TINY, IMAGE),
    "SamVisionModel": ("SamVisionConfig", {**TINY, "image_size": 256, "global_attn_indexes": [2], "output_channels": 32,
                                           "num_pos_feats": 16, "window_size": 7}, (1, 3, 256, 256)),
    "VitDetModel": ("VitDetConfig", {**TINY, "image_size": 224, "window_block_indices": [0, 1], "window_size": 7}, IMAGE),
    "Wav2Vec2Model": ("Wav2Vec2Config", {**TINY, "conv_dim": [32] * 7, "num_conv_pos_embeddings": 16,
                                         "num_conv_pos_embedding_groups": 4}, SOUND),
    "HubertModel": ("HubertConfig", {**TINY, "conv_dim": [32] * 7, "num_conv_pos_embeddings": 16,
                                     "num_conv_pos_embedding_groups": 4}, SOUND),
    "EncodecModel": ("EncodecConfig", {"num_filters": 8, "hidden_size": 32, "codebook_size": 16, "codebook_dim": 32}, (1, 1, 4800)),
    "DacModel": ("DacConfig", {"encoder_hidden_size": 8, "decoder_hidden_size": 64, "codebook_size": 16, "hidden_size": 128},
                 (1, 1, 4096)),
    "ASTModel": ("ASTConfig", {**TINY, "max_length": 128}, (1, 128, 128)),
    "WhisperEncoder": ("WhisperConfig", {"d_model": 48, "encoder_layers": 2, "encoder_attention_heads": 4}, (1, 80, 3000)),
    "UnivNetModel": ("UnivNetConfig", {}, {"input_features": torch.zeros(1, 50, 100), "noise_sequence": torch.zeros(1, 50, 64)}),
    "SpeechT5HifiGan": ("SpeechT5HifiGanConfig", {"upsample_initial_channel": 32}, (1, 40, 80)),
}  # fmt: skip
