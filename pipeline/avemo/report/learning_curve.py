"""Scores over the size of the train part: what more clips would bring."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from avemo.dataset.tasks import Task
from avemo.report.figures import WIDTH_IN, Chart, axis_label, finish, palette, style
from avemo.report.scores import by_split, unit_of
from avemo.report.tables import table_of
from avemo.report.writers import Notes, Table

CAPTION = (
    "Audio-visual {metric} by percent of each split's train clips; smaller parts lie within larger ones, "
    "dev and test stay whole. {how}: mean over splits; {spread}: sample standard deviation."
)


def learning_curve_table(curve: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()) -> Table:
    """``curve``: scores with a column ``percent``, 100 being the whole train part. A row a system."""
    unit, sizes = unit_of(task), sorted(curve["percent"].unique())
    own = curve[(curve["modality"] == "av") & (curve["metric"] == task.headline[0])]
    systems = [name for name in order if name in set(own["system"])]
    rows = [[name, *(unit.mean_sd(values) for values in _points(own, name, sizes, task))] for name in systems]
    caption = CAPTION.format(metric=task.metrics[task.headline[0]], how="Cells", spread="±")
    columns = ["system", *(f"{size} %" for size in sizes)]
    return table_of("learning_curve", "Learning curve", caption, rows, columns, own, notes)


def learning_curve_chart(curve: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()) -> Chart:
    """A line a system, its whiskers over splits; ``curve`` as for the table."""
    unit, sizes, colours = unit_of(task), sorted(curve["percent"].unique()), palette(order)
    figure = Figure(figsize=(WIDTH_IN, 3.2), layout="constrained")
    axes, told = figure.subplots(), []
    for name in (name for name in order if name in set(curve["system"])):
        points = _points(curve, name, sizes, task)
        means = [unit.factor * values.mean() for values in points]
        spreads = [unit.factor * (values.std() if len(values) > 1 else 0.0) for values in points]
        axes.errorbar(sizes, means, spreads, color=colours[name], lw=2, marker="o", capsize=3, label=name)
        told.append(f"{name} " + " ".join(f"{mean:.{unit.digits}f}" for mean in means))
    axes.set_xticks(sizes)
    axes.set_xlim(0, 104)
    style(axes, xlabel="train clips (%)", ylabel=axis_label(task, task.headline[0]), grid="y")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    caption = CAPTION.format(metric=task.metrics[task.headline[0]], how="Points", spread="whiskers")
    alt = f"{task.metrics[task.headline[0]]} at {', '.join(map(str, sizes))} % of train: " + "; ".join(told)
    return finish("learning_curve", "Learning curve", caption, alt, figure, notes)


def _points(curve: pd.DataFrame, system: str, sizes: Sequence[int], task: Task) -> list[pd.Series]:
    """Values over splits at each size."""
    return [by_split(curve[curve["percent"] == s], system, "av", task.headline[0]) for s in sizes]
