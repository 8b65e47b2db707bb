"""Which files, and whose, a network was tuned on: a list beside its weights, which the audit of a run compares."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avemo.corpora.csv_file import stream_csv

LIST = Path("tuning", "examples.csv")
"""In the folder of tuned weights."""
COLUMNS = ("path", "split", "speaker")


@dataclass(frozen=True)
class Example:
    """A file that tuning has read, ``train`` or ``dev``, and its speaker where the table said who it is."""

    path: Path
    split: str
    speaker: str


def write_list(table: Path, out: Path) -> None:
    """The examples of a table of tuning that are trained on or choose the epoch, with whole paths."""
    rows = [
        ((table.parent / row["path"]).resolve(), row["split"], row.get("speaker", ""))
        for _, row in stream_csv(table, ("path", "split"), "a CSV of examples", "correct the path")
        if row["split"] != "test"
    ]
    with out.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def read_list(weights: Path) -> Iterator[Example]:
    """What `write_list` wrote of a folder of weights, or somebody in its form; nothing where there is none."""
    path = weights / LIST
    if path.is_file():
        for _, row in stream_csv(path, COLUMNS, "a list of examples", "delete it"):
            yield Example(Path(row["path"]).resolve(), row["split"], row["speaker"])
