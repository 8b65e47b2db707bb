"""Reading the table of scores: checks, means over splits, and the honesty check.

Scores are rows (system, split, modality, metric, value), values between 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.contracts import AvemoError

BASELINES = {"majority": "majority class", "chance": "chance"}
"""Systems that see no input, and what the report calls them."""

MODALITIES = {"av": "audio-visual", "audio": "audio only", "visual": "video only"}

METRICS = {
    **{"macro_precision": "macro-P", "macro_recall": "macro-R", "macro_f1": "macro-F1"},
    **{"micro_precision": "micro-P", "micro_recall": "micro-R", "micro_f1": "micro-F1"},
}

ALPHA = 0.05
"""Level of significance."""

WIDE_MARGIN = 0.10
"""A system that learned something beats both baselines by this much macro-F1."""


def check(scores: pd.DataFrame, order: Sequence[str]) -> None:
    """Every system of ``order`` and both baselines are scored on the same splits, once each.

    A system may lack a modality, but not a part of its splits. Raises `AvemoError`.
    """
    missing = [name for name in (*order, *BASELINES) if name not in set(scores["system"])]
    if missing:
        raise AvemoError(
            f"scores: expected the systems {[*order, *BASELINES]}, found none of {missing}; evaluate them first"
        )
    keys = ["system", "modality", "metric"]
    twice = scores.duplicated([*keys, "split"])
    if twice.any():
        row = scores.loc[twice, [*keys, "split"]].iloc[0].to_dict()
        raise AvemoError(f"scores: expected one value each, found two for {row}; keep one of them")
    counts = scores.groupby(keys)["split"].nunique()
    splits = scores["split"].nunique()
    if (counts < splits).any():
        where = " ".join(map(str, counts.index[int(counts.argmin())]))
        raise AvemoError(
            f"{where}: expected scores on {splits} splits, found {counts.min()}; evaluate the missing splits"
        )


def over_splits(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample standard deviation, columns ``mean, sd, splits``, by (system, modality, metric)."""
    grouped = scores.groupby(["system", "modality", "metric"], sort=False)["value"]
    return pd.DataFrame({"mean": grouped.mean(), "sd": grouped.std(), "splits": grouped.size()})


def by_split(scores: pd.DataFrame, system: str, modality: str, metric: str) -> pd.Series:
    """One system's values, indexed by split; empty if it has no such scores."""
    chosen = (scores["system"] == system) & (scores["modality"] == modality) & (scores["metric"] == metric)
    return scores[chosen].set_index("split")["value"].sort_index()


def rows_of(frame: pd.DataFrame) -> list[Any]:
    """Its rows, columns as attributes."""
    return list(frame.itertuples(index=False))


def verdict(test: Any) -> int:
    """Of a row of the tests: 1 if the reference scores significantly higher, −1 if lower, else 0.

    A one-tailed test never finds it lower.
    """
    found = test.p < ALPHA
    return int(math.copysign(1, test.mean_difference)) if found else 0


def honesty_check(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Whether each system learned something: audio-visual macro-F1 beside chance and majority.

    ``margin`` is the mean over splits less the better baseline's mean; a system has
    ``passed`` where that is `WIDE_MARGIN` or more. ``splits_won`` of ``splits``
    count where it beats both. Raises `AvemoError` where a baseline has no scores.
    """
    systems = [name for name in scores["system"].unique() if name not in BASELINES]
    check(scores, systems)
    values = {name: by_split(scores, name, "av", "macro_f1") for name in (*systems, *BASELINES)}
    best = pd.concat([values[name] for name in BASELINES], axis=1).max(axis=1)
    chance, majority = float(values["chance"].mean()), float(values["majority"].mean())
    found = []
    for name in systems:
        mean = float(values[name].mean())
        margin = mean - max(chance, majority)
        found.append(
            {
                **{"system": name, "macro_f1": mean, "chance": chance, "majority": majority},
                **{"margin": margin, "passed": margin >= WIDE_MARGIN - 1e-12},
                **{"splits_won": int((values[name] > best).sum()), "splits": len(best)},
            }
        )
    return found
