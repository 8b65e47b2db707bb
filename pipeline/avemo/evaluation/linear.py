"""The baseline that deep systems have to beat: pooled statistics of the same features into a linear model.

Logistic regression for classes and emotion bits, ridge regression for attributes, scikit-learn's; the strength of
the penalty is chosen on dev. A model for sound, one for faces and one for both, on the splits of all systems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from avemo.dataset.labels import Labels
from avemo.dataset.splits import Split
from avemo.dataset.tasks import Task
from avemo.evaluation.pooled import pooled
from avemo.training.witness import account_of

if TYPE_CHECKING:
    from avemo.dataset.loading import ClipData

NAME = "linear"
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Of ``C`` in logistic regression; ridge regression's penalty is its inverse."""
ITERATIONS = 1000

Readout = Callable[[np.ndarray], np.ndarray]
"""From vectors ``(clips, dim)`` to what a task's tables are made of, ``(clips, outputs)``."""


@dataclass(frozen=True)
class Linear:
    """Test ``predictions`` and ``scores`` as of a system, and by split the ``record`` of what was read and chosen."""

    predictions: pd.DataFrame
    scores: pd.DataFrame
    record: dict[str, Any]


def linear_scores(
    data: ClipData, known: Labels, splits: Sequence[Split], inputs: Mapping[str, str]
) -> Linear:
    """The baseline on every split; ``inputs`` are the fingerprints of the features by modality.

    Scores have, beside those of systems, ``<metric>_<name>`` of each output. Splits of equal sides are fitted once.
    """
    clips, left_out = data.usable(
        sorted({clip for split in splits for clip in (*split.train, *split.dev, *split.test)})
    )
    vectors = {modality: pooled(source, clips) for modality, source in data.sources.items()}
    if len(vectors) > 1:
        vectors = {"av": np.hstack(list(vectors.values())), **vectors}
    else:
        vectors = {"av": next(iter(vectors.values()))}
    row_of = {clip: row for row, clip in enumerate(clips)}
    targets = np.array([known.targets[clip] for clip in clips])
    speakers = dict(zip(known.table.clip_id, known.table.speaker, strict=True))
    frames, rows, record, done = [], [], {}, dict[Any, Any]()
    for split in splits:
        sides = {side: [c for c in ids if c in row_of] for side, ids in split.sides().items()}
        at = {side: np.array([row_of[clip] for clip in ids], int) for side, ids in sides.items()}
        key = tuple(map(tuple, sides.values()))
        if key not in done:
            done[key] = {m: _fitted(known.task, x, targets, at) for m, x in vectors.items()}
        chosen = {}
        for modality, (readout, choice) in done[key].items():
            table = pd.DataFrame({"clip_id": sides["test"]} | known.task.table(targets[at["test"]], readout))
            place = {"system": NAME, "split": split.name, "modality": modality}
            values = known.task.score(table) | known.task.flat(table)
            rows += [place | {"metric": metric, "value": value} for metric, value in values.items()]
            frames.append(table.assign(**place, speaker=table.clip_id.map(speakers)))
            chosen[modality] = choice
        read = {"statistics": sides["train"], "train": sides["train"], "dev": sides["dev"]}
        record[split.name] = {
            **{"inputs": dict(inputs), "left_out": left_out, "chosen": chosen},
            "read": {use: account_of(ids) for use, ids in read.items()},
        }
    return Linear(pd.concat(frames, ignore_index=True), pd.DataFrame(rows), record)


def _fitted(
    task: Task, x: np.ndarray, targets: np.ndarray, at: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, Any]]:
    """What the model chosen on dev says of the test clips, ``(clips, outputs)``, and what was chosen."""
    scaled = _scaled(x, at)
    y = {side: targets[rows] for side, rows in at.items()}
    if task.kind == "classes":
        y = {side: _numbers(values) for side, values in y.items()}
        path: Iterator[tuple[float, Readout]] = _class_models(scaled["train"], y["train"], len(task.names))
        strength, dev, model = _best(path, lambda read: _headline(task, y["dev"], read(scaled["dev"])))
        return model(scaled["test"]), {"strength": strength, "dev": dev}
    columns, chosen = [], {}
    for number, name in enumerate(task.names):
        path = (_bit_models if task.kind == "bits" else _ridge_models)(scaled["train"], y["train"][:, number])
        strength, dev, model = _best(path, partial(_of_output, task, y["dev"], scaled["dev"], number))
        columns.append(model(scaled["test"]))
        chosen[name] = {"strength": strength, "dev": dev}
    return np.hstack(columns), chosen


def _scaled(x: np.ndarray, at: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Sides z-scored by train; an absent modality is zeros, the train mean.

    Where there are more statistics than train clips, in the basis that the train clips span: a penalty on squared
    weights cannot see the rest, so that the models are the same at a fraction of the cost.
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(x[at["train"]])
    sides = {side: np.nan_to_num(scaler.transform(x[rows])) for side, rows in at.items()}
    clips, dim = sides["train"].shape
    if dim > clips:
        basis = np.linalg.qr(sides["train"].T)[0]
        sides = {side: values @ basis for side, values in sides.items()}
    return sides


def _best(
    path: Iterator[tuple[float, Readout]], judge: Callable[[Readout], float]
) -> tuple[float, float, Readout]:
    """Strength, dev score and model of the highest score, the strongest penalty among equals."""
    found = [(strength, judge(model), model) for strength, model in path]
    return max(found, key=lambda one: one[1])


def _class_models(x: np.ndarray, y: np.ndarray, outputs: int) -> Iterator[tuple[float, Readout]]:
    """Probabilities; a class that train lacks has none. Classes weigh alike, whatever their number of clips."""
    from sklearn.linear_model import LogisticRegression

    classes = np.unique(y)
    if len(classes) == 1:
        yield STRENGTHS[0], lambda z: np.tile(np.eye(outputs)[classes[0]], (len(z), 1))
        return
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=ITERATIONS).fit(x, y)

        def read(z: np.ndarray, model: Any = model) -> np.ndarray:
            shares = np.zeros((len(z), outputs))
            shares[:, model.classes_] = model.predict_proba(z)
            return shares

        yield strength, read


def _bit_models(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[float, Readout]]:
    """Probability of one emotion."""
    for strength, read in _class_models(x, y.astype(int), 2):
        yield strength, lambda z, read=read: read(z)[:, 1:]  # type: ignore[misc]


def _ridge_models(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[float, Readout]]:
    """Values of one attribute."""
    from sklearn.linear_model import Ridge

    for strength in STRENGTHS:
        model = Ridge(alpha=1 / strength).fit(x, y)
        yield strength, lambda z, model=model: model.predict(z)[:, None]  # type: ignore[misc]


def _headline(task: Task, targets: np.ndarray, readout: np.ndarray) -> float:
    return task.score(pd.DataFrame(task.table(targets, readout)))[task.headline[0]]


def _of_output(task: Task, targets: np.ndarray, x: np.ndarray, number: int, read: Readout) -> float:
    """The main score of one output, as a model reads it from ``x``."""
    readout = np.zeros(targets.shape)
    readout[:, [number]] = read(x)
    table = pd.DataFrame(task.table(targets, readout))
    return float(task.by_output(table)[task.headline[0]].iloc[number])


def _numbers(targets: np.ndarray) -> np.ndarray:
    """Class numbers; of shares the largest's."""
    return targets.argmax(1) if targets.ndim == 2 else targets
