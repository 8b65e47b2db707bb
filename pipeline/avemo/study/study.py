"""What one invocation of the workflow holds: one run, or a paper's several over shared caches.

A config is one run's (`avemo.study.config.RunConfig`), or::

    paper: NAME                # results lie under results/NAME/<run>
    tables: auxformer          # optional: whose tables to lay beside ours (`avemo.papers.definitions`)
    cache: cache               # these two hold for all runs
    results: results
    paths: {corpus: data/X}    # optional: text for each ``${corpus}`` below
    <any other key of a run>   # the base of every run
    runs:
      <run>: {<keys of a run>} # laid over the base, mapping into mapping; null takes a mapping away

Runs whose corpora have one id share its clip table, face tracks and features.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from avemo.base.atomic import aside
from avemo.base.component import Work
from avemo.base.contracts import AvemoError, ConfigError, digest
from avemo.base.registry import nearest
from avemo.dataset.split_names import split_names
from avemo.index.media_hashes import HashCache
from avemo.papers.definitions import read_paper
from avemo.study.config import (
    NAME,
    RunConfig,
    corpus_of,
    corpus_part,
    feature_part,
    foreign_sources,
    read_config,
    report_part,
    resolve,
    weights_of,
)
from avemo.study.layout import Layout

STAGES = ("faces", "crops", "audio", "visual")


@dataclass(frozen=True)
class Study:
    """Resolved runs by name; ``paper`` is None for a single run, ``tables`` the published ones to stand beside."""

    runs: dict[str, dict[str, Any]]
    paper: str | None = None
    tables: str | None = None

    @cached_property
    def layouts(self) -> dict[str, Layout]:
        """Where each run's files lie."""
        return {name: Layout(run) for name, run in self.runs.items()}

    @cached_property
    def pattern(self) -> Layout:
        """Where any run's files lie: paths with the wildcards ``{run}`` and ``{corpus}``."""
        first = next(iter(self.runs.values()))
        return Layout(first | {"run": "{run}", "corpus": {"id": "{corpus}"}})

    @cached_property
    def corpora(self) -> dict[str, dict[str, Any]]:
        """For each corpus id a run that uses it; they differ in labels at most."""
        return {run["corpus"]["id"]: run for run in reversed(self.runs.values())}

    @cached_property
    def components(self) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
        """Stage (of `STAGES`) and a run that uses it, for each (corpus id, component id)."""
        return {
            (run["corpus"]["id"], component): (stage, run)
            for run in self.runs.values()
            for stage, component in components_of(run).items()
        }

    @property
    def folder(self) -> Path:
        """Where the runs' folders lie, and a paper's own files."""
        return self.pattern.results.parent

    @property
    def table_files(self) -> list[Path]:
        """A paper's tables, in their three forms, and the page of all; none without ``tables``."""
        if not self.tables:
            return []
        names = [t.name for t in read_paper(self.tables).tables]
        suffixes = (".csv", ".tex", ".html")
        files = [self.folder / "tables" / f"{name}{suffix}" for name in names for suffix in suffixes]
        return [*files, self.folder / "paper.html"]

    def record(self) -> dict[str, Any]:
        """What a paper's tables depend on: no speed settings."""
        runs = {name: report_part(run) for name, run in self.runs.items()}
        return {"paper": self.paper, "tables": self.tables, "runs": runs}

    def run(self, name: str = "") -> dict[str, Any]:
        """The run of that name; without one, the only run. Raises `ConfigError` naming what there is."""
        if not name and len(self.runs) == 1:
            return next(iter(self.runs.values()))
        if name not in self.runs:
            raise ConfigError(
                f"config: expected --run to be one of {', '.join(self.runs)}, "
                f"found {name or 'none'!r}{nearest(name, self.runs)}"
            )
        return self.runs[name]

    def component_part(self, corpus: str, component: str) -> dict[str, Any]:
        """What the shards of a component depend on; raises `AvemoError` for one no run uses."""
        stage, run = self._used(corpus, component)
        return feature_part(run, stage)

    def component_work(self, corpus: str, component: str) -> Work:
        """What the shard jobs of a component ask for; raises `AvemoError` for one no run uses."""
        stage, run = self._used(corpus, component)
        return self.work(run, stage)

    def _used(self, corpus: str, component: str) -> tuple[str, dict[str, Any]]:
        if (corpus, component) not in self.components:
            known = ", ".join("/".join(pair) for pair in self.components)
            raise AvemoError(
                f"cache: no run of this config uses {corpus}/{component}; those of its runs: {known}"
            )
        return self.components[corpus, component]

    @staticmethod
    def work(run: dict[str, Any], part: str) -> Work:
        """What the jobs of a stage's component, or of ``systems/NAME``, ask for."""
        return Work(**run["speed"]["work"][part])

    def strict(self, corpus: str) -> bool:
        """Whether a run on this corpus wants to stop at a clip that fails."""
        return any(run["strict"] for run in self.runs.values() if run["corpus"]["id"] == corpus)

    def speed(self) -> dict[str, dict[str, Any]]:
        """Settings that change no number, and where weights lie, by what a job works on.

        That is a corpus id, a component id or ``run/system``.
        """
        return dict(self._speeds())

    def _speeds(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, run in self.runs.items():
            yield run["corpus"]["id"], run["corpus"]["speed"]
            for section in (run["faces"], *run["features"].values()):
                yield section["id"], section["speed"] | section.get("places", {})
            for system, section in run["systems"].items():
                yield f"{name}/{system}", section["speed"]


def components_of(run: dict[str, Any]) -> dict[str, str]:
    """Ids of a resolved run's components by stage; faces are tracked, and crops kept, for visual features alone."""
    features = run["features"]
    given = features | ({"faces": run["faces"]} if "visual" in features else {})
    given |= {"crops": run["crops"]} if "crops" in run else {}
    return {stage: given[stage]["id"] for stage in STAGES if stage in given}


def read_study(path: Path) -> Study:
    """The checked runs of a YAML file. Raises `AvemoError` as `resolve_study` does."""
    return resolve_cached(read_config(path))


def resolve_study(raw: dict[str, Any]) -> Study:
    """Every run, checked and filled in. Raises `AvemoError` naming the run, the key and the remedy."""
    paper, runs = raw.get("paper"), {}
    for name, run in expand(raw).items():
        try:
            runs[name] = resolve(run)
        except AvemoError as error:
            place = f"config: run {name}: " if paper else "config: "
            error.args = (str(error).replace("config: ", place),)
            raise
    study = Study(runs, paper, raw.get("tables") if paper else None)
    if study.tables is not None:
        read_paper(study.tables)
    _check_sharing(study)
    return study


def expand(raw: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The unchecked runs of a config, by name, each laid over what they share."""
    if "paper" not in raw and "runs" not in raw:
        return {str(raw.get("run", "")): raw}
    paper, runs = raw.get("paper"), raw.get("runs")
    if not isinstance(paper, str) or not re.match(NAME, paper):
        raise ConfigError(f"config: paper: expected a name of letters, digits, _ and -, found {paper!r}")
    if not isinstance(runs, dict) or not runs:
        raise ConfigError(f"config: runs: expected a mapping of at least one run, found {runs!r}")
    if "run" in raw:
        raise ConfigError(
            "config: run: expected no such key beside `runs`, whose keys are the names; delete it"
        )
    base = {
        key: value for key, value in raw.items() if key not in ("paper", "tables", "paths", "runs", "results")
    }
    results = f"{raw.get('results', RunConfig.model_fields['results'].default)}/{paper}"
    expanded = {}
    for name, own in runs.items():
        if not isinstance(own, dict):
            raise ConfigError(f"config: runs.{name}: expected the run's keys, found {own!r}")
        for key in ("run", "cache", "results"):
            if key in own:
                raise ConfigError(f"config: runs.{name}.{key}: it holds for all runs; put it beside `runs`")
        run = placed(overlaid(base, own), raw.get("paths") or {}, f"runs.{name}")
        expanded[str(name)] = run | {"run": str(name), "results": results}
    return expanded


def overlaid(base: Any, own: Any) -> Any:
    """``own`` over ``base``: mappings are joined key by key, anything else replaces; None takes a mapping away.

    >>> overlaid({"a": {"b": 1}, "c": {"d": 2}}, {"a": {"b": 3}, "c": None})
    {'a': {'b': 3}}
    """
    if not (isinstance(base, dict) and isinstance(own, dict)):
        return own
    gone = {key for key, value in own.items() if value is None and isinstance(base.get(key), dict)}
    joined = base | {key: overlaid(base.get(key), value) for key, value in own.items()}
    return {key: value for key, value in joined.items() if key not in gone}


def placed(value: Any, paths: dict[str, str], where: str) -> Any:
    """``value`` with each ``${name}`` in its texts replaced; raises `ConfigError` for an unknown name.

    >>> placed({"root": "${mosei}/Raw"}, {"mosei": "data/MOSEI"}, "corpus")
    {'root': 'data/MOSEI/Raw'}
    """

    def text(match: re.Match[str]) -> str:
        if match[1] not in paths:
            raise ConfigError(
                f"config: {where}: no {match[1]!r} among paths{nearest(match[1], paths) or '.'} "
                f"Known: {', '.join(paths)}"
            )
        return str(paths[match[1]])

    if isinstance(value, dict):
        return {key: placed(inner, paths, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, list):
        return [placed(inner, paths, where) for inner in value]
    return re.sub(r"\$\{(\w+)\}", text, value) if isinstance(value, str) else value


def waits_for(run: dict[str, Any], system: str) -> str:
    """What a system of a resolved run still needs before it has scores; "" if it has them.

    The system "" stands for the run's labels and splits.
    """
    layout = Layout(run)
    if not layout.index.is_file():
        return f"waits for the clip table of {run['corpus']['id']}"
    if not (layout.labels.is_file() and layout.splits.is_file()):
        return "waits for labels and splits"
    if not system or layout.scores(system).is_file():
        return ""
    for stage, component in components_of(run).items():
        if not layout.manifest(component).is_file():
            n = run["corpus"]["shards"]
            done = sum(layout.shard(component, shard).is_file() for shard in range(n))
            return f"waits for {stage} ({done} of {n} shards done)"
    splits = split_names(run["splits"]["n"])
    done = sum(layout.model(system, split).is_file() for split in splits)
    if done < len(splits):
        return f"waits for training ({done} of {len(splits)} splits done)"
    return "waits for its evaluation"


def _check_sharing(study: Study) -> None:
    """Raise `ConfigError` where two runs mean different corpora by one id."""
    for name, run in study.runs.items():
        first = next(other for other in study.runs if _corpus_id(study, other) == _corpus_id(study, name))
        ours, theirs = _shared(run), _shared(study.runs[first])
        if ours != theirs:
            keys = sorted(key for key in ours if ours[key] != theirs[key])
            raise ConfigError(
                f"config: runs {first} and {name}: expected one corpus under the id {_corpus_id(study, name)!r}, "
                f"found different {' and '.join(keys)}; make them equal, or give one run another corpus.id"
            )


def _corpus_id(study: Study, name: str) -> str:
    return study.runs[name]["corpus"]["id"]


def _shared(run: dict[str, Any]) -> dict[str, Any]:
    return corpus_part(run) | {"shards": run["corpus"]["shards"]}


def resolve_cached(raw: dict[str, Any], folder: Path = Path(".avemo")) -> Study:
    """`resolve_study`, remembered by content of config and package, so that a workflow parses without torch."""
    # As text, because a digest sorts keys, and the order of systems means something.
    path = folder / f"config-{digest([json.dumps(raw), source_digest()])}.json"
    if path.is_file():
        kept = json.loads(path.read_text())
        study = Study(**kept["study"])
        with suppress(AvemoError):
            if kept["stands_on"] == _stands_on(study):
                return _marked(study)
    done = subprocess.run(
        [sys.executable, "-m", "avemo.study.study"], input=json.dumps(raw), capture_output=True, text=True
    )
    if done.returncode != 0:
        kind = ConfigError if done.returncode == ConfigError.exit_code else AvemoError
        raise kind(done.stderr.strip())
    found = json.loads(done.stdout)
    study = Study(**found)
    folder.mkdir(parents=True, exist_ok=True)
    with aside(path) as temporary:
        temporary.write_text(json.dumps({"study": found, "stands_on": _stands_on(study)}))
    return _marked(study)


def _stands_on(study: Study) -> list[str]:
    """What a study's weights are, and what other packages' components it names: both may change under one config."""
    runs = study.runs.values()
    weights = [one for run in runs for section in run["features"].values() for one in weights_of(section)]
    return [*weights, *(source_digest(path) for run in runs for path in foreign_sources(run))]


def _marked(study: Study) -> Study:
    """Whether each corpus is generated is asked of its folder, which may have come after the config, or be away."""
    for run in study.runs.values():
        kept = HashCache(Layout(run).hashes)
        run["corpus"]["synthetic"] = corpus_of(run).synthetic or kept.synthetic_and_gone
    return study


def source_digest(root: Path = Path(__file__).parents[1]) -> str:
    """A hash of the source files of a package's folder, or of a module's one file; by default of this package's."""
    hasher = hashlib.sha256()
    for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
        hasher.update(str(path.relative_to(root)).encode())
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


def _main() -> int:
    """Config as JSON on standard input, the resolved study on standard output."""
    try:
        study = resolve_study(json.load(sys.stdin))
    except AvemoError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps({"runs": study.runs, "paper": study.paper, "tables": study.tables}))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
