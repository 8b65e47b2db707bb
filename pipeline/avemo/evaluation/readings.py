"""The journal of the models that were scored on test clips: what the audit counts readings by."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avemo.base.atomic import append_line
from avemo.base.contracts import AvemoError

BEGIN = '{"at": '
"""Of each line."""


@dataclass(frozen=True)
class Readings:
    """A journal's lines, in order of time, and a sentence for each that is cut."""

    models: list[dict[str, Any]] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)


def note_reading(journal: Path, reading: dict[str, Any]) -> None:
    """Add a line, whole or not at all, before the test clips are read; nothing is ever taken out.

    Raises `AvemoError` where it cannot be kept: nothing is to be scored then.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    if journal.exists() and not journal.is_file():
        raise AvemoError(f"{journal}: expected a file that keeps its lines, found something else; remove it")
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        append_line(journal, json.dumps({"at": at} | reading))
    except OSError as error:
        raise AvemoError(
            f"{journal}: expected to note which model is scored, found: {error}; make room, then run again"
        ) from error


def read_journal(journal: Path) -> Readings:
    """What a journal says; one that a full disk or a kill cut says so of that line, and is read on.

    Raises `AvemoError` for lines that `note_reading` does not begin.
    """
    found = Readings()
    for number, line in enumerate(journal.read_text(errors="replace").split("\n"), start=1):
        # Behind a cut line its successor may stand, where nobody had ended it.
        cut, whole = line, line.rfind(BEGIN)
        if whole >= 0 and (reading := _parsed(line[whole:])):
            found.models.append(reading)
            cut = line[:whole]
        if cut and not (BEGIN.startswith(cut) or cut.startswith(BEGIN)):
            raise AvemoError(
                f"{journal}: expected lines of JSON, found {cut[:40]!r} in line {number}; bring a copy of the file "
                "back, or begin the results folder anew"
            )
        if cut:
            found.cut.append(
                f"{journal}, line {number} is cut ({cut[:40]!r}), as by a kill or a full disk; a line is written before "
                "test clips are read, so nothing was scored by it"
            )
    return found


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if {"split", "model"} <= found.keys() else None
