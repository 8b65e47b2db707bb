"""Calibration: how often a system is right when it says that it is sure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from avemo.dataset.tasks import Task
from avemo.evaluation.calibration import PREFIX, probabilities, scaled
from avemo.report.figures import FAINT, INK, WIDTH_IN, Chart, finish, palette, style
from avemo.report.formatting import fixed
from avemo.report.scores import by_split
from avemo.report.tables import table_of
from avemo.report.writers import Notes, Table

BINS = 10
COLUMNS = {
    "ece": "ECE",
    "ece_scaled": "ECE, scaled",
    "nll": "NLL",
    "nll_scaled": "NLL, scaled",
    "temperature": "temperature",
}
COLUMNS_WIDE = 4
"""Panels beside each other."""


def has_calibration(scores: pd.DataFrame) -> bool:
    """Whether a run has such scores; folders from before have none."""
    return bool((scores["metric"] == f"{PREFIX}ece").any())


def calibration_table(scores: pd.DataFrame, order: Sequence[str], notes: Notes = ()) -> Table:
    """Means over splits, as they are and with each split's temperature."""
    rows, raw = [], []
    for system in order:
        values = {name: by_split(scores, system, "av", PREFIX + name) for name in COLUMNS}
        rows.append([system, *(fixed(float(found.mean()), 3) for found in values.values())])
        raw.append({"system": system} | {name: float(found.mean()) for name, found in values.items()})
    caption = (
        "Audio-visual, mean over splits. ECE: expected calibration error, the mean distance between how sure a system is and "
        "how often it is right, in 15 bins; NLL: negative log-likelihood. Scaled: with the logits divided by one temperature "
        "a split, under which dev's labels are most likely (Guo et al. 2017); above 1 the system was too sure. "
        "The temperature changes no class that is taken."
    )
    return table_of(
        "calibration", "Calibration", caption, rows, ["system", *COLUMNS.values()], pd.DataFrame(raw), notes
    )


def reliability_chart(
    predictions: pd.DataFrame, scores: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()
) -> Chart:
    """A panel a system: how often it is right by how sure it is, before and after the temperature."""
    wide = min(COLUMNS_WIDE, len(order))
    high, colours, told = -(-len(order) // wide), palette(order), []
    figure = Figure(figsize=(WIDTH_IN, 0.5 + 2.5 * high), layout="constrained")
    panels = figure.subplots(high, wide, squeeze=False).ravel()
    for panel in panels[len(order) :]:
        panel.set_visible(False)
    for panel, system in zip(panels, order, strict=False):
        panel.plot([0, 1], [0, 1], color=FAINT, lw=1)
        before, after = (
            (pd.concat(list(_sure(predictions, scores, system, task, how)))) for how in (False, True)
        )
        for found, look in (
            (before, {"color": FAINT, "ls": "--"}),
            (after, {"color": colours[system], "ls": "-"}),
        ):
            points = reliability(found["sure"].to_numpy(), found["right"].to_numpy())
            panel.plot(points["sure"], points["right"], marker="o", ms=3.5, lw=1.6, **look)
        panel.set_title(system.replace("$", r"\$"), fontsize=9, color=INK)
        panel.set_xlim(0, 1)
        panel.set_ylim(0, 1)
        style(panel, xlabel="how sure", ylabel="how often right")
        told.append(f"{system} is {before['sure'].mean():.2f} sure and {before['right'].mean():.2f} right")
    what = (
        "the class taken"
        if task.kind == "classes"
        else "each emotion's presence or absence, whichever is taken"
    )
    caption = (
        f"Test clips of all splits, audio-visual, in {BINS} bins by the probability of {what}. Dashed: as the system says it; "
        "solid: with the temperature of dev. On the diagonal a system is as right as it is sure; below, it is too sure."
    )
    return finish("reliability", "Calibration", caption, "; ".join(told), figure, notes)


def reliability(sure: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    """``sure, right, clips`` of each bin of equal width that holds any: means, and a count."""
    bins = np.digitize(sure, np.arange(1, BINS) / BINS, right=True)
    frame = pd.DataFrame({"bin": bins, "sure": sure, "right": right})
    return frame.groupby("bin").agg(sure=("sure", "mean"), right=("right", "mean"), clips=("sure", "size"))


def _sure(
    predictions: pd.DataFrame, scores: pd.DataFrame, system: str, task: Task, with_temperature: bool
) -> Iterator[pd.DataFrame]:
    """By split: the probability of what is taken, and whether it is right."""
    temperatures = by_split(scores, system, "av", f"{PREFIX}temperature")
    own = predictions[(predictions["system"] == system) & (predictions["modality"] == "av")]
    for split, table in own.groupby("split"):
        p = probabilities(task, table)
        if with_temperature:
            p = scaled(task, p, float(temperatures[split]))
        if task.kind == "classes":
            yield pd.DataFrame({"sure": p.max(1), "right": table["target"].to_numpy() == p.argmax(1)})
        else:
            true = table[[f"target_{name}" for name in task.names]].to_numpy()
            taken = p > 0.5
            sure = np.where(taken, p, 1 - p)
            yield pd.DataFrame({"sure": sure.ravel(), "right": (taken == true).ravel()})
