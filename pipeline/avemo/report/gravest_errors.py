"""The gravest errors of a system with what it saw and heard: face crops, and contours of pitch and loudness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from avemo.dataset.tasks import Task
from avemo.report.answers import told
from avemo.report.figures import COLOURS, FAINT, INK, WIDTH_IN, Chart, finish, style
from avemo.report.writers import Notes

SHOWN, CROPS = 4, 6
"""Clips in the figure, and faces of each."""

CONTOURS = {"F0final_sma": "F0 (Hz)", "pcm_RMSenergy_sma": "energy (RMS)"}
"""Low-level descriptors that are drawn; a frame without voice has no F0."""


@dataclass(frozen=True)
class ErrorCase:
    """One clip: ``told`` is truth and answer in words, ``crops (height, width, 3)`` uint8 in order of time,
    ``contours`` by name of `CONTOURS` ``(frames,)`` at ``times_s``; empty without picture or sound."""

    clip_id: str
    told: str
    crops: Sequence[np.ndarray]
    times_s: np.ndarray
    contours: Mapping[str, np.ndarray]


def gravest_errors(predictions: pd.DataFrame, task: Task, count: int = SHOWN) -> pd.DataFrame:
    """Rows ``clip_id, split, told`` of one system's audio-visual predictions, the worst first, each clip once."""
    both = predictions[predictions["modality"] == "av"]
    both = both.assign(wrongness=task.wrongness(both)).sort_values(
        ["wrongness", "clip_id"], ascending=[False, True]
    )
    worst = both[both["wrongness"] > 0].drop_duplicates("clip_id").head(count)
    rows = [{str(name): value for name, value in row.items()} for row in worst.to_dict("records")]
    return worst[["clip_id", "split"]].assign(told=[told(task, row) for row in rows])


def errors_chart(cases: Sequence[ErrorCase], system: str, notes: Notes = ()) -> Chart:
    """A row a clip: its faces at the left, its contours at the right."""
    figure = Figure(figsize=(WIDTH_IN, 0.3 + 1.5 * len(cases)), layout="constrained")
    rows = figure.subfigures(len(cases), 1, squeeze=False)[:, 0]
    for part, case in zip(rows, cases, strict=True):
        part.suptitle(
            f"{case.clip_id}: {case.told}".replace("$", r"\$"), x=0.01, ha="left", fontsize=9, color=INK
        )
        faces, sound = part.subplots(1, 2, width_ratios=(3, 2))
        _draw_faces(faces, case)
        _draw_contours(sound, case)
    caption = (
        f"Test clips on whose audio-visual answer {system} is furthest from the truth, the worst first. Left: faces as "
        f"the models see them, evenly spaced in time. Right: {' (blue) and '.join(CONTOURS.values())} (orange) over "
        "time in s, openSMILE's."
    )
    alt = f"Errors of {system}: " + "; ".join(f"{case.clip_id}, {case.told}" for case in cases)
    return finish("errors", "Errors", caption, alt, figure, notes)


def _draw_faces(axes: Axes, case: ErrorCase) -> None:
    axes.set_axis_off()
    if case.crops:
        axes.imshow(np.concatenate(list(case.crops), axis=1))
    else:
        axes.text(0, 0.5, "no face track", color=FAINT, fontsize=9)


def _draw_contours(axes: Axes, case: ErrorCase) -> None:
    if not case.contours:
        axes.set_axis_off()
        axes.text(0, 0.5, "no sound", color=FAINT, fontsize=9)
        return
    pitch, energy = CONTOURS
    voiced = np.where(case.contours[pitch] > 0, case.contours[pitch], np.nan)
    axes.plot(case.times_s, voiced, ".", ms=2.5, color=COLOURS[0])
    style(axes, ylabel=CONTOURS[pitch])
    other = axes.twinx()
    other.plot(case.times_s, case.contours[energy], color=COLOURS[1], lw=1)
    style(other, ylabel=CONTOURS[energy])
    other.grid(visible=False)
