"""A paper's tables beside ours: in each cell our mean ± sd, the printed value, the difference, the marks.

Cells are made from scores alone; a cell whose scores are not there yet says what it waits for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from avemo.papers.definitions import UNITS, Address, Column, Comparison, Row, TableDefinition
from avemo.report.formatting import fixed, p_value, plus_minus, signed
from avemo.report.scores import ALPHA, Lessened, lacking, lacking_legend
from avemo.report.ttest import Pairing, Tail, equivalence_test, holm, paired_test, welch_test
from avemo.report.writers import ABSENT, Notes, Table, note_label, with_note

LINES = ("ours", "published", "difference")


@dataclass(frozen=True)
class Method:
    """How a run's systems are compared; ``ratio`` is the size of a test part over that of its train part,
    ``randomness`` says in a sentence whether the systems share random numbers."""

    tail: Tail = "greater"
    pairing: Pairing = "paired"
    ratio: float = 0.15 / 0.70
    randomness: str = ""


@dataclass(frozen=True)
class Findings:
    """What a paper's runs have found so far.

    ``scores``: rows (run, system, split, modality, metric, value); ``counts``:
    rows (run, split, side, label, clips); ``waiting`` says by (run, system), or
    (run, "") for counts, what is still to be done; ``lessened``, by run, which scores of which splits count a class
    that no test clip shows as 0; ``resampled`` compares two cells of one split each (`avemo.report.resampling`).
    """

    scores: pd.DataFrame
    counts: pd.DataFrame
    waiting: Mapping[tuple[str, str], str]
    methods: Mapping[str, Method]
    notes: Notes = field(default_factory=list)
    lessened: Mapping[str, Lessened] = field(default_factory=dict)
    resampled: Callable[[Address, Address], Mapping[str, float]] = lambda ours, other: {}

    def values(self, at: Address) -> pd.Series:
        """A cell's values by split; empty where there are none."""
        frame, value = (self.counts, "clips") if at.label else (self.scores, "value")
        keys = ("run", "side", "label") if at.label else ("run", "system", "modality", "metric")
        chosen = np.logical_and.reduce([frame[key] == getattr(at, key) for key in keys])
        if at.label and not chosen.any():
            # Counted, and none found.
            splits = frame.loc[(frame["run"] == at.run) & (frame["side"] == at.side), "split"].unique()
            return pd.Series(0.0, index=pd.Index(splits, name="split")).sort_index()
        return frame[chosen].set_index("split")[value].sort_index()

    def missing(self, at: Address) -> str:
        """Why a cell has no value."""
        if at.run not in self.methods:
            return f"no run {at.run} in this config"
        default = f"not scored on {at.metric or at.label}"
        return self.waiting.get((at.run, "" if at.label else at.system), default)


@dataclass(frozen=True)
class Cell:
    """One cell: our values by split in the paper's unit, or why there are none."""

    row: Row
    column: Column
    number: int
    at: Address
    values: pd.Series
    scale: float = 1.0
    missing: str = ""
    lacking: str = ""
    """The mark of a score that counts a class without a test clip as 0."""


def paper_table(definition: TableDefinition, findings: Findings) -> tuple[Table, Table | None]:
    """The table beside the published one, and all its tests with today's statistics (None where none is defined).

    ``raw`` of the first has a row a cell, of the second a row a test.
    """
    cells = {(cell.row.id, cell.number): cell for cell in _cells(definition, findings)}
    tests = _tests(definition, cells, findings)
    marks = _marks(definition, tests)
    rows = [
        [
            row.name if line == LINES[0] else "",
            line,
            *(_text(line, cells[row.id, i], definition, marks) for i in _numbers(definition)),
        ]
        for row in definition.rows
        for line in LINES
    ]
    header: list[Any] = [("", ""), ("", " "), *((column.group, column.name) for column in definition.columns)]
    if not any(column.group for column in definition.columns):
        header = [name for _, name in header]
    note = note_label(findings.notes)
    table = Table(
        definition.name,
        f"{definition.source}: {definition.title}",
        with_note(_caption(definition, findings, tests), note),
        pd.DataFrame(rows, columns=pd.Index(header), dtype=str),
        pd.DataFrame([_raw(cell, definition, marks) for cell in cells.values()]),
        note,
        tuple(range(len(LINES), len(rows), len(LINES))),
    )
    return table, _tests_table(definition, tests, findings) if definition.comparisons else None


def _numbers(definition: TableDefinition) -> range:
    return range(len(definition.columns))


def _cells(definition: TableDefinition, findings: Findings) -> Iterator[Cell]:
    scale, _ = UNITS[definition.unit]
    for row in definition.rows:
        for number, column in enumerate(definition.columns):
            at = definition.address(row, column)
            values, missing = pd.Series(dtype=float), ""
            if definition.reported(row, column):
                values = scale * findings.values(at)
                missing = "" if len(values) else findings.missing(at)
            if row.minus and len(values):
                other = definition.address(definition.row(row.minus), column)
                base = scale * findings.values(other)
                values = (values - base).dropna()
                if row.relative:
                    values = 100 * values / base.mean()
                missing = "" if len(values) else findings.missing(other)
            lessened = findings.lessened.get(at.run, {})
            mark = "" if row.minus else lacking(values.index, at.metric, lessened)
            yield Cell(row, column, number, at, values, scale, missing, mark)


def _text(line: str, cell: Cell, definition: TableDefinition, marks: Mapping[tuple[str, int], str]) -> str:
    """One of a cell's three lines."""
    _, digits = UNITS[definition.unit]
    printed = cell.row.printed(cell.number)
    if line == "published":
        if printed is None:
            return ABSENT
        value = fixed(printed.value, digits, "+" if cell.row.minus else "")
        return value + printed.marks
    if not len(cell.values):
        return (cell.missing or ABSENT) if line == "ours" else ABSENT
    mean = cell.values.mean()
    if line == "difference":
        return ABSENT if printed is None else signed(mean - printed.value, digits)
    text = plus_minus(mean, cell.values.std(), digits, sign=bool(cell.row.minus))
    return text + cell.lacking + marks.get((cell.row.id, cell.number), "")


def _raw(cell: Cell, definition: TableDefinition, marks: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    printed, n = cell.row.printed(cell.number), len(cell.values)
    mean = cell.values.mean() if n else math.nan
    value = printed.value if printed else math.nan
    return {
        **{"row": cell.row.name, "group": cell.column.group, "column": cell.column.name},
        **{"unit": definition.unit, **{k: v for k, v in cell.at.model_dump().items() if v}},
        **{"ours": mean, "sd": cell.values.std() if n > 1 else math.nan, "splits": n},
        **{"published": value, "difference": mean - value},
        "lacking": cell.lacking,
        "marks": marks.get((cell.row.id, cell.number), ""),
        "published_marks": printed.marks if printed else "",
        "waits_for": cell.missing,
    }


def _tests(
    definition: TableDefinition, cells: Mapping[tuple[str, int], Cell], findings: Findings
) -> list[dict[str, Any]]:
    """A row a test of two rows in one column. Holm's family is the column's tests."""
    tests: list[dict[str, Any]] = []
    for number in _numbers(definition):
        family = []
        for comparison in definition.comparisons:
            if comparison.columns and definition.columns[number].name not in comparison.columns:
                continue
            ours = comparison.rows or [r.id for r in definition.rows if r.id not in comparison.against]
            pairs = [(mine, other) for mine in ours for other in comparison.against]
            found = [
                _test(cells[mine, number], cells[other, number], findings, comparison)
                for mine, other in pairs
            ]
            family += [test | {"symbol": comparison.symbol} for test in found if test]
        adjusted = holm([test["p"] for test in family])
        tests += [test | {"p_holm": p} for test, p in zip(family, adjusted, strict=True)]
    return tests


def _test(ours: Cell, other: Cell, findings: Findings, asked: Comparison) -> dict[str, Any]:
    """One test as the run's config wants it, with effect size, interval and the corrected test; empty if not possible."""
    both = ours.values.index.intersection(other.values.index)
    names = {"row": ours.row.name, "against": other.row.name, "key": ours.row.id, "other": other.row.id}
    place = {"group": ours.column.group, "column": ours.column.name, "number": ours.number}
    if asked.over == "clips" and len(both) == len(ours.values) == len(other.values) == 1:
        found = _resampled(ours, other, findings)
        return names | place | found if found else {}
    if len(both) < 2 or len(both) < max(len(ours.values), len(other.values)):
        return {}
    how = findings.methods[ours.at.run]
    mine, theirs = ours.values[both].to_numpy(), other.values[both].to_numpy()
    found = asdict(paired_test(mine, theirs, how.tail, how.ratio))
    if how.pairing == "welch":
        found |= welch_test(mine, theirs, how.tail)
    if asked.margin is not None:
        found |= {"margin": asked.margin, **equivalence_test(mine, theirs, asked.margin, how.ratio)}
    return names | place | found | {"tail": how.tail, "pairing": how.pairing}


def _resampled(ours: Cell, other: Cell, findings: Findings) -> dict[str, Any]:
    """A test of two cells of one split, over its test clips; empty where there are no predictions."""
    found = findings.resampled(ours.at, other.at)
    if not found:
        return {}
    scaled = {name: value if name == "p" else ours.scale * value for name, value in found.items()}
    unknown = dict.fromkeys(("t", "df", "effect_size", "p_corrected", "t_corrected"), math.nan)
    return unknown | scaled | {"tail": findings.methods[ours.at.run].tail, "pairing": "bootstrap"}


def _significant(test: Mapping[str, Any]) -> bool:
    return test["p"] < ALPHA and test["mean_difference"] > 0


def _marks(definition: TableDefinition, tests: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], str]:
    """Symbols of each cell: one where it is significantly better than all that its comparison names and that it meets."""
    marks: dict[tuple[str, int], str] = {}
    for comparison in definition.comparisons:
        won: dict[tuple[str, int], bool] = {}
        for test in tests:
            if test["symbol"] == comparison.symbol and test["other"] in comparison.against:
                cell = (test["key"], test["number"])
                won[cell] = won.get(cell, True) and _significant(test)
        for cell, better in won.items():
            marks[cell] = marks.get(cell, "") + (comparison.symbol if better else "")
    return marks


def _caption(definition: TableDefinition, findings: Findings, tests: Sequence[Mapping[str, Any]]) -> str:
    units = {"share": "Between 0 and 1", "percent": "Percent", "count": "Clips"}
    splits = sorted(
        {len(findings.values(definition.address(r, c))) for r in definition.rows for c in definition.columns}
        - {0}
    )
    over = (
        f"mean ± sample standard deviation over {' or '.join(map(str, splits))} splits"
        if splits and splits[-1] > 1
        else ""
    )
    parts = [f"{units[definition.unit]}{'; ' + over if over else ''}.", definition.remark]
    if any(comparison.symbol for comparison in definition.comparisons):
        parts.append(f"Our marks: {_how(tests)}, p < {ALPHA}." if tests else "No test could be made yet.")
    runs = {definition.address(r, c).run for r in definition.rows for c in definition.columns}
    parts += [
        f"{run}: {legend}".strip()
        for run in sorted(runs)
        if (legend := lacking_legend(findings.lessened.get(run, {})))
    ]
    return " ".join(part for part in parts if part)


def _how(tests: Sequence[Mapping[str, Any]]) -> str:
    """The tests in words."""
    tails = {"greater": "one-tailed", "two-sided": "two-tailed"}
    kinds = {"paired": "matched-pair t-test", "welch": "Welch's t-test"}
    kinds |= {"bootstrap": "bootstrap over the groups of the one test side"}
    made = dict.fromkeys(f"{tails[str(t['tail'])]} {kinds[str(t['pairing'])]}" for t in tests)
    return " or ".join(made)


def _tests_table(
    definition: TableDefinition, tests: Sequence[Mapping[str, Any]], findings: Findings
) -> Table:
    _, digits = UNITS[definition.unit]
    header = ["row", "against", "column", "difference", "95 % interval", "t (df)", "p", "p Holm"]
    header += ["p corrected", "d_z", "higher"]
    margins = [test["margin"] for test in tests if "margin" in test]
    header += ["p equivalent", "corrected"] if margins else []
    rows = [_test_row(test, digits) + (_equivalence(test) if margins else []) for test in tests]
    frame = pd.DataFrame(rows, columns=header, dtype=str)
    note = note_label(findings.notes)
    caption = (
        f"t and p: {_how(tests) or 'no test could be made yet'}; p Holm: corrected for the tests of one "
        "column; p corrected: Nadeau and Bengio's test, as random splits overlap; interval and d_z (mean "
        f"difference over its standard deviation) of the paired differences. Higher: p < {ALPHA}."
    )
    if margins:
        within = " or ".join(fixed(margin, digits) for margin in dict.fromkeys(margins))
        caption += (
            f" p equivalent: the larger p of two one-sided tests that the difference is above −{within} and below "
            f"+{within}, a margin chosen here; corrected: as p corrected."
        )
    runs = dict.fromkeys(definition.address(r, c).run for r in definition.rows for c in definition.columns)
    said = dict.fromkeys(findings.methods[run].randomness for run in runs if run in findings.methods)
    caption = " ".join([caption, *filter(None, said)])
    raw = pd.DataFrame(tests).drop(columns=["key", "other", "number"], errors="ignore")
    return Table(
        f"{definition.name}_tests", f"{definition.source}: tests", with_note(caption, note), frame, raw, note
    )


def _equivalence(test: Mapping[str, Any]) -> list[str]:
    found = [test.get(f"p_equivalent{kind}", math.nan) for kind in ("", "_corrected")]
    return [p_value(p) for p in found]


def _test_row(test: Mapping[str, Any], digits: int) -> list[str]:
    t: dict[str, float] = {k: v for k, v in test.items() if isinstance(v, (int, float))}
    return [
        *(str(test["row"]), str(test["against"]), f"{test['group']} {test['column']}".strip()),
        *(
            signed(t["mean_difference"], digits),
            f"{signed(t['ci_low'], digits)} to {signed(t['ci_high'], digits)}",
        ),
        *(
            ABSENT if math.isnan(t["t"]) else f"{signed(t['t'], 2)} ({t['df']:.3g})",
            p_value(t["p"]),
            p_value(t["p_holm"]),
        ),
        *(p_value(t["p_corrected"]), signed(t["effect_size"], 2), "yes" if _significant(test) else "no"),
    ]
