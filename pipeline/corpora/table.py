"""Anybody's corpus: a CSV file, one row a clip.

::

    clip_id,path,speaker,label
    anna_01,videos/anna_01.mp4,anna,happy
    ben_01,videos/ben_01.mp4,ben,sad

``path`` is a video (its sound is used), or sound alone. Optional columns:
``audio_path`` (sound from another file), ``group`` (what no split may
separate; default: the speaker), ``start_s`` and ``end_s`` (an interval of the
file). Relative paths are relative to the CSV file. A row without a label can
be extracted and predicted, not trained on.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from pipeline.contracts import AvemoError, Clip, ComponentConfig
from pipeline.corpora.base import Corpus, Label
from pipeline.registry import nearest

AUDIO_SUFFIXES = {".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".aac"}


class TableCorpus(Corpus):
    """Clips listed in a CSV file."""

    name = "table"
    version = 1

    class Config(ComponentConfig):
        """Which table."""

        csv: Path

    class Labels(ComponentConfig):
        """Which column is the label, and which values count."""

        column: str = "label"
        classes: tuple[str, ...] | None = None
        """In the order of a model's outputs; default: the column's values, sorted."""

    config: Config
    label_rule: Labels

    @property
    def path(self) -> Path:
        """The CSV file."""
        return Path(self.config.csv)

    @property
    def root(self) -> Path:
        return self.path.parent

    def rows(self) -> list[dict[str, str]]:
        """The table's rows; raises `AvemoError` naming a missing file or column."""
        if not self.path.is_file():
            raise AvemoError(
                f"{self.path}: expected a CSV clip table, found no file; correct corpus.config.csv"
            )
        with self.path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            found = list(reader.fieldnames or ())
            for column in ("clip_id", "path", "speaker"):
                if column not in found:
                    raise AvemoError(
                        f"{self.path}: expected a column {column!r}{nearest(column, found)}; "
                        f"found {', '.join(found) or 'an empty file'}"
                    )
            return list(reader)

    @property
    def classes(self) -> tuple[str, ...]:
        if self.label_rule.classes is not None:
            return self.label_rule.classes
        return tuple(sorted({row.get(self.label_rule.column) or "" for row in self.rows()} - {""}))

    def media_files(self) -> Iterable[Path]:
        yield self.path
        if self.path.is_file():
            for clip in self.clips():
                yield from (path for path in (clip.video_path, clip.audio_path) if path)

    def clips(self) -> list[Clip]:
        return [self._clip(line, row) for line, row in enumerate(self.rows(), start=2)]

    def _clip(self, line: int, row: dict[str, str]) -> Clip:
        where = f"{self.path}, line {line}"
        for column in ("clip_id", "speaker"):
            if not row.get(column):
                raise AvemoError(f"{where}: expected a {column}, found nothing; fill the cell")
        video, audio = self._resolve(row.get("path")), self._resolve(row.get("audio_path"))
        if video and video.suffix.lower() in AUDIO_SUFFIXES and not audio:
            video, audio = None, video
        if not video and not audio:
            raise AvemoError(
                f"{where}: {row['clip_id']}: expected a path, found nothing; fill path or audio_path"
            )
        return Clip(
            row["clip_id"],
            speaker=row["speaker"],
            group=row.get("group") or row["speaker"],
            audio_path=audio,
            video_path=video,
            start_s=_seconds(where, "start_s", row) or 0.0,
            end_s=_seconds(where, "end_s", row),
        )

    def _resolve(self, cell: str | None) -> Path | None:
        return self.path.parent / cell if cell else None

    def labels(self, clips: list[Clip]) -> list[Label]:
        classes = self.classes
        cells = {row["clip_id"]: row.get(self.label_rule.column) or "" for row in self.rows()}
        return [_label(clip.clip_id, cells[clip.clip_id], classes) for clip in clips]


def _label(clip_id: str, cell: str, classes: tuple[str, ...]) -> Label:
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
