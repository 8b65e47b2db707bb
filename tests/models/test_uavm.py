"""UAVM: a modality a pass, mean of what a clip has, learned positions of fixed length."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from avemo.dataset.batch import Batch
from avemo.models import build_model
from avemo.models.uavm import pooled
from model_batches import lacking, random_batch
from parameter_counts import COUNTS, counted

SIZES = {"width": 8, "heads": 2, "length": 12}


def uavm(**config):
    torch.manual_seed(0)
    return build_model("uavm", audio_dim=6, visual_dim=10, outputs=4, **SIZES | config).eval()


def test_the_released_module_has_weights_that_it_never_uses():
    """At 1024-D audio, 1408-D faces, T = 50 and 6 classes it has 117,065,490.

    Its two classifiers of a modality (2 x (2,048 + 6,150)) and its projections from 1024 to
    1024, of audio and of the shared blocks (2 x 1,049,600), are idle.
    """
    (used,) = (count for count in COUNTS if count.name == "uavm")
    assert counted(used) + 2 * (2_048 + 6_150) + 2 * 1_049_600 == 117_065_490


def test_prediction_is_the_mean_of_what_a_clip_has():
    model, batch = uavm(), lacking(random_batch(), audio=[1], visual=[2])
    outputs = model(batch)
    audio, visual = outputs.logits["audio"], outputs.logits["visual"]
    assert torch.allclose(outputs.prediction[0], (audio[0] + visual[0]) / 2)
    assert torch.allclose(outputs.prediction[1], visual[1])
    assert torch.allclose(outputs.prediction[2], audio[2])


def test_one_modality_alone_is_its_own_head():
    model, batch = uavm(), random_batch()
    for kept, dropped in (("audio", "visual"), ("visual", "audio")):
        outputs = model(batch.without(dropped))
        assert list(outputs.logits) == [kept]
        assert torch.equal(outputs.prediction, model(batch).logits[kept])
        assert torch.equal(outputs.prediction, model.forward_only(kept, batch).prediction)


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_every_frame_of_a_clip_counts_however_few_the_positions(modality):
    """50 positions over a clip of 2.5 s: 125 frames of wav2vec 2.0, 75 of video."""
    torch.manual_seed(0)
    model = build_model("uavm", audio_dim=6, visual_dim=10, outputs=4, width=8, heads=2).eval()
    assert model.config.length == 50
    audio, visual = torch.randn(1, 125, 6), torch.randn(1, 75, 10)
    masks = torch.ones(1, 125, dtype=torch.bool), torch.ones(1, 75, dtype=torch.bool)
    batch = Batch(audio, visual, *masks, torch.zeros(1, dtype=torch.long))
    before = model(batch).prediction
    frames, _ = batch.frames(modality)
    for frame in (50, frames.shape[1] - 1):
        changed = frames.clone()
        changed[:, frame, 0] += 3.0
        after = model(replace(batch, **{f"{modality}_BTD": changed})).prediction
        assert not torch.allclose(after, before)


def test_stretches_are_those_of_adaptive_pooling():
    """Each clip by its own length; shorter ones stay as they are, and padding has no part in it."""
    x, real = torch.randn(3, 23, 4), torch.tensor([23, 11, 6])
    mask = torch.arange(23) < real[:, None]
    found, kept = pooled(x, mask, 8)
    assert kept.sum(1).tolist() == [8, 8, 6]
    for row, frames in enumerate(real.tolist()):
        own = x[row, :frames]
        expected = F.adaptive_avg_pool1d(own.T, 8).T if frames > 8 else own
        torch.testing.assert_close(found[row, : len(expected)], expected)
    changed = x.masked_fill(~mask[:, :, None], 9.0)
    assert torch.equal(pooled(changed, mask, 8)[0][:, :6], found[:, :6])


def test_frames_after_the_positions_can_be_cut():
    model, batch = uavm(length=5, fit="cut"), random_batch()
    before = model(batch).prediction
    batch.audio_BTD[:, 5:, 0] += 3.0
    assert torch.equal(model(batch).prediction, before)
    batch.audio_BTD[:, 4, 0] += 3.0
    assert not torch.allclose(model(batch).prediction, before)


def test_as_published_padding_counts():
    """Padded to the learned positions, zero frames move the mean; masked, they do not."""
    batch = random_batch()
    masked, published = uavm(), uavm(as_published_code=True)
    published.load_state_dict(masked.state_dict())
    assert published.config.as_published_padding
    assert published.config.fit == "cut"
    assert (masked(batch).prediction - published(batch).prediction).abs().max() > 1e-2


def test_both_trunks_share_the_rest():
    model = uavm()
    audio, visual = (set(map(id, modules)) for modules in model.parts().values())
    assert audio & visual == {id(model.shared), id(model.head)}
