"""Every table of a finished run, in the order of the page."""

from __future__ import annotations

import pandas as pd

from avemo.dataset.splits import balance, load_splits
from avemo.report import tables as make
from avemo.report.breakdown import intensity_table, speakers_table
from avemo.report.decisions import decisions_table
from avemo.report.learning_curve import learning_curve_table
from avemo.report.people import column_table, intervals_table
from avemo.report.quality import summary_table, worst_table
from avemo.report.raters import raters_table
from avemo.report.reliability import calibration_table, has_calibration
from avemo.report.run_files import RunFiles, randomness
from avemo.report.searches import search_table, searched_legend
from avemo.report.seeds import seeds_table
from avemo.report.writers import Table


def run_tables(run: RunFiles) -> list[Table]:
    """Those of `avemo.study.layout.TABLES`; by intensity, of searches and of learning curves where the run has them."""
    task = run.labels.task
    always = [
        make.main_table(
            run.scores, run.tests, run.order, task, run.notes, run.lessened, searched_legend(run.searches)
        ),
        make.tests_table(run.tests, run.order, task, run.notes, randomness(run.config)),
        make.missing_modality_table(run.scores, run.order, task, run.notes, run.lessened),
        make.per_class_table(run.predictions, run.scores, run.order, task, run.notes, run.lessened),
        speakers_table(run.speakers, run.order, task, run.notes),
        intervals_table(run.people, run.order, task, run.notes),
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
    levels, calibrated = run.intensities, has_calibration(run.each_seed)
    return [
        *always,
        *([search_table(run.searches, task.metrics, run.notes)] if run.searches else []),
        *(
            column_table(run.people, name, value_of, run.order, task, run.notes)
            for name, value_of in run.divisions.items()
        ),
        *([calibration_table(run.scores, run.order, run.notes)] if calibrated else []),
        *([raters_table(run.predictions, run.votes, run.order, task, run.notes)] if len(run.votes) else []),
        *([decisions_table(run.predictions, run.order, task, run.notes)] if task.kind == "bits" else []),
        *([intensity_table(levels, run.order, task, run.notes)] if levels["intensity"].nunique() > 1 else []),
        *([seeds_table(run.each_seed, run.order, task, run.notes)] if run.config.splits.seeds > 1 else []),
        *([learning_curve_table(run.curve, run.order, task, run.notes)] if len(run.curve) else []),
    ]


def _balance(run: RunFiles) -> pd.DataFrame:
    return balance(load_splits(run.layout.splits), run.labels.given, run.labels.groups)
