"""Tables of results: names stay texts, and no spreadsheet finds a formula."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from avemo.base.result_tables import FORMULAS, TEXTS, read_results, to_result_csv

NAMES = [
    *("NA", "null", "1", "007", "nan", "None", "True", "1e5", "N/A", "-nan", "<NA>", "inf"),
    *(
        "=1+1",
        "-abc[0]",
        "+a",
        "@SUM(A1)",
        "\t=1",
        "＝1",
        "'=1",
        "'",
        "''a",
        "-5",
        "plain",
        "a,b",
        'a"b',
        "a\nb",
    ),
]


@pytest.mark.parametrize("column", TEXTS)
def test_every_name_comes_back_as_the_text_it_was(tmp_path, column):
    path = tmp_path / "table.csv"
    table = pd.DataFrame({column: NAMES, "value": [0.1 * n for n in range(len(NAMES))]})
    path.write_text(to_result_csv(table), newline="")
    back = read_results(path)
    assert back[column].tolist() == NAMES
    assert back["value"].tolist() == table["value"].tolist()


def test_no_cell_of_a_text_begins_as_a_formula(tmp_path):
    table = pd.DataFrame([[name, name, -0.5] for name in NAMES], columns=["clip_id", "clip_id", "value"])
    for line in pd.read_csv(
        _file(tmp_path, to_result_csv(table)), dtype=str, keep_default_na=False
    ).itertuples():
        for cell in line[1:3]:
            assert not cell.startswith(FORMULAS) or re.fullmatch(r"[-+\d.]+|-nan", cell)
        assert line[3] == "-0.5"


def test_no_column_is_called_as_a_formula(tmp_path):
    table = pd.DataFrame([[1, 2.5, "x"]], columns=["=1+1", "'a", "-class"])
    text = to_result_csv(table)
    assert text.splitlines()[0] == "'=1+1,''a,'-class"
    assert list(read_results(_file(tmp_path, text)).columns) == list(table.columns)


def test_cells_without_a_number_or_a_text_stay_without(tmp_path):
    table = pd.DataFrame({"clip_id": ["a", None], "value": [float("nan"), -1.0]})
    back = read_results(_file(tmp_path, to_result_csv(table)))
    assert back.isna().to_numpy().tolist() == [[False, True], [True, False]]


def test_nothing_else_reads_or_writes_csv_with_pandas(repository):
    """Histories and scores hold numbers and names of folders alone, and may be written as they are.

    Features of other programs are numbers beside ids, which are read as texts.
    """
    files = (repository / "pipeline" / "avemo").rglob("*.py")
    reading = {path.name for path in files if re.search(r"\bpd\.read_csv\b", path.read_text())}
    assert reading == {"result_tables.py", "imported_files.py"}


def _file(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, newline="")
    return path
