"""How well probabilities follow the raters' votes, and how well raters follow each other.

Krippendorff: Computing Krippendorff's Alpha-Reliability, 2011 (nominal data). Raters are not told apart: ``votes
(clips, classes)`` counts those that named each class.
"""

from __future__ import annotations

import numpy as np

from avemo.evaluation.calibration import SMALLEST

SCORES = {
    "share": "raters' share of the class taken",
    "cross_entropy": "cross-entropy",
    "divergence": "Jensen-Shannon divergence",
    "cosine": "cosine",
}


def shares_of(votes: np.ndarray) -> np.ndarray:
    """Each class' share of a clip's votes, of clips that have some."""
    return votes / votes.sum(axis=1, keepdims=True)


def agreement_scores(votes: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """`SCORES` of probabilities ``p`` (clips, classes) against the votes, means over clips.

    Cross-entropy in nats, never below the votes' own entropy; divergence in bits, from 0 to 1; cosine from 0 to 1.
    """
    shares = shares_of(votes)
    middle = (shares + p) / 2
    lengths = np.linalg.norm(shares, axis=1) * np.linalg.norm(p, axis=1)
    each = {
        "share": shares[np.arange(len(p)), p.argmax(axis=1)],
        "cross_entropy": -(shares * np.log(np.maximum(p, SMALLEST))).sum(axis=1),
        "divergence": (_distance(shares, middle) + _distance(p, middle)) / 2,
        "cosine": (shares * p).sum(axis=1) / lengths,
    }
    return {name: float(values.mean()) for name, values in each.items()}


def most_voted(votes: np.ndarray) -> dict[str, float]:
    """`SCORES` of who always says what the votes say, which no system can surpass."""
    return agreement_scores(votes, shares_of(votes))


def one_rater(votes: np.ndarray) -> float:
    """The share of the other raters who named what a rater named: mean over raters, then over clips with two or more."""
    counted = votes[votes.sum(axis=1) > 1]
    if not len(counted):
        return float("nan")
    n = counted.sum(axis=1)
    return float(((counted * (counted - 1)).sum(axis=1) / (n * (n - 1))).mean())


def krippendorff_alpha(votes: np.ndarray) -> float:
    """Nominal: 1 less the observed disagreement of pairs of votes of a clip over that of any two votes.

    Clips with fewer than two votes tell nothing. NaN where all votes are one class.
    """
    counted = votes[votes.sum(axis=1) > 1].astype(np.float64)
    n = counted.sum(axis=1)
    totals, whole = counted.sum(axis=0), n.sum()
    observed = ((n**2 - (counted**2).sum(axis=1)) / (n - 1)).sum() / whole if whole else np.nan
    expected = (whole**2 - (totals**2).sum()) / (whole * (whole - 1)) if whole > 1 else np.nan
    return float(1 - observed / expected) if expected else float("nan")


def _distance(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Kullback-Leibler, in bits; what has no probability adds nothing."""
    ratio = np.divide(p, q, out=np.ones_like(q), where=p > 0)
    return (p * np.log2(ratio)).sum(axis=1)
