"""The time-first AuxFormer of `benchmarks.training`, with its hand-written attention, as an oracle."""

import pytest
import torch
from benchmarks.steps import random_batch
from benchmarks.training import released, update

from avemo.models.auxformer import AuxFormer

NO_DROPOUT = {
    f"{place}_dropout": 0.0
    for place in ("embedding", "attention", "cross_attention", "relu", "residual", "head")
}


@pytest.mark.parametrize("config", [{}, {"aux_repeats": 3}, {"tied_alpha": True}])
def test_equal_logits_and_gradients(config):
    torch.manual_seed(0)
    config = AuxFormer.Config(width=8, heads=2, layers=2, **NO_DROPOUT, **config)
    model, batch = AuxFormer(config, audio_dim=8, visual_dim=10, outputs=6), random_batch((150, 75), (8, 10))
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    gradients = []
    for forward in (lambda b: model(b).logits, lambda b: released(model, b)):
        update(model, still, forward, batch)
        gradients.append([p.grad.clone() for p in model.parameters()])
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    ours, theirs = model(batch).logits, released(model, batch)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in ours)
