"""The report: one HTML file that holds everything it shows and opens offline."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from avemo import __version__
from avemo.base.contracts import AvemoError
from avemo.dataset.tasks import Task
from avemo.evaluation.audit import COVERS, Finding
from avemo.report.figures import Chart
from avemo.report.opening import Answer, Basis, how_much, is_real, is_sound, what_next, which
from avemo.report.scores import MODALITIES, WIDE_MARGIN, unit_of
from avemo.report.writers import Table, note_label, to_html


@dataclass(frozen=True)
class Context:
    """All that the page shows.

    ``folder`` is the run's; ``honesty`` comes from `avemo.report.scores.honesty_check`; the mappings of the
    provenance part (``versions, hardware, fingerprints``) are shown as name and value;
    ``commands`` are the lines that reproduce the run; ``contact_sheet`` is a PNG.
    """

    run: str
    folder: str
    basis: Basis
    order: Sequence[str]
    task: Task
    honesty: Sequence[Mapping[str, Any]]
    tests: pd.DataFrame
    tables: Sequence[Table]
    charts: Sequence[Chart]
    notes: Sequence[Mapping[str, str]] = ()
    audit: Sequence[Finding] = ()
    contact_sheet: bytes | None = None
    config_yaml: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """A part of the page: the tables and charts it shows, by name; ``folded`` tables open on a click.

    A name of tables that ends with ``*`` stands for all that begin so.
    """

    anchor: str
    title: str
    charts: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()


SECTIONS = (
    Section("scores", "Scores", ("systems",), ("main",)),
    Section("significance", "Significance", ("paired_differences",), ("tests", "seeds")),
    Section("modalities", "Missing modality", ("missing_modality", "alignment"), ("missing_modality",)),
    Section("classes", "Classes", ("confusion",), ("per_class",)),
    Section("speakers", "Speakers", ("speakers",), ("speakers", "intervals", "intensity", "by_*")),
    Section("calibration", "Calibration", ("reliability",), ("calibration",)),
    Section("raters", "Raters", ("raters",), ("raters",)),
    Section("decisions", "Decisions", ("decisions",), ("decisions",)),
    Section("errors", "Errors", ("errors",)),
    Section(
        "training",
        "Training and costs",
        ("training_curves", "learning_curve"),
        ("learning_curve", "search", "costs"),
    ),
    Section(
        "data",
        "Data",
        (),
        ("clip_status", "quality", "worst_clips", "labels_counts"),
        ("failed_clips", "splits_balance"),
    ),
)


def render(context: Context) -> str:
    """The page as HTML. Tables and charts that no section names follow in a section of their own.

    Raises `AvemoError` when two tables or two charts share a name.
    """
    tables = _by_name("table", context.tables)
    charts = _by_name("chart", context.charts)
    sections = _sections(tables, charts)
    return filled(
        "report.html.j2",
        page=context,
        opening=_opening(context, {section.anchor for section in sections}),
        note=note_label(context.notes),
        unit=unit_of(context.task),
        main=context.task.metrics[context.task.headline[0]],
        margin=WIDE_MARGIN,
        modalities=MODALITIES,
        sections=sections,
        tables={name: to_html(table) for name, table in tables.items()},
        titles={name: table.title for name, table in tables.items()},
        charts={name: chart_view(chart) for name, chart in charts.items()},
        sheet=_data_uri("image/png", context.contact_sheet) if context.contact_sheet else "",
    )


def filled(template: str, **shown: Any) -> str:
    """One of the package's templates with what it shows."""
    environment = Environment(
        loader=PackageLoader("avemo.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["covers"], environment.globals["version"] = COVERS, __version__
    return environment.get_template(template).render(shown)


def _opening(context: Context, anchors: Collection[str]) -> list[Answer]:
    """The first screen."""
    return [
        which(context.honesty, context.order, context.task),
        how_much(context.honesty, context.order, context.tests, context.task),
        is_real(context.basis, context.notes),
        is_sound(context.basis, context.honesty, context.audit, context.task),
        what_next(anchors, context.folder),
    ]


def _sections(tables: Mapping[str, Table], charts: Mapping[str, Chart]) -> list[Section]:
    """`SECTIONS` with what there is, empty ones left out, and one more for all they do not name."""
    kept = [
        Section(
            s.anchor,
            s.title,
            tuple(name for name in s.charts if name in charts),
            _named(s.tables, tables),
            tuple(name for name in s.folded if name in tables),
        )
        for s in SECTIONS
    ]
    other_charts = tuple(name for name in charts if not any(name in s.charts for s in SECTIONS))
    told = {name for s in SECTIONS for name in _named(s.tables + s.folded, tables)}
    other_tables = tuple(name for name in tables if name not in told)
    kept.append(Section("more", "More", other_charts, other_tables))
    return [s for s in kept if s.charts or s.tables or s.folded or s.anchor == "data"]


def _named(wanted: Collection[str], tables: Collection[str]) -> tuple[str, ...]:
    return tuple(name for pattern in wanted for name in tables if fnmatchcase(name, pattern))


def _by_name(kind: str, items: Sequence[Any]) -> dict[str, Any]:
    named = {item.name: item for item in items}
    if len(named) != len(items):
        names = [item.name for item in items]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise AvemoError(
            f"report: expected a name of its own for each {kind}, found {twice} twice; rename one"
        )
    return named


def chart_view(chart: Chart) -> dict[str, str]:
    """What a template shows of a chart."""
    return {
        **{"title": chart.title, "alt": chart.alt, "note": chart.note},
        "caption": chart.caption.removesuffix(chart.note),
        "image": _data_uri("image/svg+xml", chart.svg),
    }


def _data_uri(kind: str, content: bytes) -> str:
    """The content within the address, so that nothing is loaded from elsewhere."""
    return f"data:{kind};base64,{b64encode(content).decode()}"
