"""The journal of the models that were scored on test clips: what the audit counts readings by."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any


def note_reading(journal: Path, reading: dict[str, Any]) -> None:
    """Add a line, before the test clips are read; nothing is ever taken out."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with journal.open("a") as file:
        file.write(json.dumps({"at": at} | reading) + "\n")


def read_journal(journal: Path) -> list[dict[str, Any]]:
    """Its lines, in order of time."""
    return [json.loads(line) for line in journal.read_text().splitlines()]
