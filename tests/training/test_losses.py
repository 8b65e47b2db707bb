"""Loss terms against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from avemo.base.contracts import AvemoError
from avemo.models.base import Outputs
from avemo.training.losses import judged, total
from training_standins import TASK, ToyData

BATCH = ToyData().batch([f"clip{i}" for i in range(6)])


def cross_entropy(logits):
    return -log_softmax(logits, axis=1)[np.arange(len(logits)), BATCH.targets.numpy()].mean()


def random_outputs(heads, seed, scale=1.0):
    logits = scale * torch.randn(
        heads, 6, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return Outputs({str(i): head for i, head in enumerate(logits)}, logits.mean(0))


@settings(max_examples=30)
@given(heads=st.integers(1, 4), seed=st.integers(0, 10**6), scale=st.floats(0.01, 50))
def test_supervised_is_the_mean_over_heads(heads, seed, scale):
    outputs = random_outputs(heads, seed, scale)
    expected = np.mean([cross_entropy(head.numpy()) for head in outputs.logits.values()])
    assert total(outputs, BATCH, TASK)["supervised"].item() == pytest.approx(expected, rel=1e-12)


def test_uniform_logits_cost_log_of_the_classes():
    outputs = Outputs({"av": torch.zeros(6, 3)}, torch.zeros(6, 3))
    assert total(outputs, BATCH, TASK)["total"].item() == pytest.approx(np.log(3))


def test_total_adds_the_models_own_terms():
    outputs = random_outputs(3, 1)
    outputs.losses = {"a": torch.tensor(0.25), "b": torch.tensor(2.0)}
    terms = total(outputs, BATCH, TASK)
    assert list(terms) == ["supervised", "a", "b", "total"]
    assert (terms["total"] - terms["supervised"]).item() == pytest.approx(2.25)


def test_total_without_own_terms_is_the_supervised_loss_exactly():
    outputs = random_outputs(3, 2)
    terms = total(outputs, BATCH, TASK)
    assert torch.equal(terms["total"], terms["supervised"])


def test_dev_loss_judges_the_prediction_or_every_head():
    outputs = random_outputs(3, 2)
    assert judged(outputs, "heads") == outputs.logits
    assert [*judged(outputs, "prediction").values()] == [outputs.prediction]


def test_reserved_names_are_refused():
    outputs = random_outputs(1, 0)
    outputs.losses = {"total": torch.tensor(1.0)}
    with pytest.raises(AvemoError, match=r"\['total'\]"):
        total(outputs, BATCH, TASK)
