"""Reading the table of scores: checks, means over splits, and the honesty check.

Scores are rows (system, split, modality, metric, value), values between 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from avemo.base.contracts import AvemoError
from avemo.dataset.split_names import sides_of
from avemo.dataset.tasks import Task
from avemo.evaluation.linear import NAME as LINEAR
from avemo.report.formatting import fixed, plus_minus, signed
from avemo.report.writers import ABSENT, LACKING

LINEAR_TITLE = "linear baseline"

MODALITIES = {"av": "audio-visual", "audio": "audio only", "visual": "video only"}


@dataclass(frozen=True)
class Unit:
    """How a task's scores are read: times ``factor``, with ``digits``; ``sign`` follows a value."""

    factor: float
    digits: int
    sign: str
    scale: str
    """What captions and axes say of values."""
    steps: str
    """What they say of differences."""

    def mean_sd(self, values: pd.Series, signed: bool = False) -> str:
        """Mean and sample standard deviation; a dash where there are no values."""
        if not len(values):
            return ABSENT
        return plus_minus(self.factor * values.mean(), self.factor * values.std(), self.digits, sign=signed)

    def value(self, value: float) -> str:
        """One score, with its sign (%)."""
        return fixed(self.factor * value, self.digits) + self.sign

    def difference(self, value: float) -> str:
        """A difference of two scores, signed."""
        return signed(self.factor * value, self.digits)


PERCENT = Unit(100, 1, " %", "percent", "points")
PLAIN = Unit(1, 3, "", "score", "score")


def unit_of(task: Task) -> Unit:
    """Percent for F1, plain numbers for concordance."""
    return PERCENT if task.percent else PLAIN


ALPHA = 0.05
"""Level of significance."""

WIDE_MARGIN = 0.10
"""A system that learned something beats every blind predictor by this much of the main metric."""


def check(scores: pd.DataFrame, order: Sequence[str], task: Task) -> None:
    """Every system of ``order`` and every blind predictor is scored on the same splits, once each.

    A system may lack a modality, but not a part of its splits. Raises `AvemoError`.
    """
    missing = [name for name in (*order, *task.blind) if name not in set(scores["system"])]
    if missing:
        raise AvemoError(
            f"scores: expected the systems {[*order, *task.blind]}, found none of {missing}; evaluate them first"
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


def seeds_averaged(scores: pd.DataFrame) -> pd.DataFrame:
    """A row a split where there was one for each of its seeds: their mean. Without seeds, as it was."""
    given = scores["split"].astype(str)
    splits = given.map(sides_of)
    if (splits == given).all():
        return scores
    keys = [name for name in scores if name != "value"]
    return scores.assign(split=splits).groupby(keys, sort=False, dropna=False)["value"].mean().reset_index()


def over_splits(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample standard deviation, columns ``mean, sd, splits``, by (system, modality, metric)."""
    grouped = scores.groupby(["system", "modality", "metric"], sort=False)["value"]
    return pd.DataFrame({"mean": grouped.mean(), "sd": grouped.std(), "splits": grouped.size()})


def by_split(scores: pd.DataFrame, system: str, modality: str, metric: str) -> pd.Series:
    """One system's values, indexed by split; empty if it has no such scores."""
    chosen = (scores["system"] == system) & (scores["modality"] == modality) & (scores["metric"] == metric)
    return scores[chosen].set_index("split")["value"].sort_index()


Lessened = Mapping[Any, Collection[str]]
"""By split whose test side lacks a class: the scores in which that counts as 0 (`avemo.dataset.absences`)."""


def lacking(splits: Iterable[Any], metric: str, lessened: Lessened) -> str:
    """`LACKING` where one of the splits behind a score of this metric counts a class as 0."""
    return LACKING if any(metric in lessened.get(split, ()) for split in splits) else ""


def lacking_legend(lessened: Lessened) -> str:
    """What the mark means."""
    found = sum(bool(metrics) for metrics in lessened.values())
    if not found:
        return ""
    return (
        f"{LACKING}: in {found} split{'s' * (found > 1)} no test clip shows some class, which counts as 0. "
    )


def rows_of(frame: pd.DataFrame) -> list[Any]:
    """Its rows, columns as attributes."""
    return list(frame.itertuples(index=False))


def verdict(test: Any) -> int:
    """Of a row of the tests: 1 if the reference scores significantly higher, −1 if lower, else 0.

    A one-tailed test never finds it lower.
    """
    found = test.p < ALPHA
    return int(math.copysign(1, test.mean_difference)) if found else 0


def baseline_titles(scores: pd.DataFrame, task: Task) -> dict[str, str]:
    """What tables call the baselines that have scores, by name: the linear one, then those that see no input."""
    linear = {LINEAR: LINEAR_TITLE} if LINEAR in set(scores["system"]) else {}
    return linear | dict(task.blind)


def honesty_check(scores: pd.DataFrame, task: Task) -> list[dict[str, Any]]:
    """Whether each system learned something: its audio-visual main metric beside the baselines'.

    ``margin`` is the mean over splits less the best blind one's mean; a system has
    ``passed`` where that is `WIDE_MARGIN` or more. ``splits_won`` of ``splits``
    count where it beats them all. ``blind`` holds their means by name. ``linear`` is the highest mean of the linear
    baseline on inputs that the system sees too, ``linear_input`` which (of `MODALITIES`), ``beats_linear`` whether
    the system's mean is higher; None in a run without it. Raises `AvemoError` where one has no scores.
    """
    systems = [name for name in scores["system"].unique() if name not in baseline_titles(scores, task)]
    check(scores, systems, task)
    values = {name: by_split(scores, name, "av", task.headline[0]) for name in (*systems, *task.blind)}
    best = pd.concat([values[name] for name in task.blind], axis=1).max(axis=1)
    blind = {name: float(values[name].mean()) for name in task.blind}
    found = []
    for name in systems:
        mean = float(values[name].mean())
        margin = mean - max(blind.values())
        found.append(
            {
                **{"system": name, "score": mean, "blind": blind},
                **{"margin": margin, "passed": margin >= WIDE_MARGIN - 1e-12},
                **{"splits_won": int((values[name] > best).sum()), "splits": len(best)},
                **_beside_linear(scores, name, mean, task),
            }
        )
    return found


def _beside_linear(scores: pd.DataFrame, system: str, mean: float, task: Task) -> dict[str, Any]:
    """The part of `honesty_check` that is about the linear baseline."""
    metric, seen = task.headline[0], set(scores.loc[scores["system"] == system, "modality"])
    alone = seen - {"av"}
    # Of two modalities, a system that sees one has scores of it alone, and is called audio-visual all the same.
    allowed = alone if len(alone) == 1 else seen
    means = {m: by_split(scores, LINEAR, m, metric).mean() for m in MODALITIES if m in allowed}
    means = {modality: float(value) for modality, value in means.items() if not math.isnan(value)}
    if not means:
        return {"linear": None, "linear_input": None, "beats_linear": None}
    best = max(means, key=lambda modality: means[modality])
    return {"linear": means[best], "linear_input": best, "beats_linear": mean > means[best]}
