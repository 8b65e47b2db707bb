"""The report's tables, built from data frames of scores, tests, predictions and clips."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from avemo.base.contracts import REMEDIES, AvemoError, Status
from avemo.dataset.split_names import sides_of
from avemo.dataset.tasks import Task
from avemo.report.formatting import p_value, signed
from avemo.report.scores import (
    ALPHA,
    LINEAR,
    LINEAR_TITLE,
    MODALITIES,
    Lessened,
    baseline_titles,
    by_split,
    check,
    honesty_check,
    lacking,
    lacking_legend,
    over_splits,
    rows_of,
    unit_of,
    verdict,
)
from avemo.report.writers import ABSENT, Notes, Table, note_label, to_csv, to_html, to_latex, with_note

__all__ = ["Table", "honesty_check", "to_csv", "to_html", "to_latex"]

NONE: Lessened = {}
LINEAR_LEGEND = (
    f" {LINEAR_TITLE.capitalize()}: a linear model on mean, deviation and percentiles of the same features, a model of its "
    "own for each input, its penalty chosen on dev."
)
FAILURES_SHOWN = 100
"""Failed clips that the page lists; the CSV lists all."""


def main_table(
    scores: pd.DataFrame,
    tests: pd.DataFrame,
    order: Sequence[str],
    task: Task,
    notes: Notes = (),
    lessened: Lessened = NONE,
    searched: str = "",
) -> Table:
    """Systems in ``order``, then the blind predictors, by modality and metric: mean ± sd over splits.

    ``searched`` ends the caption: what is to be known of how systems came by their settings.
    """
    check(scores, order, task)
    marks, unit = _marks(tests), unit_of(task)
    shown = {m: task.shown if m == "av" else task.headline for m in MODALITIES}
    columns = [(m, metric) for m in MODALITIES if m in set(scores["modality"]) for metric in shown[m]]

    def cell(system: str, modality: str, metric: str) -> str:
        values = by_split(scores, system, modality, metric)
        mark = lacking(values.index, metric, lessened) + marks.get((system, modality, metric), "")
        return unit.mean_sd(values) + mark

    titles = baseline_titles(scores, task)
    rows = [
        [titles.get(system, system), *(cell(system, *c) for c in columns)] for system in (*order, *titles)
    ]
    header = [("", "system"), *((MODALITIES[m], task.metrics[metric]) for m, metric in columns)]
    caption = (
        f"{unit.scale.capitalize()}; mean ± sample standard deviation over "
        f"{_count(scores['split'].nunique(), 'split')}. {_legend(tests)}{lacking_legend(lessened)}{task.note}"
        f"{LINEAR_LEGEND if LINEAR in titles else ''}{searched}"
    )
    raw = over_splits(scores).reset_index()
    raw = raw[raw["system"].isin([*order, *titles]) & raw["metric"].isin(task.metrics)]
    return table_of("main", "Scores", caption, rows, header, raw, notes, rule_before=len(order))


def missing_modality_table(
    scores: pd.DataFrame,
    order: Sequence[str],
    task: Task,
    notes: Notes = (),
    lessened: Lessened = NONE,
) -> Table:
    """What each system loses without one modality, paired by split, in the main metric."""
    check(scores, order, task)
    rows, raw, unit, metric = [], [], unit_of(task), task.headline[0]

    def text(values: pd.Series) -> str:
        return unit.mean_sd(values) + lacking(values.index, metric, lessened)

    for system in order:
        both = by_split(scores, system, "av", metric)
        cells = [text(both)]
        for modality in ("audio", "visual"):
            alone = by_split(scores, system, modality, metric)
            change = (alone - both).dropna()
            cells += [text(alone), unit.mean_sd(change, signed=True)]
            raw.append(_change_row(system, modality, metric, both, alone, change))
        rows.append([system, *cells])
    blind = [[title, text(by_split(scores, name, "av", metric))] for name, title in task.blind.items()]
    rows += [[*row, *[ABSENT] * 4] for row in blind]
    name = task.metrics[metric]
    pairs = [(MODALITIES[m], column) for m in ("audio", "visual") for column in (name, "change")]
    header = [("", "system"), (MODALITIES["av"], name), *pairs]
    caption = (
        f"{unit.scale.capitalize()}, and change against both modalities in {unit.steps}; "
        "mean ± sample standard deviation over splits. "
        f"The same trained system, with one modality withheld at test time. {lacking_legend(lessened)}"
    ).strip()
    frame = pd.DataFrame(raw)
    return table_of("missing_modality", "Missing modality", caption, rows, header, frame, notes, len(order))


def tests_table(
    tests: pd.DataFrame,
    order: Sequence[str],
    task: Task,
    notes: Notes = (),  # noqa: PT028 (no test)
    randomness: str = "",  # noqa: PT028
) -> Table:
    """Every paired test of the first system on the headline metrics; ``raw`` has all metrics.

    ``randomness`` says in a sentence whether the systems share random numbers.
    """
    columns = ["compared with", "input", "score", "difference", "95 % interval", "t (df)", "p", "p Holm"]
    columns += ["p corrected", "d_z", "verdict"]
    rank = {name: i for i, name in enumerate([*order, LINEAR_TITLE, *task.blind.values()])}
    shown = tests[tests["metric"].isin(task.headline)] if len(tests) else tests
    rows = [_test_row(t, task) for t in rows_of(shown)]
    rows.sort(key=lambda row: rank.get(row[0], len(rank)))
    reference = tests["reference"].iloc[0] if len(tests) else "the first system"
    caption = (
        f"{reference} against each other system on the same splits, in {unit_of(task).steps}. "
        f"t and p: matched-pair t-test, {_tail(tests)}; p Holm: corrected for the number of tests; "
        "p corrected: Nadeau and Bengio's test, as the splits overlap; d_z: mean difference over its "
        f"standard deviation. Verdict: whether {reference} scores higher or lower, p < {ALPHA}. "
        f"{randomness + ' ' if randomness else ''}The CSV file has the other scores too."
    )
    return table_of("tests", "Significance", caption, rows, columns, tests, notes)


def per_class_table(
    predictions: pd.DataFrame,
    scores: pd.DataFrame,
    order: Sequence[str],
    task: Task,
    notes: Notes = (),
    lessened: Lessened = NONE,
) -> Table:
    """Scores of each output with both modalities, the blind predictors' from ``scores``."""
    raw, unit = _output_scores(predictions, order, task), unit_of(task)
    titles = baseline_titles(scores, task)
    rows = []
    for name in task.names:
        of_output = raw[raw[task.noun] == name]
        clips = [f"{of_output['support'].mean():.1f}"] if "support" in raw else []
        for metric, heading in task.output_metrics.items():
            mark = lacking(raw["split"].unique(), f"{metric}_{name}", lessened)
            cells = [unit.mean_sd(of_output.loc[of_output["system"] == s, metric]) + mark for s in order]
            cells += [unit.mean_sd(by_split(scores, s, "av", f"{metric}_{name}")) + mark for s in titles]
            rows.append([name, heading, *clips, *cells])
    caption = (
        f"Scores of each {task.noun} in {unit.scale}, audio-visual; mean ± sample standard deviation over splits. "
        + (f"Clips: test clips that show the {task.noun}, mean over splits. " if "support" in raw else "")
        + lacking_legend(lessened)
        + "The CSV file has each split's."
    )
    columns = [task.noun, "score", *(["clips"] if "support" in raw else []), *order, *titles.values()]
    return table_of("per_class", f"Scores by {task.noun}", caption, rows, columns, raw, notes)


def costs_table(costs: pd.DataFrame, order: Sequence[str], notes: Notes = ()) -> Table:
    """Parameters, training time and memory of each system."""
    known = costs.set_index("system")
    rows = [
        [
            system,
            _number(known["parameters"].get(system), "{:,.0f}"),
            _number(known["train_seconds_mean"].get(system), "{:,.1f}"),
            _number(known["peak_memory_mb"].get(system), "{:,.0f}"),
        ]
        for system in order
    ]
    columns = ["system", "parameters", "training (s)", "peak memory (MB)"]
    caption = "Parameters; wall time of training one split (mean over splits) and its peak memory."
    return table_of("costs", "Costs", caption, rows, columns, costs, notes)


def clip_status_table(clips: pd.DataFrame, notes: Notes = ()) -> Table:
    """How many clips fared how in each stage, and what to do about those that failed."""
    grouped = clips.groupby(["stage", "status"], sort=False)
    raw = grouped.agg(clips=("clip_id", "nunique"), frames=("frames", "sum")).reset_index()
    total = raw.groupby("stage")["clips"].transform("sum")
    raw["share"] = raw["clips"] / total
    rows = [
        [r.stage, r.status, f"{r.clips:,}", f"{100 * r.share:.1f}", f"{r.frames:,.0f}", _remedy(r.status)]
        for r in rows_of(raw)
    ]
    columns = ["stage", "status", "clips", "percent", "frames", "remedy"]
    caption = "Clips by stage and status. Failed clips are recorded, never replaced."
    return table_of("clip_status", "Clips", caption, rows, columns, raw, notes)


def failed_clips_table(clips: pd.DataFrame, notes: Notes = ()) -> Table:
    """The clips that failed, with the reason of each."""
    failed = clips.loc[clips["status"] != Status.ok, ["clip_id", "stage", "status", "detail"]]
    rows = failed.head(FAILURES_SHOWN).fillna("").astype(str).to_numpy().tolist()
    caption = f"All {len(failed):,} of them." if rows else "No clip failed."
    if len(rows) < len(failed):
        caption = f"The first {FAILURES_SHOWN} of {len(failed):,}; the CSV file has all."
    columns = ["clip", "stage", "status", "detail"]
    return table_of("failed_clips", "Failed clips", caption, rows, columns, failed, notes)


def plain_table(name: str, title: str, caption: str, frame: pd.DataFrame, notes: Notes = ()) -> Table:
    """A data frame as it is: whole numbers with thousands marks, others with three digits."""
    rows = [[_plain(cell) for cell in row] for row in frame.itertuples(index=False, name=None)]
    return table_of(name, title, caption, rows, [str(column) for column in frame.columns], frame, notes)


def table_of(
    name: str,
    title: str,
    caption: str,
    rows: list[list[str]],
    columns: Sequence[Any],
    raw: pd.DataFrame,
    notes: Notes,
    rule_before: int | None = None,
) -> Table:
    """A table of formatted ``rows``; ``raw`` is its tidy content. A column is a name, or (group, name)."""
    header = pd.MultiIndex.from_tuples(columns) if isinstance(columns[0], tuple) else pd.Index(columns)
    note = note_label(notes)
    frame = pd.DataFrame(rows, columns=header, dtype=str)
    return Table(name, title, with_note(caption, note), frame, raw.reset_index(drop=True), note, rule_before)


def _marks(tests: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """``*`` where the reference scores significantly higher than the row, ``†`` where also corrected."""
    better = [test for test in rows_of(tests) if verdict(test) > 0]
    return {(t.system, t.modality, t.metric): "*†" if t.p_corrected < ALPHA else "*" for t in better}


def _legend(tests: pd.DataFrame) -> str:
    if not len(tests):
        return ""
    return (
        f"*: {tests['reference'].iloc[0]} scores significantly higher than this row "
        f"(matched-pair t-test, {_tail(tests)}, p < {ALPHA}); "
        "†: also with Nadeau and Bengio's correction for overlapping splits. "
    )


def _tail(tests: pd.DataFrame) -> str:
    names = {"greater": "one-tailed", "two-sided": "two-tailed"}
    tails = dict.fromkeys(tests["tail"]) if len(tests) else {}
    return " or ".join(names.get(tail, tail) for tail in tails) or "no test made"


def _change_row(
    system: str, modality: str, metric: str, both: pd.Series, alone: pd.Series, change: pd.Series
) -> dict[str, Any]:
    return {
        **{"system": system, "modality": modality, "metric": metric, "splits": len(change)},
        **{"av_mean": both.mean(), "mean": alone.mean(), "sd": alone.std()},
        **{"change_mean": change.mean(), "change_sd": change.std()},
    }


def _test_row(t: Any, task: Task) -> list[str]:
    outcome, unit = {1: "higher", -1: "lower", 0: "undecided"}, unit_of(task)
    numbers = [
        *(unit.difference(t.mean_difference), f"{unit.difference(t.ci_low)} to {unit.difference(t.ci_high)}"),
        *(f"{signed(t.t, 2)} ({t.df:.0f})", p_value(t.p), p_value(t.p_holm), p_value(t.p_corrected)),
        signed(t.effect_size, 2),
    ]
    names = [
        {LINEAR: LINEAR_TITLE, **task.blind}.get(t.system, t.system),
        MODALITIES[t.modality],
        task.metrics[t.metric],
    ]
    return [*names, *numbers, outcome[verdict(t)]]


def _output_scores(predictions: pd.DataFrame, order: Sequence[str], task: Task) -> pd.DataFrame:
    """Rows (system, split, output, and the columns of the task's `by_output`) with both modalities."""
    both = predictions[predictions["modality"] == "av"]
    missing = [system for system in order if system not in set(both["system"])]
    if missing:
        raise AvemoError(
            f"predictions: expected audio-visual ones of {missing}, found none; evaluate them first"
        )
    keys = ["system", "split"]
    parts = []
    for place, part in both[both["system"].isin(order)].groupby(keys):
        names = pd.DataFrame([place], columns=keys)
        outputs = task.by_output(part).rename_axis(task.noun).reset_index()
        parts.append(names.merge(outputs, how="cross"))
    found = pd.concat(parts, ignore_index=True)
    given = found["split"].astype(str)
    sides = given.map(sides_of)
    if (sides == given).all():
        return found
    return found.assign(split=sides).groupby([*keys, task.noun], sort=False).mean().reset_index()


def _remedy(status: str) -> str:
    known = status in set(Status) and status != Status.ok
    return REMEDIES[Status(status)] if known else ""


def _number(value: Any, form: str) -> str:
    return ABSENT if value is None or pd.isna(value) else form.format(value)


def _plain(cell: Any) -> str:
    if isinstance(cell, (str, bool, np.bool_)):
        return str(cell)
    if pd.isna(cell):
        return ABSENT
    return f"{cell:,}" if isinstance(cell, Integral) else f"{cell:.3f}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
