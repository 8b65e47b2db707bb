"""The label table: one row a clip, with its label or the reason why it has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from avemo.base.contracts import AvemoError, Clip
from avemo.corpora.base import Label
from avemo.dataset import TASKS
from avemo.dataset.tasks import Task

COLUMNS = ["clip_id", "speaker", "group", "label", "reason"]
FACT = "fact_"
"""Begins the columns of what a corpus says of a clip beside its label, such as ``fact_sex``."""
VOTES = "votes_"
"""Begins the columns of how many raters named each class, such as ``votes_anger``."""
OPTIONAL = ("intensity", "kept_with")


@dataclass(frozen=True)
class Labels:
    """``table`` with `COLUMNS`, and the ``task`` with its outputs' names in order. What is made of the table is made once.

    Corpora that have levels of intensity add a column ``intensity``, and a column `FACT` and its name for all else
    that they say of clips; those that tell how raters voted a column `VOTES` and the class' name; where groups share media, ``kept_with`` names for each clip the group that all that shares
    media with its own is in.
    ``label`` is a class' name, missing where the rule gives none. Where labels are numbers, each
    output has a column ``value_<name>``; ``label`` is then the class with the largest share, or
    empty text for attributes and bits.
    """

    table: pd.DataFrame
    task: Task

    @cached_property
    def labelled(self) -> pd.DataFrame:
        """The rows that have a label."""
        return self.table[self.table.label.notna()]

    @cached_property
    def targets(self) -> dict[str, int | tuple[float, ...]]:
        """Of the labelled clips: class numbers, or numbers in the outputs' order."""
        rows, columns = self.labelled, value_columns(self.task)
        if columns[0] in rows:
            values = map(tuple, rows[columns].to_numpy(np.float64).tolist())
            return dict(zip(rows.clip_id, values, strict=True))
        return {c: self.task.target(label, c) for c, label in zip(rows.clip_id, rows.label, strict=True)}

    @cached_property
    def given(self) -> dict[str, str | dict[str, float]]:
        """Of the labelled clips: the class' name; for attributes and bits, the numbers by name."""
        rows = self.labelled
        if self.task.kind == "classes":
            return dict(zip(rows.clip_id, rows.label, strict=True))
        numbers = rows[value_columns(self.task)].set_axis(list(self.task.names), axis=1)
        return dict(zip(rows.clip_id, numbers.to_dict("records"), strict=True))

    @cached_property
    def shown(self) -> dict[str, tuple[str, ...]]:
        """Of the labelled clips: the class each shows, or its bits that are set; nothing for attributes."""
        if self.task.kind == "attributes":
            return dict.fromkeys(self.labelled.clip_id, ())
        return {
            clip: (given,)
            if isinstance(given, str)
            else tuple(name for name, value in given.items() if value)
            for clip, given in self.given.items()
        }

    @property
    def columns(self) -> list[str]:
        """Names of what the corpus says of clips beside their labels, ``intensity`` among them."""
        names = map(str, self.table)
        return [name.removeprefix(FACT) for name in names if name == "intensity" or name.startswith(FACT)]

    def column(self, name: str) -> pd.Series:
        """A value for each row of the table, empty text where the corpus has none."""
        return self.table["intensity" if name == "intensity" else FACT + name].fillna("").astype(str)

    @cached_property
    def votes(self) -> pd.DataFrame:
        """How many raters named each class, in the task's order, by labelled clip that was judged; no rows where nobody tells."""
        columns = [VOTES + name for name in self.task.names]
        rows = self.labelled.set_index("clip_id")
        if not set(columns) <= set(rows):
            return pd.DataFrame(columns=list(self.task.names), dtype=np.float64)
        counts = rows[columns].set_axis(list(self.task.names), axis=1).fillna(0).astype(np.float64)
        return counts[counts.sum(axis=1) > 0]

    @cached_property
    def groups(self) -> dict[str, str]:
        """What no split may separate, for every clip."""
        return dict(zip(self.table.clip_id, self.table.group, strict=True))

    @cached_property
    def kept_together(self) -> dict[str, str]:
        """What no drawn split may separate, for every clip: its group, with those that share media joined."""
        column = self.table["kept_with" if "kept_with" in self.table else "group"]
        return dict(zip(self.table.clip_id, column, strict=True))

    def counts(self) -> pd.DataFrame:
        """``label, clips``, unlabelled ones included; for attributes and bits, ``clips, mean, sd, min, max`` of each."""
        if self.task.kind == "classes":
            counts = self.table.label.fillna("no label").value_counts()
            return counts.rename_axis("label").reset_index(name="clips")
        numbers = self.labelled[value_columns(self.task)].set_axis(list(self.task.names), axis=1)
        found = numbers.agg(["count", "mean", "std", "min", "max"]).T.rename_axis("label").reset_index()
        return found.rename(columns={"count": "clips", "std": "sd"}).astype({"clips": int})


def value_columns(task: Task) -> list[str]:
    """Columns of labels that are numbers, in the order of the outputs."""
    return [f"value_{name}" for name in task.names]


def make_labels(
    clips: Sequence[Clip],
    given: Sequence[Label],
    kind: str,
    names: Sequence[str],
    kept_with: Mapping[str, str] | None = None,
) -> Labels:
    """Clips and the labels a corpus gave them, in the same order; ``kind`` is a name in `TASKS`.

    ``kept_with`` is each clip's group once those that share media are joined. Raises `AvemoError` for a label that is none of the task.
    """
    task: Task = TASKS.load(kind)(names)
    targets = [None if one.label is None else task.target(one.label, one.clip_id) for one in given]
    table = pd.DataFrame(
        {
            "clip_id": [clip.clip_id for clip in clips],
            "speaker": [clip.speaker for clip in clips],
            "group": [clip.group for clip in clips],
            "label": pd.array([_name(task, target) for target in targets], dtype="string"),
            "reason": [label.reason for label in given],
        }
    )
    if any(label.intensity for label in given):
        table["intensity"] = [label.intensity for label in given]
    for name in dict.fromkeys(name for label in given for name in label.facts):
        if name != "intensity":
            table[FACT + name] = [label.facts.get(name, "") for label in given]
    if any(label.votes for label in given):
        for name in names:
            table[VOTES + name] = [label.votes.get(name, 0) for label in given]
    if kept_with and any(kept_with[clip.clip_id] != clip.group for clip in clips):
        table["kept_with"] = [kept_with[clip.clip_id] for clip in clips]
    if any(isinstance(target, tuple) for target in targets):
        empty = (float("nan"),) * len(task.names)
        shares = [_shares(task, target) if target is not None else empty for target in targets]
        table[value_columns(task)] = np.array(shares)
    return Labels(table, task)


def save_labels(labels: Labels, path: Path) -> None:
    """To Parquet; the task travels in its metadata."""
    table = labels.table.copy()
    table.attrs |= {"task": labels.task.kind, "names": list(labels.task.names)}
    table.to_parquet(path)


def load_labels(path: Path) -> Labels:
    """What `save_labels` wrote; raises `AvemoError` for another table."""
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise AvemoError(f"{path}: expected a label table, found {error}; delete it and run again") from error
    if list(table.columns[: len(COLUMNS)]) != COLUMNS or not {"task", "names"} <= table.attrs.keys():
        raise AvemoError(
            f"{path}: expected columns {COLUMNS}, found {list(table.columns)}; delete it and run again"
        )
    task: Task = TASKS.load(table.attrs["task"])(table.attrs["names"])
    known = [n for n in table.columns[len(COLUMNS) :] if n in OPTIONAL or n.startswith((FACT, VOTES))]
    further = [n for n in table.columns[len(COLUMNS) :] if n not in known]
    if further not in ([], value_columns(task)):
        raise AvemoError(
            f"{path}: expected values in the order {value_columns(task)}, found {list(table.columns)}; "
            "delete it and run again"
        )
    return Labels(table, task)


def _name(task: Task, target: int | tuple[float, ...] | None) -> str | None:
    if target is None:
        return None
    if task.kind != "classes":
        return ""
    return task.names[target if isinstance(target, int) else int(np.argmax(target))]


def _shares(task: Task, target: int | tuple[float, ...]) -> tuple[float, ...]:
    """Numbers for every clip of a table where some labels are shares and others a class' name."""
    return target if isinstance(target, tuple) else tuple(np.eye(len(task.names))[target])
