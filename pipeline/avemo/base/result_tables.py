"""Tables of results as CSV: names are texts, whatever they look like, and no spreadsheet takes a cell for a formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

TEXTS = ("system", "reference", "split", "modality", "metric", "clip_id", "failed", "note", "concern")
"""Columns that are texts where they are there: `NA`, `null` and `1` are names like any other."""
FORMULAS = tuple("=+-@\t\r＝＋－＠")
"""What spreadsheets take for a formula's beginning."""
QUOTE = "'"


def read_results(path: Path) -> pd.DataFrame:
    """A table that `to_result_csv` wrote, or one of numbers and names."""
    table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(TEXTS, str))
    table.columns = table.columns.map(_unquoted)
    for name in table.columns.intersection(list(TEXTS)):
        table[name] = table[name].map(_unquoted, na_action="ignore")
    return table


def to_result_csv(table: pd.DataFrame) -> str:
    """CSV of a table; texts that begin as a formula get an apostrophe before them, as do those that begin with one."""
    table = table.copy()
    for at in range(table.shape[1]):
        column = table.iloc[:, at]
        if not pd.api.types.is_numeric_dtype(column):
            # By position, as two columns may have one name.
            table.isetitem(at, column.map(_quoted).array)
    table.columns = table.columns.map(_quoted)
    return table.to_csv(index=False, lineterminator="\n")


def _quoted(cell: Any) -> Any:
    begins = isinstance(cell, str) and cell.startswith((QUOTE, *FORMULAS)) and not _is_number(cell)
    return QUOTE + cell if begins else cell


def _unquoted(cell: str) -> str:
    return cell.removeprefix(QUOTE)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
