"""Corpora that networks behind extractors are fine-tuned on: one file each, its target and its side."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avemo.base.atomic import aside


@dataclass(frozen=True)
class Examples:
    """``rows`` under ``columns`` (path first, split last); what was left out, by reason; files that are not there."""

    columns: tuple[str, ...]
    rows: list[tuple[object, ...]]
    left_out: dict[str, int]
    missing: list[Path]

    @property
    def splits(self) -> dict[str, int]:
        """Rows on each side."""
        return dict(Counter(str(row[-1]) for row in self.rows))


def collect(
    columns: Sequence[str],
    rows: Iterable[tuple[object, ...]],
    why_not: Callable[[tuple[object, ...]], str],
) -> Examples:
    """Sort ``rows`` into examples, those ``why_not`` gives a reason against, and those without a file."""
    kept, left_out, missing = [], Counter[str](), []
    for row in rows:
        if reason := why_not(row):
            left_out[reason] += 1
        elif not Path(str(row[0])).is_file():
            missing.append(Path(str(row[0])))
        else:
            kept.append(row)
    return Examples(tuple(columns), kept, dict(left_out), missing)


def write_examples(path: Path, examples: Examples) -> None:
    """The table as CSV, with absolute paths."""
    with aside(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(examples.columns)
        writer.writerows([Path(str(first)).absolute(), *others] for first, *others in examples.rows)
