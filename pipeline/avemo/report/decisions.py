"""Decision curves: at which thresholds acting on a system's probability is better than acting always or never."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from avemo.dataset.tasks import Task
from avemo.evaluation.decisions import THRESHOLDS, benefit_of_all, net_benefit
from avemo.report.figures import FAINT, INK, WIDTH_IN, Chart, finish, palette, style
from avemo.report.formatting import fixed
from avemo.report.tables import table_of
from avemo.report.writers import Notes, Table

SHOWN = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
"""Thresholds of the table."""
COLUMNS_WIDE = 3
"""Panels beside each other."""
ALL = "every clip"
"""What is acted on whatever is predicted."""


def decisions_table(predictions: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()) -> Table:
    """Net benefit at `SHOWN`, mean over emotions and splits."""
    found = curves(predictions, order, task, SHOWN)
    means = found.groupby(["system", "threshold"], sort=False)["benefit"].mean().unstack()
    rows = [
        [system, *(fixed(float(value), 3) for value in means.loc[system].to_numpy())]
        for system in (*order, ALL)
    ]
    caption = (
        "Audio-visual net benefit per clip (Vickers, Elkin 2006), mean over emotions and splits: hits less false alarms, which "
        "weigh t / (1 − t) where one acts from a probability of t on. At 0.2 a hit is worth four false alarms, at 0.5 one. "
        f"Acting on no clip has 0; {ALL}: acting on all. A system that is below either at a threshold is of no use there."
    )
    columns = ["system", *(f"t = {threshold:g}" for threshold in SHOWN)]
    return table_of("decisions", "Net benefit", caption, rows, columns, found, notes, rule_before=len(order))


def decisions_chart(predictions: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()) -> Chart:
    """A panel an emotion: net benefit by the threshold, of each system, of acting always and of never."""
    found = curves(predictions, order, task, THRESHOLDS)
    means = found.groupby(["emotion", "system", "threshold"])["benefit"].mean()
    wide = min(COLUMNS_WIDE, len(task.names))
    high, colours = -(-len(task.names) // wide), palette(order)
    figure = Figure(figsize=(WIDTH_IN, 0.6 + 2.4 * high), layout="constrained")
    panels = figure.subplots(high, wide, squeeze=False).ravel()
    for panel in panels[len(task.names) :]:
        panel.set_visible(False)
    for panel, emotion in zip(panels, task.names, strict=False):
        always = means[emotion, ALL]
        panel.axhline(0, color=INK, lw=1)
        panel.plot(always.index, always, color=FAINT, ls="--", lw=1.2, label=f"acting on {ALL}")
        highest = max(0.02, *(means[emotion, system].max() for system in (*order, ALL)))
        for system in order:
            curve = means[emotion, system]
            panel.plot(curve.index, curve, color=colours[system], lw=1.6, label=system.replace("$", r"\$"))
        panel.set_title(emotion, fontsize=9, color=INK)
        panel.set_ylim(-0.25 * highest, 1.1 * highest)
        panel.set_xlim(0, 0.9)
        style(panel, xlabel="threshold", ylabel="net benefit")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    whole = found.groupby("system", sort=False)["benefit"].mean()
    alt = "Net benefit, mean over emotions and thresholds: " + ", ".join(
        f"{system} {fixed(float(whole[system]), 3)}" for system in (*order, ALL)
    )
    caption = (
        "Audio-visual, mean over splits. The threshold is the probability from which one would act, such as look at a clip; "
        "dashed: acting on every clip, the line at 0: on none. The higher curve is worth more at that threshold."
    )
    return finish("decisions", "Decision curves", caption, alt, figure, notes)


def curves(
    predictions: pd.DataFrame, order: Sequence[str], task: Task, thresholds: np.ndarray
) -> pd.DataFrame:
    """``system, split, emotion, threshold, benefit`` of each system, and of `ALL` by the first one's clips."""
    parts = []
    both = predictions[predictions["modality"] == "av"]
    for (system, split), table in both[both["system"].isin(order)].groupby(["system", "split"], sort=False):
        for emotion in task.names:
            true, p = table[f"target_{emotion}"].to_numpy(), table[f"p_{emotion}"].to_numpy(np.float64)
            values = {system: net_benefit(true, p, thresholds)}
            if system == order[0]:
                values[ALL] = benefit_of_all(true, thresholds)
            place = {"split": split, "emotion": emotion, "threshold": thresholds}
            parts += [
                pd.DataFrame({"system": name, **place, "benefit": benefit})
                for name, benefit in values.items()
            ]
    return pd.concat(parts, ignore_index=True)
