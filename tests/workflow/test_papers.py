"""The four papers on generated miniature corpora: every published table, every row and column filled."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from workflow_runner import Workflow

from pipeline.report.definitions import papers, read_paper

SPEAKERS = {"crema_d": 4, "msp_improv": 6, "cmu_mosei": 4}


@pytest.fixture(scope="module")
def workflow(repository, tmp_path_factory) -> Workflow:
    found = Workflow(repository, tmp_path_factory.mktemp("papers"))
    for corpus, speakers in SPEAKERS.items():
        out = f"cache/mini/{corpus}/corpus"
        found.avemo("corpus", "miniature", corpus, "--speakers", str(speakers), "--out", out)
    return found


def configs(repository: Path, paper: str) -> list[Path]:
    folder = repository / "config" / "papers"
    return [folder / f"{paper}.yaml", folder / "mini" / f"{paper}.yaml"]


@pytest.mark.parametrize("paper", papers())
def test_every_published_table_is_filled(workflow, repository, paper):
    workflow.snakemake(configs(repository, paper), "paper")
    results = workflow.folder / "results" / f"{paper}-mini"
    for definition in read_paper(paper).tables:
        table = pd.read_csv(results / "tables" / f"{definition.name}.csv")
        assert len(table) == len(definition.rows) * len(definition.columns)
        reported = [
            definition.reported(row, column) for row in definition.rows for column in definition.columns
        ]
        assert table.waits_for.isna().all(), table.waits_for.dropna().unique()
        assert (table.ours.notna() == reported).all()
        assert table.note.str.contains("synthetic corpus").all()
        if definition.chart:
            assert (results / "figures" / f"{definition.name}.svg").is_file()
    page = (results / "paper.html").read_text()
    assert "Still to be done" not in page
    assert "synthetic corpus" in page


def test_tables_are_made_again_from_records_alone(workflow):
    results = workflow.folder / "results" / "auxformer-mini"
    before = {path: path.read_bytes() for path in (results / "tables").iterdir()}
    for path in before:
        path.unlink()
    workflow.avemo("tables", "--run", str(results))
    assert {path: path.read_bytes() for path in (results / "tables").iterdir()} == before


def test_a_second_run_of_a_paper_has_nothing_to_do(workflow, repository):
    output = workflow.snakemake(configs(repository, "auxformer"), "paper", "-n")
    assert "Nothing to be done" in output
