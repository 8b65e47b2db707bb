"""Scores against raters' votes: SciPy, scikit-learn, and Krippendorff's own example."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cosine, jensenshannon
from scipy.stats import entropy
from sklearn.metrics import log_loss

from avemo.evaluation.agreement import agreement_scores, krippendorff_alpha, most_voted, one_rater, shares_of

OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
"""Four observers of twelve units (Krippendorff 2011, section C)."""


def drawn() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    votes = generator.integers(0, 5, (60, 4)).astype(float)
    votes[:, 0] += 1
    return votes, generator.dirichlet(np.ones(4), 60)


def test_alpha_is_that_of_the_printed_example():
    votes = np.zeros((12, 5))
    for observer in OBSERVERS:
        for unit, value in enumerate(observer):
            if value:
                votes[unit, value - 1] += 1
    assert krippendorff_alpha(votes) == pytest.approx(0.743, abs=5e-4)


def test_alpha_of_raters_who_always_and_who_never_agree():
    assert krippendorff_alpha(np.array([[3, 0], [0, 3.0]])) == 1
    assert krippendorff_alpha(np.array([[1, 1], [1, 1.0]])) < 0
    assert np.isnan(krippendorff_alpha(np.array([[3, 0], [2, 0.0]])))
    assert np.isnan(krippendorff_alpha(np.array([[1, 0], [0, 1.0]])))


def test_scores_are_scipys_and_scikit_learns():
    votes, p = drawn()
    shares, found = shares_of(votes), agreement_scores(votes, p)
    each = [np.repeat(np.arange(4), row.astype(int)) for row in votes]
    losses = [
        log_loss(said, np.tile(q, (len(said), 1)), labels=range(4)) for said, q in zip(each, p, strict=True)
    ]
    assert found["cross_entropy"] == pytest.approx(np.mean(losses))
    pairs = list(zip(shares, p, strict=True))
    assert found["divergence"] == pytest.approx(np.mean([jensenshannon(a, b, base=2) ** 2 for a, b in pairs]))
    assert found["cosine"] == pytest.approx(np.mean([1 - cosine(a, b) for a, b in pairs]))
    assert found["share"] == pytest.approx(np.mean([a[b.argmax()] for a, b in pairs]))


def test_the_votes_themselves_are_the_limit():
    votes, p = drawn()
    best, found = most_voted(votes), agreement_scores(votes, p)
    assert best["cross_entropy"] == pytest.approx(entropy(votes, axis=1).mean())
    assert (best["divergence"], best["cosine"]) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
    assert best["share"] > found["share"]
    assert best["cross_entropy"] < found["cross_entropy"]


def test_one_rater_is_asked_of_each_pair():
    votes, _ = drawn()
    each = []
    for row in votes:
        said = np.repeat(np.arange(4), row.astype(int))
        pairs = [said[i] == said[j] for i in range(len(said)) for j in range(len(said)) if i != j]
        if pairs:
            each.append(np.mean(pairs))
    assert one_rater(votes) == pytest.approx(np.mean(each))
    assert np.isnan(one_rater(np.array([[1.0, 0.0]])))
