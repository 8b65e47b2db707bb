"""What a paper's runs have found so far, read from the files there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from avemo.dataset.absences import absences, lessened
from avemo.dataset.labels import Labels, load_labels
from avemo.dataset.splits import Split, load_splits
from avemo.papers.definitions import EVERY
from avemo.report.paper_tables import Findings, Method
from avemo.report.run_files import randomness, run_notes
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
    )


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
    found = [pd.read_csv(path).assign(run=run) for run, path in files if path.is_file()]
    empty = pd.DataFrame(columns=["run", "system", "split", "modality", "metric", "value"])
    return pd.concat(found, ignore_index=True) if found else empty


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
