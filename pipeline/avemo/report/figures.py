"""The report's figures. Drawn without pyplot, so that nothing global changes; written as SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from avemo.base.atomic import aside
from avemo.base.metrics import confusion_matrix
from avemo.dataset.tasks import Task
from avemo.report.scores import MODALITIES, by_split, check, rows_of, unit_of
from avemo.report.writers import Notes, note_label, with_note

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#882255")
"""Distinguishable with any common colour blindness (Okabe and Ito, extended by two of Paul Tol's)."""

DASHES = ("-", "--", ":")
"""A further round of systems takes the colours again with the next dash."""

INK, FAINT, RULE = "#1f2933", "#667080", "#d9dee5"
WIDTH_IN = 9.0
"""Width of every figure, inches."""


@dataclass(frozen=True)
class Chart:
    """One figure of the report; ``alt`` says in words what it shows, ``caption`` ends with ``note``.

    ``svg`` has the same bytes each time the same chart is drawn.
    """

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure
    svg: bytes
    note: str = ""


def palette(order: Sequence[str]) -> dict[str, str]:
    """The colour of each system in every figure.

    >>> palette(["a", "b"])
    {'a': '#0072B2', 'b': '#D55E00'}
    """
    return {system: COLOURS[i % len(COLOURS)] for i, system in enumerate(order)}


def save_svg(chart: Chart, path: Path) -> None:
    """Write the chart's SVG by rename, so that no reader sees half a file."""
    with aside(path) as temporary:
        temporary.write_bytes(chart.svg)


def systems_comparison(scores: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()) -> Chart:
    """Audio-visual headline metrics: a bar for the mean, a dot for each split, lines for the blind predictors."""
    check(scores, order, task)
    figure = Figure(figsize=(WIDTH_IN, 1.5 + 0.45 * len(order)), layout="constrained")
    colours, unit = palette(order), unit_of(task)
    # A folder from before a metric was counted has no scores of it.
    counted = [metric for metric in task.headline if metric in set(scores["metric"])]
    panels = figure.subplots(1, len(counted), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, counted, strict=True):
        lowest = 0.0
        for row, system in enumerate(order):
            values = unit.factor * by_split(scores, system, "av", metric).to_numpy()
            axes.barh(row, values.mean(), height=0.62, color=colours[system], alpha=0.32, lw=0)
            axes.plot(
                values, spread(row, len(values)), "o", ms=4, mec="white", mew=0.5, color=colours[system]
            )
            right, text = values.max() + 0.02 * unit.factor, f"{values.mean():.{unit.digits}f}"
            axes.text(right, row, text, va="center", fontsize=9, color=INK, weight="bold")
            lowest = min(lowest, values.min())
        _blind_lines(axes, scores, metric, task, vertical=True)
        axes.set_xlim(lowest, 1.08 * unit.factor)
        axes.set_xticks(np.linspace(0, unit.factor, 6))
        style(axes, xlabel=axis_label(task, metric), grid="x")
    first = figure.axes[0]
    first.set_yticks(range(len(order)), labels=[_plain(system) for system in order])
    first.set_ylim(len(order) - 0.5, -0.5)
    figure.legend(handles=_blind_handles(task), loc="outside upper right", ncols=2, frameon=False, fontsize=8)
    best = {s: by_split(scores, s, "av", task.headline[0]).mean() for s in order}
    name = task.metrics[task.headline[0]]
    alt = f"Audio-visual {name}: " + ", ".join(f"{s} {unit.value(v)}" for s, v in best.items())
    caption = "Audio-visual scores. Bars: mean over splits; dots: splits; lines: means of the baselines."
    return finish("systems", "Systems compared", caption, alt, figure, notes)


def paired_differences(
    scores: pd.DataFrame, tests: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()
) -> Chart:
    """The first system less each other one, split by split, with the tests' 95 % intervals."""
    check(scores, order, task)
    reference, others = order[0], list(order[1:])
    figure = Figure(figsize=(WIDTH_IN, 1.3 + 0.45 * max(len(others), 1)), layout="constrained")
    axes, colours, told, unit, main = figure.subplots(), palette(order), [], unit_of(task), task.headline[0]
    ours = by_split(scores, reference, "av", main)
    for row, system in enumerate(others):
        apart = (ours - by_split(scores, system, "av", main)).to_numpy()
        difference = unit.factor * apart
        axes.plot(
            difference,
            spread(row, len(difference)),
            "o",
            ms=4.5,
            color=colours[system],
            mec="white",
            mew=0.5,
        )
        told.append(f"{system} {unit.difference(apart.mean())}")
        _interval(axes, tests, system, row, difference.mean(), task)
    axes.axvline(0, color=INK, lw=1)
    axes.set_yticks(range(len(others)), labels=[_plain(system) for system in others])
    axes.set_ylim(max(len(others), 1) - 0.5, -0.5)
    name = task.metrics[main]
    style(axes, xlabel=_plain(f"{name} of {reference} less that of the system ({unit.steps})"), grid="x")
    caption = (
        f"{reference} less each other system, audio-visual {name} on the same split. Dots: splits; "
        "diamonds: means with their 95 % intervals. Right of the line, the first system scores higher."
    )
    alt = f"{name} of {reference} less, in {unit.steps}: " + ", ".join(told)
    return finish("paired_differences", "Paired differences", caption, alt, figure, notes)


def missing_modality(scores: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()) -> Chart:
    """The main metric of each system with both modalities and with each alone."""
    check(scores, order, task)
    figure = Figure(figsize=(WIDTH_IN, 3.4), layout="constrained")
    axes, colours, width = figure.subplots(), palette(order), 0.8 / len(order)
    unit, main, lowest = unit_of(task), task.headline[0], 0.0
    for i, system in enumerate(order):
        for x, modality in enumerate(MODALITIES):
            values = unit.factor * by_split(scores, system, modality, main).to_numpy()
            if not len(values):
                continue
            at = x + (i - (len(order) - 1) / 2) * width
            axes.bar(at, values.mean(), width=0.9 * width, color=colours[system], alpha=0.85, lw=0)
            sd = values.std(ddof=1) if len(values) > 1 else 0.0
            axes.errorbar(at, values.mean(), sd, color=INK, lw=1, capsize=2)
            top, text = values.mean() + sd + 0.02 * unit.factor, f"{values.mean():.{unit.digits - 1}f}"
            axes.text(at, top, text, ha="center", fontsize=8, color=INK)
            lowest = min(lowest, values.mean() - sd)
    _blind_lines(axes, scores, main, task, vertical=False)
    axes.set_xticks(range(len(MODALITIES)), labels=list(MODALITIES.values()))
    axes.set_ylim(lowest, unit.factor)
    style(axes, ylabel=axis_label(task, main), grid="y")
    handles = [Patch(color=colours[s], alpha=0.85, label=_plain(s)) for s in order]
    figure.legend(
        handles=[*handles, *_blind_handles(task)], loc="outside right upper", frameon=False, fontsize=8
    )
    caption = (
        f"{task.metrics[main]} of the same trained systems with both modalities and with one withheld at test time. "
        "Bars: mean over splits; whiskers: sample standard deviation. No bar: not scored so."
    )
    alt = f"{task.metrics[main]} of {len(order)} systems, audio-visual, audio only and video only; see the table."
    return finish("missing_modality", "Missing modality", caption, alt, figure, notes)


def confusion(
    predictions: pd.DataFrame, class_names: Sequence[str], order: Sequence[str], notes: Notes = ()
) -> Chart:
    """One row-normalised confusion matrix a system, audio-visual, clips of all splits added up."""
    columns = 2 if len(order) == 4 else min(3, len(order))
    rows = -(-len(order) // columns)
    side = WIDTH_IN / columns
    figure = Figure(figsize=(WIDTH_IN, rows * min(side, 3.4) + 0.2), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    both = predictions[predictions["modality"] == "av"]
    for panel, system in zip(panels, order, strict=False):
        part = both[both["system"] == system]
        counts = confusion_matrix(part["target"], part["prediction"], len(class_names))
        _matrix(panel, counts, class_names)
        panel.set_title(_plain(system), fontsize=10, color=INK, loc="left")
    for panel in panels[len(order) :]:
        panel.set_visible(False)
    caption = (
        "Percent of each true class (rows) by predicted class (columns), audio-visual, "
        "test clips of all splits added up. The diagonal is each class' recall."
    )
    alt = f"Confusion matrices of {', '.join(order)} over {len(class_names)} classes."
    return finish("confusion", "Confusions", caption, alt, figure, notes)


def training_curves(history: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()) -> Chart:
    """Dev loss and the dev score of the main metric by epoch: thin lines for splits, a thick one for their mean."""
    figure = Figure(figsize=(WIDTH_IN, 3.4), layout="constrained")
    colours, main = palette(order), task.headline[0]
    panels = {
        "dev_loss": ("dev loss", 1.0),
        f"dev_{main}": (f"dev {axis_label(task, main)}", unit_of(task).factor),
    }
    for axes, (column, (label, scale)) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for i, system in enumerate(order):
            curves = history[history["system"] == system].pivot(index="epoch", columns="split", values=column)
            dash = DASHES[i // len(COLOURS) % len(DASHES)]
            axes.plot(curves.index, scale * curves, color=colours[system], alpha=0.22, lw=0.8, ls=dash)
            mean = (scale * curves).dropna().mean(axis=1)
            axes.plot(mean.index, mean, color=colours[system], lw=2.2, ls=dash)
        axes.xaxis.get_major_locator().set_params(integer=True)
        style(axes, xlabel="epoch", ylabel=label, grid="y")
    handles = [
        Line2D([], [], color=colours[s], lw=2.2, ls=DASHES[i // len(COLOURS) % len(DASHES)], label=_plain(s))
        for i, s in enumerate(order)
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=min(len(order), 6), frameon=False, fontsize=8
    )
    caption = "Thin: splits; thick: their mean over the epochs that all of them reached. Only dev data."
    alt = f"Dev loss and dev {task.metrics[main]} by epoch of {', '.join(order)}."
    return finish("training_curves", "Training", caption, alt, figure, notes)


def finish(name: str, title: str, caption: str, alt: str, figure: Figure, notes: Notes) -> Chart:
    """The finished chart, its note in the lower right corner.

    It is drawn here and once, as drawing again moves what a constrained layout places.
    """
    note = note_label(notes)
    if note:
        figure.supxlabel(_plain(note), x=0.995, ha="right", fontsize=7.5, color="#9a3412")
    return Chart(name, title, with_note(caption, note), alt, figure, _svg(figure), note)


def _svg(figure: Figure) -> bytes:
    """The figure as SVG: text as paths, no date, ids that do not change."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "avemo", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _plain(text: str) -> str:
    """Text that Matplotlib does not read as mathematics."""
    return text.replace("$", r"\$")


def spread(row: int, n: int) -> np.ndarray:
    """Heights that part the dots of one row."""
    return row + (np.linspace(-0.2, 0.2, n) if n > 1 else np.zeros(n))


def style(axes: Axes, xlabel: str = "", ylabel: str = "", grid: Any = "y") -> None:
    """Labels and faint grid lines, no frame but the axis."""
    axes.set_xlabel(xlabel, color=FAINT, fontsize=9)
    axes.set_ylabel(ylabel, color=FAINT, fontsize=9)
    axes.grid(axis=grid, color=RULE, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(RULE)


_BLIND_DASHES: tuple[Any, ...] = ((0, (5, 2)), (0, (1, 1.5)))


def axis_label(task: Task, metric: str) -> str:
    """What an axis of this metric says."""
    return f"{task.metrics[metric]} (%)" if task.percent else task.metrics[metric]


def _blind_lines(axes: Axes, scores: pd.DataFrame, metric: str, task: Task, vertical: bool) -> None:
    for name, dash in zip(task.blind, _BLIND_DASHES, strict=False):
        mean = unit_of(task).factor * by_split(scores, name, "av", metric).mean()
        (axes.axvline if vertical else axes.axhline)(mean, color=FAINT, lw=1.3, ls=dash)


def _blind_handles(task: Task) -> list[Line2D]:
    return [
        Line2D([], [], color=FAINT, lw=1.3, ls=dash, label=title)
        for title, dash in zip(task.blind.values(), _BLIND_DASHES, strict=False)
    ]


def _interval(axes: Axes, tests: pd.DataFrame, system: str, row: int, mean: float, task: Task) -> None:
    axes.plot(mean, row, "D", ms=6, color=INK, zorder=4)
    for test in rows_of(tests):
        if (test.system, test.modality, test.metric) == (system, "av", task.headline[0]):
            ends = [unit_of(task).factor * end for end in (test.ci_low, test.ci_high)]
            axes.plot(ends, [row, row], color=INK, lw=1.6, zorder=3)


def _matrix(axes: Axes, counts: np.ndarray, class_names: Sequence[str]) -> None:
    """Percent of each row; a class without clips is a row of zeros."""
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for (i, j), value in np.ndenumerate(percent):
        axes.text(
            j, i, f"{value:.0f}", ha="center", va="center", fontsize=8, color="white" if value > 55 else INK
        )
    names = [_plain(name) for name in class_names]
    axes.set_xticks(range(len(names)), labels=names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), labels=names)
    axes.tick_params(colors=INK, labelsize=8, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
