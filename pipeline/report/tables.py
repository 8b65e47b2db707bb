"""The report's tables, built from data frames of scores, tests, predictions and clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from pipeline.contracts import REMEDIES, AvemoError, Status
from pipeline.metrics import per_class
from pipeline.report.scores import (
    ALPHA,
    BASELINES,
    METRICS,
    MODALITIES,
    by_split,
    check,
    honesty_check,
    over_splits,
    rows_of,
    verdict,
)
from pipeline.report.writers import ABSENT, Notes, Table, note_label, to_csv, to_html, to_latex, with_note

__all__ = ["Table", "honesty_check", "to_csv", "to_html", "to_latex"]

FAILURES_SHOWN = 100
"""Failed clips that the page lists; the CSV lists all."""

_SHOWN = {
    "av": ("macro_precision", "macro_recall", "macro_f1", "micro_f1"),
    "audio": ("macro_f1", "micro_f1"),
    "visual": ("macro_f1", "micro_f1"),
}


def main_table(scores: pd.DataFrame, tests: pd.DataFrame, order: Sequence[str], notes: Notes = ()) -> Table:
    """Systems in ``order``, then the baselines, by modality and metric: percent, mean ± sd over splits."""
    check(scores, order)
    stats, marks = over_splits(scores), _marks(tests)
    present = set(scores["modality"])
    columns = [(m, metric) for m, metrics in _SHOWN.items() if m in present for metric in metrics]
    rows = [
        [BASELINES.get(system, system), *(_score(stats, marks, (system, *column)) for column in columns)]
        for system in (*order, *BASELINES)
    ]
    header = [("", "system"), *((MODALITIES[m], METRICS[metric]) for m, metric in columns)]
    caption = (
        f"Percent; mean ± sample standard deviation over {_count(scores['split'].nunique(), 'split')}. "
        f"{_legend(tests)}With one label a clip, micro precision and recall equal micro-F1."
    )
    raw = stats.reset_index()
    raw = raw[raw["system"].isin([*order, *BASELINES]) & raw["metric"].isin(METRICS)]
    return _table("main", "Scores", caption, rows, header, raw, notes, rule_before=len(order))


def missing_modality_table(
    scores: pd.DataFrame, order: Sequence[str], notes: Notes = (), metric: str = "macro_f1"
) -> Table:
    """What each system loses without one modality, in points, paired by split."""
    check(scores, order)
    rows, raw = [], []
    for system in order:
        both = by_split(scores, system, "av", metric)
        cells = [_mean_sd(both)]
        for modality in ("audio", "visual"):
            alone = by_split(scores, system, modality, metric)
            change = (alone - both).dropna()
            cells += [_mean_sd(alone), _mean_sd(change, signed=True)]
            raw.append(_change_row(system, modality, metric, both, alone, change))
        rows.append([system, *cells])
    blind = [[title, _mean_sd(by_split(scores, name, "av", metric))] for name, title in BASELINES.items()]
    rows += [[*row, *[ABSENT] * 4] for row in blind]
    pairs = [(MODALITIES[m], name) for m in ("audio", "visual") for name in (METRICS[metric], "change")]
    header = [("", "system"), (MODALITIES["av"], METRICS[metric]), *pairs]
    caption = (
        "Percent, and change against both modalities in points; mean ± sample standard deviation over splits. "
        "The same trained system, with one modality withheld at test time."
    )
    frame = pd.DataFrame(raw)
    return _table("missing_modality", "Missing modality", caption, rows, header, frame, notes, len(order))


def tests_table(tests: pd.DataFrame, order: Sequence[str], notes: Notes = ()) -> Table:  # noqa: PT028 (no test)
    """Every paired test of the first system on the two F1 scores; ``raw`` has all metrics."""
    columns = ["compared with", "input", "score", "difference", "95 % interval", "t (df)", "p", "p Holm"]
    columns += ["p corrected", "d_z", "verdict"]
    rank = {name: i for i, name in enumerate([*order, *BASELINES.values()])}
    shown = tests[tests["metric"].isin(["macro_f1", "micro_f1"])] if len(tests) else tests
    rows = [_test_row(t) for t in rows_of(shown)]
    rows.sort(key=lambda row: rank.get(row[0], len(rank)))
    reference = tests["reference"].iloc[0] if len(tests) else "the first system"
    caption = (
        f"{reference} against each other system on the same splits, in points. "
        f"t and p: matched-pair t-test, {_tail(tests)}; p Holm: corrected for the number of tests; "
        "p corrected: Nadeau and Bengio's test, as the splits overlap; d_z: mean difference over its "
        f"standard deviation. Verdict: whether {reference} scores higher or lower, p < {ALPHA}. "
        "The CSV file has precision and recall too."
    )
    return _table("tests", "Significance", caption, rows, columns, tests, notes)


def per_class_table(
    predictions: pd.DataFrame,
    scores: pd.DataFrame,
    class_names: Sequence[str],
    order: Sequence[str],
    notes: Notes = (),
) -> Table:
    """F1 of each class with both modalities, the baselines' from ``scores``; ``raw`` has precision and recall too."""
    raw = _class_scores(predictions, class_names, order)
    clips = raw.groupby("class", sort=False)["support"].mean()
    rows = []
    for name in class_names:
        of_class = raw[raw["class"] == name]
        f1 = [_mean_sd(of_class.loc[of_class["system"] == system, "f1"]) for system in order]
        f1 += [_mean_sd(by_split(scores, blind, "av", f"f1_{name}")) for blind in BASELINES]
        rows.append([name, f"{clips[name]:.1f}", *f1])
    caption = (
        "F1 of each class in percent, audio-visual; mean ± sample standard deviation over splits. "
        "Clips: test clips of the class, mean over splits. The CSV file has each split's precision and recall."
    )
    return _table(
        "per_class",
        "Scores by class",
        caption,
        rows,
        ["class", "clips", *order, *BASELINES.values()],
        raw,
        notes,
    )


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
    return _table("costs", "Costs", caption, rows, columns, costs, notes)


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
    return _table("clip_status", "Clips", caption, rows, columns, raw, notes)


def failed_clips_table(clips: pd.DataFrame, notes: Notes = ()) -> Table:
    """The clips that failed, with the reason of each."""
    failed = clips.loc[clips["status"] != Status.ok, ["clip_id", "stage", "status", "detail"]]
    rows = failed.head(FAILURES_SHOWN).fillna("").astype(str).to_numpy().tolist()
    caption = f"All {len(failed):,} of them." if rows else "No clip failed."
    if len(rows) < len(failed):
        caption = f"The first {FAILURES_SHOWN} of {len(failed):,}; the CSV file has all."
    columns = ["clip", "stage", "status", "detail"]
    return _table("failed_clips", "Failed clips", caption, rows, columns, failed, notes)


def plain_table(name: str, title: str, caption: str, frame: pd.DataFrame, notes: Notes = ()) -> Table:
    """A data frame as it is: whole numbers with thousands marks, others with three digits."""
    rows = [[_plain(cell) for cell in row] for row in frame.itertuples(index=False, name=None)]
    return _table(name, title, caption, rows, [str(column) for column in frame.columns], frame, notes)


def _table(
    name: str,
    title: str,
    caption: str,
    rows: list[list[str]],
    columns: Sequence[Any],
    raw: pd.DataFrame,
    notes: Notes,
    rule_before: int | None = None,
) -> Table:
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


def _score(stats: pd.DataFrame, marks: dict[tuple[str, str, str], str], key: tuple[str, str, str]) -> str:
    if key not in stats.index:
        return ABSENT
    found = stats.loc[[key]].iloc[0]
    return _plus_minus(found["mean"], found["sd"]) + marks.get(key, "")


def _mean_sd(values: pd.Series, signed: bool = False) -> str:
    return _plus_minus(values.mean(), values.std(), signed) if len(values) else ABSENT


def _plus_minus(mean: float, sd: float, signed: bool = False) -> str:
    """Percent; one split has no standard deviation."""
    text = _signed(100 * mean) if signed else f"{100 * mean:.1f}"
    return text if math.isnan(sd) else f"{text} ± {100 * sd:.1f}"


def _signed(value: float, digits: int = 1) -> str:
    """With its sign, a true minus; what rounds to zero is +0."""
    rounded = round(value, digits) + 0.0
    return ABSENT if math.isnan(value) else f"{rounded:+.{digits}f}".replace("-", "−")


def _change_row(
    system: str, modality: str, metric: str, both: pd.Series, alone: pd.Series, change: pd.Series
) -> dict[str, Any]:
    return {
        **{"system": system, "modality": modality, "metric": metric, "splits": len(change)},
        **{"av_mean": both.mean(), "mean": alone.mean(), "sd": alone.std()},
        **{"change_mean": change.mean(), "change_sd": change.std()},
    }


def _test_row(t: Any) -> list[str]:
    outcome = {1: "higher", -1: "lower", 0: "undecided"}
    numbers = [
        *(_signed(100 * t.mean_difference), f"{_signed(100 * t.ci_low)} to {_signed(100 * t.ci_high)}"),
        *(f"{_signed(t.t, 2)} ({t.df:.0f})", _p(t.p), _p(t.p_holm), _p(t.p_corrected)),
        _signed(t.effect_size, 2),
    ]
    return [
        BASELINES.get(t.system, t.system),
        MODALITIES[t.modality],
        METRICS[t.metric],
        *numbers,
        outcome[verdict(t)],
    ]


def _p(p: float) -> str:
    if math.isnan(p):
        return ABSENT
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _class_scores(
    predictions: pd.DataFrame, class_names: Sequence[str], order: Sequence[str]
) -> pd.DataFrame:
    """Rows (system, split, class, precision, recall, f1, support) with both modalities."""
    both = predictions[predictions["modality"] == "av"]
    missing = [system for system in order if system not in set(both["system"])]
    if missing:
        raise AvemoError(
            f"predictions: expected audio-visual ones of {missing}, found none; evaluate them first"
        )
    parts = []
    for (system, split), part in both[both["system"].isin(order)].groupby(["system", "split"]):
        found = per_class(part["target"], part["prediction"], len(class_names))
        rows = {"system": system, "split": split, "class": list(class_names), **vars(found)}
        parts.append(pd.DataFrame(rows))
    return pd.concat(parts, ignore_index=True)


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
