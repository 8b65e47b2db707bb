"""Where a mean hides a difference: scores by speaker, and by how strongly the emotion was shown."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from avemo.dataset.tasks import Task
from avemo.report.figures import INK, WIDTH_IN, Chart, axis_label, finish, palette, spread, style
from avemo.report.scores import unit_of
from avemo.report.tables import table_of
from avemo.report.writers import Notes, Table


def scores_by(
    predictions: pd.DataFrame, by: str, order: Sequence[str], task: Task, *, mean: bool = True
) -> pd.DataFrame:
    """Rows (system, ``by``, clips, score): audio-visual, on a split's test clips of each value of ``by``.

    The score is `Task.of_parts`; ``clips`` and ``score`` are means over splits, or with ``mean`` False there is a row a split.
    """
    both = predictions[(predictions["modality"] == "av") & predictions["system"].isin(order)]
    both = both[both[by].fillna("") != ""]
    metric = task.of_parts
    rows = [
        (*place, len(part), task.score(part)[metric])
        for place, part in both.groupby(["system", by, "split"], sort=False)
    ]
    found = pd.DataFrame(rows, columns=["system", by, "split", "clips", "score"])
    if not mean:
        return found
    return found.groupby(["system", by], sort=False)[["clips", "score"]].mean().reset_index()


def speakers_table(speakers: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()) -> Table:
    """Of `scores_by` speaker: how far apart each system's best and worst speaker are."""
    unit, rows = unit_of(task), []
    for system in order:
        own = speakers[speakers["system"] == system].sort_values("score")
        quartiles = [unit.value(float(own["score"].quantile(q))) for q in (0.25, 0.5, 0.75)]
        ends = [f"{unit.value(own['score'].iloc[i])} ({own['speaker'].iloc[i]})" for i in (0, -1)]
        rows.append([system, str(len(own)), ends[0], *quartiles, ends[1]])
    caption = (
        f"Audio-visual {_metric(task)} of each speaker's test clips, mean over the splits that "
        "test the speaker: the lowest and the highest with their names, quartiles. The CSV file has every speaker."
    )
    columns = ["system", "speakers", "lowest", "lower quartile", "median", "upper quartile", "highest"]
    return table_of("speakers", "Scores by speaker", caption, rows, columns, speakers, notes)


def intensity_table(levels: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()) -> Table:
    """Of `scores_by` intensity, a row a split: each level's mean ± sd by system."""
    unit, rows = unit_of(task), []
    for level, part in levels.groupby("intensity", sort=False):
        cells = [unit.mean_sd(part.loc[part["system"] == system, "score"]) for system in order]
        rows.append([str(level), f"{part['clips'].mean():.1f}", *cells])
    caption = (
        f"Audio-visual {_metric(task)} in {unit.scale} by how strongly the emotion was shown, as the corpus "
        "says; mean ± sample standard deviation over splits. Clips: test clips, mean over splits."
    )
    columns = ["intensity", "clips", *order]
    return table_of("intensity", "Scores by intensity", caption, rows, columns, levels, notes)


def speakers_chart(speakers: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()) -> Chart:
    """A dot a speaker, a line at each system's median; speakers stand in one order everywhere."""
    unit, colours = unit_of(task), palette(order)
    figure = Figure(figsize=(WIDTH_IN, 1.3 + 0.55 * len(order)), layout="constrained")
    axes = figure.subplots()
    hardest = speakers.groupby("speaker")["score"].mean().sort_values().index
    for row, system in enumerate(order):
        own = speakers[speakers["system"] == system].set_index("speaker")["score"].reindex(hardest)
        axes.plot([unit.factor * own.median()] * 2, [row - 0.38, row + 0.38], color=INK, lw=1.6)
        axes.plot(
            unit.factor * own, spread(row, len(own)), "o", ms=4, mec="white", mew=0.4, color=colours[system]
        )
    axes.set_xlim(min(0.0, unit.factor * speakers["score"].min()), 1.02 * unit.factor)
    axes.set_yticks(range(len(order)), labels=[name.replace("$", r"\$") for name in order])
    axes.set_ylim(len(order) - 0.5, -0.5)
    style(axes, xlabel=axis_label(task, task.of_parts), grid="x")
    caption = (
        f"Audio-visual {_metric(task)}, a dot a speaker, the line at the median. Within each system the speakers "
        "stand from hardest (top) to easiest over all systems."
    )
    medians = speakers.groupby("system")["score"].median()
    alt = f"Median {_metric(task)} over speakers: " + ", ".join(
        f"{s} {unit.value(medians[s])}" for s in order
    )
    return finish("speakers", "Speakers", caption, alt, figure, notes)


def _metric(task: Task) -> str:
    return task.metrics[task.of_parts]
