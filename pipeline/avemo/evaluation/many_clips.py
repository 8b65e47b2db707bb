"""Predictions of many clips as a table that grows row by row: what was computed once is not computed again.

A row's key is what the media hold, the interval, and the predictor's identity. Rows lie in a journal beside the table,
each whole or not at all, so that a stop of any kind loses the clip at hand and no other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from avemo.base.atomic import append_line, aside
from avemo.base.contracts import REMEDIES, AvemoError, ClipFailure, Status, digest
from avemo.base.file_hashes import FileHashes
from avemo.base.result_tables import to_result_csv
from avemo.dataset.tasks import Task
from avemo.evaluation.clip_list import Asked, printed
from avemo.evaluation.prediction import NothingSeen
from avemo.evaluation.predictor import Prediction, Predictor
from avemo.media.files import check_file, unread

JOURNAL, HASHES = ".rows.jsonl", ".hashes.json"
CSV, PARQUET = "predictions.csv", "predictions.parquet"
PATH = "{path}"
"""Stands in the journal for where a file lay, which may be elsewhere the next time."""


@dataclass(frozen=True)
class Answered:
    """A clip, the ``sha256`` of its file, what is kept of it, and whether that was ``known`` before."""

    asked: Asked
    sha256: str
    kept: Mapping[str, Any]
    known: bool


class Journal:
    """What was computed, by key; a line that a kill left cut is read over."""

    def __init__(self, path: Path):
        self.path = path
        self.rows: dict[str, Mapping[str, Any]] = {}
        for line in path.read_bytes().splitlines() if path.is_file() else []:
            try:
                row = json.loads(line)
                self.rows[row["key"]] = row["kept"]
            except (ValueError, TypeError, KeyError):
                continue

    def keep(self, key: str, kept: Mapping[str, Any]) -> None:
        """Write a row to the disk."""
        append_line(self.path, json.dumps({"key": key, "kept": kept}))
        self.rows[key] = kept


def answers(clips: Iterable[Asked], predictor: Predictor, folder: Path) -> Iterator[Answered]:
    """Every clip's row in order, from the folder's journal or computed and added to it."""
    folder.mkdir(parents=True, exist_ok=True)
    # So that the folder is known for ours from the first moment on.
    (folder / JOURNAL).touch()
    journal, hashes = Journal(folder / JOURNAL), FileHashes(folder / HASHES)
    try:
        for one in clips:
            yield _answer(one, predictor, journal, hashes)
    finally:
        if hashes.changed:
            hashes.save()


def _answer(one: Asked, predictor: Predictor, journal: Journal, hashes: FileHashes) -> Answered:
    try:
        check_file(one.path, one.clip_id)
        sha256 = _sha256(one, hashes)
    except ClipFailure as failure:
        # Without bytes there is no key: it is looked at again the next time.
        return Answered(one, "", _failed([failure], one), False)
    key = digest([sha256, one.start_s, one.end_s, predictor.identity])
    known = key in journal.rows
    if not known:
        journal.keep(key, _computed(one, predictor))
    return Answered(one, sha256, journal.rows[key], known)


def _sha256(one: Asked, hashes: FileHashes) -> str:
    try:
        return hashes.sha256(one.path)
    except OSError as error:
        raise unread(one.path, one.clip_id, error) from error


def _computed(one: Asked, predictor: Predictor) -> Mapping[str, Any]:
    try:
        return _predicted(predictor.predict(one.clip()), one)
    except ClipFailure as failure:
        return _failed([failure], one)
    except NothingSeen as error:
        return _failed(error.failures, one)


def _predicted(found: Prediction, one: Asked) -> Mapping[str, Any]:
    notes = [note.removeprefix(f"{one.clip_id}: ").replace(str(one.path), PATH) for note in found.notes]
    return {"status": Status.ok, "values": found.values, "modalities": found.modalities, "notes": notes}


def _failed(failures: Sequence[ClipFailure], one: Asked) -> Mapping[str, Any]:
    # That a file lacks a stream may follow from what else is wrong with it.
    first = min(failures, key=lambda failure: failure.status in (Status.no_audio, Status.no_video))
    details = dict.fromkeys(f"{failure.status}: {failure.detail}" for failure in failures)
    reason = first.detail if len(details) == 1 else "; ".join(details)
    return {"status": first.status, "reason": reason.replace(str(one.path), PATH)}


def table_of(answered: Sequence[Answered], predictor: Predictor) -> pd.DataFrame:
    """A row a clip: id, file, times, status with reason and remedy, answers, and what they rest on."""
    table = pd.DataFrame([_row(one, predictor) for one in answered])
    types = {name: "Int64" if is_bit else "float64" for name, is_bit in _numbers(predictor.task).items()}
    return table.astype({"start_s": "float64", "end_s": "float64"} | types)


def _row(one: Answered, predictor: Predictor) -> dict[str, Any]:
    kept, asked, cautions = one.kept, one.asked, predictor.cautions
    values, here = kept.get("values"), printed(asked.path)
    row: dict[str, Any] = {"clip_id": asked.clip_id, "path": here}
    row |= {"start_s": asked.start_s, "end_s": asked.end_s, "status": str(kept["status"])}
    row |= {"reason": kept.get("reason", "").replace(PATH, here)}
    row |= {"remedy": REMEDIES.get(Status(kept["status"]), "")}
    row |= answer_columns(predictor.task, values)
    row |= {"modalities": "+".join(kept.get("modalities", ()))}
    row |= {"models": len(predictor.models) if values else 0}
    row |= {"calibrated": len(predictor.temperatures) if values else 0}
    notes = [note.replace(PATH, here) for note in kept.get("notes", ()) if note not in cautions]
    row |= {"notes": "; ".join(notes), "caution": "; ".join(cautions)}
    return row | {"media_sha256": one.sha256, "predictor": predictor.identity}


def _numbers(task: Task) -> dict[str, bool]:
    """Columns of answers that are numbers, and whether they are 0 or 1."""
    shares = {f"p_{name}": False for name in task.names}
    taken = {f"prediction_{name}": task.kind == "bits" for name in task.names}
    return {"classes": shares, "bits": shares | taken}.get(task.kind, taken)


def answer_columns(task: Task, values: Mapping[str, float] | None) -> dict[str, Any]:
    """Of classes the one taken and ``p_<name>``; of bits ``prediction_<name>``, 0 or 1, and ``p_<name>``; of attributes
    ``prediction_<name>``. Missing where there are no ``values``."""
    found = values or dict.fromkeys(task.names)
    if task.kind == "classes":
        taken = max(values, key=values.__getitem__) if values else None
        return {"prediction": taken} | {f"p_{name}": p for name, p in found.items()}
    if task.kind == "bits":
        bits = {f"prediction_{name}": None if p is None else int(p > 0.5) for name, p in found.items()}
        return bits | {f"p_{name}": p for name, p in found.items()}
    return {f"prediction_{name}": value for name, value in found.items()}


def write_tables(table: pd.DataFrame, folder: Path) -> None:
    """The same rows as CSV and as Parquet, each whole or not at all."""
    with aside(folder / CSV) as temporary:
        temporary.write_text(to_result_csv(table), encoding="utf-8")
    with aside(folder / PARQUET) as temporary:
        table.to_parquet(temporary, index=False)


def require_free(folder: Path) -> None:
    """Raise `AvemoError` where a folder of other things would be written to."""
    if folder.exists() and not folder.is_dir():
        raise AvemoError(f"--out {folder}: expected a folder, found a file; take another name")
    ours = (folder / JOURNAL).is_file()
    if not ours and folder.is_dir() and any(folder.iterdir()):
        raise AvemoError(
            f"--out {folder}: expected a new or empty folder, or one of earlier predictions, found other files; "
            "take another name"
        )
