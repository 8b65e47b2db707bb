"""What is predicted of a clip, and how a prediction is judged.

A label is a class' name or, by output, numbers: shares of the classes,
attributes, or emotion bits. Targets are arrays over clips, logits ``(B, C)``
with one column an output. Letters: B clips, C outputs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from avemo.base.contracts import AvemoError
from avemo.base.metrics import PAPER_SCORES, binary_f1, ccc, classification_scores, per_class, ranking, uar

if TYPE_CHECKING:
    from torch import Tensor

CHANCE_DRAWS = 1000

EPSILON = 1e-8
"""Added to the spread under a concordance, so that equal predictions of equal targets have a gradient."""


class Task(ABC):
    """One kind of task with the ``names`` of its outputs, whose order the model's outputs have.

    The first of ``headline`` is what tables, tests and figures lead with. ``blind`` predictors see no input.
    """

    kind: ClassVar[str]
    noun: ClassVar[str]
    """What one output is called."""
    headline: ClassVar[tuple[str, ...]]
    of_parts: ClassVar[str]
    """The score of few clips, such as one speaker's, among which some outputs may be absent."""
    percent: ClassVar[bool] = True
    """Whether people read the scores in percent."""
    blind: ClassVar[Mapping[str, str]]
    """Predictors that see no input, and what the report calls them."""
    readout_name: ClassVar[str] = "probabilities"
    note: ClassVar[str] = ""
    """What a reader of the scores must know."""

    def __init__(self, names: Sequence[str]):
        self.names = tuple(names)

    @property
    @abstractmethod
    def metrics(self) -> dict[str, str]:
        """Every score of `score` and its heading."""

    @property
    def shown(self) -> tuple[str, ...]:
        """The metrics of the main table."""
        return tuple(self.metrics)

    @property
    @abstractmethod
    def output_metrics(self) -> dict[str, str]:
        """Scores of one output that people read, and their headings."""

    @abstractmethod
    def target(self, label: str | Mapping[str, float], clip_id: str) -> int | tuple[float, ...]:
        """A label as a class number, or as numbers in the order of `names`; raises `AvemoError`."""

    @abstractmethod
    def loss(self, logits_BC: Tensor, targets: Tensor) -> Tensor:
        """What training minimises over one mini-batch: a scalar, clips counting alike."""

    def set_loss(self, logits: Sequence[Tensor], targets: Sequence[Tensor]) -> float:
        """The loss over a whole set that came in batches: the mean over its clips."""
        each = [float(self.loss(x, y)) * len(y) for x, y in zip(logits, targets, strict=True)]
        return sum(each) / sum(len(y) for y in targets)

    @abstractmethod
    def readout(self, logits_BC: Tensor) -> np.ndarray:
        """What people read, ``(B, C)`` float64: probabilities, or the attributes."""

    @abstractmethod
    def table(self, targets: np.ndarray, readout_BC: np.ndarray) -> dict[str, np.ndarray]:
        """Columns of a table of predictions; `score` reads them."""

    @abstractmethod
    def score(self, table: pd.DataFrame) -> dict[str, float]:
        """Every metric of a table of predictions."""

    @abstractmethod
    def by_output(self, table: pd.DataFrame) -> pd.DataFrame:
        """A row an output, indexed by name: `output_metrics`, and what the CSV file has besides."""

    @abstractmethod
    def blind_scores(self, train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, dict[str, float]]:
        """By predictor of `blind`, on the test targets: `score`, and ``<metric>_<name>`` of each output."""

    def lessened(self, absent: Collection[str]) -> set[str]:
        """Scores in which the outputs of these names count as 0 because no test clip shows them."""
        return set()

    @abstractmethod
    def wrongness(self, table: pd.DataFrame) -> pd.Series:
        """How far each row's prediction is from the truth; 0 where it is right."""

    def _all(self, targets: np.ndarray, readout_BC: np.ndarray) -> dict[str, float]:
        table = pd.DataFrame(self.table(targets, readout_BC))
        return self.score(table) | self.flat(table)

    def flat(self, table: pd.DataFrame) -> dict[str, float]:
        """`output_metrics` of each output, as ``<metric>_<name>``."""
        each = self.by_output(table)[[*self.output_metrics]].to_dict("index")
        return {f"{m}_{name}": float(value) for name in self.names for m, value in each[name].items()}

    def _numbers(self, label: str | Mapping[str, float], clip_id: str) -> tuple[float, ...]:
        """Values by name, in the order of `names`, whatever order they came in."""
        if isinstance(label, str) or set(label) != set(self.names):
            found = repr(label) if isinstance(label, str) else ", ".join(label)
            raise AvemoError(
                f"{clip_id}: expected a number for each of {', '.join(self.names)}, found {found}; "
                "correct the corpus' labels"
            )
        values = tuple(float(label[name]) for name in self.names)
        if not all(map(math.isfinite, values)):
            raise AvemoError(f"{clip_id}: expected finite labels, found {values}; leave the clip unlabelled")
        return values


class Classes(Task):
    """One class a clip, or shares of the classes; cross-entropy; the largest logit is predicted.

    Shares train (CE against a distribution) and their largest counts in scores, the first of equals.
    """

    kind = "classes"
    noun = "class"
    headline = ("macro_f1", "uar", "micro_f1")
    of_parts = "micro_f1"
    note = (
        "UAR: mean recall of the classes that the test side has. With one label a clip, micro precision and recall "
        "equal micro-F1."
    )
    blind: ClassVar[Mapping[str, str]] = {"majority": "majority class", "chance": "chance"}

    @property
    def metrics(self) -> dict[str, str]:
        headings = {"precision": "P", "recall": "R", "f1": "F1"}
        named = {name: "-".join((name.split("_")[0], headings[name.split("_")[1]])) for name in PAPER_SCORES}
        return named | {"uar": "UAR"}

    @property
    def shown(self) -> tuple[str, ...]:
        return ("macro_precision", "uar", "macro_f1", "micro_f1")

    @property
    def output_metrics(self) -> dict[str, str]:
        return {"f1": "F1"}

    def target(self, label: str | Mapping[str, float], clip_id: str) -> int | tuple[float, ...]:
        if isinstance(label, str):
            if label not in self.names:
                raise AvemoError(f"{clip_id}: expected one of {', '.join(self.names)}, found {label!r}")
            return self.names.index(label)
        shares = self._numbers(label, clip_id)
        if min(shares) < 0 or not math.isclose(sum(shares), 1, abs_tol=1e-6):
            raise AvemoError(
                f"{clip_id}: expected shares that add up to 1, found {shares}; divide by their sum"
            )
        return shares

    def loss(self, logits_BC: Tensor, targets: Tensor) -> Tensor:
        from torch.nn.functional import cross_entropy

        return cross_entropy(logits_BC, targets)

    def readout(self, logits_BC: Tensor) -> np.ndarray:
        return logits_BC.double().softmax(-1).cpu().numpy()

    def table(self, targets: np.ndarray, readout_BC: np.ndarray) -> dict[str, np.ndarray]:
        columns = {"target": _class_numbers(targets), "prediction": readout_BC.argmax(1)}
        return columns | {f"p_{c}": readout_BC[:, c] for c in range(readout_BC.shape[1])}

    def score(self, table: pd.DataFrame) -> dict[str, float]:
        clips = table["target"], table["prediction"], len(self.names)
        return classification_scores(*clips) | {"uar": uar(*clips)}

    def by_output(self, table: pd.DataFrame) -> pd.DataFrame:
        found = per_class(table["target"], table["prediction"], len(self.names))
        return pd.DataFrame(vars(found), index=list(self.names))

    def lessened(self, absent: Collection[str]) -> set[str]:
        each = {f"{metric}_{name}" for metric in self.output_metrics for name in absent}
        return each | {metric for metric in self.metrics if metric.startswith("macro_") and absent}

    def wrongness(self, table: pd.DataFrame) -> pd.Series:
        """By how much the class taken was preferred to the true one."""
        shares = table[[f"p_{c}" for c in range(len(self.names))]].to_numpy()
        rows = np.arange(len(table))
        return pd.Series(shares[rows, table["prediction"]] - shares[rows, table["target"]], index=table.index)

    def blind_scores(self, train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, dict[str, float]]:
        """``majority``: the class most frequent in train. ``chance``: any with equal probability, mean of 1000."""
        everyone = np.eye(len(self.names))
        most_frequent = np.bincount(_class_numbers(train), minlength=len(self.names)).argmax()
        rng = np.random.default_rng(seed)
        draws = [
            self._all(test, everyone[rng.integers(len(self.names), size=len(test))])
            for _ in range(CHANCE_DRAWS)
        ]
        majority = self._all(test, everyone[np.full(len(test), most_frequent)])
        return {"majority": majority, "chance": _mean_of(draws)}


class Attributes(Task):
    """Numbers such as arousal, valence and dominance; concordance (CCC) is trained and scored.

    Loss: ``Σ (1 − CCC)`` over the attributes, within the mini-batch; over a set, within the whole of it.
    """

    kind = "attributes"
    noun = "attribute"
    headline = ("ccc",)
    of_parts = "ccc"
    percent = False
    blind: ClassVar[Mapping[str, str]] = {"mean": "mean of train"}
    readout_name = "values"

    @property
    def metrics(self) -> dict[str, str]:
        return {"ccc": "mean CCC", **{f"ccc_{name}": f"CCC {name}" for name in self.names}}

    @property
    def output_metrics(self) -> dict[str, str]:
        return {"ccc": "CCC"}

    def target(self, label: str | Mapping[str, float], clip_id: str) -> int | tuple[float, ...]:
        return self._numbers(label, clip_id)

    def loss(self, logits_BC: Tensor, targets: Tensor) -> Tensor:
        return (1 - concordance(logits_BC, targets)).sum()

    def set_loss(self, logits: Sequence[Tensor], targets: Sequence[Tensor]) -> float:
        """``Σ (1 − CCC)`` over the pooled set: concordance is no mean over batches."""
        import torch

        return float(self.loss(torch.cat(list(logits)), torch.cat(list(targets))))

    def readout(self, logits_BC: Tensor) -> np.ndarray:
        return logits_BC.double().cpu().numpy()

    def table(self, targets: np.ndarray, readout_BC: np.ndarray) -> dict[str, np.ndarray]:
        true = {f"target_{name}": targets[:, i] for i, name in enumerate(self.names)}
        return true | {f"prediction_{name}": readout_BC[:, i] for i, name in enumerate(self.names)}

    def score(self, table: pd.DataFrame) -> dict[str, float]:
        each = self.flat(table)
        return {"ccc": float(np.mean(list(each.values()))), **each}

    def by_output(self, table: pd.DataFrame) -> pd.DataFrame:
        found = [ccc(table[f"target_{name}"], table[f"prediction_{name}"]) for name in self.names]
        return pd.DataFrame({"ccc": found}, index=list(self.names))

    def wrongness(self, table: pd.DataFrame) -> pd.Series:
        """Mean distance over the attributes."""
        apart = [(table[f"target_{n}"] - table[f"prediction_{n}"]).abs() for n in self.names]
        return pd.concat(apart, axis=1).mean(axis=1)

    def blind_scores(self, train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, dict[str, float]]:
        """``mean``: that of train for every clip, whose concordance is 0."""
        return {"mean": self._all(test, np.broadcast_to(train.mean(0), test.shape))}


class Bits(Task):
    """Independent emotion bits; binary cross-entropy summed over the bits; 1 where the probability is over ½.

    wF1 and mF1 of a bit: support-weighted and unweighted mean of the F1 of both its values.
    """

    kind = "bits"
    noun = "emotion"
    headline = ("mf1", "wf1", "auc", "ap")
    of_parts = "wf1"
    note = (
        "wF1 and mF1: support-weighted and unweighted mean of the F1 of an emotion's presence and absence. AUC: area "
        "under the ROC curve; AP: average precision; both are of probabilities, and means over the emotions that some "
        "test clips show and others do not."
    )
    blind: ClassVar[Mapping[str, str]] = {"majority": "majority value", "chance": "chance"}

    @property
    def metrics(self) -> dict[str, str]:
        each = {f"{m}_{name}": f"{h} {name}" for name in self.names for m, h in self.output_metrics.items()}
        return {name: self.output_metrics[name] for name in self.headline} | each

    @property
    def output_metrics(self) -> dict[str, str]:
        return {"wf1": "wF1", "mf1": "mF1", "auc": "AUC", "ap": "AP"}

    @property
    def shown(self) -> tuple[str, ...]:
        return (*self.headline, *(f"{m}_{name}" for name in self.names for m in ("wf1", "mf1")))

    def target(self, label: str | Mapping[str, float], clip_id: str) -> int | tuple[float, ...]:
        values = self._numbers(label, clip_id)
        if not set(values) <= {0.0, 1.0}:
            raise AvemoError(f"{clip_id}: expected bits, 0 or 1, found {values}; compare the labels with 0")
        return values

    def loss(self, logits_BC: Tensor, targets: Tensor) -> Tensor:
        from torch.nn.functional import binary_cross_entropy_with_logits

        return binary_cross_entropy_with_logits(logits_BC, targets, reduction="none").sum(1).mean()

    def readout(self, logits_BC: Tensor) -> np.ndarray:
        return logits_BC.double().sigmoid().cpu().numpy()

    def table(self, targets: np.ndarray, readout_BC: np.ndarray) -> dict[str, np.ndarray]:
        columns = {f"target_{name}": targets[:, i].astype(np.int64) for i, name in enumerate(self.names)}
        predicted = (readout_BC > 0.5).astype(np.int64)
        columns |= {f"prediction_{name}": predicted[:, i] for i, name in enumerate(self.names)}
        return columns | {f"p_{name}": readout_BC[:, i] for i, name in enumerate(self.names)}

    def score(self, table: pd.DataFrame) -> dict[str, float]:
        each = self.flat(table)
        values = {m: np.array([each[f"{m}_{name}"] for name in self.names]) for m in self.headline}
        return {m: _mean(found) for m, found in values.items()} | each

    def by_output(self, table: pd.DataFrame) -> pd.DataFrame:
        ranked = [ranking(table[f"target_{name}"], table[f"p_{name}"]) for name in self.names]
        columns = {"auc": [one.auc for one in ranked], "ap": [one.average_precision for one in ranked]}
        return self._f1(table).assign(**columns)

    def _f1(self, table: pd.DataFrame) -> pd.DataFrame:
        found = [binary_f1(table[f"target_{name}"], table[f"prediction_{name}"]) for name in self.names]
        columns = {"wf1": [f1.weighted for f1 in found], "mf1": [f1.macro for f1 in found]}
        support = [int(table[f"target_{name}"].sum()) for name in self.names]
        return pd.DataFrame({**columns, "support": support}, index=list(self.names))

    def lessened(self, absent: Collection[str]) -> set[str]:
        return {"mf1", *(f"mf1_{name}" for name in absent)} if absent else set()

    def wrongness(self, table: pd.DataFrame) -> pd.Series:
        """Sum of the distances of wrong bits' probabilities."""
        apart = [(table[f"target_{n}"] - table[f"p_{n}"]).abs() for n in self.names]
        return pd.concat([one.where(one > 0.5, 0.0) for one in apart], axis=1).sum(axis=1)

    def blind_scores(self, train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, dict[str, float]]:
        """``majority``: each bit's value most frequent in train. ``chance``: coins, mean of 1000.

        Neither ranks clips, so that AUC and AP of both are those of equal probabilities.
        """
        rng = np.random.default_rng(seed)
        draws = [self._f1_scores(test, rng.random(test.shape)) for _ in range(CHANCE_DRAWS)]
        common = (train.mean(0) > 0.5).astype(np.float64)
        majority = self._all(test, np.broadcast_to(common, test.shape))
        return {"majority": majority, "chance": majority | _mean_of(draws)}

    def _f1_scores(self, targets: np.ndarray, readout_BC: np.ndarray) -> dict[str, float]:
        """The scores that need no ranking of clips, which takes long a thousand times."""
        found = self._f1(pd.DataFrame(self.table(targets, readout_BC)))
        each = {f"{m}_{name}": float(found[m].loc[name]) for name in self.names for m in ("wf1", "mf1")}
        return {m: float(found[m].mean()) for m in ("mf1", "wf1")} | each


def concordance(predictions_BC: Tensor, targets_BC: Tensor) -> Tensor:
    """CCC of each column, ``(C,)``: ``2 cov / (var x + var y + (mean x − mean y)²)``, population moments.

    A constant column, and so a batch of one clip, has 0, and no gradient.
    """
    dx, dy = predictions_BC - predictions_BC.mean(0), targets_BC - targets_BC.mean(0)
    apart = predictions_BC.mean(0) - targets_BC.mean(0)
    return 2 * (dx * dy).mean(0) / ((dx**2).mean(0) + (dy**2).mean(0) + apart**2 + EPSILON)


def _class_numbers(targets: np.ndarray) -> np.ndarray:
    return targets.argmax(1) if targets.ndim == 2 else targets


def _mean(values: np.ndarray) -> float:
    """Of those that are numbers; NaN where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _mean_of(draws: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}
