"""A study kept by content, so that commands and workflows read one without torch."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from avemo.base.atomic import aside
from avemo.base.component import version_of
from avemo.base.contracts import AvemoError, ConfigError, Section, digest
from avemo.index.media_hashes import HashCache
from avemo.study.config import read_config
from avemo.study.layout import Layout
from avemo.study.resolve import corpus_of, counted, foreign_sources
from avemo.study.run import Run
from avemo.study.study import Study, resolve_study
from avemo.weights.find import quick_identity


def read_study(path: Path) -> Study:
    """The checked runs of a YAML file. Raises `AvemoError` as `resolve_study` does."""
    return resolve_cached(read_config(path))


class Kept(Section):
    """A study as it is remembered, with what its weights, libraries and other packages' components were."""

    weights: dict[str, str]
    libraries: dict[str, str]
    sources: list[str]
    study: Study

    @classmethod
    def of(cls, study: Study) -> Kept:
        """A study that has just been resolved."""
        weights = {place: quick_identity(place) for run in study.runs.values() for place in run.places}
        return cls(weights=weights, libraries=libraries_of(study), sources=sources_of(study), study=study)

    @property
    def holds(self) -> bool:
        """Whether they are still the same."""
        try:
            same = all(quick_identity(place) == known for place, known in self.weights.items())
            same = same and all(version_of(name) == known for name, known in self.libraries.items())
            same = same and self.sources == sources_of(self.study)
            return same and all(
                counted(run.splits, run.corpus) == run.splits for run in self.study.runs.values()
            )
        except AvemoError:
            return False


def libraries_of(study: Study) -> dict[str, str]:
    """Versions of the distributions that make the numbers of its components, by name."""
    parts = [part for run in study.runs.values() for part in (run.corpus, *run.components.values())]
    return {name: found for part in parts for name, found in part.libraries.items()}


def sources_of(study: Study) -> list[str]:
    """What the components are that other packages bring: they may change under one config."""
    return [source_digest(path) for run in study.runs.values() for path in foreign_sources(run)]


def resolve_cached(raw: dict[str, Any], folder: Path = Path(".avemo")) -> Study:
    """`resolve_study`, remembered by content of config and package, so that a workflow parses without torch."""
    # As text, because a digest sorts keys, and the order of systems means something.
    path = folder / f"config-{digest([json.dumps(raw), source_digest()])}.json"
    if path.is_file():
        kept = Kept.model_validate_json(path.read_bytes())
        if kept.holds:
            return _marked(kept.study)
    command = [sys.executable, "-m", "avemo.study.kept"]
    done = subprocess.run(command, input=json.dumps(raw), capture_output=True, text=True)
    if done.returncode != 0:
        kind = ConfigError if done.returncode == ConfigError.exit_code else AvemoError
        raise kind(done.stderr.strip())
    folder.mkdir(parents=True, exist_ok=True)
    with aside(path) as temporary:
        temporary.write_text(done.stdout)
    return _marked(Kept.model_validate_json(done.stdout).study)


def _marked(study: Study) -> Study:
    """Whether each corpus is generated is asked of its folder, which may have come after the config, or be away."""
    marks = {name: _is_synthetic(run) for name, run in study.runs.items() if not run.corpus.parts}
    marks |= {
        name: any(marks[member] for member in run.corpus.label_runs.values())
        for name, run in study.runs.items()
        if run.corpus.parts
    }
    runs = {name: _marked_run(run, marks[name]) for name, run in study.runs.items()}
    return Study(runs, study.paper, study.tables)


def _is_synthetic(run: Run) -> bool:
    return corpus_of(run.corpus).synthetic or HashCache(Layout(run).hashes).synthetic_and_gone


def _marked_run(run: Run, synthetic: bool) -> Run:
    return run.model_copy(update={"corpus": run.corpus.model_copy(update={"synthetic": synthetic})})


def source_digest(root: Path = Path(__file__).parents[1]) -> str:
    """A hash of the source files of a package's folder, or of a module's one file; by default of this package's."""
    hasher = hashlib.sha256()
    for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
        hasher.update(str(path.relative_to(root)).encode())
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


if __name__ == "__main__":
    # Config as JSON on standard input, what is to be kept on standard output. By its importable name.
    from avemo.study import kept

    try:
        print(kept.Kept.of(resolve_study(json.load(sys.stdin))).model_dump_json())
    except AvemoError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
