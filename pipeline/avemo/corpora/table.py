"""Anybody's corpus: a CSV file, one row a clip.

::

    clip_id,path,speaker,label
    anna_01,videos/anna_01.mp4,anna,happy
    ben_01,videos/ben_01.mp4,ben,sad

``path`` is a video (its sound is used), or sound alone, whatever its name. Optional columns:
``audio_path`` (sound from another file), ``group`` (what no split may
separate; default: the speaker), ``start_s`` and ``end_s`` (an interval of the
file); with ``labels: {task: attributes, columns: [arousal, valence]}``, or bits,
columns of numbers. Further columns, such as ``sex`` or ``split``, are what reports score by, and what an official
split may go by. Relative paths are relative to the CSV file. A row without a label can be extracted and predicted, not
trained on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from avemo.base.contracts import AvemoError, Clip, ComponentConfig
from avemo.base.registry import nearest
from avemo.corpora.base import Corpus, Label
from avemo.corpora.csv_file import LONGEST_NAME, Line, is_name, name_of, remedy_of, stream_csv
from avemo.corpora.near_names import close, is_missing

REQUIRED = ("clip_id", "path", "speaker")
SECONDS = ("start_s", "end_s")
OPTIONAL = ("audio_path", "group", *SECONDS)
KNOWN = {*REQUIRED, *OPTIONAL}

MEDIA = ("path", "audio_path")
"""Columns that name files."""


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

    def _lines(self) -> Iterator[Line]:
        numbers = (*SECONDS, *self.label_rule.columns)
        once = (*OPTIONAL, self.label_rule.column, *self.label_rule.columns)
        return stream_csv(self.path, REQUIRED, "a CSV clip table", "correct corpus.config.csv", numbers, once)

    def lines(self) -> Iterator[Line]:
        """The table's rows and their lines, one after the other; raises `AvemoError` naming what is wrong with it."""
        names = ("speaker", "group", *(() if self.label_rule.columns else (self.label_rule.column,)))
        for line in self._lines():
            for column in names:
                if not is_name(name := name_of(line.cells.get(column, ""))):
                    raise AvemoError(
                        f"{self.path}, line {line.number}: expected a {column} of at most {LONGEST_NAME} characters "
                        f"in one line, found {len(name)}, {name[:60]!r}; correct the cell"
                    )
            yield line

    def rows(self) -> Iterator[dict[str, str]]:
        """The cells of `lines`."""
        return (line.cells for line in self.lines())

    @property
    def task(self) -> str:
        return self.label_rule.task

    @property
    def classes(self) -> tuple[str, ...]:
        if self.label_rule.columns:
            return self.label_rule.columns
        if self.label_rule.classes is not None:
            return self.label_rule.classes
        found = {name_of(row.get(self.label_rule.column, "")) for row in self.rows()}
        return tuple(sorted(name for name in found if not is_missing(name)))

    def tables(self) -> list[Path]:
        return [self.path]

    def media_files(self) -> Iterable[Path]:
        if self.path.is_file():
            # Each once: intervals of one film name it again and again.
            for cell in {line.cells.get(column) for line in self._lines() for column in MEDIA}:
                if cell:
                    yield self.path.parent / cell

    def clips(self) -> list[Clip]:
        found = [self._clip(line, row) for line, row in self.lines()]
        if not found:
            raise AvemoError(
                f"{self.path}: expected a row for each clip, found column names alone; add the rows"
            )
        return found

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
        speaker = name_of(row["speaker"])
        return Clip(
            row["clip_id"],
            speaker=speaker,
            group=name_of(row.get("group", "")) or speaker,
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
        columns = list(next(iter(rows.values()), ()))
        self._check_label_columns(columns)
        read = {*KNOWN, self.label_rule.column, *self.label_rule.columns}
        further = [column for column in columns if column and column not in read]
        found = []
        for label in self._labels(clips, rows):
            facts = {column: name_of(rows[label.clip_id].get(column, "")) for column in further}
            # Corpora of their own have it apart, and so have reports.
            found.append(replace(label, intensity=facts.pop("intensity", ""), facts=facts))
        return found

    def _labels(self, clips: list[Clip], rows: Mapping[str, dict[str, str]]) -> list[Label]:
        if self.label_rule.columns:
            return [self._numbers(clip.clip_id, rows[clip.clip_id]) for clip in clips]
        classes, column = self.classes, self.label_rule.column
        return [_class(clip.clip_id, rows[clip.clip_id].get(column), classes) for clip in clips]

    def _check_label_columns(self, found: list[str]) -> None:
        """Raise `AvemoError` for a column that the rule names and the table lacks, or has under a like name."""
        rule = self.label_rule
        for column in rule.columns or [rule.column]:
            like = close(column, found)
            if (
                found
                and column not in found
                and (like or column != self.Labels.model_fields["column"].default)
            ):
                raise AvemoError(
                    f"{self.path}: expected a column {column!r} of labels"
                    f"{f'; did you mean {like!r}?' if like else ''}; found {', '.join(found)}; "
                    "rename it, or name yours in corpus.labels"
                )

    def notes(self) -> list[str]:
        """Columns that are not read, and are called nearly as one that would be."""
        found = list(next(self.rows(), ()))
        likes = {name: close(name, [one for one in found if one not in KNOWN]) for name in OPTIONAL}
        return [
            f"column {like!r} is not read; did you mean {name!r}?"
            for name, like in likes.items()
            if like and name not in found and like != self.label_rule.column
        ]

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


def _class(clip_id: str, cell: str | None, classes: tuple[str, ...]) -> Label:
    if cell is None:
        return Label(clip_id, None, "the table has no such column")
    name = name_of(cell)
    if name in classes:
        return Label(clip_id, name)
    if is_missing(name):
        return Label(clip_id, None, f"no label in the table{f' ({name})' if name else ''}")
    return Label(
        clip_id,
        None,
        f"label {name!r} is not in the class list ({', '.join(classes)}){nearest(name, classes)}; "
        "correct the table or labels.classes",
    )


def _seconds(where: str, column: str, row: dict[str, str]) -> float | None:
    cell = row.get(column)
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise AvemoError(
            f"{where}: {row['clip_id']}: expected {column} in seconds, found {cell!r}; {remedy_of(cell)}"
        )
    return value
