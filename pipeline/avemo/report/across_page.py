"""The page of runs across corpora: the matrix, what labels are called, and each run's audit. One file that opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avemo.evaluation.audit import Finding
from avemo.report.figures import Chart
from avemo.report.page import chart_view, filled
from avemo.report.writers import Notes, Table, note_label, to_html


def render_across(
    name: str,
    parts: Sequence[tuple[Table, Chart]],
    labels: Table,
    audits: Mapping[str, Sequence[Finding]],
    notes: Notes = (),
) -> str:
    """The page as HTML; ``parts`` are a matrix's table and chart each, ``audits`` by run."""
    notes = list(notes)
    return filled(
        "across.html.j2",
        name=name,
        notes=notes,
        note=note_label(notes),
        parts=[{"chart": chart_view(chart), "table": to_html(table)} for table, chart in parts],
        labels=to_html(labels),
        audits=audits,
    )
