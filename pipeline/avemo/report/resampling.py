"""Two systems on the clips of one test side: how their scores would differ on other clips of its kind.

A paper with one official split has no spread over splits. Here groups of test clips (videos, speakers) are drawn
again with replacement, for both systems at once: the paired bootstrap (Efron and Tibshirani 1993, sections 13 and 15).
Letters: R draws, G groups, O outputs that are judged apart, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from avemo.base.contracts import AvemoError
from avemo.base.metrics import PAPER_SCORES, from_confusion
from avemo.dataset.tasks import Task
from avemo.report.ttest import CONFIDENCE, Tail

DRAWS = 10_000


def resampled(
    ours: pd.DataFrame,
    other: pd.DataFrame,
    groups: Mapping[str, str],
    task: Task,
    tail: Tail = "greater",
    draws: int = DRAWS,
) -> dict[str, dict[str, float]]:
    """By metric of `scores_of`: ``mean_difference`` of the scores as they are, and of the draws ``sd, ci_low, ci_high, p``.

    ``ours`` and ``other`` are predictions (`Task.table`, with ``clip_id``) of the same clips. ``p`` is the share of
    draws in which ours is not higher, what was found counted among them; two-sided, twice the smaller share.
    Raises `AvemoError` for predictions of other clips, and for attributes.
    """
    ours, other = (frame.sort_values("clip_id", ignore_index=True) for frame in (ours, other))
    if ours.clip_id.tolist() != other.clip_id.tolist() or ours.empty:
        raise AvemoError(
            f"bootstrap: expected predictions of the same clips, found {len(ours)} and {len(other)} or others; "
            "evaluate both systems again"
        )
    owner = pd.factorize(ours.clip_id.map(groups), sort=True)[0]
    size = owner.max() + 1
    times_RG = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), size=draws)
    # What was found stands first: each group once.
    times_RG = np.concatenate([np.ones((1, size), dtype=times_RG.dtype), times_RG])
    each = [scores_of(_confusions(frame, owner, task), times_RG, task) for frame in (ours, other)]
    return {metric: _summary(each[0][metric] - each[1][metric], tail) for metric in each[0]}


def scores_of(counts_GOCC: np.ndarray, times_RG: np.ndarray, task: Task) -> dict[str, np.ndarray]:
    """Every metric of the task that confusion counts give ``(R,)``, where each group counts so many times.

    Those are all but AUC and AP, which rank clips by probability.
    """
    # As floats, which are exact up to 2^53 and multiply in BLAS.
    flat_RK = times_RG.astype(np.float64) @ counts_GOCC.reshape(len(counts_GOCC), -1).astype(np.float64)
    counts_ROCC = flat_RK.reshape(-1, *counts_GOCC.shape[1:])
    found = from_confusion(counts_ROCC)
    if task.kind == "classes":
        hits_R = np.trace(counts_ROCC[:, 0], axis1=1, axis2=2) / counts_ROCC.sum((1, 2, 3))
        parts = {name: name.split("_") for name in PAPER_SCORES}
        named = {
            name: getattr(found, score)[:, 0].mean(-1) if mean == "macro" else hits_R
            for name, (mean, score) in parts.items()
        }
        # The recall of a class without a clip is 0.
        return named | {"uar": found.recall[:, 0].sum(-1) / (found.support[:, 0] > 0).sum(-1)}
    weighted_RO = (found.f1 * found.support).sum(-1) / found.support.sum(-1)
    each = {"wf1": weighted_RO, "mf1": found.f1.mean(-1)}
    named = {f"{m}_{name}": values[:, i] for m, values in each.items() for i, name in enumerate(task.names)}
    return {m: values.mean(-1) for m, values in each.items()} | named


def _confusions(table: pd.DataFrame, owner: np.ndarray, task: Task) -> np.ndarray:
    """Confusion counts ``(G, O, C, C)`` of each group: one of all classes, or one of each bit."""
    if task.kind == "classes":
        outputs, classes = [("target", "prediction")], len(task.names)
    elif task.kind == "bits":
        outputs, classes = [(f"target_{name}", f"prediction_{name}") for name in task.names], 2
    else:
        raise AvemoError(f"bootstrap: expected classes or bits, found {task.kind}; compare them over splits")
    counts = np.zeros((owner.max() + 1, len(outputs), classes, classes), dtype=np.int64)
    for number, (target, prediction) in enumerate(outputs):
        where = owner, table[target].to_numpy(np.int64), table[prediction].to_numpy(np.int64)
        np.add.at(counts[:, number], where, 1)
    return counts


def _summary(differences_R: np.ndarray, tail: Tail) -> dict[str, float]:
    edge, drawn = (1 - CONFIDENCE) / 2, differences_R[1:]
    low, high = np.quantile(drawn, (edge, 1 - edge))
    above, below = ((1 + np.sum(side * drawn <= 0)) / len(differences_R) for side in (1, -1))
    p = above if tail == "greater" else min(1.0, 2 * min(above, below))
    numbers = {
        "mean_difference": differences_R[0],
        "sd": drawn.std(ddof=1),
        "ci_low": low,
        "ci_high": high,
        "p": p,
    }
    return {name: float(value) for name, value in numbers.items()}
