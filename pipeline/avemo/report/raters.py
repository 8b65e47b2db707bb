"""Raters: how far a system follows their votes, and how far they follow each other, which is as far as one can get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from avemo.dataset.tasks import Task
from avemo.evaluation.agreement import (
    SCORES,
    agreement_scores,
    krippendorff_alpha,
    most_voted,
    one_rater,
    shares_of,
)
from avemo.evaluation.calibration import probabilities
from avemo.report.figures import FAINT, INK, WIDTH_IN, Chart, finish, palette, style
from avemo.report.formatting import fixed
from avemo.report.tables import table_of
from avemo.report.writers import ABSENT, Notes, Table

BINS = 5
"""Of equal width, by the share of the class that most raters named."""
RATER, VOTES = "one rater, by the others", "the votes themselves"


def raters_table(
    predictions: pd.DataFrame, votes: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()
) -> Table:
    """Means over splits of each system's scores against the ``votes`` (clips, classes), and what raters reach."""
    raw = []
    for system in order:
        found = [agreement_scores(counts, p) for counts, p in _by_split(predictions, votes, system, task)]
        raw.append({"system": system} | pd.DataFrame(found).mean().to_dict())
    tested = [counts for counts, _ in _by_split(predictions, votes, order[0], task)]
    limits = pd.DataFrame([most_voted(counts) for counts in tested]).mean().to_dict()
    raw.append({"system": RATER, "share": float(np.mean([one_rater(counts) for counts in tested]))})
    raw.append({"system": VOTES} | limits)
    rows = [
        [str(row["system"]), *(fixed(float(row[name]), 3) if name in row else ABSENT for name in SCORES)]
        for row in raw
    ]
    counts = votes.to_numpy()
    caption = (
        "Audio-visual, on test clips that raters judged, mean over splits. Raters' share: how many of a clip's raters named "
        "the class that is taken. Cross-entropy (nats) and Jensen-Shannon divergence (bits, 0 to 1; both: less is better) and "
        "cosine compare the probabilities with the votes' shares. "
        f"{RATER.capitalize()}: as often does a rater name what another one named; {VOTES}: as good as can be. "
        f"Of the {len(counts)} tested clips that were judged, {counts.sum(axis=1).mean():.1f} votes each, Krippendorff's alpha is "
        f"{fixed(krippendorff_alpha(counts), 2)} (1: raters always agree, 0: as by chance)."
    )
    return table_of(
        "raters",
        "Agreement with raters",
        caption,
        rows,
        ["system", *SCORES.values()],
        pd.DataFrame(raw),
        notes,
        rule_before=len(order),
    )


def raters_chart(
    predictions: pd.DataFrame, votes: pd.DataFrame, order: Sequence[str], task: Task, notes: Notes = ()
) -> Chart:
    """A line a system: the raters' share of the class that it takes, by how many raters agree on the clip."""
    figure = Figure(figsize=(WIDTH_IN, 3.6), layout="constrained")
    axes, colours, told = figure.subplots(), palette(order), []
    clips = np.concatenate([counts for counts, _ in _by_split(predictions, votes, order[0], task)])
    most = shares_of(clips).max(axis=1)
    axes.plot(*_binned(most, most), lw=1.4, color=INK, label=VOTES)
    axes.plot(*_binned(most, _others(clips)), lw=1.4, color=FAINT, ls="--", label=RATER)
    for system in order:
        parts = list(_by_split(predictions, votes, system, task))
        shares = [shares_of(counts)[np.arange(len(p)), p.argmax(axis=1)] for counts, p in parts]
        agreed = np.concatenate([shares_of(counts).max(axis=1) for counts, _ in parts])
        plain = system.replace("$", r"\$")
        axes.plot(*_binned(agreed, np.concatenate(shares)), "-o", ms=4, color=colours[system], label=plain)
        told.append(f"{system} {np.concatenate(shares).mean():.2f}")
    axes.set_ylim(0, 1.02)
    style(axes, xlabel="share of the class that most raters named", ylabel="raters' share of what is taken")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    caption = (
        f"Test clips of all splits, audio-visual, in {BINS} bins by how many raters agree. On the upper line a system takes "
        "what most raters named; on the dashed one it does as a rater does among the others."
    )
    alt = f"Raters' share of the class that is taken: {', '.join(told)}; of one rater {np.nanmean(_others(clips)):.2f}"
    return finish("raters", "Agreement with raters", caption, alt, figure, notes)


def _by_split(
    predictions: pd.DataFrame, votes: pd.DataFrame, system: str, task: Task
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Votes and probabilities of a system's judged test clips."""
    own = predictions[(predictions["system"] == system) & (predictions["modality"] == "av")]
    for _, table in own[own["clip_id"].isin(votes.index)].groupby("split"):
        yield votes.loc[table["clip_id"]].to_numpy(), probabilities(task, table)


def _others(votes: np.ndarray) -> np.ndarray:
    """Of each clip: the share of the other raters who named what a rater named, mean over raters; NaN for one alone."""
    return np.array([one_rater(row[None]) for row in votes])


def _binned(agreed: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of both in each bin that holds any."""
    bins = np.digitize(agreed, np.arange(1, BINS) / BINS, right=True)
    means = pd.DataFrame({"bin": bins, "agreed": agreed, "value": values}).groupby("bin").mean()
    return means["agreed"].to_numpy(), means["value"].to_numpy()
