"""Baseline commands: what needs no features, and the linear model that every system has to beat."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from avemo.cli.options import Out, Threads, use_threads, write_text
from avemo.cli.training import AudioFiles, LabelFile, SplitFile, VisualFiles, features_of, sides_read


def register(app: typer.Typer) -> None:
    for command in (baselines, linear):
        app.command()(command)


def baselines(labels: LabelFile, splits: SplitFile, out: Out) -> None:
    """Score what needs no features: the train part's majority or mean, and chance.

    Example: avemo baselines --labels labels.parquet --splits splits.json --out baselines.csv
    """
    from avemo.base.made_of import write_made
    from avemo.dataset.labels import load_labels
    from avemo.dataset.splits import load_splits
    from avemo.evaluation.baselines import blind_scores
    from avemo.study.stage_code import stage_code

    read, code = sides_read(labels, splits), stage_code("baselines")
    table = blind_scores(load_labels(labels), load_splits(splits))
    write_made(out, lambda path: table.to_csv(path, index=False), None, read, code)


def linear(
    labels: LabelFile,
    splits: SplitFile,
    predictions: Annotated[Path, typer.Option(help="Predictions to write (Parquet).")],
    scores: Annotated[Path, typer.Option(help="Scores to write (CSV).")],
    record: Annotated[Path, typer.Option(help="What was read and chosen on each split, to write (JSON).")],
    audio: AudioFiles = None,
    visual: VisualFiles = None,
    threads: Threads = 1,
) -> None:
    """Fit and score the linear baseline: statistics of a clip's features into logistic or ridge regression.

    One model for sound, one for faces, one for both; the penalty is chosen on dev.

    Example: avemo linear --labels labels.parquet --splits splits.json --audio a.json --visual v.json
    --predictions linear.parquet --scores linear.csv --record linear_fits.json
    """
    use_threads(threads)
    from avemo.base.made_of import write_made
    from avemo.dataset.labels import load_labels
    from avemo.dataset.splits import load_splits
    from avemo.evaluation.linear import linear_scores
    from avemo.study.stage_code import stage_code

    sides, known = sides_read(labels, splits), load_labels(labels)
    with features_of(audio, visual, known.targets) as features:
        found = linear_scores(features.data, known, load_splits(splits), features.fingerprints)
        read, code = sides | features.read, stage_code("linear")
    write_made(predictions, lambda path: found.predictions.to_parquet(path, index=False), None, read, code)
    write_made(record, partial(write_text, text=json.dumps(found.record, indent=1)), None, read, code)
    write_made(scores, lambda path: found.scores.to_csv(path, index=False), None, read, code)
