"""What one invocation of the workflow holds: one run, or a paper's several over shared caches.

Runs whose corpora have one id share its clip table, face tracks and features.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from avemo.base.component import RESIDENT_MB, RESIDENT_MB_A_SECOND, Work
from avemo.base.contracts import AvemoError, ConfigError
from avemo.base.registry import nearest
from avemo.papers.definitions import read_paper
from avemo.study.across import features_from
from avemo.study.config import shortened
from avemo.study.layers import expand
from avemo.study.layout import CONFIG, Layout
from avemo.study.resolve import resolve
from avemo.study.run import Run, as_option, modality_of
from avemo.study.specs import ExtractSpec, IndexSpec, TrackSpec, component_spec


@dataclass(frozen=True)
class Study:
    """Resolved runs by name; ``paper`` is None for a single run, ``tables`` the published ones to stand beside."""

    runs: dict[str, Run]
    paper: str | None = None
    tables: str | None = None

    @cached_property
    def layouts(self) -> dict[str, Layout]:
        """Where each run's files lie."""
        return {name: Layout(run) for name, run in self.runs.items()}

    @cached_property
    def corpora(self) -> dict[str, Run]:
        """For each corpus id a run that uses it; they differ in labels at most."""
        return {run.corpus.id: run for run in reversed(self.runs.values())}

    @cached_property
    def components(self) -> dict[tuple[str, str], tuple[str, Run]]:
        """Stage (of `STAGES`) and a run that uses it, for each (corpus id, component id)."""
        return {
            (run.corpus.id, component.id): (stage, run)
            for run in self.runs.values()
            for stage, component in run.components.items()
        }

    @property
    def cache(self) -> Path:
        """Where the corpora's folders lie."""
        return Path(next(iter(self.runs.values())).cache)

    @property
    def folder(self) -> Path:
        """Where the runs' folders lie, and a paper's own files."""
        return Path(next(iter(self.runs.values())).results)

    @property
    def table_files(self) -> list[Path]:
        """A paper's tables, in their three forms, and the page of all; none without ``tables``."""
        if not self.tables:
            return []
        names = [t.name for t in read_paper(self.tables).tables]
        suffixes = (".csv", ".tex", ".html")
        files = [self.folder / "tables" / f"{name}{suffix}" for name in names for suffix in suffixes]
        return [*files, self.folder / "paper.html"]

    @property
    def across(self) -> list[str]:
        """Runs across corpora, and those that they name; none where there are none."""
        named = {
            one
            for run in self.runs.values()
            if run.corpus.parts
            for one in (run.run, *run.corpus.label_runs.values())
        }
        return [name for name in self.runs if name in named]

    def record(self) -> dict[str, Any]:
        """What a paper's tables depend on, as JSON: no speed settings. `read_record` reads it."""
        runs = {name: run.record() for name, run in self.runs.items()}
        return {"paper": self.paper, "tables": self.tables, "runs": runs}

    def run(self, name: str = "") -> Run:
        """The run of that name; without one, the only run. Raises `ConfigError` naming what there is."""
        if not name and len(self.runs) == 1:
            return next(iter(self.runs.values()))
        if name not in self.runs:
            raise ConfigError(
                f"config: expected --run to be one of {', '.join(self.runs)}, "
                f"found {name or 'none'!r}{nearest(name, self.runs)}"
            )
        return self.runs[name]

    def component_spec(self, corpus: str, component: str) -> TrackSpec | ExtractSpec:
        """What the shards of a component depend on; raises `AvemoError` for one no run uses."""
        self._used(corpus, component)
        return self._specs[corpus, component]

    @cached_property
    def _specs(self) -> dict[tuple[str, str], TrackSpec | ExtractSpec]:
        """Once for all shards: to identify weights takes a look at the disk."""
        return {place: component_spec(run, stage) for place, (stage, run) in self.components.items()}

    def component_work(self, corpus: str, component: str) -> Work:
        """What the shard jobs of a component ask for; raises `AvemoError` for one no run uses."""
        stage, run = self._used(corpus, component)
        return self.work(run, stage)

    def _used(self, corpus: str, component: str) -> tuple[str, Run]:
        if (corpus, component) not in self.components:
            known = ", ".join("/".join(pair) for pair in self.components)
            raise AvemoError(
                f"cache: no run of this config uses {corpus}/{component}; those of its runs: {known}"
            )
        return self.components[corpus, component]

    @staticmethod
    def work(run: Run, part: str) -> Work:
        """What the jobs of a stage's component, or of ``systems/NAME``, ask for."""
        # A learning curve's systems cost what the whole one does.
        system = run.systems.get(part.removeprefix("systems/"))
        return run.speed.work[f"systems/{system.curve}" if system and system.curve else part]

    def training_gpu_mb(self, run: str, system: str, longest_s: float, media_s: float) -> int:
        """Megabytes of a GPU to train a run's system on mini-batches whose clips may all be of ``longest_s`` seconds,
        with the features of ``media_s`` seconds beside them."""
        of = self.runs[run]
        # Further features of a modality are joined to the frames of the first.
        firsts = [name for name in of.features if name == modality_of(name)]
        frames_hz = sum(self.work(of, name).frames_hz for name in firsts)
        frames = of.systems[system].largest_batch * longest_s * frames_hz
        asked = self.work(of, f"systems/{system}").training_gpu_mb(frames)
        return asked + min(RESIDENT_MB, ceil(media_s * RESIDENT_MB_A_SECOND)) if asked else 0

    def component_ids(self, *stages: str, gpu: bool | None = None, faceless: bool | None = None) -> set[str]:
        """Those of these stages, in any corpus; only networks, or only the others; only what needs no faces, or does."""
        return {
            component
            for (_, component), (stage, run) in self.components.items()
            if modality_of(stage) in stages
            and gpu in (None, bool(self.work(run, stage).gpu_mb))
            and faceless in (None, getattr(run.components[stage], "faceless", False))
        }

    def manifests(self, run: str, *stages: str) -> list[Path]:
        """Manifests of a run's components of these stages, as far as it has them."""
        return list(dict.fromkeys(path for _, path in self._manifests(run, *stages)))

    def manifest_options(self, run: str, *stages: str) -> list[str]:
        """The same as a command's options, each named for its kind of stage."""
        return [
            word
            for stage, path in self._manifests(run, *stages)
            for word in (f"--{modality_of(stage)}", str(path))
        ]

    def feature_options(self, run: str) -> list[str]:
        """The manifests of a run's features as options that say how systems see these."""
        found, layout = self.runs[run].features.items(), self.layouts[run]
        return [
            word
            for name, one in found
            for word in (f"--{modality_of(name)}", as_option(layout.manifest(one.id), one.reading))
        ]

    def _manifests(self, run: str, *stages: str) -> list[tuple[str, Path]]:
        found = self.runs[run].components.items()
        return [
            (stage, self.layouts[run].manifest(one.id))
            for stage, one in found
            if modality_of(stage) in stages
        ]

    def shards(self, run: str) -> list[Path]:
        """Shards of all of a run's components: one that is gone is made again, though its manifest is there."""
        layout, number = self.layouts[run], self.runs[run].corpus.shards
        if self.runs[run].corpus.parts:
            return []
        components = self.runs[run].components.values()
        return [layout.shard_record(component.id, n) for component in components for n in range(number)]

    @property
    def reruns_for_code(self) -> bool:
        """Whether one of the runs wants what was made by other code to be made again; they share caches."""
        return any(run.code_changes == "rerun" for run in self.runs.values())

    def strict(self, corpus: str) -> bool:
        """Whether a run on this corpus wants to stop at a clip that fails."""
        return any(run.strict for run in self.runs.values() if run.corpus.id == corpus)


def read_record(path: Path) -> Study:
    """The study that `Study.record` was written of; raises `AvemoError` where it is not there, or another file is."""
    with _explained(path):
        return TypeAdapter(Study).validate_json(path.read_bytes())


def read_run(folder: Path) -> Run:
    """The resolved config that a run wrote to its folder; raises `AvemoError` where there is none."""
    path = folder / CONFIG
    with _explained(path):
        return Run.model_validate_json(path.read_bytes())


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        if path.exists() and not path.is_file():
            raise ValueError("a folder, pipe or device")
        yield
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else shortened(str(error))
        raise AvemoError(
            f"{str(path)[:300]}: expected the config that a run leaves in its results folder, found {told}; "
            "give that folder, or run the workflow first"
        ) from error


def resolve_study(raw: dict[str, Any]) -> Study:
    """Every run, checked and filled in. Raises `AvemoError` naming the run, the key and the remedy."""
    paper, given = raw.get("paper"), expand(raw)
    found: dict[str, Run] = {}
    # Those across corpora last, as they name others.
    for name, run in sorted(given.items(), key=lambda item: item[1].get("across") is not None):
        try:
            others = {one: known for one, known in found.items() if not known.corpus.parts}
            found[name] = resolve(features_from(run, given), others)
        except AvemoError as error:
            place = f"config: run {name}: " if paper else "config: "
            error.args = (str(error).replace("config: ", place),)
            raise
    study = Study({name: found[name] for name in given}, paper, raw.get("tables") if paper else None)
    if study.tables is not None:
        read_paper(study.tables)
    _check_sharing(study)
    return study


def waits_for(run: Run, system: str) -> str:
    """What a system of a run still needs before it has scores; "" if it has them.

    The system "" stands for the run's labels and splits.
    """
    layout = Layout(run)
    if not layout.index.is_file():
        return f"waits for the clip table of {run.corpus.id}"
    if not (layout.labels.is_file() and layout.splits.is_file()):
        return "waits for labels and splits"
    if not system or layout.scores(system).is_file():
        return ""
    for stage, component in run.components.items():
        if not layout.manifest(component.id).is_file():
            if run.corpus.parts:
                return f"waits for {stage} of {', '.join(run.corpus.parts)}"
            n = run.corpus.shards
            done = sum(layout.shard(component.id, shard).is_file() for shard in range(n))
            return f"waits for {stage} ({done} of {n} shards done)"
    models = layout.models(system, run.split_names)
    done = sum(model.is_file() for model in models)
    if done < len(models):
        return f"waits for training ({done} of {len(models)} splits done)"
    return "waits for its evaluation"


def _check_sharing(study: Study) -> None:
    """Raise `ConfigError` where two runs mean different corpora by one id."""
    firsts: dict[str, str] = {}
    for name, run in study.runs.items():
        first = firsts.setdefault(run.corpus.id, name)
        ours, theirs = _shared(run), _shared(study.runs[first])
        if ours != theirs:
            keys = sorted(key for key in ours if ours[key] != theirs[key])
            raise ConfigError(
                f"config: runs {first} and {name}: expected one corpus under the id {run.corpus.id!r}, "
                f"found different {' and '.join(keys)}; make them equal, or give one run another corpus.id"
            )


def _shared(run: Run) -> dict[str, Any]:
    return {name: getattr(run.corpus, name) for name in (*IndexSpec.model_fields, "shards")}
