"""What a table of the report is, and its three written forms: HTML, CSV, LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

import pandas as pd

from avemo.base.result_tables import to_result_csv

ABSENT = "–"
"""A cell for which there is no number."""

LACKING = "‡"
"""Behind a score that counts a class without a test clip as 0."""

MARKS = f"*†●♦✕★{LACKING} "
"""Characters that may follow a number as marks of significance, or of what it lacks."""

Notes = Iterable[Mapping[str, str]]
"""Honesty notes: mappings with a ``kind`` and a ``text``."""

SHORT = 20
"""Texts of up to so many characters are not broken over lines."""

_LABELS = {"synthetic": "synthetic corpus"}
_NUMBER = re.compile(r"[−+\-<≥]?[\d∞]|–$")


@dataclass(frozen=True)
class Table:
    """One table: ``frame`` holds formatted strings, ``raw`` the same content as tidy numbers.

    The columns of ``frame`` are names, or pairs (group, name) for a header of
    two rows. A line is drawn above row ``rule_before``, or above each of several. ``caption`` ends with ``note``,
    the short labels of what makes the numbers less than real ("" if nothing does).
    """

    name: str
    title: str
    caption: str
    frame: pd.DataFrame
    raw: pd.DataFrame
    note: str = ""
    rule_before: int | tuple[int, ...] | None = None

    def ruled(self, row: int) -> bool:
        """Whether a line is drawn above a row."""
        return row in self.rule_before if isinstance(self.rule_before, tuple) else row == self.rule_before


def note_label(notes: Notes) -> str:
    """Short labels of the notes' kinds, each once, for captions.

    >>> note_label([{"kind": "synthetic", "text": "…"}, {"kind": "random weights", "text": "…"}])
    'synthetic corpus · random weights'
    """
    kinds = dict.fromkeys(note["kind"] for note in notes)
    return " · ".join(_LABELS.get(kind, kind) for kind in kinds)


def with_note(caption: str, note: str) -> str:
    """A caption that ends with its note."""
    return f"{caption} {note}" if note else caption


def to_csv(table: Table) -> str:
    """The raw numbers, each with the digits that give the same float back; the note is a column."""
    raw = table.raw.assign(note=table.note) if table.note else table.raw
    return to_result_csv(raw)


def to_html(table: Table) -> str:
    """A ``<table>`` with caption and scoped headers; every text is escaped."""
    caption = escape(table.caption.removesuffix(table.note))
    note = f'<span class="note">{escape(table.note)}</span>' if table.note else ""
    kinds = [_css(table.frame.iloc[:, i]) for i in range(table.frame.shape[1])]
    cells = _rows(table.frame)
    rows = [_html_row(row, kinds, table.ruled(i), _spanned(cells, i)) for i, row in enumerate(cells)]
    marks = max(map(len, re.findall("<sup>(.*?)</sup>", "".join(rows))), default=0)
    marked = f' class="marked" style="--marks: {marks}"' if marks else ""
    return (
        f'<div class="scroll"><table id="table-{escape(table.name)}"{marked}>\n'
        f"<caption><strong>{escape(table.title)}.</strong> {caption}{note}</caption>\n"
        f"<thead>\n{_html_head(table.frame.columns, kinds)}</thead>\n"
        f"<tbody>\n{''.join(rows)}</tbody>\n</table></div>\n"
    )


def to_latex(table: Table) -> str:
    """A ``table`` environment in the style of the booktabs package; every text is escaped."""
    width = table.frame.shape[1]
    numeric = [_is_numeric(table.frame.iloc[:, i]) for i in range(width)]
    align = "".join("r" if number else "l" for number in numeric)
    lines = [
        *("\\begin{table}", "\\centering"),
        f"\\caption{{{latex_escape(f'{table.title}. {table.caption}')}}}",
        f"\\label{{tab:{re.sub('[^A-Za-z0-9-]+', '-', table.name)}}}",
        *(f"\\begin{{tabular}}{{{align}}}", "\\toprule"),
        *_latex_head(table.frame.columns),
        "\\midrule",
    ]
    for i, row in enumerate(_rows(table.frame)):
        lines += ["\\midrule"] * table.ruled(i)
        lines.append(" & ".join(map(latex_escape, row)) + r" \\")
    lines += ["\\bottomrule", "\\end{tabular}", "\\end{table}"]
    return "\n".join(lines) + "\n"


_LATEX = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{
        "±": r"$\pm$",
        "−": "$-$",
        "–": "--",
        "<": "$<$",
        ">": "$>$",
        "≥": r"$\geq$",
        "×": r"$\times$",
        "∞": r"$\infty$",
    },
    **{
        "*": "$^{*}$",
        "†": r"$^{\dagger}$",
        "‡": r"$^{\ddagger}$",
        "●": r"$^{\bullet}$",
        "♦": r"$^{\diamond}$",
        "✕": r"$^{\times}$",
        "★": r"$^{\star}$",
        "→": r"$\to$",
        "Δ": r"$\Delta$",
        "·": r"$\cdot$",
        "…": r"\ldots{}",
    },
}


def latex_escape(text: str) -> str:
    r"""Text that LaTeX sets as it stands.

    >>> latex_escape("a_b 71.2 ± 1.3*")
    'a\\_b 71.2 $\\pm$ 1.3$^{*}$'
    """
    return "".join(_LATEX.get(char, char) for char in text)


def _rows(frame: pd.DataFrame) -> list[list[str]]:
    return [[str(cell) for cell in row] for row in frame.itertuples(index=False, name=None)]


def _is_numeric(column: pd.Series) -> bool:
    return all(_NUMBER.match(str(cell)) for cell in column) if len(column) else False


def _levels(columns: pd.Index) -> tuple[list[tuple[str, int]], list[str]]:
    """(group, width) of the upper header row, empty for a plain header, and the lower row's names."""
    if columns.nlevels == 1:
        return [], [str(name) for name in columns]
    groups = [(str(group), len(list(members))) for group, members in groupby(columns, key=lambda c: c[0])]
    return groups, [str(column[1]) for column in columns]


def _css(column: pd.Series) -> str:
    """Class of a column's cells: numbers align right, short texts keep one line."""
    if _is_numeric(column):
        return ' class="number"'
    return ' class="short"' if all(len(str(cell)) <= SHORT for cell in column) else ""


def _html_head(columns: pd.Index, kinds: Sequence[str]) -> str:
    groups, names = _levels(columns)
    upper = "".join(
        f'<th scope="colgroup" class="group" colspan="{width}">{escape(group)}</th>'
        if group
        else "<td></td>" * width
        for group, width in groups
    )
    lower = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(names, kinds, strict=True)
    )
    return (f"<tr>{upper}</tr>\n" if upper else "") + f"<tr>{lower}</tr>\n"


def _spanned(rows: Sequence[Sequence[str]], row: int) -> int:
    """Over how many rows a row's name holds: those below it that have none. 0 where it has none itself."""
    if row and not rows[row][0]:
        return 0
    below = (number for number in range(row + 1, len(rows)) if rows[number][0])
    return next(below, len(rows)) - row


def _html_row(cells: Sequence[str], kinds: Sequence[str], rule: bool, span: int) -> str:
    over = f' rowspan="{span}"' if span > 1 else ""
    scope = "rowgroup" if span > 1 else "row"
    body = [f'<th scope="{scope}"{over}{kinds[0]}>{escape(cells[0])}</th>'] if span else []
    for cell, kind in zip(cells[1:], kinds[1:], strict=True):
        value = cell.rstrip(MARKS) if "number" in kind else cell
        marks = f"<sup>{escape(cell[len(value) :])}</sup>" if value != cell else ""
        body.append(f"<td{kind}>{escape(value)}{marks}</td>")
    start = '<tr class="rule">' if rule else "<tr>"
    return f"{start}{''.join(body)}</tr>\n"


def _latex_head(columns: pd.Index) -> list[str]:
    groups, names = _levels(columns)
    lower = " & ".join(map(latex_escape, names)) + r" \\"
    if not groups:
        return [lower]
    upper, rules, start = [], [], 1
    for group, width in groups:
        upper += [rf"\multicolumn{{{width}}}{{c}}{{{latex_escape(group)}}}"] if group else [""] * width
        rules += [rf"\cmidrule(lr){{{start}-{start + width - 1}}}"] * bool(group)
        start += width
    return [" & ".join(upper) + r" \\", "".join(rules), lower]
