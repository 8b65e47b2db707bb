"""Report commands: the run's config, its tables, its page. All read the run's files alone."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from avemo.cli.options import Cfg, Out, as_mapping, write_text


def register(app: typer.Typer) -> None:
    for command in (record, tables, report, across):
        app.command()(command)


def record(cfg: Cfg, out: Out) -> None:
    """Write the run's resolved config, by which `predict` and `report` know the run.

    Example: avemo record --cfg run.json --out results/demo/config.json
    """
    from avemo.base.made_of import write_made

    write_made(out, partial(write_text, text=json.dumps(as_mapping(cfg), indent=1)), as_mapping(cfg), {})


RunFolder = Annotated[
    Path, typer.Option("--run", help="A run's results folder, e.g. results/demo; for tables, a paper's too.")
]


def tables(run: RunFolder) -> None:
    """Write every table of a run, or of a paper's folder, as CSV, LaTeX and HTML, from its records alone.

    A paper's tables stand beside the published ones, with a page of all; cells
    whose runs are unfinished say what they wait for.

    Example: avemo tables --run results/demo
    """
    from avemo.cli.paper import write_paper
    from avemo.cli.written import write_table
    from avemo.report.run_files import RunFiles
    from avemo.report.run_tables import run_tables
    from avemo.study.layout import PAPER

    if (run / PAPER).is_file():
        write_paper(run)
        return
    found = RunFiles(run)
    found.require_whole()
    for table in run_tables(found):
        write_table(run, table)
    typer.echo(f"tables: {run / 'tables'}")


def report(run: RunFolder, out: Out) -> None:
    """Write the run's page, one HTML file that opens offline; beside it its tables, and figures as SVG.

    Example: avemo report --run results/demo --out results/demo/report.html
    """
    from avemo.base.made_of import write_made
    from avemo.cli.written import write_figure, write_table
    from avemo.report.run_files import RunFiles
    from avemo.report.run_page import run_charts, run_page
    from avemo.report.run_tables import run_tables
    from avemo.study.makings import RunMakings
    from avemo.study.stage_code import stage_code

    found = RunFiles(run)
    found.require_whole()
    made, charts = run_tables(found), run_charts(found)
    for table in made:
        write_table(run, table)
    for chart in charts:
        write_figure(run, chart)
    read, code = RunMakings(found.config).report().held(), stage_code("report")
    write_made(out, partial(write_text, text=run_page(found, made, charts)), None, read, code)
    typer.echo(f"report: {out.resolve()}")


def across(run: Annotated[Path, typer.Option("--run", help="A paper's folder, e.g. results/cross.")]) -> None:
    """Write the page of a paper's runs across corpora: scores by what was trained on and tested on, as a matrix.

    Example: avemo across --run results/cross
    """
    from avemo.base.contracts import AvemoError
    from avemo.base.made_of import write_made
    from avemo.cli.written import write_figure, write_table
    from avemo.evaluation.run_audit import audited
    from avemo.report.across import labels_table, matrices, matrix_chart, matrix_table
    from avemo.report.across_page import render_across
    from avemo.report.run_files import run_notes
    from avemo.study.layout import ACROSS_PAGE, PAPER
    from avemo.study.makings import across_making
    from avemo.study.study import read_record

    study = read_record(run / PAPER)
    if not study.across:
        raise AvemoError(
            f"{run}: expected runs with `across` in its config, found none; see docs/how-to/across_corpora.md"
        )
    notes = list(
        {note["text"]: note for name in study.across for note in run_notes(study.runs[name])}.values()
    )
    parts = [(matrix_table(one, notes), matrix_chart(one, notes)) for one in matrices(study)]
    labels = labels_table(study, notes)
    for table in (*(table for table, _ in parts), labels):
        write_table(run, table)
    for _, chart in parts:
        write_figure(run, chart)
    audits = {name: audited(study.runs[name]) for name in study.across}
    page = render_across(study.paper or "", parts, labels, audits, notes)
    write_made(run / ACROSS_PAGE, partial(write_text, text=page), None, across_making(study).held())
    typer.echo(f"across corpora: {(run / ACROSS_PAGE).resolve()}")
