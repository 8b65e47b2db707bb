"""`avemo audit`: proves from a finished run's records that nothing leaked, or names what did."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from avemo.evaluation.audit import Finding, Records
    from avemo.study.layout import Layout
    from avemo.study.run import Run


def register(app: typer.Typer) -> None:
    app.command()(audit)


def audit(
    run: Annotated[Path, typer.Option(help="A run's results folder, e.g. results/demo, or a paper's.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check that no test clip leaked into a finished run: groups, statistics, selection, test, splits, features.

    Exit code 1 where something did.

    Example: avemo audit --run results/demo
    """
    found = {name: examine(config) for name, config in _configs(run).items()}
    passed = all(finding.passed for findings in found.values() for finding in findings)
    text = json.dumps(
        {"passed": passed, "runs": {n: [_shown(f) for f in fs] for n, fs in found.items()}}, indent=1
    )
    typer.echo(text if as_json else "\n".join(line for name in found for line in _lines(name, found[name])))
    raise typer.Exit(0 if passed else 1)


def examine(config: Run) -> list[Finding]:
    """Every check on one run; statistics are made again where the cache still has the features."""
    from avemo.cache.manifest import FeatureSet
    from avemo.dataset.labels import load_labels
    from avemo.dataset.loading import ClipData
    from avemo.evaluation.audit import audit as check
    from avemo.study.layout import Layout

    layout = Layout(config)
    manifests = {modality: layout.manifest(f["id"]) for modality, f in config["features"].items()}
    labels = load_labels(_there(layout.labels))
    with ExitStack() as opened:
        sets = {m: opened.enter_context(FeatureSet(path)) for m, path in manifests.items() if path.is_file()}
        statistics = None
        if sets.keys() == manifests.keys():
            statistics = ClipData(sets.get("audio"), sets.get("visual"), labels.targets).fit
        features = {modality: stored.fingerprint for modality, stored in sets.items()}
        return check(_records(config, layout, labels.groups, features, statistics))


def audited(config: Run) -> list[Finding]:
    """`examine` for a page: where records are missing, one finding that says which."""
    from avemo.base.contracts import AvemoError
    from avemo.evaluation.audit import Finding

    try:
        return examine(config)
    except AvemoError as error:
        return [Finding("records", "The records are whole", "", [str(error)])]


def _records(
    config: Run, layout: Layout, groups: dict[str, str], features: dict[str, str], statistics: Any
) -> Records:
    import pandas as pd

    from avemo.dataset.splits import load_splits
    from avemo.evaluation.audit import Records
    from avemo.training.checkpoint import model_meta
    from avemo.weights.hashes import sha256_path

    splits, systems = load_splits(_there(layout.splits)), list(config["systems"])
    folders = {(s, split.name): layout.trained(s, split.name) for s in systems for split in splits}
    models = {place: _there(folder / "model.safetensors") for place, folder in folders.items()}
    journals = {system: layout.readings(system) for system in systems}
    return Records(
        groups=groups,
        splits=splits,
        runs={place: json.loads(_there(f / "run.json").read_text()) for place, f in folders.items()},
        models={place: model_meta(path) | {"sha256": sha256_path(path)} for place, path in models.items()},
        histories={place: pd.read_csv(_there(f / "history.csv")) for place, f in folders.items()},
        predictions={s: pd.read_parquet(_there(layout.predictions(s))) for s in systems},
        readings={s: _journal(path) for s, path in journals.items() if path.is_file()},
        features=features,
        statistics=statistics,
    )


def _configs(folder: Path) -> dict[str, Run]:
    """The configs of a run, or of all runs of a paper, by name."""
    from avemo.study.run import Run
    from avemo.study.study import read_record

    if (folder / "paper.json").is_file():
        return read_record(folder / "paper.json").runs
    config = Run.model_validate_json(_there(folder / "config.json").read_bytes())
    return {config.run: config}


def _there(path: Path) -> Path:
    from avemo.base.contracts import AvemoError

    if not path.is_file():
        raise AvemoError(f"{path}: expected a file of a finished run, found none; let the run finish first")
    return path


def _journal(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _shown(finding: Finding) -> dict[str, Any]:
    return {"check": finding.name, "passed": finding.passed} | {
        key: getattr(finding, key) for key in ("title", "examined", "offences")
    }


def _lines(run: str, findings: list[Finding]) -> list[str]:
    """For people: a line a check, and its offences below it."""
    lines = [f"{run}: {'nothing leaked' if all(f.passed for f in findings) else 'NOT CLEAN'}"]
    for finding in findings:
        lines.append(f"  {'ok ' if finding.passed else 'NO '} {finding.title} ({finding.examined})")
        lines += [f"       {offence}" for offence in finding.offences]
    return lines
