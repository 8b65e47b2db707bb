"""The written forms of a table, read back by independent parsers."""

from __future__ import annotations

import io
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo.report.writers import Table, latex_escape, note_label, to_csv, to_html, to_latex

HOSTILE = "<script>alert('x')</script> & \"q\""


class Reader(HTMLParser):
    """Tags with their attributes, and the text of each cell."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data.strip("\n")


def _table(cell: str = "1.0 ± 0.1*", **changes: object) -> Table:
    columns = pd.MultiIndex.from_tuples([("", "system"), ("group_1", "F1"), ("group_1", "x")])
    frame = pd.DataFrame([[cell, "12.0 ± 0.1*†", "–"], ["b", "3.0", "4"]], columns=columns)
    raw = pd.DataFrame({"system": [cell, "b"], "value": [1 / 3, 2.0]})
    given_ = {"name": "t", "title": "T", "caption": "C 5 %", "frame": frame, "raw": raw, **changes}
    return Table(**given_)  # type: ignore[arg-type]


def _read(table: Table) -> Reader:
    reader = Reader()
    reader.feed(to_html(table))
    return reader


@given(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1))
def test_html_cells_read_back(text: str) -> None:
    reader = _read(_table(text))
    assert text in reader.cells
    assert {tag for tag, _ in reader.tags} <= {
        "div",
        "table",
        "caption",
        "strong",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "sup",
    }


def test_html_structure() -> None:
    reader = _read(_table(HOSTILE, note="synthetic", rule_before=1))
    scopes = [attrs.get("scope") for tag, attrs in reader.tags if tag == "th"]
    assert scopes == ["colgroup", "col", "col", "col", "row", "row"]
    assert ("th", {"scope": "colgroup", "class": "group", "colspan": "2"}) in reader.tags
    assert ("tr", {"class": "rule"}) in reader.tags
    assert "12.0 ± 0.1*†" in reader.cells
    assert "<script" not in to_html(_table(HOSTILE, title=HOSTILE, caption=HOSTILE, note=HOSTILE))


def test_csv_keeps_every_digit() -> None:
    back = pd.read_csv(io.StringIO(to_csv(_table())))
    assert back["value"].tolist() == [1 / 3, 2.0]
    assert "note" not in back
    assert pd.read_csv(io.StringIO(to_csv(_table(note="n"))))["note"].tolist() == ["n", "n"]


def test_latex_by_hand() -> None:
    text = to_latex(_table("a_b", rule_before=1))
    body = text[text.index(r"\toprule") :].splitlines()
    assert body == [
        r"\toprule",
        r" & \multicolumn{2}{c}{group\_1} \\",
        r"\cmidrule(lr){2-3}",
        r"system & F1 & x \\",
        r"\midrule",
        r"a\_b & 12.0 $\pm$ 0.1$^{*}$$^{\dagger}$ & -- \\",
        r"\midrule",
        r"b & 3.0 & 4 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    assert r"\caption{T. C 5 \%}" in text
    assert r"\begin{tabular}{lrr}" in text


@given(st.text())
def test_latex_escape_leaves_nothing_active(text: str) -> None:
    escaped = latex_escape(text)
    assert escaped.count("{") - escaped.count(r"\{") == escaped.count("}") - escaped.count(r"\}")
    for char in "&%#_":
        assert escaped.count(char) == escaped.count("\\" + char) == text.count(char)


@pytest.mark.parametrize(
    ("kinds", "label"),
    [([], ""), (["synthetic"], "synthetic corpus"), (["x", "synthetic", "x"], "x · synthetic corpus")],
)
def test_note_label(kinds: list[str], label: str) -> None:
    assert note_label({"kind": kind, "text": ""} for kind in kinds) == label


def test_a_rows_name_holds_for_the_rows_below_that_have_none() -> None:
    rows = [["first", "ours", "1"], ["", "published", "2"], ["second", "ours", "3"]]
    found = _read(_table(frame=pd.DataFrame(rows, columns=["row", "line", "x"])))
    heads = [tag for name, tag in found.tags if name == "th" and tag.get("scope", "").startswith("row")]
    assert [(head["scope"], head.get("rowspan")) for head in heads] == [("rowgroup", "2"), ("row", None)]
    assert found.cells[3:] == ["first", "ours", "1", "published", "2", "second", "ours", "3"]
