"""A finished run's charts and its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from avemo.base.contracts import Status
from avemo.evaluation.run_audit import audited
from avemo.report import figures as draw
from avemo.report.breakdown import speakers_chart
from avemo.report.decisions import decisions_chart
from avemo.report.error_cases import error_cases
from avemo.report.figures import Chart
from avemo.report.gravest_errors import errors_chart
from avemo.report.learning_curve import learning_curve_chart
from avemo.report.modality_distance import distance_chart, represented
from avemo.report.opening import Basis
from avemo.report.page import Context, render
from avemo.report.raters import raters_chart
from avemo.report.reliability import has_calibration, reliability_chart
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
    if has_calibration(run.each_seed):
        charts.append(reliability_chart(run.predictions, run.each_seed, run.order, task, run.notes))
    if len(run.votes):
        charts.append(raters_chart(run.predictions, run.votes, run.order, task, run.notes))
    if task.kind == "bits":
        charts.append(decisions_chart(run.predictions, run.order, task, run.notes))
    if task.kind == "classes":
        charts.append(draw.confusion(run.predictions, task.names, run.order, run.notes))
    return charts


def basis(run: RunFiles) -> Basis:
    """What the run's numbers rest on."""
    failed = run.clips.loc[run.clips["status"] != Status.ok, "clip_id"]
    table = run.labels.table
    return Basis(
        corpus=run.config.corpus.title,
        clips=len(table),
        speakers=table["speaker"].nunique(),
        failed=failed.nunique(),
        features={
            modality: f"{feature.extractor} with weights {run.weights[modality]}"
            if modality in run.weights
            else feature.extractor
            for modality, feature in run.config.features.items()
        },
    )


def told(facts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Each fact of a run's trainings; where they differ, how many of them have which.

    >>> told([{"gpu": None, "cores": 2}, {"gpu": None, "cores": 8}, {"gpu": None, "cores": 8}])
    {'gpu': 'None', 'cores': '8 (2 of 3), 2 (1 of 3)'}
    """
    found = {
        name: Counter(str(one.get(name)) for one in facts).most_common() for one in facts for name in one
    }
    return {
        name: values[0][0]
        if len(values) == 1
        else ", ".join(f"{value} ({count} of {len(facts)})" for value, count in values)
        for name, values in found.items()
    }


def run_page(run: RunFiles, tables: Sequence[Table], charts: Sequence[Chart]) -> str:
    """The page as HTML, with these tables and charts, the audit, and what the run is of."""
    sheet = run.layout.sheet
    return render(
        Context(
            run=run.config.run,
            folder=run.folder.as_posix(),
            basis=basis(run),
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
            versions=told([record["versions"] for record in run.records.values()]),
            hardware=told([record["hardware"] for record in run.records.values()]),
            fingerprints=told([record["inputs"] for record in run.records.values()]),
            commands=["make demo" if run.config.run == "demo" else "snakemake --configfile YOUR.yaml"],
        )
    )
