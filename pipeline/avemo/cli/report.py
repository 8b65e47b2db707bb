"""Report commands: the run's config, its tables, its page. All read the run's files alone."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avemo.cli.audit import audited
from avemo.cli.error_cases import error_cases
from avemo.cli.options import Cfg, Out, as_mapping, write_aside, write_text
from avemo.cli.run_files import RunFiles

if TYPE_CHECKING:
    import pandas as pd

    from avemo.report.figures import Chart
    from avemo.report.writers import Table


def register(app: typer.Typer) -> None:
    for command in (record, tables, report):
        app.command()(command)


def record(cfg: Cfg, out: Out) -> None:
    """Write the run's resolved config, by which `predict` and `report` know the run.

    Example: avemo record --cfg run.json --out results/demo/config.json
    """
    write_aside(out, partial(write_text, text=json.dumps(as_mapping(cfg), indent=1)))


RunFolder = Annotated[
    Path, typer.Option("--run", help="A run's results folder, e.g. results/demo; for tables, a paper's too.")
]


def tables(run: RunFolder) -> None:
    """Write every table of a run, or of a paper's folder, as CSV, LaTeX and HTML, from its records alone.

    A paper's tables stand beside the published ones, with a page of all; cells
    whose runs are unfinished say what they wait for.

    Example: avemo tables --run results/demo
    """
    if (run / "paper.json").is_file():
        from avemo.cli.paper import write_paper

        write_paper(run)
        return
    for table in _tables(RunFiles(run)):
        write_table(run / "tables", table)
    typer.echo(f"tables: {run / 'tables'}")


def write_table(folder: Path, table: Table) -> None:
    """One table in its three forms."""
    from avemo.report.writers import to_csv, to_html, to_latex

    for suffix, write in ((".csv", to_csv), (".tex", to_latex), (".html", to_html)):
        write_aside(folder / f"{table.name}{suffix}", partial(write_text, text=write(table)))


def report(run: RunFolder, out: Out) -> None:
    """Write the run's page: one HTML file that opens offline. Figures lie beside it as SVG.

    Example: avemo report --run results/demo --out results/demo/report.html
    """
    import yaml

    from avemo.report.figures import save_svg
    from avemo.report.page import Context, render
    from avemo.report.scores import honesty_check

    found = RunFiles(run)
    charts = _charts(found)
    (run / "figures").mkdir(exist_ok=True)
    for chart in charts:
        save_svg(chart, run / "figures" / f"{chart.name}.svg")
    first = next(iter(found.records.values()))
    sheet = found.layout.sheet
    page = render(
        Context(
            run=found.config["run"],
            corpus=found.config["corpus"]["name"],
            order=found.order,
            task=found.labels.task,
            honesty=honesty_check(found.scores, found.labels.task),
            tests=found.tests,
            tables=_tables(found),
            charts=charts,
            notes=found.notes,
            audit=audited(found.config),
            contact_sheet=sheet.read_bytes() if sheet.is_file() else None,
            config_yaml=yaml.safe_dump(found.config.record(), sort_keys=False, allow_unicode=True),
            versions=first["versions"],
            hardware={name: str(value) for name, value in first["hardware"].items()},
            fingerprints=first["inputs"],
            commands=["make demo" if found.config["run"] == "demo" else "snakemake --configfile YOUR.yaml"],
        )
    )
    write_aside(out, partial(write_text, text=page))
    typer.echo(f"report: {out.resolve()}")


def _tables(run: RunFiles) -> list[Table]:
    from avemo.report import tables as make
    from avemo.report.breakdown import intensity_table, speakers_table
    from avemo.report.learning_curve import learning_curve_table
    from avemo.report.quality import summary_table, worst_table

    task = run.labels.task
    always = [
        make.main_table(run.scores, run.tests, run.order, task, run.notes),
        make.tests_table(run.tests, run.order, task, run.notes),
        make.missing_modality_table(run.scores, run.order, task, run.notes),
        make.per_class_table(run.predictions, run.scores, run.order, task, run.notes),
        speakers_table(run.speakers, run.order, task, run.notes),
        make.costs_table(run.costs, run.order, run.notes),
        make.clip_status_table(run.clips, run.notes),
        make.failed_clips_table(run.clips, run.notes),
        summary_table(run.quality, run.notes),
        worst_table(run.quality, run.notes),
        make.plain_table("labels_counts", "Labels", "Clips by label.", run.labels.counts(), run.notes),
        make.plain_table(
            "splits_balance", "Splits", "Groups and clips of each side.", _balance(run), run.notes
        ),
    ]
    levels = run.intensities
    return [
        *always,
        *([intensity_table(levels, run.order, task, run.notes)] if levels["intensity"].nunique() > 1 else []),
        *([learning_curve_table(run.curve, run.order, task, run.notes)] if len(run.curve) else []),
    ]


def _balance(run: RunFiles) -> pd.DataFrame:
    from avemo.dataset.splits import balance, load_splits

    return balance(load_splits(run.layout.splits), run.labels.given, run.labels.groups)


def _charts(run: RunFiles) -> list[Chart]:
    from avemo.report import figures as draw
    from avemo.report.alignment import alignment_chart, represented
    from avemo.report.breakdown import speakers_chart
    from avemo.report.errors import errors_chart
    from avemo.report.learning_curve import learning_curve_chart

    task = run.labels.task
    charts = [
        draw.systems_comparison(run.scores, run.order, task, run.notes),
        draw.paired_differences(run.scores, run.tests, run.order, task, run.notes),
        draw.missing_modality(run.scores, run.order, task, run.notes),
        draw.training_curves(run.history, run.order, task, run.notes),
        speakers_chart(run.speakers, run.order, task, run.notes),
    ]
    if represented(run.scores, run.order):
        charts.append(alignment_chart(run.scores, run.order, run.notes))
    if cases := error_cases(run):
        charts.append(errors_chart(cases, run.order[0], run.notes))
    if len(run.curve):
        charts.append(learning_curve_chart(run.curve, run.order, task, run.notes))
    if task.kind == "classes":
        charts.append(draw.confusion(run.predictions, task.names, run.order, run.notes))
    return charts
