"""A paper's page: its tables and figures beside ours, and what is still to be done. One file that opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avemo.evaluation.audit import Finding
from avemo.papers.definitions import TableDefinition
from avemo.report.figures import Chart
from avemo.report.page import chart_view, filled
from avemo.report.writers import Notes, Table, note_label, to_html

Part = tuple[TableDefinition, Table, Table | None, Chart | None]
"""A published table, ours and its tests, its figure."""


def render_paper(
    title: str,
    name: str,
    parts: Sequence[Part],
    waiting: Mapping[tuple[str, str], str],
    audits: Mapping[str, Sequence[Finding]],
    notes: Notes = (),
) -> str:
    """The page as HTML; ``waiting`` says by (run, system) what is still to be done, ``audits`` are of finished runs."""
    notes = list(notes)
    sections = [
        {
            "anchor": definition.name,
            "source": definition.source,
            "title": f"{definition.source}: {definition.title}",
            "chart": chart_view(chart) if chart else None,
            "table": to_html(table),
            "tests": to_html(tests) if tests else None,
        }
        for definition, table, tests, chart in parts
    ]
    open_cells = [(run, system or "labels", text) for (run, system), text in waiting.items()]
    return filled(
        "paper.html.j2",
        title=title,
        name=name,
        notes=notes,
        note=note_label(notes),
        sections=sections,
        waiting=open_cells,
        audits=audits,
    )
