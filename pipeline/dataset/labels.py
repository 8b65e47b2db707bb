"""The label table: one row a clip, with its class or the reason why it has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.contracts import AvemoError, Clip
from pipeline.corpora.base import Label

COLUMNS = ["clip_id", "speaker", "group", "label", "reason"]


@dataclass(frozen=True)
class Labels:
    """``table`` with `COLUMNS` (label missing where the rule gives none) and the ordered ``classes``."""

    table: pd.DataFrame
    classes: tuple[str, ...]

    @property
    def labelled(self) -> pd.DataFrame:
        """The rows that have a label."""
        return self.table[self.table.label.notna()]

    @property
    def targets(self) -> dict[str, int]:
        """Class numbers of the labelled clips."""
        number = {name: index for index, name in enumerate(self.classes)}
        return {
            clip_id: number[label]
            for clip_id, label in self.labelled[["clip_id", "label"]].itertuples(index=False)
        }

    @property
    def groups(self) -> dict[str, str]:
        """What no split may separate, for every clip."""
        return dict(zip(self.table.clip_id, self.table.group, strict=True))


def make_labels(clips: Sequence[Clip], given: Sequence[Label], classes: Sequence[str]) -> Labels:
    """Clips and the labels a corpus gave them, in the same order."""
    table = pd.DataFrame(
        {
            "clip_id": [clip.clip_id for clip in clips],
            "speaker": [clip.speaker for clip in clips],
            "group": [clip.group for clip in clips],
            "label": pd.array([label.label for label in given], dtype="string"),
            "reason": [label.reason for label in given],
        }
    )
    return Labels(table, tuple(classes))


def save_labels(labels: Labels, path: Path) -> None:
    """To Parquet; the classes travel in its metadata."""
    table = labels.table.copy()
    table.attrs["classes"] = list(labels.classes)
    table.to_parquet(path)


def load_labels(path: Path) -> Labels:
    """What `save_labels` wrote; raises `AvemoError` for another table."""
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise AvemoError(f"{path}: expected a label table, found {error}; delete it and run again") from error
    if list(table.columns) != COLUMNS or "classes" not in table.attrs:
        raise AvemoError(
            f"{path}: expected columns {COLUMNS}, found {list(table.columns)}; delete it and run again"
        )
    return Labels(table, tuple(table.attrs["classes"]))
