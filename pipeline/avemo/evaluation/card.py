"""A bundle's card: what the system is, what it was trained on and how it scored, from the run's records alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

import avemo
from avemo.base.contracts import AvemoError
from avemo.base.result_tables import read_results
from avemo.evaluation.predictor import Predictor
from avemo.study.layout import RECORD, scores_file, training_folder
from avemo.study.run import Run
from avemo.training.checkpoint import model_meta
from avemo.weights.find import random_seed
from avemo.weights.known import KNOWN

BLIND = ("majority", "mean", "chance")


def card(folder: Path, run: Run, system: str, predictor: Predictor) -> str:
    """Markdown. A record that is not there is said not to be."""
    parts = [
        _opening(run, system, predictor),
        _cautions(predictor),
        _answers(predictor),
        _scores(folder, system, predictor),
        _training(folder, system, predictor),
        _features(run, predictor),
        _limits(run),
    ]
    return "\n\n".join("\n".join(part) for part in map(list, parts) if part)


def _opening(run: Run, system: str, predictor: Predictor) -> Iterator[str]:
    found = run.systems[system]
    yield f"# {found.title or system}, trained on {run.corpus.title}"
    yield ""
    yield f"System `{system}` (model `{found.model}`) of the run `{run.run}`, written by avemo {avemo.__version__}."
    yield f"{len(predictor.models)} of {len(run.split_names)} splits' models; a prediction is the mean of theirs."
    yield ""
    yield "```sh"
    yield "avemo predict CLIPS --run THIS_BUNDLE --out predictions"
    yield "```"


def _cautions(predictor: Predictor) -> Iterator[str]:
    if predictor.cautions:
        yield "## Read this first"
        yield ""
        yield from (f"- **{caution}**" for caution in predictor.cautions)


def _answers(predictor: Predictor) -> Iterator[str]:
    task = predictor.task
    yield "## What it answers"
    yield ""
    yield f"{task.readout_name.capitalize()} of {task.kind}: {', '.join(task.names)}."
    if predictor.temperatures:
        each = ", ".join(f"{value:.3f}" for value in predictor.temperatures.values())
        yield f"Calibrated by a temperature for each split, fitted on its dev clips: {each}."
    elif task.readout_name == "probabilities":
        yield "Not calibrated: the run has no temperature of it."


def _scores(folder: Path, system: str, predictor: Predictor) -> Iterator[str]:
    path, task = scores_file(folder, system), predictor.task
    yield "## How it scored"
    yield ""
    if not path.is_file():
        yield "The run has no scores of it."
        return
    blind = scores_file(folder, "baselines")
    tables = [read_results(one) for one in (path, blind) if one.is_file()]
    shown = [metric for metric in task.headline if metric in set(tables[0]["metric"])]
    yield "On test speakers whom it was not trained on, mean over splits (standard deviation)."
    yield ""
    yield f"| | {' | '.join(task.metrics[metric] for metric in shown)} |"
    yield "|---|" + "---|" * len(shown)
    for table in tables:
        for (name, modality), rows in table.groupby(["system", "modality"], sort=False):
            if name == system or name in BLIND:
                label = task.blind.get(str(name), f"{name}, {modality}")
                yield f"| {label} | {' | '.join(_mean(rows, metric) for metric in shown)} |"


def _mean(rows: pd.DataFrame, metric: str) -> str:
    values = rows.loc[rows["metric"] == metric, "value"].astype(float)
    if values.empty:
        return "–"
    return f"{values.mean():.3f}" + (f" ({values.std():.3f})" if len(values) > 1 else "")


def _training(folder: Path, system: str, predictor: Predictor) -> Iterator[str]:
    yield "## How it was trained"
    yield ""
    records = [_record(training_folder(folder, system, split) / RECORD) for split in predictor.models]
    found = [record for record in records if record]
    if not found:
        yield "The run has no record of it."
        return
    first, sides = found[0], [one.get("read", {}) for one in found]
    yield f"- {first['parameters']:,} parameters; avemo {first['avemo']}, torch {first['versions']['torch']}"
    yield f"- best epochs: {', '.join(str(one['best_epoch']) for one in found)}"
    for side in ("train", "dev"):
        counts = [one[side]["clips"] for one in sides if "clips" in one.get(side, {})]
        if counts:
            yield f"- {side} clips: {_span(counts)}"
    yield f"- on {first['hardware']['processor']}" + (
        f" with {first['hardware']['gpu']}" if first["hardware"]["gpu"] else ""
    )
    yield f"- {sum(one['wall_s'] for one in found) / 60:.1f} minutes in all"


def _record(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise AvemoError(
            f"{path}: expected the record of a training, found other text; train again"
        ) from error


def _span(counts: Sequence[int]) -> str:
    """
    >>> _span([3, 3]), _span([3, 5, 4])
    ('3', '3 to 5')
    """
    return str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"


def _features(run: Run, predictor: Predictor) -> Iterator[str]:
    weights = model_meta(next(iter(predictor.models.values()))).get("weights", {})
    yield "## What it sees"
    yield ""
    yield "| feature | extractor | version | weights | licence of weights |"
    yield "|---|---|---|---|---|"
    for name, one in run.features.items():
        places = [place for place in one.places.values() if isinstance(place, str)]
        known = next((KNOWN[place] for place in places if place in KNOWN), None)
        identity = str(weights.get(name, ""))
        is_random = random_seed(identity) is not None
        licence = known.licence if known else "see where they come from" if places and not is_random else "–"
        short = identity if is_random else identity[:12]
        told = f"{places[0] if known else ''} `{short}`".strip() if identity else "–"
        version = " ".join([str(one.version), *(f"{k} {v}" for k, v in one.libraries.items())])
        yield f"| {name} | {one.extractor} | {version} | {told} | {licence} |"
    if any(one.imported for one in run.features.values()):
        yield ""
        yield "Imported features were made by another program; a new clip has none of them."


def _limits(run: Run) -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield f"- Nothing here was measured on other people, languages, rooms or cameras than those of {run.corpus.title}."
    yield "- Its labels are what people of that corpus were asked to act, or were heard and seen as; not what they felt."
    yield "- A clip of that corpus may have been trained on: of such clips only the run's own test scores mean something."
