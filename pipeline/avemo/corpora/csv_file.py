"""Tables that people made, as CSV of any kind: by column name, or refused with the line and the reason.

Read are UTF-8 and UTF-16, and cells apart by comma, semicolon, tab or bar, whichever gives the columns that are
expected; Excel's ``sep=;`` line; blanks around cells; rows of blanks; fewer cells than columns, and more where they
are empty. Where cells are not apart by comma, numbers may have a decimal comma.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from avemo.base.contracts import AvemoError
from avemo.base.registry import nearest
from avemo.base.text_files import stream_lines

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(e[-+]?\d+)?", re.IGNORECASE)
LONGEST_CELL, LONGEST_NAME = 5000, 200
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
"""Characters that show nothing, and that no blank-stripper takes for blanks."""


class Line(NamedTuple):
    """A row by column name, and the number of its (last) line in the file."""

    number: int
    cells: dict[str, str]


def stream_csv(
    path: Path,
    columns: Iterable[str],
    what: str,
    remedy: str,
    numbers: Collection[str] | None = None,
    once: Collection[str] = (),
) -> Iterator[Line]:
    """Rows one after the other, cells stripped of blanks.

    ``numbers`` are the columns whose decimal commas are to be read as points; None: all. Raises `AvemoError`,
    saying ``what`` was expected: without the file or one of ``columns``, where one of them or of ``once`` comes
    twice, and for a row that does not fit.
    """
    if not path.is_file():
        raise AvemoError(f"{path}: expected {what}, found no file; {remedy}")
    wanted, number = list(columns), 0
    lines = stream_lines(path)
    try:
        header, separator, skipped = _header(lines)
        number = skipped
        found, separator = _columns(header, separator, wanted)
        _check_columns(path, found, separator, wanted, {*wanted, *once}, what, remedy)
        commas = separator != ","
        reader = csv.reader(lines, delimiter=separator, strict=True)
        for cells in reader:
            number = reader.line_num + skipped
            if len(cells) != len(found):
                cells = _fitting(path, number, cells, len(found), separator)
            row = dict(zip(found, map(str.strip, cells), strict=False))
            if max(map(len, cells), default=0) > LONGEST_CELL:
                _check_lengths(path, number, row)
            if commas:
                _use_points(row, row if numbers is None else numbers)
            if any(row.values()):
                yield Line(number, row)
    except csv.Error as error:
        raise AvemoError(
            f"{path}, after line {number}: expected cells and whole quotes, found {error}; correct the row"
        ) from error
    except OSError as error:
        raise AvemoError(f"{path}: expected {what}, found {error.strerror}; {remedy}") from error


def read_csv(path: Path, columns: Iterable[str], what: str, remedy: str) -> list[dict[str, str]]:
    """All rows of `stream_csv`, without their lines."""
    return [line.cells for line in stream_csv(path, columns, what, remedy)]


def _header(lines: Iterator[str]) -> tuple[str, str, int]:
    """The line of column names, the separator that Excel's ``sep=`` names ("" if none), lines read so far."""
    separator, skipped = "", 0
    for line in lines:
        skipped += 1
        if said := re.fullmatch(r"\s*\"?sep=(.)\"?\s*", line, re.IGNORECASE):
            separator = said[1]
        elif line.strip():
            return line, separator, skipped
    return "", separator, skipped


def _columns(header: str, separator: str, wanted: list[str]) -> tuple[list[str], str]:
    """Column names, and what is between them: what gives most of those that are wanted, as a comma if none does."""
    names = {
        mark: [
            name.strip().strip(INVISIBLE).strip() for name in next(csv.reader([header], delimiter=mark), [])
        ]
        for mark in ([separator] if separator else SEPARATORS)
    }
    best = max(names, key=lambda mark: (len(set(wanted) & set(names[mark])), len(names[mark])))
    return names[best], best


def _check_columns(
    path: Path,
    found: list[str],
    separator: str,
    wanted: list[str],
    once: Collection[str],
    what: str,
    remedy: str,
) -> None:
    shown = ", ".join(found)[:500] or "nothing"
    apart = "" if separator == "," or len(found) < 2 else f", apart by {SEPARATORS.get(separator, separator)}"
    missing = [column for column in wanted if column not in found]
    if missing:
        raise AvemoError(
            f"{path}: expected {what} with columns {missing}{nearest(missing[0], found)}; found {shown}{apart}; {remedy}"
        )
    for column in once:
        if found.count(column) > 1:
            raise AvemoError(
                f"{path}: expected one column {column!r}, found {found.count(column)}; rename or delete all but one"
            )


def _fitting(path: Path, number: int, cells: list[str], count: int, separator: str) -> list[str]:
    """Cells cut to ``count`` where only empty ones go; fewer are taken as they are."""
    if any(cell.strip() for cell in cells[count:]):
        raise AvemoError(
            f"{path}, line {number}: expected {count} cells for {count} columns, found {len(cells)} cells; "
            f"put a cell that holds {separator!r} into double quotes"
        )
    return cells


def _check_lengths(path: Path, number: int, row: dict[str, str]) -> None:
    for name, cell in row.items():
        if len(cell) > LONGEST_CELL:
            raise AvemoError(
                f"{path}, line {number}: expected at most {LONGEST_CELL} characters in column {name[:60]!r}, "
                f"found {len(cell)}; is a quote missing?"
            )


def _use_points(row: dict[str, str], numbers: Iterable[str]) -> None:
    for name in numbers:
        if DECIMAL_COMMA.fullmatch(row.get(name, "")):
            row[name] = row[name].replace(",", ".")


def name_of(cell: str) -> str:
    """A cell as the name of a person or a class: composed characters (NFC), without what shows nothing."""
    return (cell if cell.isascii() else unicodedata.normalize("NFC", cell).strip(INVISIBLE)).strip()


def is_name(name: str) -> bool:
    """Whether tables and pages can show a name in a line."""
    # A table has 10^6 of them; nearly all are printable, which is quicker to tell.
    return len(name) <= LONGEST_NAME and (
        name.isprintable() or not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in name)
    )


def number(where: str, row: dict[str, str], column: str, low: float, high: float) -> float:
    """A cell's number from ``low`` to ``high``; raises `AvemoError` naming the place for anything else."""
    try:
        value = float(row[column])
    except (KeyError, TypeError, ValueError):
        value = float("nan")
    if not low <= value <= high:
        raise AvemoError(
            f"{where}: expected {column} from {low:g} to {high:g}, found {row.get(column, '')!r}; "
            f"{remedy_of(row.get(column, ''))}"
        )
    return value


def remedy_of(cell: str) -> str:
    """What to do about a cell that is no number."""
    return "write a decimal point" if DECIMAL_COMMA.fullmatch(cell) else "correct the row"
