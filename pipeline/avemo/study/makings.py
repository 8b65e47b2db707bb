"""What each file of a run ought to be made of: its config's part, and the files that lie beside it now."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from avemo.base.contracts import AvemoError, Section
from avemo.base.made_of import Making, checked, made_of, recorded
from avemo.study.layout import MODEL, PAPER, PAPER_PAGE, Layout
from avemo.study.run import Run
from avemo.study.specs import IndexSpec, LabelsSpec, as_cfg, component_spec
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

    def _manifests(self, *stages: str) -> dict[str, Path | str]:
        found = self.run.components
        return {stage: self.layout.manifest(found[stage].id) for stage in stages if stage in found}

    def labels(self, **digests: str) -> Making:
        """``digests``: of the files that labels are read from."""
        cfg = cfg_of(self.run.corpus, LabelsSpec)
        return Making(self.layout.labels, cfg, {"index": self.layout.index, **digests})

    def splits(self, **digests: str) -> Making:
        """``digests``: of published partitions."""
        return Making(self.layout.splits, cfg_of(self.run.splits), {"labels": self.layout.labels, **digests})

    def model(self, system: str, split: str) -> Making:
        """A trained system."""
        read = self._sides | self._manifests("audio", "visual")
        return Making(self.layout.model(system, split), cfg_of(self.run.systems[system], TrainSpec), read)

    def scores(self, system: str) -> Making:
        """Of a system's models on the test sides."""
        return Making(self.layout.scores(system), None, self._evaluated(system))

    def predictions(self, system: str) -> Making:
        """What the scores were counted from."""
        return Making(self.layout.predictions(system), None, self._evaluated(system))

    def _evaluated(self, system: str) -> dict[str, Path | str]:
        models = {f"model of {split}": self.layout.model(system, split) for split in self.run.split_names}
        return self._sides | self._manifests("audio", "visual") | models

    def baselines(self) -> Making:
        """Scores without features."""
        return Making(self.layout.scores("baselines"), None, self._sides)

    def tests(self) -> Making:
        """Of significance."""
        scores = {f"scores of {name}": self.layout.scores(name) for name in self.run.compared}
        read = {"splits": self.layout.splits, "baselines": self.layout.scores("baselines"), **scores}
        return Making(self.layout.tests, cfg_of(self.run.tests), read)

    def quality(self) -> Making:
        """Of the clips."""
        read = {"index": self.layout.index} | self._manifests("faces", "audio", "visual")
        return Making(self.layout.quality, None, read)

    def sheet(self) -> Making:
        """The contact sheet of faces."""
        read = {"index": self.layout.index, "quality": self.layout.quality} | self._manifests("faces")
        return Making(self.layout.sheet, None, read)

    def config(self) -> Making:
        """The run's config as it is kept."""
        return Making(self.layout.config, cfg_of(self.run.record()))

    def report(self) -> Making:
        """The page, its tables and figures."""
        read = {"config": self.layout.config} | {name: making.path for name, making in self.results().items()}
        return Making(self.layout.report, None, read)

    def results(self) -> dict[str, Making]:
        """All that is in the run's folder and was made of something that lies there too, by name."""
        found = {"labels": self.labels(), "splits": self.splits(), "baselines": self.baselines()}
        for system in self.run.systems:
            for split in self.run.split_names:
                found[f"model of {system}, {split}"] = self.model(system, split)
            found[f"predictions of {system}"] = self.predictions(system)
            found[f"scores of {system}"] = self.scores(system)
        return found | {"tests": self.tests(), "quality": self.quality()}

    def offences(self, models: bool = True) -> list[str]:
        """What was made of something else than lies beside it, or is not what was written: a sentence each.

        The cache may have moved on; ``models`` are many bytes, which need not be read by who does not use them.
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
        return found


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
    return Making(study.folder / PAPER_PAGE, None, read)


def index_making(run: Run, **digests: str) -> Making:
    """The clip table of a run's corpus; ``digests``: of the corpus' files."""
    return Making(Layout(run).index, cfg_of(run.corpus, IndexSpec), digests)


def shard_making(run: Run, stage: str, shard: int | str, **digests: str) -> Making:
    """A shard of a stage's component; ``digests``: of its clips."""
    spec, layout = component_spec(run, stage), Layout(run)
    before = getattr(spec, "crops", "") or getattr(spec, "faces", "")
    read: dict[str, Path | str] = {"before": layout.shard(before, shard)} if before else {}
    return Making(layout.shard(spec.id, shard), cfg_of(spec), read | digests, _shard_fingerprint)


def manifest_making(run: Run, component: str) -> Making:
    """The manifest of a component's shards."""
    layout, shards = Layout(run), run.corpus.shards
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
