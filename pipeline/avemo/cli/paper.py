"""A paper's tables beside ours, from the records of its runs, finished or not; `avemo tables` calls it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from avemo.base.made_of import write_made
from avemo.cli.options import write_text
from avemo.cli.written import write_figure, write_table
from avemo.evaluation.run_audit import audited
from avemo.papers.definitions import read_paper
from avemo.report.paper_figures import paper_chart
from avemo.report.paper_findings import find
from avemo.report.paper_page import render_paper
from avemo.report.paper_tables import paper_table
from avemo.study.layout import PAPER, PAPER_PAGE
from avemo.study.makings import paper_making
from avemo.study.stage_code import stage_code
from avemo.study.study import read_record


def write_paper(folder: Path) -> None:
    """Tables and figures of the paper in ``folder``, and its page, which has them all."""
    study = read_record(folder / PAPER)
    published, findings, parts = read_paper(study.tables or ""), find(study), []
    for definition in published.tables:
        table, tests = paper_table(definition, findings)
        for made in filter(None, (table, tests)):
            write_table(folder, made)
        chart = paper_chart(definition, table, findings.notes) if definition.chart else None
        if chart:
            write_figure(folder, chart)
        parts.append((definition, table, tests, chart))
    open_runs = {run for run, _ in findings.waiting}
    audits = {run: audited(config) for run, config in study.runs.items() if run not in open_runs}
    page = render_paper(published.paper, study.paper or "", parts, findings.waiting, audits, findings.notes)
    read, code = paper_making(study).held(), stage_code("paper")
    write_made(folder / PAPER_PAGE, partial(write_text, text=page), None, read, code)
    print(f"paper: {(folder / PAPER_PAGE).resolve()}")
