"""Predictions that are means of several heads: of their logits, or of their probabilities; of those that count."""

from __future__ import annotations

import pytest
import torch

from avemo.models import MODELS, build_model
from model_batches import AUDIO_DIM, OUTPUTS, VISUAL_DIM, lacking, random_batch

AVERAGING = {
    **{"auxformer": {}, "auxformer_unimodal": {}, "av_ladder": {}, "uavm": {}},
    "vavl": {"av_head": False},
}


def system(name: str, **config):
    torch.manual_seed(0)
    sizes = {"audio_dim": AUDIO_DIM, "visual_dim": VISUAL_DIM, "outputs": OUTPUTS}
    return build_model(name, **sizes, **MODELS.load(name).tiny | config).eval()


@pytest.mark.parametrize("average", ["logits", "probabilities"])
@pytest.mark.parametrize("name", AVERAGING)
def test_a_prediction_is_the_mean_that_the_config_names(name, average):
    outputs = system(name, **AVERAGING[name], average=average)(random_batch())
    heads = torch.stack([*outputs.logits.values()])
    expected = heads.mean(0) if average == "logits" else heads.softmax(-1).mean(0)
    found = outputs.prediction if average == "logits" else outputs.prediction.softmax(-1)
    torch.testing.assert_close(found, expected)
    other = heads.mean(0).softmax(-1) - heads.softmax(-1).mean(0)
    assert other.abs().max() > 1e-5


@pytest.mark.parametrize("average", ["logits", "probabilities"])
@pytest.mark.parametrize("name", ["uavm", "vavl"])
def test_what_a_clip_lacks_does_not_count(name, average):
    batch = lacking(random_batch(), audio=[1], visual=[2])
    outputs = system(name, **AVERAGING[name], average=average)(batch)
    for row, kept in ((1, "visual"), (2, "audio")):
        torch.testing.assert_close(outputs.prediction[row].softmax(-1), outputs.logits[kept][row].softmax(-1))


def test_auxformers_present_head_can_answer_alone():
    """Without sound: the visual auxiliary head. The released code averages all three, zeros' answers among them."""
    batch = random_batch()
    mean, present = system("auxformer"), system("auxformer", one_modality="present")
    assert torch.equal(mean(batch).prediction, present(batch).prediction)
    for dropped, kept in (("audio", "visual"), ("visual", "audio")):
        outputs = present(batch.without(dropped))
        assert torch.equal(outputs.prediction, outputs.logits[kept])
        heads = torch.stack([*mean(batch.without(dropped)).logits.values()])
        torch.testing.assert_close(mean(batch.without(dropped)).prediction, heads.mean(0))
    some = present(lacking(batch, audio=[1]))
    assert torch.equal(some.prediction[1], some.logits["visual"][1])
    torch.testing.assert_close(some.prediction[0], torch.stack([*some.logits.values()])[:, 0].mean(0))
