"""Calibration against made probabilities, scikit-learn and a grid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from avemo.dataset.tasks import Bits, Classes
from avemo.evaluation.calibration import (
    calibration_error,
    calibration_scores,
    negative_log_likelihood,
    probabilities,
    scaled,
    temperature,
)
from avemo.report.reliability import reliability

TASK = Classes(list("abcd"))


def overconfident(clips: int, seed: int, factor: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Clips whose classes are drawn from a softmax, told with logits that are ``factor`` times as large."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (clips, 4))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = (p.cumsum(1) > generator.random((clips, 1))).argmax(1)
    sharp = np.exp(factor * logits) / np.exp(factor * logits).sum(1, keepdims=True)
    return pd.DataFrame(TASK.table(targets, sharp)), p


def test_the_temperature_that_made_a_system_too_sure_is_found():
    dev, _ = overconfident(20_000, 0, factor=3.0)
    assert temperature(TASK, dev) == pytest.approx(3.0, rel=0.05)
    grid = np.linspace(1, 6, 501)
    losses = [negative_log_likelihood(TASK, dev, scaled(TASK, probabilities(TASK, dev), t)) for t in grid]
    assert temperature(TASK, dev) == pytest.approx(grid[int(np.argmin(losses))], abs=0.02)


def test_scaling_takes_the_overconfidence_away_and_no_class():
    dev, _ = overconfident(5000, 1, factor=3.0)
    test, true_p = overconfident(5000, 2, factor=3.0)
    found = calibration_scores(TASK, test, dev)
    assert found["calibration_ece"] > 0.15
    assert found["calibration_ece_scaled"] < 0.03
    assert found["calibration_nll_scaled"] < found["calibration_nll"]
    p = scaled(TASK, probabilities(TASK, test), 3.0)
    assert p == pytest.approx(true_p, abs=1e-9)
    assert (p.argmax(1) == test.prediction).all()


def test_likelihood_is_scikit_learns():
    test, _ = overconfident(300, 3, factor=1.0)
    p = probabilities(TASK, test)
    assert negative_log_likelihood(TASK, test, p) == pytest.approx(log_loss(test.target, p, labels=range(4)))
    bits = Bits(["x", "y"])
    generator = np.random.default_rng(0)
    true, q = (generator.random((200, 2)) > 0.5).astype(float), generator.random((200, 2))
    table = pd.DataFrame(bits.table(true, q))
    theirs = sum(log_loss(true[:, i], q[:, i]) for i in (0, 1))
    assert negative_log_likelihood(bits, table, probabilities(bits, table)) == pytest.approx(theirs)


def test_bits_error_is_the_mean_gap_of_each():
    bits = Bits(["x", "y"])
    table = pd.DataFrame(bits.table(np.array([[1.0, 0], [0, 0], [0, 1], [0, 1]]), np.full((4, 2), 0.7)))
    assert calibration_error(bits, table, probabilities(bits, table)) == pytest.approx((0.45 + 0.2) / 2)


def test_the_diagram_has_means_of_its_bins():
    found = reliability(np.array([0.55, 0.58, 0.95, 0.99]), np.array([True, False, True, True]))
    assert found["clips"].tolist() == [2, 2]
    assert found["sure"].tolist() == pytest.approx([0.565, 0.97])
    assert found["right"].tolist() == [0.5, 1.0]
