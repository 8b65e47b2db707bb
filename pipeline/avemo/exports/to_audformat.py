"""An audformat database: tables of labels by side, and of features, over the media's files or segments."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from avemo.base.contracts import AvemoError
from avemo.exports.exported import Exported, file_names
from avemo.exports.loaded import means_of
from avemo.index.clip_table import Row, stream_table

if TYPE_CHECKING:
    import audformat

LABELS = "emotion"


def write(given: Exported, folder: Path) -> None:
    """``db.yaml`` and a Parquet file a table: ``emotion.train``, ``emotion.dev``, ``emotion.test``, each with its split, and
    one of each feature, named for it.

    Labels are under the scheme ``emotion`` with the classes in order; where they are numbers, each output has a scheme of its
    own. Speakers, groups and what else the corpus says are columns too. A table of features has the **mean** over each
    clip's frames, a column a dimension, as audformat has a row a segment; frames are in the other forms. Files are relative to
    the folder that all media share, ``media_root`` in the header. Raises `AvemoError` for clips of one file and interval.
    """
    import audformat

    with warnings.catch_warnings():
        # Of the library's way to add a column, which is one by one.
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        _database(given).save(str(folder), storage_format=audformat.define.TableStorageFormat.PARQUET)


def _database(given: Exported) -> audformat.Database:
    import audformat

    rows = _rows(given)
    root = os.path.commonpath([os.path.dirname(_media(row)) for row in rows.values()])
    database = audformat.Database(
        given.run,
        source="exported by avemo",
        usage=audformat.define.Usage.OTHER,
        description="; ".join([f"{given.run}, {given.split}", *given.notes]),
        meta={"media_root": root},
    )
    _add_schemes(database, given)
    for side, clips in given.sides.items():
        database.splits[side] = audformat.Split(type=side, description=given.split)
        index = _index(clips.clip_ids, rows, root)
        _table(database, f"{LABELS}.{side}", index, _said(given, clips.clip_ids), split_id=side)
    clip_ids = [clip_id for clips in given.sides.values() for clip_id in clips.clip_ids]
    for name, told in file_names(given.features).items():
        index = _index(clip_ids, rows, root)
        about = f"{given.features[name].name}: the mean over each clip's frames; empty where it has none"
        _table(database, told, index, means_of(name, given.features[name], clip_ids), description=about)
    return database


def _add_schemes(database: audformat.Database, given: Exported) -> None:
    """Of labels and speakers; other columns have one of their type."""
    import audformat

    task = given.labels.task
    if task.kind == "classes":
        database.schemes[LABELS] = audformat.Scheme(labels=list(task.names), description="class of the clip")
    for name in task.names if task.kind != "classes" else ():
        database.schemes[name] = audformat.Scheme("float", description=f"{task.noun} of the clip")
    speakers = sorted(given.labels.table.speaker.unique())
    database.schemes["speaker"] = audformat.Scheme(labels=speakers, description="who is heard and seen")


def _said(given: Exported, clip_ids: Sequence[str]) -> pd.DataFrame:
    """What is said of clips, under the names of schemes."""
    task = given.labels.task
    numbers = {f"value_{name}": name for name in task.names} if task.kind != "classes" else {}
    return given.said(clip_ids).rename(columns={"label": LABELS, **numbers})


def _table(
    database: audformat.Database, name: str, index: pd.Index, columns: pd.DataFrame, **about: str
) -> None:
    import audformat

    table = audformat.Table(index, split_id=about.get("split_id"), description=about.get("description"))
    database[name] = table
    for column in columns:
        kind = "float" if pd.api.types.is_numeric_dtype(columns[column]) else "str"
        scheme = column if column in database.schemes else kind
        if scheme not in database.schemes:
            database.schemes[scheme] = audformat.Scheme(kind)
        table[column] = audformat.Column(scheme_id=scheme)
    table.set({column: columns[column].to_list() for column in columns})


def _rows(given: Exported) -> dict[str, Row]:
    wanted = {clip_id for clips in given.sides.values() for clip_id in clips.clip_ids}
    found = {
        row.clip_id: _absolute(row, given.home) for row in stream_table(given.index) if row.clip_id in wanted
    }
    if lacking := sorted(wanted - set(found)):
        raise AvemoError(
            f"{given.index}: expected clip {lacking[0]!r} (and {len(lacking) - 1} more), found others; run the index again"
        )
    return found


def _absolute(row: Row, home: Path) -> Row:
    paths = {name: getattr(row, name) for name in ("audio_path", "video_path")}
    return replace(row, **{name: os.path.abspath(home / path) for name, path in paths.items() if path})


def _media(row: Row) -> str:
    """The file that a clip's rows stand for: its sound, or its film where that has none."""
    path = row.audio_path or row.video_path
    if path is None:
        raise AvemoError(
            f"{row.clip_id}: expected a media file in the clip table, found none; take another format"
        )
    return path


def _index(clip_ids: Sequence[str], rows: Mapping[str, Row], root: str) -> pd.Index:
    """Files where all clips of the run are whole files, else segments, in seconds."""
    import audformat

    places: dict[tuple[str, float, float | None], str] = {}
    for clip_id in clip_ids:
        row = rows[clip_id]
        place = os.path.relpath(_media(row), root), row.start_s, row.end_s
        if place in places:
            raise AvemoError(
                f"{clip_id}: expected a file or interval of its own, as audformat has one row for each, found "
                f"{place[0]} from {row.start_s} s, which is {places[place]}'s too; take another format"
            )
        places[place] = clip_id
    files = [file for file, _, _ in places]
    if all(row.start_s == 0 and row.end_s is None for row in rows.values()):
        return audformat.filewise_index(files)
    ends = [pd.NaT if end is None else pd.Timedelta(seconds=end) for _, _, end in places]
    return audformat.segmented_index(files, [pd.Timedelta(seconds=start) for _, start, _ in places], ends)
