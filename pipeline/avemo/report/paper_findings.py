"""What a paper's runs have found so far, read from the files there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from avemo.base.result_tables import read_results
from avemo.dataset.absences import absences, lessened
from avemo.dataset.labels import Labels, load_labels
from avemo.dataset.splits import Split, load_splits
from avemo.papers.definitions import EVERY, Address
from avemo.report.paper_tables import Findings, Method
from avemo.report.resampling import resampled
from avemo.report.run_files import randomness, run_notes
from avemo.report.scores import seeds_averaged
from avemo.study.study import Study, waits_for


def find(study: Study) -> Findings:
    """Findings of all runs; runs and systems that are not finished are left out, and wait."""
    made = {run: _splits(study, run) for run in study.runs}
    labels = {run: load_labels(study.layouts[run].labels) for run, splits in made.items() if splits}
    counts = [row for run, known in labels.items() for row in _counts(run, made[run], known)]
    notes = {note["text"]: note for run in study.runs.values() for note in run_notes(run)}
    return Findings(
        _scores(study),
        pd.DataFrame(counts, columns=["run", "split", "side", "label", "clips"]),
        _waiting(study),
        {run: _method(study, run, splits) for run, splits in made.items()},
        list(notes.values()),
        {run: lessened(absences(made[run], known), known.task) for run, known in labels.items()},
        Resampling(study, labels),
    )


class Resampling:
    """Tests of two systems on a run's one test side; those of all scores are made at once, and kept."""

    def __init__(self, study: Study, labels: Mapping[str, Labels]):
        self.study, self.labels = study, labels
        self._made: dict[tuple[Address, Address], dict[str, dict[str, float]]] = {}

    def __call__(self, ours: Address, other: Address) -> Mapping[str, float]:
        """`resampled` of two cells' predictions; empty where they are not of one run, or not there."""
        pair = ours.model_copy(update={"metric": ""}), other.model_copy(update={"metric": ""})
        if pair not in self._made:
            self._made[pair] = self._compare(*pair)
        return self._made[pair].get(ours.metric, {})

    def _compare(self, ours: Address, other: Address) -> dict[str, dict[str, float]]:
        places = [(at, self.study.layouts[at.run].predictions(at.system)) for at in (ours, other)]
        if ours.run != other.run or not all(path.is_file() for _, path in places):
            return {}
        known, tail = self.labels[ours.run], self.study.runs[ours.run].tests.tail
        frames = [pd.read_parquet(path).query("modality == @at.modality") for at, path in places]
        return resampled(frames[0], frames[1], known.groups, known.task, tail)


def _waiting(study: Study) -> dict[tuple[str, str], str]:
    """What each (run, system) without scores waits for; (run, "") stands for labels and splits."""
    pairs = [(run, system) for run, config in study.runs.items() for system in ("", *config.systems)]
    found = {(run, system): waits_for(study.runs[run], system) for run, system in pairs}
    return {pair: text for pair, text in found.items() if text}


def _scores(study: Study) -> pd.DataFrame:
    files = [
        (run, study.layouts[run].scores(system))
        for run, config in study.runs.items()
        for system in config.systems
    ]
    found = [read_results(path).assign(run=run) for run, path in files if path.is_file()]
    found += [_dev_scores(study, run, system) for run in study.runs for system in study.runs[run].systems]
    empty = pd.DataFrame(columns=["run", "system", "split", "modality", "metric", "value"])
    return seeds_averaged(pd.concat([frame for frame in found if len(frame)] or [empty], ignore_index=True))


def _dev_scores(study: Study, run: str, system: str) -> pd.DataFrame:
    """Of the epoch that each split kept, metrics ``dev_…`` of no modality; empty until all splits are trained."""
    paths = {split: study.layouts[run].history(system, split) for split in study.runs[run].split_names}
    if not all(path.is_file() for path in paths.values()):
        return pd.DataFrame()
    rows = []
    for split, path in paths.items():
        history = read_results(path)
        best = history.sort_values("dev_loss", kind="stable").iloc[0].filter(like="dev_")
        rows += [
            {"run": run, "system": system, "split": split, "modality": "", "metric": name, "value": value}
            for name, value in best.items()
        ]
    return pd.DataFrame(rows)


def _splits(study: Study, run: str) -> list[Split]:
    path = study.layouts[run].splits
    return load_splits(path) if path.is_file() else []


def _counts(run: str, splits: Sequence[Split], known: Labels) -> Iterator[dict[str, Any]]:
    """Clips of each label on each side of each split, and in the labelled corpus, where also reasons are counted."""
    shown = known.shown
    sides = [(split.name, side, clips) for split in splits for side, clips in split.sides().items()]
    for split, side, clips in [*sides, ("", "all", shown)]:
        tally = Counter({EVERY: len(clips)} | dict.fromkeys(known.task.names, 0))
        tally.update(label for clip in clips for label in shown[clip])
        if side == "all":
            tally.update(known.table.loc[known.table.label.isna(), "reason"])
        for label, count in tally.items():
            yield {"run": run, "split": split, "side": side, "label": label, "clips": count}


def _method(study: Study, run: str, splits: Sequence[Split]) -> Method:
    ratios = [len(split.test) / len(split.train) for split in splits]
    how = Method(**dict(study.runs[run].tests), randomness=randomness(study.runs[run]))
    return replace(how, ratio=sum(ratios) / len(ratios)) if ratios else how
