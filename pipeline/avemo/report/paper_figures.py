"""A paper's figures again: bars of our means, the printed values as diamonds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from avemo.papers.definitions import UNITS, TableDefinition
from avemo.report.figures import INK, WIDTH_IN, Chart, finish, palette, style
from avemo.report.writers import Notes, Table


def paper_chart(definition: TableDefinition, table: Table, notes: Notes = ()) -> Chart:
    """One group of bars a column, one bar a row; rows that are differences stay in the table."""
    rows = [row for row in definition.rows if not row.minus]
    figure = Figure(figsize=(WIDTH_IN, 3.6), layout="constrained")
    axes, colours, width = figure.subplots(), palette([row.name for row in rows]), 0.8 / len(rows)
    for i, row in enumerate(rows):
        part = table.raw[table.raw["row"] == row.name]
        at = np.arange(len(part)) + (i - (len(rows) - 1) / 2) * width
        axes.bar(at, part["ours"], width=0.9 * width, color=colours[row.name], alpha=0.85, lw=0)
        axes.errorbar(at, part["ours"], part["sd"].fillna(0), color=INK, lw=0, elinewidth=1, capsize=2)
        axes.plot(at, part["published"], "D", ms=5, mfc="white", mec=INK, ls="")
    labels = [f"{column.group}\n{column.name}".strip() for column in definition.columns]
    axes.set_xticks(range(len(labels)), labels=labels)
    unit = {"share": "", "percent": "%", "count": "clips"}[definition.unit]
    style(axes, ylabel=unit, grid="y")
    handles: list[Patch | Line2D] = [
        Patch(color=colours[row.name], alpha=0.85, label=row.name) for row in rows
    ]
    if table.raw.loc[table.raw["row"].isin(list(colours)), "published"].notna().any():
        handles.append(Line2D([], [], marker="D", mfc="white", mec=INK, ls="", label="published"))
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8)
    caption = "Bars: our means over splits; whiskers: sample standard deviation. The table has the numbers."
    title = f"{definition.source}: {definition.title}"
    return finish(definition.name, title, caption, _alt(definition, table.raw), figure, notes)


def _alt(definition: TableDefinition, raw: pd.DataFrame) -> str:
    """The bars in words."""
    _, digits = UNITS[definition.unit]
    drawn = raw[raw["row"].isin([row.name for row in definition.rows if not row.minus]) & raw["ours"].notna()]
    told = [f"{r.row}, {r.group} {r.column}: {r.ours:.{digits}f}" for r in drawn.itertuples()]
    return f"{definition.title}. " + ("; ".join(told) or "no scores yet")
