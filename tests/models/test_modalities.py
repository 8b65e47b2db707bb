"""Missing modalities: what each system claims to look at, and clips that lack some of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from avemo.dataset.tasks import Classes
from avemo.models import MODELS
from avemo.training import STEPS
from avemo.training.recipe import TrainingConfig
from avemo.training.state import RunState
from model_batches import OUTPUTS, lacking, random_batch, row
from small_systems import small

VARIANTS = [
    *((name, {}) for name in sorted(MODELS)),
    ("auxformer", {"auxiliary": False}),
    ("auxformer", {"token": "cls"}),
    ("auxformer", {"token": "mean"}),
    ("av_ladder", {"ladders": "audiovisual"}),
    ("av_ladder", {"ladders": "cross_layer"}),
    ("vavl", {"shared_residual": False}),
    ("vavl", {"reconstruction": False}),
    ("vavl", {"av_head": False}),
]
"""Every system, and the variants that look at both modalities."""

SINGLE = [
    (name, key, side)
    for name in sorted(MODELS)
    for key in MODELS.load(name).Config.model_fields.keys() & {"modality", "modalities"}
    for side in ("audio", "visual")
]


@pytest.mark.parametrize(("name", "key", "modality"), SINGLE)
def test_a_single_modality_system_says_so_and_ignores_the_other(name, key, modality):
    model = small(name, **{key: modality}).eval()
    assert model.modalities == (modality,)
    batch = random_batch()
    other = {"audio": "visual", "visual": "audio"}[modality]
    noisy = replace(batch, **{f"{other}_BTD": torch.randn_like(getattr(batch, f"{other}_BTD"))})
    with torch.no_grad():
        assert torch.equal(model(batch).prediction, model(noisy).prediction)
        assert torch.equal(model(batch).prediction, model(batch.without(other)).prediction)


def test_other_systems_look_at_both():
    single = {name for name, key, _ in SINGLE if key == "modality"}
    for name in MODELS:
        assert small(name).modalities == (("audio",) if name in single else ("audio", "visual"))


@pytest.mark.parametrize(("name", "config"), VARIANTS)
def test_a_clip_is_answered_alike_in_any_company(name, config):
    """Whole, deaf and blind clips in one batch, each alone, and among clips that lack the same."""
    model, whole = small(name, **config).eval(), random_batch()
    mixed = lacking(whole, audio=[0, 2], visual=[1])
    with torch.no_grad():
        together = model(mixed).prediction
        alone = torch.cat([model(row(mixed, index)).prediction for index in range(len(mixed))])
        deaf = model(lacking(whole, audio=range(len(whole)))).prediction
        blind = model(lacking(whole, visual=range(len(whole)))).prediction
    assert torch.allclose(together, alone, atol=1e-5, rtol=0)
    assert torch.allclose(together[[0, 2]], deaf[[0, 2]], atol=1e-5, rtol=0)
    assert torch.allclose(together[1], blind[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("company", ["audio only", "visual only", "mixed"])
@pytest.mark.parametrize(
    ("name", "config", "procedure"), [(n, c, p) for n, c in VARIANTS for p in MODELS.load(n).procedures]
)
def test_every_procedure_trains_on_what_there_is(name, config, procedure, company):
    model, whole = small(name, **config).train(), random_batch()
    everyone = range(len(whole))
    batch = {
        "audio only": lacking(whole, visual=everyone),
        "visual only": lacking(whole, audio=everyone),
        "mixed": lacking(whole, audio=[0], visual=[1]),
    }[company]
    task = Classes([str(number) for number in range(OUTPUTS)])
    before = {key: value.clone() for key, value in model.named_parameters()}
    run = RunState.fresh(model, task, TrainingConfig(procedure=procedure, seed=3), "s", torch.device("cpu"))
    # A sampled head may need what no clip has, and then changes nothing; eight draws never all do.
    found = [STEPS.load(procedure)(run, batch, "here") for _ in range(8 if procedure == "sampled" else 1)]
    assert any(found)
    assert all(torch.tensor(list(terms.values())).isfinite().all() for terms in found)
    assert any(not torch.equal(value, before[key]) for key, value in model.named_parameters())
    assert all(value.isfinite().all() for value in model.parameters())
