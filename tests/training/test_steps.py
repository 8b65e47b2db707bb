"""One update: modality drop, clipping, and refusal of losses that are not finite."""

from __future__ import annotations

import pytest
import torch
from training_standins import TinySystem, ToyData, ToySplit

from pipeline.contracts import AvemoError
from pipeline.training import STEPS
from pipeline.training.config import TrainingConfig
from pipeline.training.seeding import Generators
from pipeline.training.steps import drop_modality, joint

IDS = list(ToySplit().train[:8])
CPU = torch.device("cpu")


def update(model, batch, config, optimizer=None):
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=config.lr)
    return joint(model, batch, optimizer, config, Generators.of(0, "split00", CPU), "run, batch 3")


def test_every_procedure_loads():
    assert all(callable(STEPS.load(name)) for name in STEPS)


def test_drop_shares_over_many_draws():
    """20 % / 20 % / 60 %, never both; binomial standard deviation of a share is 0.0028 here."""
    batch = ToyData().batch(IDS[:1])
    generator = torch.Generator().manual_seed(0)
    seen = {"audio": 0, "visual": 0, "both": 0, "none": 0}
    for _ in range(20_000):
        dropped = drop_modality(batch, 0.2, generator)
        no_audio = dropped.audio_BTD is not batch.audio_BTD
        no_visual = dropped.visual_BTD is not batch.visual_BTD
        seen[{(0, 0): "none", (1, 0): "audio", (0, 1): "visual"}.get((no_audio, no_visual), "both")] += 1
    assert seen["both"] == 0
    assert [seen[name] / 20_000 for name in ("audio", "visual", "none")] == pytest.approx(
        [0.2, 0.2, 0.6], abs=0.012
    )


def test_dropped_modality_is_zero_and_the_other_untouched():
    batch = ToyData().batch(IDS)
    generator = torch.Generator().manual_seed(0)
    dropped = [drop_modality(batch, 0.5, generator) for _ in range(20)]
    for one in dropped:
        gone, kept = (
            (one.audio_BTD, one.visual_BTD)
            if one.visual_BTD is batch.visual_BTD
            else (one.visual_BTD, one.audio_BTD)
        )
        assert gone.abs().sum() == 0
        assert kept.abs().sum() > 0
    assert {one.visual_BTD is batch.visual_BTD for one in dropped} == {True, False}


def test_gradient_norm_is_clipped():
    model = TinySystem()
    update(model, ToyData().batch(IDS), TrainingConfig(clip_norm=0.01))
    norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item()
    assert norm == pytest.approx(0.01, rel=1e-3)


def test_first_adam_step_moves_each_weight_by_the_rate():
    """Adam's first step is lr·g/(|g|+eps), i.e. ±lr wherever the gradient is not tiny."""
    model = TinySystem()
    before = model.heads["av"].weight.detach().clone()
    update(model, ToyData().batch(IDS), TrainingConfig(lr=1e-3))
    moved = (model.heads["av"].weight.detach() - before).abs()
    assert moved.median().item() == pytest.approx(1e-3, rel=1e-2)


def test_returned_terms_add_up():
    terms = update(TinySystem(), ToyData().batch(IDS), TrainingConfig())
    assert terms.keys() == {"supervised", "size", "total"}
    assert terms["total"] == pytest.approx(terms["supervised"] + terms["size"], rel=1e-6)


def test_loss_that_is_not_finite_stops_before_the_update():
    model = TinySystem()
    before = [p.detach().clone() for p in model.parameters()]
    batch = ToyData(poison=IDS[2]).batch(IDS)
    with pytest.raises(
        AvemoError, match=r"run, batch 3: expected a finite loss, found nan; clips: clip0, clip1, clip2"
    ):
        update(model, batch, TrainingConfig())
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


def test_gradient_that_is_not_finite_stops_before_the_update():
    """sqrt at 0: the loss is 0 there, its slope infinite."""

    class Cliff(TinySystem):
        def forward(self, batch, generator=None):
            outputs = super().forward(batch, generator)
            outputs.losses["cliff"] = (self.heads["av"].weight * 0).sum().sqrt()
            return outputs

    model = Cliff()
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(AvemoError, match="expected a finite gradient norm"):
        update(model, ToyData().batch(IDS), TrainingConfig())
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
