"""Scores of predictions: pure functions of NumPy arrays, one idea each.

Classes are integers ``0 … n_classes-1``. A class is averaged over even when it
has no clip: a quotient 0/0 counts as 0, as with scikit-learn's
``labels=range(n_classes), zero_division=0``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from avemo.base.contracts import AvemoError

BINS = 15
"""Of calibration errors."""


@dataclass(frozen=True)
class PerClass:
    """Scores of every class, each ``(…, n_classes)`` float64; ``support`` counts true clips."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def confusion_matrix(targets: ArrayLike, predictions: ArrayLike, n_classes: int) -> np.ndarray:
    """Counts ``(n_classes, n_classes)``: rows are true classes, columns predicted ones.

    Raises `AvemoError` for no clips, unequal lengths, or a class outside ``0 … n_classes-1``.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 3).tolist()
    [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    """
    true, predicted = _classes("targets", targets, n_classes), _classes("predictions", predictions, n_classes)
    _same_shape(true, predicted)
    counts = np.bincount(true * n_classes + predicted, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def per_class(targets: ArrayLike, predictions: ArrayLike, n_classes: int) -> PerClass:
    """Precision ``TP/(TP+FP)``, recall ``TP/(TP+FN)``, F1 ``2TP/(2TP+FP+FN)`` of each class.

    >>> per_class([0, 0, 1], [0, 1, 1], 3).f1.round(4).tolist()
    [0.6667, 0.6667, 0.0]
    """
    return from_confusion(confusion_matrix(targets, predictions, n_classes))


def from_confusion(counts: np.ndarray) -> PerClass:
    """The same from a confusion matrix, or from many ``(…, n_classes, n_classes)`` at once."""
    hits, predicted, support = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-2), counts.sum(-1)
    return PerClass(
        precision=_quotient(hits, predicted),
        recall=_quotient(hits, support),
        f1=_quotient(2 * hits, predicted + support),
        support=support,
    )


def macro_precision(targets: ArrayLike, predictions: ArrayLike, n_classes: int) -> float:
    """Unweighted mean over all classes of the precision.

    >>> macro_precision([0, 0, 1], [0, 1, 1], 2)
    0.75
    """
    return float(per_class(targets, predictions, n_classes).precision.mean())


def macro_recall(targets: ArrayLike, predictions: ArrayLike, n_classes: int) -> float:
    """Unweighted mean over all classes of the recall.

    >>> macro_recall([0, 0, 1], [0, 1, 1], 3)
    0.5
    """
    return float(per_class(targets, predictions, n_classes).recall.mean())


def macro_f1(targets: ArrayLike, predictions: ArrayLike, n_classes: int) -> float:
    """Unweighted mean over all classes of the F1 score.

    >>> round(macro_f1([0, 0, 1], [0, 1, 1], 2), 4)
    0.6667
    """
    return float(per_class(targets, predictions, n_classes).f1.mean())


def accuracy(targets: ArrayLike, predictions: ArrayLike, n_classes: int) -> float:
    """Share of clips whose class is right. With one label a clip, micro P = R = F1 = this.

    >>> accuracy([0, 0, 1, 1], [0, 1, 1, 1], 2)
    0.75
    """
    counts = confusion_matrix(targets, predictions, n_classes)
    return float(np.trace(counts) / counts.sum())


def uar(targets: ArrayLike, predictions: ArrayLike, n_classes: int) -> float:
    """Unweighted average recall over the classes that have a true clip (balanced accuracy).

    Differs from `macro_recall` only when a class has none.

    >>> uar([0, 0, 1], [0, 1, 1], 3)
    0.75
    """
    scores = per_class(targets, predictions, n_classes)
    return float(scores.recall[scores.support > 0].mean())


METRICS: dict[str, Callable[[ArrayLike, ArrayLike, int], float]] = {
    "macro_precision": macro_precision,
    "macro_recall": macro_recall,
    "macro_f1": macro_f1,
    "micro_precision": accuracy,
    "micro_recall": accuracy,
    "micro_f1": accuracy,
    "accuracy": accuracy,
    "uar": uar,
}
"""Scores of integer classes, called with ``(targets, predictions, n_classes)``."""

PAPER_SCORES = (
    *("macro_precision", "macro_recall", "macro_f1"),
    *("micro_precision", "micro_recall", "micro_f1"),
)
"""The scores that the classification tables print."""


def classification_scores(targets: ArrayLike, predictions: ArrayLike, n_classes: int) -> dict[str, float]:
    """`PAPER_SCORES` of integer ``targets (clips,)`` and ``predictions (clips,)``.

    >>> classification_scores([0, 0, 1, 1], [0, 1, 1, 1], 2)["micro_f1"]
    0.75
    """
    return {name: METRICS[name](targets, predictions, n_classes) for name in PAPER_SCORES}


def ccc(targets: ArrayLike, predictions: ArrayLike) -> float:
    """Concordance ``2 cov(x,y) / (var x + var y + (mean x − mean y)²)``, population moments.

    Both ``(clips,)``, pooled over the test set. A constant side gives 0.
    Raises `AvemoError` for no clips, unequal lengths or values that are not finite.

    >>> round(ccc([0.0, 1.0, 2.0], [1.0, 2.0, 3.0]), 4)  # shift by c: 2s²/(2s²+c²), s² = 2/3
    0.5714
    """
    x, y = _finite("targets", targets), _finite("predictions", predictions)
    _same_shape(x, y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    dx, dy = x - x.mean(), y - y.mean()
    spread = np.mean(dx**2) + np.mean(dy**2) + (x.mean() - y.mean()) ** 2
    return float(2 * np.mean(dx * dy) / spread)


def cosine_distance(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """``1 − cos(a, b)`` of each clip's two vectors ``(clips, dim)``; ``(clips,)``, from 0 to 2 (VAVL, Fig. 2).

    A vector of zeros has no direction; its distance is NaN. Raises `AvemoError` for unequal shapes.

    >>> cosine_distance([[1, 0], [1, 0], [1, 0]], [[2, 0], [0, 1], [-3, 0]]).tolist()
    [0.0, 1.0, 2.0]
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    _same_shape(x, y)
    with np.errstate(invalid="ignore"):
        return 1 - (x * y).sum(1) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1))


@dataclass(frozen=True)
class BinaryF1:
    """wF1 and mF1: support-weighted and unweighted mean of the F1 of *both* classes."""

    weighted: float
    macro: float


def binary_f1(targets: ArrayLike, predictions: ArrayLike) -> BinaryF1:
    """wF1 and mF1 of one emotion; both arguments ``(clips,)`` of 0 and 1.

    An all-negative predictor on CMU-MOSEI's surprise (441 of 4,662 clips) earns:

    >>> scores = binary_f1([1] * 441 + [0] * 4221, [0] * 4662)
    >>> round(100 * scores.weighted, 1), round(100 * scores.macro, 1)
    (86.0, 47.5)
    """
    scores = per_class(targets, predictions, 2)
    return BinaryF1(float(np.average(scores.f1, weights=scores.support)), float(scores.f1.mean()))


@dataclass(frozen=True)
class Ranking:
    """How well probabilities put the clips that show an emotion before the others; NaN without both sorts of clips."""

    auc: float
    average_precision: float


def ranking(targets: ArrayLike, probabilities: ArrayLike) -> Ranking:
    """Area under the ROC curve and average precision of ``probabilities (clips,)`` for ``targets`` of 0 and 1.

    >>> ranking([0, 1, 1], [0.1, 0.2, 0.9]), ranking([1, 1], [0.1, 0.2])
    (Ranking(auc=1.0, average_precision=1.0), Ranking(auc=nan, average_precision=nan))
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    true, p = _classes("targets", targets, 2), _finite("probabilities", probabilities)
    _same_shape(true, p)
    if len(np.unique(true)) < 2:
        return Ranking(float("nan"), float("nan"))
    return Ranking(float(roc_auc_score(true, p)), float(average_precision_score(true, p)))


def expected_calibration_error(targets: ArrayLike, probabilities: ArrayLike, bins: int = BINS) -> float:
    """``Σ_b (n_b/n) |accuracy_b − confidence_b|`` over equal-width bins of the top probability.

    ``targets (clips,)`` integers, ``probabilities (clips, n_classes)`` with rows that
    sum to one. Bin b is ``((b−1)/bins, b/bins]``; empty bins add nothing (Guo et al. 2017, eq. 3).

    >>> round(expected_calibration_error([0, 1], [[0.9, 0.1], [0.9, 0.1]]), 4)
    0.4
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or not np.allclose(p.sum(axis=1), 1, atol=1e-4) or p.min(initial=0) < 0:
        raise AvemoError(
            "probabilities: expected (clips, classes), each row summing to 1, "
            f"found shape {p.shape}; apply softmax to the logits first"
        )
    true = _classes("targets", targets, p.shape[1])
    _same_shape(true, p[:, 0])
    confidence = p.max(axis=1)
    gap = (p.argmax(axis=1) == true) - confidence
    inner_edges = np.arange(1, bins) / bins
    sums = np.bincount(np.digitize(confidence, inner_edges, right=True), weights=gap, minlength=bins)
    return float(np.abs(sums).sum() / len(true))


def _quotient(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)


def _classes(name: str, values: ArrayLike, n_classes: int) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or len(array) == 0:
        raise AvemoError(
            f"{name}: expected one class a clip, found shape {array.shape}; score at least one clip"
        )
    whole = array.astype(np.int64)
    if (whole != array).any() or whole.min() < 0 or whole.max() >= n_classes:
        raise AvemoError(
            f"{name}: expected integer classes 0 to {n_classes - 1}, "
            f"found {array.min()} to {array.max()}; check the label order and n_classes"
        )
    return whole


def _finite(name: str, values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0 or not np.isfinite(array).all():
        raise AvemoError(
            f"{name}: expected finite values of shape (clips,), found shape {array.shape} with "
            f"{int((~np.isfinite(array)).sum())} not finite; leave out clips without a value"
        )
    return array


def _same_shape(targets: np.ndarray, predictions: np.ndarray) -> None:
    if targets.shape != predictions.shape:
        raise AvemoError(
            f"predictions: expected shape {targets.shape} like the targets, "
            f"found {predictions.shape}; pair them by clip id"
        )
