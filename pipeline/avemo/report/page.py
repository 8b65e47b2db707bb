"""The report: one HTML file that holds everything it shows and opens offline."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from avemo import __version__
from avemo.base.contracts import AvemoError
from avemo.dataset.tasks import Task
from avemo.evaluation.audit import Finding
from avemo.report.figures import Chart
from avemo.report.scores import ALPHA, WIDE_MARGIN, rows_of, unit_of, verdict
from avemo.report.writers import Table, note_label, to_html


@dataclass(frozen=True)
class Context:
    """All that the page shows.

    ``honesty`` comes from `avemo.report.scores.honesty_check`; the mappings of the
    provenance part (``versions, hardware, fingerprints``) are shown as name and value;
    ``commands`` are the lines that reproduce the run; ``contact_sheet`` is a PNG.
    """

    run: str
    corpus: str
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
    """A part of the page: the tables and charts it shows, by name; ``folded`` tables open on a click."""

    anchor: str
    title: str
    charts: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()


SECTIONS = (
    Section("scores", "Scores", ("systems",), ("main",)),
    Section("significance", "Significance", ("paired_differences",), ("tests",)),
    Section("modalities", "Missing modality", ("missing_modality", "alignment"), ("missing_modality",)),
    Section("classes", "Classes", ("confusion",), ("per_class",)),
    Section("speakers", "Speakers", ("speakers",), ("speakers", "intensity")),
    Section("errors", "Errors", ("errors",)),
    Section(
        "training", "Training and costs", ("training_curves", "learning_curve"), ("learning_curve", "costs")
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
    environment = Environment(
        loader=PackageLoader("avemo.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        page=context,
        version=__version__,
        summary=summary(context),
        note=note_label(context.notes),
        unit=unit_of(context.task),
        main=context.task.metrics[context.task.headline[0]],
        margin=WIDE_MARGIN,
        sections=_sections(tables, charts),
        tables={name: to_html(table) for name, table in tables.items()},
        titles={name: table.title for name, table in tables.items()},
        charts={name: chart_view(chart) for name, chart in charts.items()},
        sheet=_data_uri("image/png", context.contact_sheet) if context.contact_sheet else "",
    )


def summary(context: Context) -> str:
    """The headline numbers in two or three sentences, those that disappoint included."""
    found = {row["system"]: row for row in context.honesty}
    if not context.order or context.order[0] not in found:
        raise AvemoError(
            f"report: expected the first system of {list(context.order)} in the honesty check, "
            f"found {list(found)}; evaluate it first"
        )
    first = found[context.order[0]]
    task, unit, blind = context.task, unit_of(context.task), first["blind"]
    best = max(blind, key=lambda name: blind[name])
    side = "above" if first["margin"] >= 0 else "below"
    far = f"{abs(unit.factor * first['margin']):.{unit.digits}f}{' points' if task.percent else ''}"
    text = (
        f"{first['system']} reaches {unit.value(first['score'])} audio-visual {task.metrics[task.headline[0]]} "
        f"(mean over {first['splits']} split{'s' * (first['splits'] != 1)}), "
        f"{far} {side} the better baseline ({task.blind[best]}, {unit.value(blind[best])}). "
    )
    return text + _against_others(context.tests, found, task)


def _against_others(tests: pd.DataFrame, found: Mapping[str, Mapping[str, Any]], task: Task) -> str:
    """How the first system fares against the others on the audio-visual main metric."""
    rows = [
        test
        for test in rows_of(tests)
        if (test.modality, test.metric) == ("av", task.headline[0]) and test.system not in task.blind
    ]
    if not rows:
        return "No test compares it with another system."
    better = [test.system for test in rows if verdict(test) > 0]
    corrected = [test.system for test in rows if verdict(test) > 0 and test.p_corrected < ALPHA]
    higher = max(rows, key=lambda test: -test.mean_difference)
    text = (
        f"Its mean is significantly higher than that of {len(better)} of {len(rows)} other systems "
        f"(matched-pair t-test, p < {ALPHA}); corrected for overlapping splits, of {len(corrected)}."
    )
    if higher.mean_difference < 0:
        best = found.get(higher.system, {}).get("score", float("nan"))
        text += f" {higher.system} scores higher: {unit_of(task).value(best)}."
    return text


def _sections(tables: Mapping[str, Table], charts: Mapping[str, Chart]) -> list[Section]:
    """`SECTIONS` with what there is, empty ones left out, and one more for all they do not name."""
    kept = [
        Section(
            s.anchor,
            s.title,
            tuple(name for name in s.charts if name in charts),
            tuple(name for name in s.tables if name in tables),
            tuple(name for name in s.folded if name in tables),
        )
        for s in SECTIONS
    ]
    other_charts = tuple(name for name in charts if not any(name in s.charts for s in SECTIONS))
    other_tables = tuple(name for name in tables if not any(name in s.tables + s.folded for s in SECTIONS))
    kept.append(Section("more", "More", other_charts, other_tables))
    return [s for s in kept if s.charts or s.tables or s.folded or s.anchor == "data"]


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
