"""Which modalities a system looks at: what it says, and that the other one changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from model_batches import AUDIO_DIM, OUTPUTS, VISUAL_DIM, random_batch

from pipeline.models import build_model

TINY = {
    "conformer": {"width": 8, "heads": 2, "layers": 1, "hidden": 8},
    "auxformer_unimodal": {"width": 8, "heads": 2, "layers": 1},
    "colearning": {"width": 8, "heads": 2, "ffn": 8, "audio_layers": 1, "visual_layers": 1, "cnn": "none"},
}


@pytest.mark.parametrize("modality", ["audio", "visual"])
@pytest.mark.parametrize("name", sorted(TINY))
def test_a_single_modality_system_says_so_and_ignores_the_other(name, modality):
    key = "modalities" if name == "colearning" else "modality"
    dims = {"audio_dim": AUDIO_DIM, "visual_dim": VISUAL_DIM, "outputs": OUTPUTS}
    model = build_model(name, **dims, **TINY[name], **{key: modality}).eval()
    assert model.modalities == (modality,)
    batch = random_batch()
    other = {"audio": "visual", "visual": "audio"}[modality]
    noisy = replace(batch, **{f"{other}_BTD": torch.randn_like(getattr(batch, f"{other}_BTD"))})
    with torch.no_grad():
        assert torch.equal(model(batch).prediction, model(noisy).prediction)
        assert torch.equal(model(batch).prediction, model(batch.without(other)).prediction)


def test_other_systems_look_at_both():
    dims = {"audio_dim": AUDIO_DIM, "visual_dim": VISUAL_DIM, "outputs": OUTPUTS}
    assert build_model("colearning", **dims, **TINY["colearning"]).modalities == ("audio", "visual")
    assert build_model("mult", **dims, width=8, heads=2).modalities == ("audio", "visual")
