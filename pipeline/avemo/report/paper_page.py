"""A paper's page: its tables and figures beside ours, and what is still to be done. One file that opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from avemo import __version__
from avemo.evaluation.audit import COVERS, Finding
from avemo.papers.definitions import TableDefinition
from avemo.report.figures import Chart
from avemo.report.page import chart_view
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
    environment = Environment(
        loader=PackageLoader("avemo.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["covers"] = COVERS
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
    return environment.get_template("paper.html.j2").render(
        title=title,
        name=name,
        version=__version__,
        notes=notes,
        note=note_label(notes),
        sections=sections,
        waiting=open_cells,
        audits=audits,
    )
