"""A recording's answers over time: one window after another."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from avemo.base.contracts import Status
from avemo.dataset.tasks import Task
from avemo.report.figures import COLOURS, DASHES, FAINT, WIDTH_IN, Chart, finish, style
from avemo.report.writers import Notes


def timeline(rows: pd.DataFrame, task: Task, duration_s: float | None = None, notes: Notes = ()) -> Chart:
    """A line an output over the middles of windows, grey where a window has no answer.

    ``rows`` are those of one recording in a table of predictions; ``duration_s`` ends the last window.
    """
    ends_s = rows["end_s"].fillna(duration_s if duration_s else rows["start_s"].max())
    middle_s = (rows["start_s"] + ends_s) / 2
    fine = rows["status"] == Status.ok
    figure = Figure(figsize=(WIDTH_IN, 3.2), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(task.names):
        column = f"prediction_{name}" if task.readout_name == "values" else f"p_{name}"
        axes.plot(
            middle_s,
            rows[column].where(fine),
            marker="o",
            ms=3,
            lw=1.6,
            color=COLOURS[number % len(COLOURS)],
            ls=DASHES[number // len(COLOURS) % len(DASHES)],
            label=name.replace("$", r"\$"),
        )
    for start_s, end_s in zip(rows.loc[~fine, "start_s"], ends_s[~fine], strict=True):
        axes.axvspan(start_s, end_s, color=FAINT, alpha=0.18, lw=0)
    if task.readout_name == "probabilities":
        axes.set_ylim(0, 1)
    axes.set_xlim(float(rows["start_s"].min()), float(ends_s.max()) or None)
    what = "probability" if task.readout_name == "probabilities" else "value"
    style(axes, xlabel="middle of the window (s)", ylabel=what)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    lost = int((~fine).sum())
    caption = f"{len(rows)} windows of {rows['clip_id'].iloc[0]}" + (
        f"; grey: {lost} without an answer." if lost else "."
    )
    alt = f"{what} of {', '.join(task.names)} over {len(rows)} windows; see the table."
    return finish("timeline", "Over time", caption, alt, figure, notes)
