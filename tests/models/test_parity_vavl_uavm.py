"""The same weights give the public implementations' numbers; `golden/` says how those were made."""

from pathlib import Path

import numpy as np
import pytest
import torch
from seeded_weights import seed_weights, seeded_input

from pipeline.dataset.batch import Batch
from pipeline.models import build_model
from pipeline.models.conformer import Conformer, ConformerConfig

GOLDEN = Path(__file__).parent / "golden"


def golden(name):
    with np.load(GOLDEN / f"{name}.npz") as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored.files}


def whole(audio_BTD, visual_BTD):
    """A batch of clips of one length."""
    masks = (torch.ones(x.shape[:2], dtype=torch.bool) for x in (audio_BTD, visual_BTD))
    return Batch(audio_BTD, visual_BTD, *masks, torch.zeros(len(audio_BTD), dtype=torch.long))


def assert_same(ours, expected):
    assert torch.isfinite(ours).all()
    assert ours.std() > 0.01
    assert torch.allclose(ours, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_conformer_blocks_equal_upstream():
    ours = seed_weights(Conformer(ConformerConfig(width=64), 50, 2)).eval()
    assert_same(
        ours(seeded_input(3, 21, 50, seed=1), torch.ones(3, 21, dtype=torch.bool)), golden("conformer")["y"]
    )


@torch.no_grad()
@pytest.mark.parametrize("layout", ["released", "corrected"])
def test_vavl_equals_its_released_code(layout):
    """At full size; ``corrected`` is the released code with its encoders given (batch, time, dim)."""
    config = {"as_published_code": True, "batch_axis_attention": layout == "released"}
    model = seed_weights(build_model("vavl", audio_dim=1024, visual_dim=1408, outputs=6, **config)).eval()
    batch = whole(seeded_input(3, 9, 1024, seed=1), seeded_input(3, 7, 1408, seed=2))
    expected, outputs = golden("vavl"), model(batch)
    for head, logits_BC in outputs.logits.items():
        assert_same(logits_BC, expected[f"{layout}_{head}"])
    for side, r_BD in outputs.representations.items():
        branch = getattr(model, side)
        assert_same(branch.reconstruct(r_BD), expected[f"{layout}_{side}_reconstruction"])


@torch.no_grad()
def test_uavm_equals_its_released_code():
    sizes = {"width": 32, "heads": 4, "specific_layers": 2, "shared_layers": 2, "length": 10}
    model = seed_weights(build_model("uavm", audio_dim=12, visual_dim=14, outputs=6, **sizes)).eval()
    outputs = model(whole(seeded_input(3, 10, 12, seed=1), seeded_input(3, 10, 14, seed=2)))
    for side, expected in golden("uavm").items():
        assert_same(outputs.logits[side], expected)
