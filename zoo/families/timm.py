"""timm: every architecture; its families are its modules."""

from __future__ import annotations

from collections.abc import Iterator

import timm
from timm.models import _registry

from zoo.entry import Built, Entry

CONVOLUTIONAL = frozenset(
    "convmixer convnext cspnet cspnext densenet dla dpn efficientnet fasternet focalnet ghostnet hardcorenas hgnet hrnet "
    "inception_next inception_resnet_v2 inception_v3 inception_v4 lcnetv2 mambaout mobilenetv3 nasnet nfnet pnasnet rdnet regnet "
    "repghost res2net resnest resnetv2 repvit rexnet selecsls senet sknet starnet tresnet vgg vovnet xception "
    "xception_aligned".split()
)
"""Modules of timm in which every variant is a convolutional network, gates and norms included."""

PROVED = frozenset(
    (
        "beit_base_patch16_224 botnet26t_256 caformer_s18 cait_xs24_384 coat_lite_tiny coatnet_nano_rw_224 convit_tiny "
        "convmixer_1024_20_ks9_p14 convnext_atto cpubone_nano crossvit_tiny_240 cs3darknet_focus_s csatv2 cspnext_tiny "
        "davit_tiny deepseek_vit_412m deit_tiny_distilled_patch16_224 densenet121 dla46_c dpn48b edgenext_small "
        "efficientformer_l1 efficientformerv2_s0 efficientnet_b0 efficientvim_m1 efficientvit_b0 efficientvit_m0 "
        "ese_vovnet19b_dw eva02_tiny_patch14_224 fasternet_t0 fastvit_t8 focalnet_tiny_lrf gcvit_tiny gemma4_vit_167m gernet_s "
        "ghostnet_050 gmixer_12_224 hardcorenas_a hgnet_tiny hiera_tiny_224 hrnet_w18_small iformer_s inception_next_atto "
        "inception_resnet_v2 inception_v3 inception_v4 nest_tiny lcnetv2_small legacy_seresnet18 legacy_xception levit_128 "
        "lowformer_b0 mambaout_femto mobilenetv3_small_050 mobilenetv5_300m mobilevitv2_050 mvitv2_tiny "
        "naflexvit_base_patch16_gap nasnetalarge nextvit_small nf_regnet_b0 pit_s_224 pnasnet5large pvt_v2_b0 qwen3_vit_306m "
        "rdnet_tiny regnety_002 repghostnet_050 repvit_m0_9 res2net50_26w_4s resnest14d resnet18 resnetv2_50 rexnet_100 "
        "sam2_hiera_tiny samvit_base_patch16 selecsls42 sequencer2d_s shvit_s1 skresnet18 starnet_s050 swiftformer_xs "
        "swin_tiny_patch4_window7_224 swinv2_cr_tiny_224 swinv2_tiny_window16_256 tiny_vit_11m_224 tnt_s_legacy_patch16_224 "
        "tresnet_m twins_pcpvt_small vgg11 visformer_tiny vit_relpos_small_patch16_224 vit_tiny_patch16_224 "
        "vit_tiny_r_s16_p8_224 vitamin_small_224 volo_d1_224 xception41 xcit_nano_12_p16_224"
    ).split()
)
"""A small variant of every module of timm: these are proved, the others captured and analysed."""

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
        yield Entry("timm", module, name, lambda name=name: build(name), module in CONVOLUTIONAL, name in SAMPLE, name in PROVED)


def build(name: str) -> Built:
    """A network without weights, and the input size it was published with."""
    model = timm.create_model(name, pretrained=False)
    return model, (1, *model.default_cfg["input_size"])
