"""Every system at a size that a test can afford, for `model_batches`."""

import torch

from avemo.models import build_model
from model_batches import AUDIO_DIM, OUTPUTS, VISUAL_DIM

SMALL = {
    "auxformer": {"width": 8, "heads": 2, "layers": 2},
    "auxformer_unimodal": {"width": 8, "heads": 2, "layers": 2},
    "av_ladder": {
        "width": 8,
        "heads": 2,
        "layers": 2,
        "length": 48,
        "channels": (8, 6, 4),
        "hidden": (12, 8),
    },
    "mult": {"width": 9, "heads": 3, "layers": 2},
    "parthasarathy": {"width": 8, "heads": 2, "layers": 2},
    "conformer": {"width": 8, "heads": 2, "layers": 2, "embedding": 5, "depthwise_kernel": 5},
    "vavl": {"width": 8, "heads": 2, "layers": 2, "embedding": 5, "depthwise_kernel": 5, "hidden": (8, 6)},
    "uavm": {"width": 8, "heads": 2, "length": 20},
    "colearning": {"cnn": "none", "width": 8, "heads": 2, "ffn": 16, "audio_layers": 2},
}

BLIND = {"auxformer_unimodal": {"visual"}, "conformer": {"visual"}}
"""Modalities that a system does not look at."""


def small(name, **config):
    torch.manual_seed(0)
    return build_model(
        name,
        audio_dim=AUDIO_DIM,
        visual_dim=VISUAL_DIM,
        outputs=OUTPUTS,
        **(SMALL.get(name, {}) | config),
    )
