"""The same weights give the public implementations' numbers; `golden/` says how those were made."""

from pathlib import Path

import numpy as np
import pytest
import torch
from seeded_weights import seed_weights, seeded_input

from pipeline.dataset.batch import Batch
from pipeline.models import build_model

GOLDEN = Path(__file__).parent / "golden"


def golden(name):
    with np.load(GOLDEN / f"{name}.npz") as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored.files}


def padded_batch(visual_dim):
    """Three clips; the last one's last three frames are padding."""
    inputs = seeded_input(3, 11, 130, seed=1), seeded_input(3, 7, visual_dim, seed=2)
    masks = [torch.ones(x.shape[:2], dtype=torch.bool) for x in inputs]
    for x, mask in zip(inputs, masks, strict=True):
        x[-1, -3:], mask[-1, -3:] = 0, False
    return Batch(*inputs, *masks, torch.zeros(3, dtype=torch.long))


def assert_same(ours, expected):
    assert torch.isfinite(ours).all()
    assert ours.std() > 0.01
    assert torch.allclose(ours, expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("mask", ["causal", "open"])
def test_auxformer_equals_its_released_code(mask):
    """At full size; ``open`` is the released code with its attention mask off."""
    config = {"as_published_code": True, "causal": mask == "causal"}
    model = seed_weights(build_model("auxformer", audio_dim=130, visual_dim=4096, outputs=6, **config)).eval()
    outputs, expected = model(padded_batch(4096)), golden("auxformer")
    for head, logits_BC in outputs.logits.items():
        assert_same(logits_BC, expected[f"{mask}_{head}"])
    mean = sum(expected[f"{mask}_{head}"] for head in ("av", "audio", "visual")) / 3
    assert_same(outputs.prediction, mean)


@torch.no_grad()
def test_mult_equals_its_released_encoders():
    model = seed_weights(
        build_model("mult", audio_dim=130, visual_dim=256, outputs=6, as_published_code=True)
    ).eval()
    assert_same(model(padded_batch(256)).logits["av"], golden("mult")["av"])


@torch.no_grad()
@pytest.mark.parametrize(
    "switch", ["causal", "as_published_padding", "tied_alpha", "published_mlp", "aux_repeats"]
)
def test_every_switch_of_the_bundle_is_needed(switch):
    config = {"as_published_code": True, switch: 1 if switch == "aux_repeats" else False}
    model = build_model("auxformer", audio_dim=130, visual_dim=4096, outputs=6, **config)
    outputs, expected = seed_weights(model).eval()(padded_batch(4096)), golden("auxformer")
    gaps = [float((outputs.logits[head] - expected[f"causal_{head}"]).abs().max()) for head in outputs.logits]
    assert max(gaps) > 1e-3
