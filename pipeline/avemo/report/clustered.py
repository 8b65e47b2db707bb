"""How scores would differ with other people on the test sides: speakers are drawn again, with all their clips.

Clips of one speaker are alike, so that drawing clips would promise too much (Bisani and Ney, ICASSP 2004). Each draw
takes as many of the tested speakers as there are, with replacement, the same for every system and split; a split's
score counts each of its clips as often as its speaker was drawn, and the mean over splits is what varies.
Letters: R draws, of which the first is the speakers as they are; G speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from avemo.base.metrics import from_confusion
from avemo.dataset.tasks import Task
from avemo.report.ttest import CONFIDENCE

DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """What was found, and where `CONFIDENCE` of the draws lie."""

    found: float
    low: float
    high: float


class Speakers:
    """Draws of the speakers of some audio-visual ``predictions``: ``clip_id, speaker, system, split`` and a task's columns."""

    def __init__(self, predictions: pd.DataFrame, task: Task, draws: int = DRAWS):
        self.task = task
        self.predictions = predictions[predictions["modality"] == "av"]
        self.names = sorted(self.predictions["speaker"].astype(str).unique())
        size = len(self.names)
        drawn = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), size=draws)
        self.times_RG = np.concatenate([np.ones((1, size)), drawn])

    def scores(self, system: str, metric: str, chosen: pd.Series | None = None) -> np.ndarray:
        """A system's mean over splits ``(R,)``, of the clips that are ``chosen`` (by row); NaN where no split has any."""
        rows = self.predictions["system"] == system
        own = self.predictions[
            rows if chosen is None else rows & chosen.reindex(rows.index, fill_value=False)
        ]
        each = [self._of_split(part, metric) for _, part in own.groupby("split")]
        if not each:
            return np.full(len(self.times_RG), np.nan)
        values, known = np.nan_to_num(np.stack(each)), ~np.isnan(np.stack(each))
        counts = known.sum(axis=0)
        return np.where(counts > 0, values.sum(axis=0) / np.maximum(counts, 1), np.nan)

    def _of_split(self, table: pd.DataFrame, metric: str) -> np.ndarray:
        owner = np.searchsorted(self.names, table["speaker"].astype(str))
        sums_GK = sums_of(table, owner, len(self.names), self.task)
        return score_of(self.times_RG @ sums_GK, metric, self.task)


def interval(values_R: np.ndarray) -> Interval:
    """Percentiles of the draws that have a value."""
    edge = (1 - CONFIDENCE) / 2
    drawn = values_R[1:][~np.isnan(values_R[1:])]
    low, high = np.quantile(drawn, (edge, 1 - edge)) if len(drawn) else (np.nan, np.nan)
    return Interval(float(values_R[0]), float(low), float(high))


def sums_of(table: pd.DataFrame, owner: np.ndarray, owners: int, task: Task) -> np.ndarray:
    """``(G, K)``: what a score is made of, summed over each speaker's clips: confusion counts, or moments."""
    if task.kind == "attributes":
        columns: Sequence[np.ndarray] = [
            column
            for name in task.names
            for x, y in [
                (table[f"target_{name}"].to_numpy(float), table[f"prediction_{name}"].to_numpy(float))
            ]
            for column in (np.ones(len(x)), x, y, x * x, y * y, x * y)
        ]
        return np.stack([np.bincount(owner, weights=column, minlength=owners) for column in columns], axis=1)
    pairs = [("target", "prediction")]
    size = len(task.names)
    if task.kind == "bits":
        pairs, size = [(f"target_{name}", f"prediction_{name}") for name in task.names], 2
    counts = np.zeros((owners, len(pairs), size, size))
    for number, (target, prediction) in enumerate(pairs):
        where = owner, table[target].to_numpy(int), table[prediction].to_numpy(int)
        np.add.at(counts[:, number], where, 1)
    return counts.reshape(owners, -1)


def score_of(sums_RK: np.ndarray, metric: str, task: Task) -> np.ndarray:
    """A metric ``(R,)`` from such sums: ``macro_f1, uar, micro_f1``, ``mf1, wf1`` or ``ccc``; NaN without clips."""
    if task.kind == "attributes":
        n, x, y, xx, yy, xy = np.moveaxis(sums_RK.reshape(len(sums_RK), len(task.names), 6), 2, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mx, my = x / n, y / n
            ccc = 2 * (xy / n - mx * my) / (xx / n - mx**2 + yy / n - my**2 + (mx - my) ** 2)
        return np.where(n[:, 0] > 0, np.nan_to_num(ccc).mean(axis=1), np.nan)
    size = 2 if task.kind == "bits" else len(task.names)
    counts = sums_RK.reshape(len(sums_RK), -1, size, size)
    found, clips = from_confusion(counts), counts[:, 0].sum(axis=(1, 2))
    if task.kind == "bits":
        with np.errstate(invalid="ignore", divide="ignore"):
            weighted = (found.f1 * found.support).sum(-1) / found.support.sum(-1)
        values = {"mf1": found.f1.mean(-1), "wf1": weighted}[metric].mean(axis=1)
    else:
        there = found.support[:, 0] > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            values = {
                "macro_f1": found.f1[:, 0].mean(-1),
                "uar": (found.recall[:, 0] * there).sum(-1) / there.sum(-1),
                "micro_f1": np.trace(counts[:, 0], axis1=1, axis2=2) / clips,
            }[metric]
    return np.where(clips > 0, values, np.nan)
