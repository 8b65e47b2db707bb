"""How a report's parts become files of a run's or a paper's folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from avemo.cli.options import write_aside, write_text
from avemo.report.figures import Chart, save_svg
from avemo.report.writers import Table, to_csv, to_html, to_latex
from avemo.study.layout import TABLE_FORMS, figure_file, table_file


def write_table(folder: Path, table: Table) -> None:
    """One table in its three forms."""
    for form, write in zip(TABLE_FORMS, (to_csv, to_latex, to_html), strict=True):
        write_aside(table_file(folder, table.name, form), partial(write_text, text=write(table)))


def write_figure(folder: Path, chart: Chart) -> None:
    """One figure as SVG."""
    path = figure_file(folder, chart.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_svg(chart, path)
