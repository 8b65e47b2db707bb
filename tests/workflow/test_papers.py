"""Each paper as `make paper-mini` runs it: every published table comes out with all of its cells filled by us."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from avemo.papers.definitions import papers, read_paper
from workflow_runner import Workflow

pytestmark = pytest.mark.slow
CORPORA = ("crema_d", "msp_improv", "cmu_mosei")


@pytest.fixture(scope="module")
def workflow(repository, miniatures, tmp_path_factory) -> Workflow:
    """The miniatures where the configs of the papers expect them, shared by all four."""
    workflow = Workflow(repository, tmp_path_factory.mktemp("papers"))
    for corpus in CORPORA:
        shutil.copytree(miniatures[corpus], workflow.folder / "cache" / "mini" / corpus / "corpus")
    return workflow


@pytest.mark.parametrize("paper", papers())
def test_a_paper_fills_each_of_its_tables(workflow, paper):
    configs = workflow.repository / "config" / "papers"
    workflow.snakemake([configs / f"{paper}.yaml", configs / "mini" / f"{paper}.yaml"], "paper")
    folder = workflow.folder / "results" / f"{paper}-mini"
    for table in read_paper(paper).tables:
        found = pd.read_csv(
            folder / "tables" / f"{table.name}.csv", keep_default_na=False, na_values={"ours": ""}
        )
        cells = {(c.row, c.group, c.column): c for c in found.itertuples()}
        assert len(cells) == len(table.rows) * len(table.columns)
        for row in table.rows:
            for column in table.columns:
                cell = cells[row.name, column.group, column.name]
                assert pd.notna(cell.ours) == table.reported(row, column), (table.name, cell)
                assert "synthetic corpus" in cell.note
    page = (folder / "paper.html").read_text()
    assert "Still to be done" not in page
