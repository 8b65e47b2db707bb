"""Net benefit, counted by scikit-learn's confusion matrix."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from avemo.evaluation.decisions import THRESHOLDS, benefit_of_all, net_benefit


def drawn() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    p = generator.random(400).round(2)
    return (generator.random(400) < p).astype(int), p


def test_net_benefit_is_hits_less_weighted_false_alarms():
    true, p = drawn()
    for threshold, found in zip(THRESHOLDS, net_benefit(true, p), strict=True):
        matrix = confusion_matrix(true, p >= threshold, labels=[0, 1])
        (_, alarms), (_, hits) = matrix
        expected = hits / 400 - alarms / 400 * threshold / (1 - threshold)
        assert found == pytest.approx(expected, abs=1e-12)


def test_acting_always_is_worth_nothing_where_the_threshold_is_the_prevalence():
    """Vickers and Elkin 2006: the line of treating all meets that of treating none at the prevalence."""
    true = np.array([1, 0, 0, 0])
    assert benefit_of_all(true, np.array([0.25, 0.1])) == pytest.approx([0.0, 0.25 - 0.75 / 9])


def test_who_knows_the_truth_has_the_prevalence_at_every_threshold():
    true, _ = drawn()
    assert net_benefit(true, true.astype(float)) == pytest.approx(true.mean())
