"""The first system against each other one: one paired test a metric, modality and rival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from avemo.base.contracts import AvemoError
from avemo.dataset.splits import Split
from avemo.evaluation.calibration import PREFIX
from avemo.report.scores import seeds_averaged
from avemo.report.ttest import Tail, holm, paired_test


def families(
    scores: Sequence[pd.DataFrame], blind: Sequence[pd.DataFrame], splits: Sequence[Split], tail: Tail
) -> pd.DataFrame:
    """`compare` of systems' ``scores``, and of their first with the systems of each frame of ``blind``, which is a
    family of its own. A split's seeds count once, as their mean."""
    ratio = sum(len(split.test) / len(split.train) for split in splits) / len(splits)
    systems = [seeds_averaged(frame) for frame in scores]
    rivals = [[one for _, one in seeds_averaged(frame).groupby("system", sort=False)] for frame in blind]
    found = [
        compare(systems, ratio, tail),
        *(compare([systems[0], *family], ratio, tail) for family in rivals),
    ]
    return pd.concat(found, ignore_index=True)


def compare(scores: Sequence[pd.DataFrame], test_train_ratio: float, tail: Tail) -> pd.DataFrame:
    """Rows ``reference, system, modality, metric`` with every field of `PairedTest`, ``p_holm`` and ``tail``.

    ``scores``: a frame a system (system, split, modality, metric, value), the
    reference first. A rival without scores of a modality, or with a split that has none, is not tested on it.
    Holm's family is the rivals within one modality and metric. Raises
    `AvemoError` if two systems were not scored on the same splits.
    """
    reference, *rivals = [frame.sort_values("split") for frame in scores]
    rows = []
    reference = reference[~reference.metric.str.startswith(PREFIX)]
    for (modality, metric), ours in reference.groupby(["modality", "metric"], sort=False):
        family = []
        for rival in rivals:
            other = rival[(rival.modality == modality) & (rival.metric == metric)]
            if other.empty or ours.value.isna().any() or other.value.isna().any():
                continue
            _check_pairs(ours, other)
            result = asdict(
                paired_test(ours.value.to_numpy(), other.value.to_numpy(), tail, test_train_ratio)
            )
            names = {"reference": ours.system.iloc[0], "system": other.system.iloc[0]}
            family.append(names | {"modality": modality, "metric": metric} | result | {"tail": tail})
        adjusted = holm([row["p"] for row in family])
        rows += [row | {"p_holm": p} for row, p in zip(family, adjusted, strict=True)]
    return pd.DataFrame(rows)


def _check_pairs(ours: pd.DataFrame, other: pd.DataFrame) -> None:
    if ours.split.tolist() != other.split.tolist():
        raise AvemoError(
            f"paired test: expected both systems on the splits {ours.split.tolist()}, "
            f"found {other.split.tolist()}; evaluate the other one again"
        )
