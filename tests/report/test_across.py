"""The matrix of what was trained on and tested on: its cells, marks and picture."""

from __future__ import annotations

import pandas as pd

from avemo.dataset.tasks import Classes
from avemo.report.across import Matrix, matrix_chart, matrix_table
from avemo.report.writers import to_html

TASK = Classes(("happy", "sad"))


def cell(system: str, trained: str, tested: str, mean: float, **more: object) -> list[dict]:
    about = {
        "sd": 0.05,
        "splits": 3,
        "clips": 10,
        "speakers": 4,
        "low": 0.1,
        "high": 0.9,
        "lacking": False,
        "other": False,
    }
    place = {"system": system, "trained_on": trained, "tested_on": tested}
    return [place | {"metric": metric, "mean": mean} | about | more for metric in ("macro_f1", "uar")]


def matrix() -> Matrix:
    rows = cell("net", "b + c", "a", 0.5)
    for system, base in (("net", 0.4), ("linear baseline", 0.7)):
        rows += cell(system, "a", "b", base) + cell(system, "b", "a", base + 0.1)
        rows += cell(system, "a", "a", base + 0.2, other=True) + cell(system, "b", "b", base, lacking=True)
    rows += cell("chance", "a", "b", 0.25)
    return Matrix(pd.DataFrame(rows), TASK)


def test_rows_are_trained_on_and_columns_tested_on_single_corpora_first():
    found = matrix()
    assert found.trained_on == ["a", "b", "b + c"]
    assert found.tested_on == ["a", "b"]
    table = matrix_table(found)
    frame = table.frame.set_index([("", "system"), ("", "trained on")])["UAR, tested on"]
    assert frame.loc[("net", "a"), "b"].startswith("40.0 ± 5.0")
    assert frame.loc[("net", "a"), "a"].endswith("†")
    assert frame.loc[("net", "b"), "b"].endswith("‡")
    assert frame.loc[("net", "b + c"), "b"] == "–"
    assert ("linear baseline", "b + c") not in frame.index
    assert len(frame) == 6
    assert "predicts other labels" in table.caption
    assert table.rule_before == (3, 5)
    assert "<table" in to_html(table)


def test_the_picture_shows_each_system_and_says_so_in_words():
    chart = matrix_chart(matrix())
    assert "net trained on a, tested on b: 40.0 %" in chart.alt
    assert "chance" not in chart.alt
    assert matrix_chart(matrix()).svg == chart.svg
