"""Anybody's corpus: a CSV file, one row a clip.

::

    clip_id,path,speaker,label
    anna_01,videos/anna_01.mp4,anna,happy
    ben_01,videos/ben_01.mp4,ben,sad

``path`` is a video (its sound is used), or sound alone, whatever its name. Optional columns:
``audio_path`` (sound from another file), ``group`` (what no split may
separate; default: the speaker), ``start_s`` and ``end_s`` (an interval of the
file); with ``labels: {task: attributes, columns: [arousal, valence]}``, or bits,
columns of numbers. Relative paths are relative to the CSV file. A row without a label can
be extracted and predicted, not trained on.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from avemo.base.contracts import AvemoError, Clip, ComponentConfig
from avemo.base.registry import nearest
from avemo.corpora.base import Corpus, Label


class TableCorpus(Corpus):
    """Clips listed in a CSV file."""

    name = "table"
    version = 1
    place = "csv"

    class Config(ComponentConfig):
        """Which table."""

        csv: Path

    class Labels(ComponentConfig):
        """Which column is the label and which values count, or which columns are numbers."""

        task: Literal["classes", "attributes", "bits"] = "classes"
        column: str = "label"
        """Of classes."""
        classes: tuple[str, ...] | None = None
        """In the order of a model's outputs; default: the column's values, sorted."""
        columns: tuple[str, ...] = ()
        """Of attributes (numbers, taken as they are) or bits (0 or 1), in the order of a model's outputs."""

        @model_validator(mode="after")
        def _columns_of_numbers(self) -> Self:
            if bool(self.columns) == (self.task == "classes"):
                raise ValueError("expected columns with task 'attributes' or 'bits' and not with 'classes'")
            return self

    config: Config
    label_rule: Labels

    @property
    def path(self) -> Path:
        """The CSV file."""
        return Path(self.config.csv)

    @property
    def root(self) -> Path:
        return self.path.parent

    def rows(self) -> Iterator[dict[str, str]]:
        """The table's rows, one after the other; raises `AvemoError` naming a missing file or column."""
        if not self.path.is_file():
            raise AvemoError(
                f"{self.path}: expected a CSV clip table, found no file; correct corpus.config.csv"
            )
        with self.path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            found = next(reader, [])
            for column in ("clip_id", "path", "speaker"):
                if column not in found:
                    raise AvemoError(
                        f"{self.path}: expected a column {column!r}{nearest(column, found)}; "
                        f"found {', '.join(found) or 'an empty file'}"
                    )
            # Not `csv.DictReader`, which takes most of a dry run's time over a million rows.
            yield from (dict(zip(found, cells, strict=False)) for cells in reader if cells)

    @property
    def task(self) -> str:
        return self.label_rule.task

    @property
    def classes(self) -> tuple[str, ...]:
        if self.label_rule.columns:
            return self.label_rule.columns
        if self.label_rule.classes is not None:
            return self.label_rule.classes
        return tuple(sorted({row.get(self.label_rule.column) or "" for row in self.rows()} - {""}))

    def tables(self) -> list[Path]:
        return [self.path]

    def media_files(self) -> Iterable[Path]:
        if self.path.is_file():
            # Intervals of one film name it again and again.
            known: dict[str, Path] = {}
            for row in self.rows():
                for cell in filter(None, (row.get("path"), row.get("audio_path"))):
                    yield known[cell] if cell in known else known.setdefault(cell, self.path.parent / cell)

    def clips(self) -> list[Clip]:
        return [self._clip(line, row) for line, row in enumerate(self.rows(), start=2)]

    def _clip(self, line: int, row: dict[str, str]) -> Clip:
        where = f"{self.path}, line {line}"
        for column in ("clip_id", "speaker"):
            if not row.get(column):
                raise AvemoError(f"{where}: expected a {column}, found nothing; fill the cell")
        video, audio = self._resolve(row.get("path")), self._resolve(row.get("audio_path"))
        if not video and not audio:
            raise AvemoError(
                f"{where}: {row['clip_id']}: expected a path, found nothing; fill path or audio_path"
            )
        return Clip(
            row["clip_id"],
            speaker=row["speaker"],
            group=row.get("group") or row["speaker"],
            # One file for both: the index asks its streams which of them it has.
            audio_path=audio or video,
            video_path=video,
            start_s=_seconds(where, "start_s", row) or 0.0,
            end_s=_seconds(where, "end_s", row),
        )

    def _resolve(self, cell: str | None) -> Path | None:
        return self.path.parent / cell if cell else None

    def labels(self, clips: list[Clip]) -> list[Label]:
        rows = {row["clip_id"]: row for row in self.rows()}
        if self.label_rule.columns:
            return [self._numbers(clip.clip_id, rows[clip.clip_id]) for clip in clips]
        classes, column = self.classes, self.label_rule.column
        return [_class(clip.clip_id, rows[clip.clip_id].get(column) or "", classes) for clip in clips]

    def _numbers(self, clip_id: str, row: dict[str, str]) -> Label:
        """A number for each column, or the reason why one of them is none."""
        values = {}
        for column in self.label_rule.columns:
            try:
                values[column] = float(row.get(column) or "")
            except ValueError:
                return Label(clip_id, None, f"{column}: expected a number, found {row.get(column)!r}")
            allowed = values[column] in (0, 1) if self.task == "bits" else math.isfinite(values[column])
            if not allowed:
                wanted = "0 or 1" if self.task == "bits" else "a finite number"
                return Label(clip_id, None, f"{column}: expected {wanted}, found {row[column]!r}")
        return Label(clip_id, values)


def _class(clip_id: str, cell: str, classes: tuple[str, ...]) -> Label:
    if cell in classes:
        return Label(clip_id, cell)
    if not cell:
        return Label(clip_id, None, "no label in the table")
    return Label(
        clip_id,
        None,
        f"label {cell!r} is not in the class list ({', '.join(classes)}){nearest(cell, classes)}; "
        "correct the table or labels.classes",
    )


def _seconds(where: str, column: str, row: dict[str, str]) -> float | None:
    cell = row.get(column)
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise AvemoError(f"{where}: {row['clip_id']}: expected {column} in seconds >= 0, found {cell!r}")
    return value
