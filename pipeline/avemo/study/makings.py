"""What each file of a run ought to be made of: its config's part, and the files that lie beside it now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from avemo.base.contracts import AvemoError, ConfigError, Section
from avemo.base.made_of import NO_RECORD, Making, checked, made_of, recorded
from avemo.index.source import PLACE, SEEN
from avemo.papers.definitions import paper_digest
from avemo.study.layout import ACROSS_PAGE, MODEL, PAPER, PAPER_PAGE, Layout
from avemo.study.run import Run, modality_of
from avemo.study.searched import is_sequential, searching_code, training_code, trial_name, trial_spec
from avemo.study.specs import ExtractSpec, IndexSpec, LabelsSpec, TrackSpec, as_cfg, component_spec
from avemo.study.stage_code import corpus_code, feature_code, score_code, stage_code
from avemo.study.study import Study
from avemo.training.recipe import TrainSpec


def cfg_of(spec: Section | dict[str, Any], kind: type[Section] | None = None) -> Any:
    """A rule's ``cfg`` as its record has it."""
    return json.loads(as_cfg(spec, kind))


@dataclass(frozen=True)
class RunMakings:
    """Those of one run."""

    run: Run

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.run)

    @property
    def _sides(self) -> dict[str, Path | str]:
        return {"labels": self.layout.labels, "splits": self.layout.splits}

    def _manifests(self, *stages: str) -> dict[str, Path]:
        found = self.run.components.items()
        return {name: self.layout.manifest(one.id) for name, one in found if modality_of(name) in stages}

    @property
    def _seen(self) -> dict[str, Path]:
        """The manifests of features, by what records call these as systems see them."""
        found = self.run.features.items()
        return {one.reading.told(name): self.layout.manifest(one.id) for name, one in found}

    def labels(self, **digests: str) -> Making:
        """``digests``: of the files that labels are read from."""
        corpus = self.run.corpus
        read: dict[str, Path | str] = {"index": self.layout.index, **digests}
        read |= {f"labels of {one}": self.layout.labels_of(run) for one, run in corpus.label_runs.items()}
        code = partial(corpus_code, "labels", "" if corpus.parts else corpus.name)
        return Making(self.layout.labels, cfg_of(corpus, LabelsSpec), read, code=code)

    def splits(self, **digests: str) -> Making:
        """``digests``: of published partitions."""
        read: dict[str, Path | str] = {"labels": self.layout.labels, **digests}
        return Making(self.layout.splits, cfg_of(self.run.splits), read, code=partial(stage_code, "splits"))

    def model(self, system: str, split: str) -> Making:
        """A trained system."""
        spec, read = self.run.systems[system], self._sides
        if spec.search:
            read = read | self._trials(system, spec.search.study_of(split), spec.search.count)
        path, code = self.layout.model(system, split), partial(training_code, spec)
        return Making(path, cfg_of(spec, TrainSpec), read, code=code, cached=self._seen)

    def trial(self, system: str, study: str, number: int) -> Making:
        """A trial of a searched system."""
        spec = trial_spec(self.run.systems[system], number)
        read = self._sides | self._trials(system, study, number if is_sequential(spec) else 0)
        path, code = self.layout.trial(system, study, number), partial(searching_code, spec)
        return Making(path, cfg_of(spec), read, code=code, cached=self._seen)

    def _trials(self, system: str, study: str, count: int) -> dict[str, Path | str]:
        """The first so many of a study, by what records call them."""
        return {trial_name(n): path for n, path in enumerate(self.layout.trials(system, study, count))}

    def scores(self, system: str) -> Making:
        """Of a system's models on the test sides."""
        return self._evaluated(self.layout.scores(system), system)

    def predictions(self, system: str) -> Making:
        """What the scores were counted from."""
        return self._evaluated(self.layout.predictions(system), system)

    def _evaluated(self, path: Path, system: str) -> Making:
        models: dict[str, Path | str] = {}
        models |= {f"model of {split}": self.layout.model(system, split) for split in self.run.split_names}
        code, cached = partial(score_code, self.run.systems[system].model), self._seen
        return Making(path, None, self._sides | models, code=code, cached=cached)

    def baselines(self) -> Making:
        """Scores without features."""
        path = self.layout.scores("baselines")
        return Making(path, None, self._sides, code=partial(stage_code, "baselines"))

    def linear(self) -> dict[str, Making]:
        """Scores of the linear baseline, what they were counted from, and what was read and chosen for them."""
        layout, code = self.layout, partial(stage_code, "linear")
        of = {
            "linear": layout.scores("linear"),
            "predictions of linear": layout.predictions("linear"),
            "fits of linear": layout.linear_record,
        }
        return {
            name: Making(path, None, self._sides, code=code, cached=self._seen) for name, path in of.items()
        }

    def tests(self) -> Making:
        """Of significance."""
        scores = {f"scores of {name}": self.layout.scores(name) for name in self.run.compared}
        blind = {name: self.layout.scores(name) for name in ("baselines", "linear")}
        read = {"splits": self.layout.splits, **blind, **scores}
        return Making(self.layout.tests, cfg_of(self.run.tests), read, code=partial(stage_code, "tests"))

    def quality(self) -> Making:
        """Of the clips."""
        cached = self._manifests("faces", "audio", "visual")
        code = partial(stage_code, "quality")
        return Making(self.layout.quality, None, {"index": self.layout.index}, code=code, cached=cached)

    def sheet(self) -> Making:
        """The contact sheet of faces."""
        read = {"index": self.layout.index, "quality": self.layout.quality}
        return Making(self.layout.sheet, None, read, cached=self._manifests("faces"))

    def config(self) -> Making:
        """The run's config as it is kept."""
        return Making(self.layout.config, cfg_of(self.run.record()))

    def report(self) -> Making:
        """The page, its tables and figures."""
        read = {"config": self.layout.config} | {name: making.path for name, making in self.results().items()}
        return Making(self.layout.report, None, read, code=partial(stage_code, "report"))

    def results(self) -> dict[str, Making]:
        """All that is in the run's folder and was made of something that lies there too, by name."""
        found = {"labels": self.labels(), "splits": self.splits(), "baselines": self.baselines()}
        for system in self.run.systems:
            for study, number in self.run.trials(system):
                found[f"trial {number} of {system}, {study}"] = self.trial(system, study, number)
            for split in self.run.split_names:
                found[f"model of {system}, {split}"] = self.model(system, split)
            found[f"predictions of {system}"] = self.predictions(system)
            found[f"scores of {system}"] = self.scores(system)
        return found | self.linear() | {"tests": self.tests(), "quality": self.quality()}

    def older_code(self, report: bool = True) -> list[str]:
        """Of what the code has changed since it was made, in which files: a sentence each.

        Without the ``report``, where that is about to be made again.
        """
        names, run = self.run.split_names, self.run
        groups = {f"clip table of {run.corpus.id}": [index_making(run)]}
        for stage, component in run.components.items():
            code = partial(stage_code_of, run, stage)
            shards = [self.layout.shard(component.id, number) for number in range(run.corpus.shards)]
            groups[f"{stage} ({component.id})"] = [Making(shard, code=code) for shard in shards]
        groups |= {f"models of {one}": [self.model(one, split) for split in names] for one in run.systems}
        for one in self.run.systems:
            trials = [self.trial(one, study, number) for study, number in self.run.trials(one)]
            groups |= {f"trials of {one}": trials} if trials else {}
        told = ("trial ", "model of ", "predictions of ", "fits of ")
        alone = {name: making for name, making in self.results().items() if not name.startswith(told)}
        if report:
            alone["report"] = self.report()
        groups |= {name: [making] for name, making in alone.items()}
        return [sentence for name, makings in groups.items() for sentence in older(name, makings)]

    def offences(self, models: bool = True) -> list[str]:
        """What was made of something else than lies beside it, or is not what was written: a sentence each.

        The cache may have moved on; ``models`` are many bytes, which need not be read by who does not use them,
        nor need that fail where no record says what made a file, as those of an older avemo.
        """
        seen: dict[Path, str | None] = {}
        found = []

        def held(path: Path) -> str | None:
            if path not in seen:
                seen[path] = None
                if path.is_file() and path.is_relative_to(self.layout.results):
                    try:
                        seen[path] = checked(path) if models or path.name != MODEL else recorded(path)
                    except AvemoError as error:
                        found.append(str(error))
            return seen[path]

        for making in self.results().values():
            held(making.path)
            if made_of(making.path):
                found += [f"{making.path}: {change}" for change in making.changes(held)]
            elif models and making.path.is_file():
                found.append(f"{making.path}: {NO_RECORD}; run the workflow again")
        return found


def older(name: str, makings: Iterable[Making]) -> Iterator[str]:
    """In which files the code of these has changed since, as a sentence; nothing where it has not."""
    try:
        files = sorted({file for making in makings for file in making.older_code()})
    except ConfigError:
        # Of another package's component.
        yield f"{name}: the code is not installed here"
        return
    if files:
        yield f"{name}: {', '.join(files)} changed since"


def paper_record_making(study: Study) -> Making:
    """The config of all of a paper's runs as it is kept."""
    return Making(study.folder / PAPER, cfg_of(study.record()))


def paper_making(study: Study) -> Making:
    """A paper's tables and page, made of what its runs have left so far."""
    read: dict[str, Path | str] = {"record": study.folder / PAPER}
    for name, run in study.runs.items():
        makings = RunMakings(run)
        read |= {f"labels of {name}": makings.layout.labels, f"splits of {name}": makings.layout.splits}
        read |= {f"scores of {name}, {one}": makings.layout.scores(one) for one in run.systems}
    if study.tables:
        read["published tables"] = paper_digest(study.tables)
    return Making(study.folder / PAPER_PAGE, None, read, code=partial(stage_code, "paper"))


def across_making(study: Study) -> Making:
    """The page of runs across corpora, made of what these and the runs that they name have left."""
    read: dict[str, Path | str] = {"record": study.folder / PAPER}
    for name in study.across:
        layout, systems = study.layouts[name], study.runs[name].compared
        read |= {f"labels of {name}": layout.labels, f"splits of {name}": layout.splits}
        read |= {f"predictions of {name}, {one}": layout.predictions(one) for one in (*systems, "linear")}
    return Making(study.folder / ACROSS_PAGE, None, read)


def index_making(run: Run, **digests: str) -> Making:
    """The clip table of a run's corpus, of united ones from theirs; ``digests``: of the corpus' files."""
    corpus, layout = run.corpus, Layout(run)
    code = partial(corpus_code, "index", "" if corpus.parts else corpus.name)
    read = digests | {one: layout.index_of(one) for one in corpus.parts}
    return Making(layout.index, cfg_of(corpus, IndexSpec), read, code=code, noted=(PLACE, SEEN))


def shard_making(run: Run, stage: str, shard: int | str, **digests: str) -> Making:
    """A shard of a stage's component; ``digests``: of its clips."""
    spec, layout = component_spec(run, stage), Layout(run)
    before = getattr(spec, "crops", "") or getattr(spec, "faces", "")
    read: dict[str, Path | str] = {"before": layout.shard(before, shard)} if before else {}
    code = partial(stage_code_of, run, stage)
    return Making(layout.shard(spec.id, shard), cfg_of(spec), read | digests, _shard_fingerprint, code)


def stage_code_of(run: Run, stage: str) -> dict[str, str]:
    """Through which code the items of a run's stage are made."""
    if stage in run.features:
        feature, modality = run.features[stage], modality_of(stage)
        kept = modality == "visual" and not feature.faceless and run.crops is not None
        called = "imported" if feature.imported else modality
        return feature_code(called, feature.extractor, kept, feature.faceless)
    return stage_code(stage)


def component_code(spec: TrackSpec | ExtractSpec, stage: str) -> dict[str, str]:
    """The same, by what a job is given; the stage of what another program has made is ``imported``."""
    if isinstance(spec, ExtractSpec):
        return feature_code(stage, spec.extractor, bool(spec.crops), not (spec.crops or spec.faces))
    return stage_code(stage)


def manifest_making(run: Run, component: str) -> Making:
    """The manifest of a component's shards, or of the corpora that are united."""
    layout, shards, corpora = Layout(run), run.corpus.shards, run.corpus.parts
    if corpora:
        parts: dict[str, Path | str] = {one: layout.manifest_of(one, component) for one in corpora}
        return Making(layout.manifest(component), {"corpora": list(corpora)}, parts, _manifest_fingerprint)
    paths = [layout.shard(component, number) for number in range(shards)]
    read: dict[str, Path | str] = {path.stem: path for path in paths}
    return Making(layout.manifest(component), {"shards": shards}, read, _manifest_fingerprint)


def _shard_fingerprint(path: Path) -> str:
    # Imported when needed: a workflow parses without HDF5.
    from avemo.cache.shard import Shard
    from avemo.cache.shard_layout import fingerprint

    with Shard(path) as shard:
        return fingerprint(shard.index.values())


def _manifest_fingerprint(path: Path) -> str:
    from avemo.cache.manifest import read_manifest

    return read_manifest(path).fingerprint
