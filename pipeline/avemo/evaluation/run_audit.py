"""The audit of a run's folder: its records as files, read and checked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd

from avemo.base.contracts import AvemoError
from avemo.base.keys import parted_id
from avemo.base.paths import expanded
from avemo.base.result_tables import read_results
from avemo.corpora.near_names import is_missing
from avemo.dataset.absences import absences
from avemo.dataset.labels import Labels, load_labels
from avemo.dataset.source import FeatureSource
from avemo.dataset.splits import Split, load_splits
from avemo.evaluation.audit import Finding, Records, Tried, audit
from avemo.evaluation.leaks import (
    MOST_CLIPS,
    NEAR,
    confounded,
    near_duplicates,
    seen_before,
    telling_names,
    tuned_on,
    twice_named,
)
from avemo.evaluation.linear import NAME as LINEAR
from avemo.evaluation.pooled import pooled
from avemo.evaluation.readings import read_journal
from avemo.finetuning.trained_on import read_list
from avemo.index.clip_table import read_table
from avemo.index.same_media import same_media
from avemo.study.inputs import inputs_of, open_inputs
from avemo.study.layout import HISTORY, PAPER, RECORD, TRIAL, Layout
from avemo.study.makings import RunMakings
from avemo.study.run import Run
from avemo.study.study import read_record, read_run
from avemo.training.checkpoint import model_meta
from avemo.training.search import Search, read_trial
from avemo.weights.hashes import sha256_path


def run_configs(folder: Path) -> dict[str, Run]:
    """The configs of a run's folder, or of all runs of a paper's, by name."""
    if (folder / PAPER).is_file():
        return read_record(folder / PAPER).runs
    config = read_run(folder)
    return {config.run: config}


def examine(config: Run) -> list[Finding]:
    """Every check on one run; statistics are made again where the cache still has the features."""
    layout = Layout(config)
    inputs = inputs_of(config)
    there = [one for one in inputs if one.manifest.is_file()]
    labels = load_labels(_there(layout.labels))
    with ExitStack() as stack:
        opened = open_inputs(there, stack)
        statistics = opened.clips(labels.targets).fit if there == inputs else None
        features = {one.told: opened.sets[one.name].fingerprint for one in there}
        found = audit(_records(config, layout, labels, features, statistics))
        corpus = "" if config.corpus.parts else config.corpus.id
        return [*found, *_leaks(layout, labels, opened.sources, corpus), _tuned(config, layout, labels)]


def audited(config: Run) -> list[Finding]:
    """`examine` for a page: where records are missing, one finding that says which."""
    try:
        return examine(config)
    except AvemoError as error:
        return [Finding("records", "The records are whole", "", [str(error)])]


def _leaks(
    layout: Layout, labels: Labels, sources: Mapping[str, FeatureSource], corpus: str
) -> list[Finding]:
    """Recordings, people and looks under two names; ``corpus`` is the run's, "" of one across several."""
    splits, groups = load_splits(layout.splits), labels.groups
    clips = sorted({clip for split in splits for side in split.sides().values() for clip in side})
    tested = {clip for split in splits for clip in split.test}
    few = len(clips) <= MOST_CLIPS
    vectors = {modality: pooled(stored, clips) for modality, stored in sources.items()} if few else {}
    how = f"distance below {NEAR} of the median to the nearest clip; {', '.join(vectors) or 'not looked for'}"
    shown = labels.given if labels.task.kind == "classes" else {}
    names = {clip: label for clip, label in shown.items() if isinstance(label, str)}
    speakers = {clip: name for clip, name in _speakers(labels).items() if not is_missing(name)}
    return [
        Finding(
            "names",
            "No group is on two sides under nearly one name",
            f"{len(set(groups.values()))} groups, {len(set(speakers.values()))} speakers",
            list(_twice_named(groups, splits, "groups", corpus)),
            [] if speakers == groups else list(_twice_named(speakers, splits, "speakers", corpus)),
        ),
        Finding(
            "duplicates",
            "No clips of different groups on different sides are nearly the same",
            how,
            [],
            list(near_duplicates(vectors, clips, groups, splits)),
        ),
        Finding(
            "confounded",
            "Groups show more than one label",
            f"{len(names)} clips with a class",
            [],
            list(confounded(names, groups)),
        ),
        Finding(
            "file_names",
            "No part of the file names goes with the label, but its own code",
            f"{len(names)} clips with a class",
            [],
            list(telling_names(names, _file_names(layout.index, names))),
        ),
        Finding(
            "earlier",
            "No other run in this folder was scored on these test clips",
            str(layout.results.parent),
            [],
            list(seen_before(layout.results, layout.results.parent, tested, corpus)),
        ),
    ]


def _twice_named(names: Mapping[str, str], splits: Sequence[Split], what: str, corpus: str) -> Iterator[str]:
    """Within each corpus, as people of two corpora are never one by their names."""
    by_corpus: dict[str, dict[str, str]] = {}
    for clip, name in names.items():
        by_corpus.setdefault(corpus or parted_id(clip)[0], {})[clip] = name
    for own in by_corpus.values():
        yield from twice_named(own, splits, what)


def _records(
    config: Run,
    layout: Layout,
    labels: Labels,
    features: dict[str, str],
    statistics: Any,
) -> Records:
    splits, systems = load_splits(_there(layout.splits)), list(config.systems)
    places = [(system, split.name) for system in systems for split in splits]
    models = {place: _there(layout.model(*place)) for place in places}
    kept = sorted(layout.readings("any").parent.glob("*.jsonl"))
    journals = {path.stem: read_journal(path) for path in kept if path.is_file()}
    linear = [LINEAR] if layout.predictions(LINEAR).is_file() else []
    return Records(
        groups=labels.groups,
        splits=splits,
        absences=list(absences(splits, labels)),
        unmade=RunMakings(config).offences(),
        runs={place: json.loads(_there(layout.record(*place)).read_text()) for place in places},
        models={place: model_meta(path) | {"sha256": sha256_path(path)} for place, path in models.items()},
        histories={place: read_results(_there(layout.history(*place))) for place in places},
        predictions={s: pd.read_parquet(_there(layout.predictions(s))) for s in (*systems, *linear)},
        readings={system: journals[system].models for system in systems if system in journals},
        speakers=_speakers(labels),
        former={
            name: len(journal.models) for name, journal in journals.items() if name not in (*systems, LINEAR)
        },
        cut=[sentence for journal in journals.values() for sentence in journal.cut],
        features=features,
        statistics=statistics,
        linear=json.loads(_there(layout.linear_record).read_text()) if linear else {},
        same_media=_same_media(layout.index),
        searches=_searches(config, layout),
        trials_before=trials_before(config, layout),
    )


def trials_before(config: Run, layout: Layout) -> dict[str, int]:
    """How many trials lie there that no search of the config has, by the name of their system."""
    known = {layout.trial(name, *place) for name in config.systems for place in config.trials(name)}
    others = {*layout.searches.glob(f"*/*/*/{TRIAL}")} - known
    return dict(sorted(Counter(path.parents[2].name for path in others).items()))


def _searches(config: Run, layout: Layout) -> dict[str, tuple[Search, list[Tried]]]:
    """By system that has one: its search, and its trials, as far as they are there."""
    found = {}
    for name, system in config.systems.items():
        paths = [layout.trial(name, *place) for place in config.trials(name)]
        if system.search:
            found[name] = (system.search, [_tried(path) for path in paths if path.is_file()])
    return found


def _tried(path: Path) -> Tried:
    trial = read_trial(path)
    folders = {split: path.parent / split for split in trial.splits}
    return Tried(
        trial,
        {split: json.loads(_there(folder / RECORD).read_text()) for split, folder in folders.items()},
        {split: read_results(_there(folder / HISTORY)) for split, folder in folders.items()},
    )


def _speakers(labels: Labels) -> dict[str, str]:
    return dict(zip(labels.table.clip_id, labels.table.speaker, strict=True))


def _same_media(index: Path) -> list[list[str]] | None:
    """Sets of clips that share media, by the clip table; None where that is gone."""
    if not index.is_file():
        return None
    return [[row.clip_id for row in found] for found in same_media(read_table(index))]


def _tuned(config: Run, layout: Layout, labels: Labels) -> Finding:
    """Whether weights of features or systems were tuned on clips, or people, of dev and test sides, as far as they tell."""
    splits, rows = load_splits(layout.splits), read_table(layout.index) if layout.index.is_file() else []
    held = {clip for split in splits for clip in (*split.dev, *split.test)}
    files = {
        row.clip_id: {Path(path).resolve() for path in (row.audio_path, row.video_path) if path}
        for row in rows
    }
    lists = {place: list(read_list(Path(expanded(place)))) for place in dict.fromkeys(config.places)}
    found = [tuned_on(place, one, files, _speakers(labels), held) for place, one in lists.items() if one]
    silent = [place for place, one in lists.items() if not one]
    told = f"{len(found)} with a list of what they were tuned on" + (
        f"; none of {', '.join(silent)}" if silent else ""
    )
    return Finding(
        "tuned",
        "No weights were tuned on clips of dev or test sides",
        told,
        [sentence for offences, _ in found for sentence in offences],
        [sentence for _, warnings in found for sentence in warnings],
    )


def _file_names(index: Path, clips: Collection[str]) -> dict[str, str]:
    """The name of each clip's file without its ending; of clips that share one, or whose table is gone, their ids."""
    if not index.is_file():
        return {clip: clip for clip in clips}
    rows = [row for row in read_table(index) if row.clip_id in clips]
    paths = {row.clip_id: row.video_path or row.audio_path or row.clip_id for row in rows}
    uses = Counter(paths.values())
    return {clip: clip if uses[path] > 1 else Path(path).stem for clip, path in paths.items()}


def _there(path: Path) -> Path:
    if not path.is_file():
        raise AvemoError(f"{path}: expected a file of a finished run, found none; let the run finish first")
    return path
