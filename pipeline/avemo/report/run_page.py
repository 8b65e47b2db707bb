"""A finished run's charts and its page."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from avemo.evaluation.run_audit import audited
from avemo.report import figures as draw
from avemo.report.breakdown import speakers_chart
from avemo.report.error_cases import error_cases
from avemo.report.figures import Chart
from avemo.report.gravest_errors import errors_chart
from avemo.report.learning_curve import learning_curve_chart
from avemo.report.modality_distance import distance_chart, represented
from avemo.report.page import Context, render
from avemo.report.run_files import RunFiles
from avemo.report.scores import honesty_check
from avemo.report.writers import Table


def run_charts(run: RunFiles) -> list[Chart]:
    """Every chart that the run has something for."""
    task = run.labels.task
    charts = [
        draw.systems_comparison(run.scores, run.order, task, run.notes),
        draw.paired_differences(run.scores, run.tests, run.order, task, run.notes),
        draw.missing_modality(run.scores, run.order, task, run.notes),
        draw.training_curves(run.history, run.order, task, run.notes),
        speakers_chart(run.speakers, run.order, task, run.notes),
    ]
    if represented(run.scores, run.order):
        charts.append(distance_chart(run.scores, run.order, run.notes))
    if cases := error_cases(run):
        charts.append(errors_chart(cases, run.order[0], run.notes))
    if len(run.curve):
        charts.append(learning_curve_chart(run.curve, run.order, task, run.notes))
    if task.kind == "classes":
        charts.append(draw.confusion(run.predictions, task.names, run.order, run.notes))
    return charts


def run_page(run: RunFiles, tables: Sequence[Table], charts: Sequence[Chart]) -> str:
    """The page as HTML, with these tables and charts, the audit, and what the run is of."""
    first = next(iter(run.records.values()))
    sheet = run.layout.sheet
    return render(
        Context(
            run=run.config.run,
            corpus=run.config.corpus.name,
            order=run.order,
            task=run.labels.task,
            honesty=honesty_check(run.scores, run.labels.task),
            tests=run.tests,
            tables=tables,
            charts=charts,
            notes=run.notes,
            audit=audited(run.config),
            contact_sheet=sheet.read_bytes() if sheet.is_file() else None,
            config_yaml=yaml.safe_dump(run.config.record(), sort_keys=False, allow_unicode=True),
            versions=first["versions"],
            hardware={name: str(value) for name, value in first["hardware"].items()},
            fingerprints=first["inputs"],
            commands=["make demo" if run.config.run == "demo" else "snakemake --configfile YOUR.yaml"],
        )
    )
