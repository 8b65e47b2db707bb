"""Every system at a size that a test can afford, as it declares itself, for `model_batches`."""

import torch

from avemo.models import MODELS, build_model
from model_batches import AUDIO_DIM, OUTPUTS, VISUAL_DIM


def small(name, **config):
    torch.manual_seed(0)
    return build_model(
        name,
        audio_dim=AUDIO_DIM,
        visual_dim=VISUAL_DIM,
        outputs=OUTPUTS,
        **(MODELS.load(name).tiny | config),
    )
