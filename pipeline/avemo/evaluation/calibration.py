"""Whether probabilities are as right as they say, and the one temperature, fitted on dev, that makes them more so.

Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from avemo.base.metrics import BINS, expected_calibration_error
from avemo.dataset.tasks import Task

PREFIX = "calibration_"
"""Begins the names of these scores, which no system is better by."""
LIMITS = (-4.0, 4.0)
"""Of the temperature's natural logarithm."""
SMALLEST = 1e-300
"""A probability of a class below it counts as it."""
EDGE = 1e-12
"""How near 0 and 1 a bit's probability may come."""


def has_probabilities(task: Task) -> bool:
    """Whether a task's predictions have them."""
    return task.kind in ("classes", "bits")


def probabilities(task: Task, table: pd.DataFrame) -> np.ndarray:
    """``(clips, outputs)`` of a table of predictions."""
    names = range(len(task.names)) if task.kind == "classes" else task.names
    return table[[f"p_{name}" for name in names]].to_numpy(np.float64)


def scaled(task: Task, p: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities of the logits divided by ``temperature``."""
    if task.kind == "classes":
        powers = np.exp(np.log(np.maximum(p, SMALLEST)) / temperature)
        return powers / powers.sum(axis=1, keepdims=True)
    kept = np.clip(p, EDGE, 1 - EDGE)
    return 1 / (1 + np.exp(-np.log(kept / (1 - kept)) / temperature))


def negative_log_likelihood(task: Task, table: pd.DataFrame, p: np.ndarray) -> float:
    """Mean over clips; of bits, summed over them."""
    if task.kind == "classes":
        own = p[np.arange(len(p)), table["target"].to_numpy(int)]
        return float(-np.log(np.maximum(own, SMALLEST)).mean())
    true = _bits(task, table)
    own = np.where(true == 1, p, 1 - p)
    return float(-np.log(np.maximum(own, EDGE)).sum(axis=1).mean())


def temperature(task: Task, dev: pd.DataFrame) -> float:
    """The temperature under which dev's true answers are most likely."""
    from scipy.optimize import minimize_scalar

    p = probabilities(task, dev)
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(task, dev, scaled(task, p, float(np.exp(log_t)))),
        bounds=LIMITS,
        method="bounded",
    )
    return float(np.exp(found.x))


def calibration_error(task: Task, table: pd.DataFrame, p: np.ndarray) -> float:
    """Expected calibration error of the class taken; of bits that of each one's presence, mean over them."""
    if task.kind == "classes":
        return expected_calibration_error(table["target"], p)
    true = _bits(task, table)
    return float(np.mean([_gap(true[:, i], p[:, i]) for i in range(true.shape[1])]))


def calibration_scores(task: Task, test: pd.DataFrame, dev: pd.DataFrame) -> dict[str, float]:
    """``temperature`` by dev; error ``ece`` and ``nll`` of test as they are, and ``…_scaled`` by the temperature."""
    found, p = temperature(task, dev), probabilities(task, test)
    after = scaled(task, p, found)
    values = {
        "temperature": found,
        "ece": calibration_error(task, test, p),
        "ece_scaled": calibration_error(task, test, after),
        "nll": negative_log_likelihood(task, test, p),
        "nll_scaled": negative_log_likelihood(task, test, after),
    }
    return {PREFIX + name: value for name, value in values.items()}


def _bits(task: Task, table: pd.DataFrame) -> np.ndarray:
    return table[[f"target_{name}" for name in task.names]].to_numpy(int)


def _gap(true: np.ndarray, p: np.ndarray) -> float:
    """``Σ_b (n_b/n) |share of ones − mean p|`` over bins of equal width."""
    bins = np.digitize(p, np.arange(1, BINS) / BINS, right=True)
    return float(np.abs(np.bincount(bins, weights=true - p, minlength=BINS)).sum() / len(p))
