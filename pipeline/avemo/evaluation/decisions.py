"""Net benefit: what acting on a probability is worth, by how many false alarms one would take for a hit.

Vickers, Elkin: Decision Curve Analysis: A Novel Method for Evaluating Prediction Models, Medical Decision Making 26(6), 2006.
"""

from __future__ import annotations

import numpy as np

THRESHOLDS = np.round(np.arange(0.02, 0.9, 0.02), 2)
"""Probabilities from which one would act."""


def net_benefit(true: np.ndarray, p: np.ndarray, thresholds: np.ndarray = THRESHOLDS) -> np.ndarray:
    """Hits less weighted false alarms, per clip, at each of ``thresholds``.

    ``TP/n - FP/n t/(1 - t)``, where whoever has a probability of ``t`` or more is acted on; ``true`` is 0 or 1.
    """
    taken = p[None, :] >= thresholds[:, None]
    hits = (taken & (true == 1)).mean(axis=1)
    alarms = (taken & (true == 0)).mean(axis=1)
    return hits - alarms * thresholds / (1 - thresholds)


def benefit_of_all(true: np.ndarray, thresholds: np.ndarray = THRESHOLDS) -> np.ndarray:
    """Of acting on every clip, whatever is predicted; acting on none has 0."""
    return net_benefit(true, np.ones(len(true)), thresholds)
