"""How many parameters each variant of each system has: printed, of released code, or summed by hand."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from avemo.models import build_model


class Count(NamedTuple):
    """A variant at its published size; ``variant`` says what it is in the papers' words."""

    name: str
    variant: str
    config: dict[str, Any]
    expected: int
    outputs: int = 6


AUXFORMER = 7_038_642
VAVL = 53_884_818
VAVL_K1 = {"input_kernel": 1}
LARGE, SMALL = {"cnn": "mobilenet_v3_large"}, {"cnn": "mobilenet_v3_small"}
BLOCK = 204_490
CONFORMER = 5 * 6_323_200 + (50 * 512 + 512) + (512 * 256 + 256) + (256 * 6 + 6)

COUNTS = [
    Count("auxformer", "default", {}, AUXFORMER),
    Count("auxformer", "one alpha a layer", {"tied_alpha": True}, 7_038_632),
    Count("auxformer", "one alpha a layer, 4 classes", {"tied_alpha": True}, 7_037_848, 4),
    # Five layers of two branches have two scales each; four of the five go.
    Count("auxformer", "scales for all layers", {"common_scales": True}, AUXFORMER - 2 * 4 * 2),
    Count("auxformer", "released code", {"as_published_code": True}, 7_038_632),
    Count("auxformer", "released code, 4 classes", {"as_published_code": True}, 7_037_848, 4),
    Count("auxformer", "auxiliary x3", {"aux_repeats": 3}, AUXFORMER),
    Count("auxformer", "two auxiliary heads", {"tied_alpha": True, "separate_aux_heads": True}, 7_271_228),
    Count("auxformer", "Baseline 1", {"auxiliary": False}, 4_760_626),
    Count("auxformer", "Baseline 1, one alpha", {"auxiliary": False, "tied_alpha": True}, 4_760_616),
    Count("auxformer", "3 + 2 layers", {"fusion_depth": "together"}, AUXFORMER - 10 * BLOCK - 2 * 2 * 3),
    Count("auxformer", "learned token", {"token": "cls"}, AUXFORMER + 4 * 130),
    Count("auxformer_unimodal", "Audio Only", {}, 3_335_582),
    Count("auxformer_unimodal", "Audio Only, released code", {"as_published_code": True}, 3_335_577),
    Count("auxformer_unimodal", "Video Only", {"modality": "visual"}, 3_868_062),
    Count(
        "auxformer_unimodal",
        "Video Only, released code",
        {"modality": "visual", "as_published_code": True},
        3_868_057,
    ),
    Count("av_ladder", "default", {}, 8_246_355),
    Count("av_ladder", "304 frames", {"length": 304}, 8_246_355),
    Count("av_ladder", "CNN 128-64-32", {"channels": (128, 64, 32), "length": 128}, 8_242_195),
    Count("av_ladder", "CNN 64-64-32", {"channels": (64, 64, 32), "length": 150}, 8_224_019),
    Count("av_ladder", "Ablation 1", {"ladders": "audiovisual"}, 5_378_557),
    Count("av_ladder", "Ablation 2", {"ladders": "cross_layer"}, 3_400_278),
    Count("mult", "default", {}, 6_657_256),
    Count("mult", "released code", {"as_published_code": True}, 6_657_256),
    Count("parthasarathy", "default", {}, 2_238_866),
    # Three frames wide instead of one: 2 x 50 more weights for each of 1024 and 1408 inputs.
    Count("vavl", "default", {}, VAVL + 243_200),
    Count("vavl", "kernel 1", VAVL_K1, VAVL),
    Count("vavl", "released code", {"as_published_code": True}, VAVL),
    Count("vavl", "Ablation 1", VAVL_K1 | {"shared_residual": False}, VAVL),
    # Reconstruction heads 512-512-256-1024 and -1408; audio-visual head 1024-512-256-6.
    Count("vavl", "Ablation 2", VAVL_K1 | {"reconstruction": False}, VAVL - 657_152 - 755_840),
    Count("vavl", "Ablation 3", VAVL_K1 | {"av_head": False}, VAVL - 657_670),
    Count("uavm", "default", {}, 114_949_894),
    Count("conformer", "audio", VAVL_K1, CONFORMER + 1024 * 50),
    Count("conformer", "faces", VAVL_K1 | {"modality": "visual"}, CONFORMER + 1408 * 50),
    # torchvision's MobileNetV3 features have 2,971,952 and 927,008 parameters.
    Count("colearning", "MobileNetV3-Large", LARGE, 5_254_198),
    Count("colearning", "MobileNetV3-Small", SMALL, 3_160_102),
    Count("colearning", "A only", {"modalities": "audio"}, 1_365_510),
    Count("colearning", "V only", {"modalities": "visual"}, 3_525_814),
]

VAVL_INPUTS = {"audio_dim": 1024, "visual_dim": 1408}
INPUTS = {
    **dict.fromkeys(("vavl", "uavm", "conformer"), VAVL_INPUTS),
    "colearning": {"audio_dim": 240, "visual_dim": 128 * 128 * 3},
}
"""Where they are not AuxFormer's 130-D audio and 4096-D faces."""


def counted(count: Count) -> int:
    """The parameters that the variant has here; nothing is allocated."""
    dims = INPUTS.get(count.name, {"audio_dim": 130, "visual_dim": 4096})
    with torch.device("meta"):
        model = build_model(count.name, **dims, outputs=count.outputs, **count.config)
    return sum(weights.numel() for weights in model.parameters())
