"""What a reviewer asks of people: intervals over speakers, and gaps between parts of the clips."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from avemo.base.contracts import digest
from avemo.dataset.tasks import Task
from avemo.report.clustered import Interval, Speakers, interval
from avemo.report.scores import Unit, unit_of
from avemo.report.tables import table_of
from avemo.report.writers import ABSENT, Notes, Table

MOST_VALUES = 12
"""A column with more than so many values is no division of the clips."""
METRICS = {"classes": ("macro_f1", "uar"), "bits": ("mf1", "wf1"), "attributes": ("ccc",)}
"""By kind of task: what has intervals; the last one is that of parts."""
DRAWN = (
    "95 % intervals are percentiles over draws of the tested speakers with replacement, each with all its clips, the "
    "same for all systems and splits."
)


def intervals_table(speakers: Speakers, order: Sequence[str], task: Task, notes: Notes = ()) -> Table:
    """Each system's scores with their intervals, and the first system less it."""
    unit, rows, raw = unit_of(task), [], []
    for metric in METRICS[task.kind]:
        values = {system: speakers.scores(system, metric) for system in order}
        for system in order:
            own = interval(values[system])
            apart = interval(values[order[0]] - values[system])
            difference = told(apart, unit, signed=True) if system != order[0] else ABSENT
            rows.append([system, task.metrics[metric], told(own, unit), difference])
            raw.append(
                {"system": system, "metric": metric, "score": own.found, "low": own.low, "high": own.high}
                | {"less": apart.found, "less_low": apart.low, "less_high": apart.high}
            )
    caption = (
        f"Audio-visual, in {unit.scale}, mean over splits. {DRAWN} They say how far other people would move the scores of "
        f"these trained systems; tests over splits say how far other trainings would. {len(speakers.names)} speakers."
    )
    columns = ["system", "score", "mean, interval over speakers", f"{order[0]} less it"]
    return table_of("intervals", "Intervals over speakers", caption, rows, columns, pd.DataFrame(raw), notes)


def column_table(
    speakers: Speakers,
    column: str,
    value_of: Mapping[str, str],
    order: Sequence[str],
    task: Task,
    notes: Notes = (),
) -> Table:
    """Scores of the clips of each value of a ``column``, by ``value_of`` clip ids, and how far they lie from all others."""
    unit, metric, rows, raw = unit_of(task), METRICS[task.kind][-1], [], []
    values = speakers.predictions["clip_id"].map(value_of).fillna("")
    for value in sorted(set(values) - {""}):
        inside = values == value
        clips = speakers.predictions.loc[inside, "clip_id"].nunique()
        cells = [value, f"{clips:,}"]
        for system in order:
            own = speakers.scores(system, metric, inside)
            gap = interval(own - speakers.scores(system, metric, ~inside & (values != "")))
            cells += [unit.value(own[0]), told(gap, unit, signed=True)]
            raw.append(
                {column: value, "system": system, "clips": clips, "metric": metric, "score": own[0]}
                | {"gap": gap.found, "low": gap.low, "high": gap.high}
            )
        rows.append(cells)
    header = [
        ("", column),
        ("", "clips"),
        *((system, what) for system in order for what in (task.metrics[metric], "gap")),
    ]
    caption = (
        f"Audio-visual {task.metrics[metric]} in {unit.scale} of the test clips of each value, mean over splits. Gap: less "
        f"that of all other clips. {DRAWN} Several gaps are looked at here: one interval in twenty misses by chance."
    )
    plain = re.sub(r"\W+", "_", column)
    name = f"by_{plain}" if plain == column else f"by_{plain}_{digest(column)[:4]}"
    return table_of(name, f"Scores by {column}", caption, rows, header, pd.DataFrame(raw), notes)


def told(found: Interval, unit: Unit, signed: bool = False) -> str:
    """The number and its interval."""
    one = unit.difference if signed else (lambda value: unit.value(value).removesuffix(unit.sign))
    return f"{one(found.found)} ({one(found.low)} to {one(found.high)})"


def divisions(columns: Mapping[str, pd.Series]) -> list[str]:
    """Names of the columns that divide the clips: into two values at least, and into few."""
    return [name for name, values in columns.items() if 2 <= values[values != ""].nunique() <= MOST_VALUES]
