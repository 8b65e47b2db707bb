"""How far the trainings of one split differ by their seeds alone, beside how far splits differ."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from avemo.dataset.split_names import sides_of
from avemo.dataset.tasks import Task
from avemo.report.formatting import fixed
from avemo.report.scores import unit_of
from avemo.report.tables import table_of
from avemo.report.writers import Notes, Table


def variances(each_seed: pd.DataFrame) -> pd.DataFrame:
    """Rows (system, metric): ``mean``, ``sd_splits`` of the splits' means, ``sd_seeds`` within a split, ``seeds``.

    ``each_seed``: audio-visual scores with a row a seed. ``sd_seeds`` is pooled: the root of the mean over splits of
    the sample variance over a split's seeds.
    """
    both = each_seed[each_seed["modality"] == "av"].copy()
    both["sides"] = both["split"].map(sides_of)
    by_sides = both.groupby(["system", "metric", "sides"], sort=False)["value"].agg(["mean", "var", "size"])
    found = by_sides.groupby(["system", "metric"], sort=False).agg(
        mean=("mean", "mean"), sd_splits=("mean", "std"), variance=("var", "mean"), seeds=("size", "max")
    )
    return found.assign(sd_seeds=found.pop("variance") ** 0.5).reset_index()


def seeds_table(each_seed: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()) -> Table:
    """Of the headline metrics: mean, deviation over splits and deviation over the seeds of a split."""
    raw, unit, rows = variances(each_seed), unit_of(task), []
    raw = raw[raw["system"].isin(order) & raw["metric"].isin(task.headline)]
    for system in order:
        for metric in task.headline:
            own = raw[(raw["system"] == system) & (raw["metric"] == metric)]
            if len(own):
                values = (float(own[name].iloc[0]) for name in ("mean", "sd_splits", "sd_seeds"))
                cells = [fixed(unit.factor * value, unit.digits) for value in values]
                rows.append([system, task.metrics[metric], *cells])
    caption = (
        f"Audio-visual, in {unit.scale}: mean over splits, each the mean of its {raw['seeds'].max()} seeds; sample "
        "standard deviation of these means over splits; and of the seeds of one split (root mean variance). Where "
        "the last is as large as the one before, a difference between two single trainings says little."
    )
    columns = ["system", "score", "mean", "sd over splits", "sd over seeds"]
    return table_of("seeds", "Seeds and splits", caption, rows, columns, raw, notes)
