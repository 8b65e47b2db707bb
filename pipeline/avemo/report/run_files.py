"""What a finished run's folder holds, as data frames."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from avemo.base.contracts import AvemoError
from avemo.base.result_tables import read_results
from avemo.cache.manifest import FeatureSet
from avemo.dataset.absences import absences, lessened
from avemo.dataset.across import left_out_counts
from avemo.dataset.labels import Labels, load_labels
from avemo.dataset.splits import load_splits
from avemo.report.breakdown import scores_by
from avemo.report.clustered import Speakers
from avemo.report.people import divisions
from avemo.report.scores import LINEAR, seeds_averaged
from avemo.report.writers import LACKING
from avemo.study.inputs import inputs_of, limits_of
from avemo.study.layout import Layout
from avemo.study.makings import RunMakings
from avemo.study.run import Run, modality_of
from avemo.study.study import read_run
from avemo.training.search import Search, Trial, read_trial


@dataclass(frozen=True)
class RunFiles:
    """A run's files as data frames, systems under their titles; those of a learning curve in `curve` alone."""

    folder: Path

    @cached_property
    def config(self) -> Run:
        return read_run(self.folder)

    def require_whole(self) -> None:
        """Raise `AvemoError` where a result was made of something else than lies beside it."""
        if offences := RunMakings(self.config).offences(models=False):
            more = f" (and {len(offences) - 1} more)" if len(offences) > 1 else ""
            raise AvemoError(
                f"{self.folder}: expected results made of each other, found {offences[0]}{more}; run the workflow again"
            )

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.config)

    @cached_property
    def titles(self) -> dict[str, str]:
        return {name: self.config.systems[name].title for name in self.config.compared}

    @property
    def order(self) -> list[str]:
        return list(self.titles.values())

    def _named(self, frame: pd.DataFrame) -> pd.DataFrame:
        columns = [name for name in ("system", "reference") if name in frame]
        return frame.assign(
            **{name: frame[name].map(lambda one: self.titles.get(one, one)) for name in columns}
        )

    @property
    def _linear(self) -> list[str]:
        """The linear baseline; nothing in a folder from before there was one."""
        return [LINEAR] if self.layout.scores(LINEAR).is_file() else []

    @cached_property
    def each_seed(self) -> pd.DataFrame:
        """Scores with a row for each seed of a split."""
        names = [*self.titles, *self._linear, "baselines"]
        return self._named(
            pd.concat([read_results(self.layout.scores(name)) for name in names], ignore_index=True)
        )

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Scores with a row a split, the mean of its seeds'."""
        return seeds_averaged(self.each_seed)

    @cached_property
    def curve(self) -> pd.DataFrame:
        """Scores with a column ``percent`` of the train clips, of the systems that have a learning curve."""
        parts = []
        for name, section in self.config.systems.items():
            if section.curve:
                percent, of = round(100 * section.training.train_share), section.curve
                parts.append(read_results(self.layout.scores(name)).assign(system=of, percent=percent))
        whole = dict.fromkeys(part["system"].iloc[0] for part in parts)
        parts += [read_results(self.layout.scores(name)).assign(percent=100) for name in whole]
        return seeds_averaged(self._named(pd.concat(parts, ignore_index=True))) if parts else pd.DataFrame()

    @cached_property
    def tests(self) -> pd.DataFrame:
        return self._named(read_results(self.layout.tests))

    @cached_property
    def predictions(self) -> pd.DataFrame:
        return self._named(
            pd.concat(
                [pd.read_parquet(self.layout.predictions(name)) for name in self.titles], ignore_index=True
            )
        )

    @cached_property
    def splits(self) -> list[str]:
        return sorted(self.predictions.split.unique())

    @cached_property
    def records(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {
            (name, split): json.loads(self.layout.record(name, split).read_text())
            for name in self.titles
            for split in self.splits
        }

    @cached_property
    def searches(self) -> dict[str, tuple[Search, list[Trial]]]:
        """By title of each system that has one: its search, and its trials."""
        found = {}
        for name, title in self.titles.items():
            if search := self.config.systems[name].search:
                trials = [read_trial(self.layout.trial(name, *place)) for place in self.config.trials(name)]
                found[title] = (search, trials)
        return found

    @cached_property
    def history(self) -> pd.DataFrame:
        frames = [
            read_results(self.layout.history(name, split)).assign(system=title, split=split)
            for name, title in self.titles.items()
            for split in self.splits
        ]
        return pd.concat(frames, ignore_index=True)

    @cached_property
    def labels(self) -> Labels:
        return load_labels(self.layout.labels)

    @cached_property
    def votes(self) -> pd.DataFrame:
        """Raters' votes by tested clip; no rows where classes have none."""
        known = self.labels
        found = known.votes if known.task.kind == "classes" else known.votes.iloc[:0]
        return found[found.index.isin(self.predictions["clip_id"])]

    @cached_property
    def lessened(self) -> dict[str, set[str]]:
        """By split whose test side lacks a class: the scores in which that counts as 0."""
        return lessened(absences(load_splits(self.layout.splits), self.labels), self.labels.task)

    @cached_property
    def speakers(self) -> pd.DataFrame:
        """Scores by speaker."""
        return scores_by(self.predictions, "speaker", self.order, self.labels.task)

    @cached_property
    def people(self) -> Speakers:
        """Draws of the tested speakers."""
        return Speakers(self.predictions, self.labels.task)

    @cached_property
    def divisions(self) -> dict[str, dict[str, str]]:
        """By column of the corpus that divides the tested clips: the value of each clip. Not the official split's."""
        official = self.config.splits.column if self.config.splits.protocol == "official" else None
        known = self.labels
        columns = {name: known.column(name) for name in known.columns if name not in ("intensity", official)}
        tested = known.table.clip_id.isin(self.predictions.clip_id)
        return {
            name: dict(zip(known.table.clip_id, columns[name], strict=True))
            for name in divisions({name: values[tested] for name, values in columns.items()})
        }

    @cached_property
    def intensities(self) -> pd.DataFrame:
        """Scores by intensity, a row a split; empty where the corpus names no levels."""
        table = self.labels.table
        levels = table.get("intensity", pd.Series("", index=table.index))
        level_of = dict(zip(table.clip_id, levels, strict=True))
        found = self.predictions.assign(intensity=self.predictions.clip_id.map(level_of))
        return scores_by(found, "intensity", self.order, self.labels.task, mean=False)

    @cached_property
    def costs(self) -> pd.DataFrame:
        """Parameters, and means over splits of training time and memory."""
        rows = [
            {
                "system": self.titles[name],
                "parameters": record["parameters"],
                "train_seconds_mean": record["wall_s"],
                "peak_memory_mb": record["peak_memory_bytes"] / 2**20,
            }
            for (name, _), record in self.records.items()
        ]
        return pd.DataFrame(rows).groupby("system", sort=False).mean().reset_index()

    @cached_property
    def quality(self) -> pd.DataFrame:
        """A row a clip, the worst first."""
        return read_results(self.layout.quality)

    @cached_property
    def clips(self) -> pd.DataFrame:
        """Status of each clip in each stage."""
        frames = []
        # Kept crops fail where faces do, and their rows are no frames.
        components = {stage: c for stage, c in self.config.components.items() if stage != "crops"}
        for stage, component in components.items():
            with FeatureSet(self.layout.manifest(component.id)) as stored:
                frames.append(stored.statuses().assign(stage=stage))
        return pd.concat(frames, ignore_index=True)

    @cached_property
    def weights(self) -> dict[str, str]:
        """Where the config says that weights lie, or their names, by modality; nothing where a feature has none."""
        features = self.config.features.items()
        return {m: ", ".join(f.places.values()) for m, f in features if f.places and not f.imported}

    @cached_property
    def notes(self) -> list[dict[str, str]]:
        return run_notes(self.config)


def randomness(config: Run) -> str:
    """Whether the systems of a split draw the same random numbers, for captions of tests."""
    names = config.compared
    common = [config.systems[n].title for n in names if config.systems[n].training.common_random_numbers]
    if not common:
        return "Each system draws random numbers of its own on each split."
    who = "All systems" if len(common) == len(names) else ", ".join(common)
    return f"{who} draw the same random numbers on a split (common_random_numbers)."


def run_notes(config: Run) -> list[dict[str, str]]:
    """What limits a run's numbers, told by its corpus, its splits and the records of the features there are."""
    notes = []
    modalities = set(map(modality_of, config.features))
    if len(modalities) == 1:
        (only,) = modalities
        text = f"this run has {only} features alone; what is called audio-visual is {only} only"
        notes.append({"kind": f"{only} only", "text": text})
    if config.splits.protocol == "across":
        notes.append({"kind": "across corpora", "text": _across_note(config)})
    infos = {}
    for one in inputs_of(config):
        if one.manifest.is_file():
            with FeatureSet(one.manifest) as stored:
                infos[one.name] = stored.info
    return [
        *notes,
        *limits_of(config, infos),
        *_joined_notes(config),
        *_absence_notes(config),
        *_code_notes(config),
    ]


def _joined_notes(config: Run) -> Iterator[dict[str, str]]:
    """Clips that lack one of several features of a modality, and so all of it."""
    there: dict[str, dict[str, set[str]]] = {}
    for one in inputs_of(config):
        if one.manifest.is_file():
            with FeatureSet(one.manifest) as stored:
                there.setdefault(modality_of(one.name), {})[one.name] = set(stored.clip_ids)
    for modality, found in there.items():
        every = set().union(*found.values())
        for name, clips in found.items():
            if lacking := sorted(every - clips):
                more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
                text = f"{name} lacks {', '.join(lacking[:3])}{more} of {len(every)} clips, which count as without {modality}"
                yield {"kind": "feature missing", "text": text}


def _across_note(config: Run) -> str:
    """On which corpora a run is trained and tested, what tests then say, and which labels are left out."""
    splits, labels = config.splits, Layout(config).labels
    dev = f"dev on {', '.join(splits.dev_on)}" if splits.dev_on else "dev is drawn from these"
    text = f"{config.run}: trained on {', '.join(splits.train_on)} ({dev}), tested on {', '.join(splits.test_on)}"
    if splits.n * splits.seeds > 1:
        text += (
            "; its splits have the same test clips, so that tests over splits tell of other trainings, "
            "intervals over speakers of other people"
        )
    gone = left_out_counts(load_labels(labels)) if labels.is_file() else []
    told = ", ".join(f"{clips} clips of {label} in {corpus}" for corpus, label, clips in gone)
    return f"{text}; left out by its labels: {told}" if told else text


def _code_notes(config: Run) -> Iterator[dict[str, str]]:
    """What was made by other code than there is now, where the run does not ignore that."""
    older = [] if config.code_changes == "ignore" else RunMakings(config).older_code(report=False)
    if older:
        yield {"kind": "made by other code", "text": f"{'; '.join(older)}; see code_changes in the config"}


def _absence_notes(config: Run) -> Iterator[dict[str, str]]:
    """That sides of splits lack a class, where labels and splits are there."""
    layout = Layout(config)
    if layout.labels.is_file() and layout.splits.is_file():
        found = [str(one) for one in absences(load_splits(layout.splits), load_labels(layout.labels))]
        more = f" and {len(found) - 3} more such sides" if len(found) > 3 else ""
        if found:
            text = f"{config.run}: {'; '.join(found[:3])}{more}; scores in which that counts as 0 are marked {LACKING}"
            yield {"kind": "class absent from a side", "text": text}
