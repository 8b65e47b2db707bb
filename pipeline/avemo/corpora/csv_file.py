"""Reading a corpus' CSV files: by column name, and refused with the reason where they are other files."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from avemo.base.contracts import AvemoError


def read_csv(path: Path, columns: Iterable[str], what: str, remedy: str) -> list[dict[str, str]]:
    """Rows by column name. Raises `AvemoError`, saying ``what`` was expected, without the file or a column."""
    if not path.is_file():
        raise AvemoError(f"{path}: expected {what}, found no file; {remedy}")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        found = list(reader.fieldnames or ())
        missing = [column for column in columns if column not in found]
        if missing:
            raise AvemoError(
                f"{path}: expected {what} with columns {missing}, found {', '.join(found) or 'nothing'}; {remedy}"
            )
        return list(reader)


def number(where: str, row: dict[str, str], column: str, low: float, high: float) -> float:
    """A cell's number from ``low`` to ``high``; raises `AvemoError` naming the place for anything else."""
    try:
        value = float(row[column])
    except (TypeError, ValueError):
        value = float("nan")
    if not low <= value <= high:
        raise AvemoError(
            f"{where}: expected {column} from {low:g} to {high:g}, found {row[column]!r}; correct the row"
        )
    return value
