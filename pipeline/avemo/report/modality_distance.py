"""How far apart a system represents the two modalities of one clip (VAVL, Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from avemo.report.figures import INK, WIDTH_IN, Chart, finish, palette, spread, style
from avemo.report.scores import by_split
from avemo.report.writers import Notes

METRIC = "cosine_distance"


def represented(scores: pd.DataFrame, order: Sequence[str]) -> list[str]:
    """The systems of ``order`` that represent both modalities in one space."""
    having = set(scores.loc[scores["metric"] == METRIC, "system"])
    return [system for system in order if system in having]


def distance_chart(scores: pd.DataFrame, order: Sequence[str], notes: Notes = ()) -> Chart:
    """``1 − cos(r_a, r_v)`` of test clips: a bar for the mean over splits, a dot for each split."""
    systems, colours = represented(scores, order), palette(order)
    figure = Figure(figsize=(WIDTH_IN, 1.2 + 0.45 * len(systems)), layout="constrained")
    axes, told = figure.subplots(), []
    for row, system in enumerate(systems):
        values = by_split(scores, system, "av", METRIC)
        axes.barh(row, values.mean(), height=0.62, color=colours[system], alpha=0.32, lw=0)
        axes.plot(values, spread(row, len(values)), "o", ms=4, mec="white", mew=0.5, color=colours[system])
        axes.text(values.max() + 0.02, row, f"{values.mean():.3f}", va="center", fontsize=9, color=INK)
        told.append(f"{system} {values.mean():.3f}")
    axes.set_yticks(range(len(systems)), labels=[name.replace("$", r"\$") for name in systems])
    axes.set_ylim(len(systems) - 0.5, -0.5)
    axes.set_xlim(left=0)
    style(axes, xlabel="cosine distance", grid="x")
    caption = (
        "Cosine distance between the acoustic and the visual representation, mean over test clips; "
        "0: same direction, 1: orthogonal, 2: opposite. Bars: mean over splits; dots: splits. "
        "Systems without such a pair of vectors are left out."
    )
    alt = "Cosine distance of the modalities: " + ", ".join(told)
    return finish("alignment", "Distance of the modalities", caption, alt, figure, notes)
