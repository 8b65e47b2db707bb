"""Raters who do not agree: the vote table, in the columns of CREMA-D's ``tabulatedVotes.csv``.

A rater compares what a clip shows with the prototypes at its intensity and
picks an emotion with probability softmax(-d² / 2 s²), d being the distance in
the axes of the modality at hand, over both modalities added when both are
given. So raters of one modality mix up what that modality mixes up.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avemo.base.atomic import aside
from avemo.synthetic.demo_config import DemoConfig
from avemo.synthetic.prototypes import EMOTIONS, at_intensity, face_prototypes, voice_prototypes
from avemo.synthetic.takes import Take

LETTERS = "ADFHNS"
"""One per emotion of `EMOTIONS`, in the same order."""
FULL_NAMES = ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad")
MODES = {100_000: "voice", 200_000: "face", 300_000: "both"}
"""First row id of each rating mode, less one."""
KEENNESS = {"voice": 0.47, "face": 0.42}
"""A rater's blur s per modality: the distance at which two expressions begin to look alike."""
LAPSE = 0.04
"""Share of answers given at random."""
COLUMNS = (
    *("", *LETTERS, "fileName", "numResponses", "agreement", "emoVote"),
    *("meanEmoResp", *(f"mean{name}Resp" for name in FULL_NAMES), "medianEmoResp"),
    *("meanEmoRespNorm", *(f"mean{name}RespNorm" for name in FULL_NAMES), "medianEmoRespNorm"),
)


def write_votes(path: Path, takes: Sequence[Take], config: DemoConfig) -> None:
    """``tabulatedVotes.csv``: a row per rating mode and clip."""
    rows = [
        [str(first + number), *vote_row(take, mode, first, config)]
        for first, mode in MODES.items()
        for number, take in enumerate(takes, start=1)
    ]
    _write_table(path, COLUMNS, rows)


def write_demographics(path: Path, takes: Sequence[Take]) -> None:
    """``VideoDemographics.csv``: a row per actor; nobody here has a race."""
    actors = {take.actor.name: take.actor for take in takes}.values()
    rows = [[int(a.name), a.age, a.sex.capitalize(), "Generated", "Generated"] for a in actors]
    _write_table(path, ("ActorID", "Age", "Sex", "Race", "Ethnicity"), rows)


def vote_row(take: Take, mode: str, stream: int, config: DemoConfig) -> list[object]:
    """One row after its id: counts, agreement, vote (``A:D`` when tied) and mean ratings 0 to 100."""
    rng = take.rng(stream)
    n_raters = int(rng.integers(8, 12))
    chosen = rng.choice(len(EMOTIONS), n_raters, p=choices(take, mode, config))
    counts = np.bincount(chosen, minlength=len(EMOTIONS))
    ratings = np.clip(np.round(rng.normal(30 + 45 * take.gain, 18, n_raters)), 1, 100)
    low, high = rng.uniform(0, 20, n_raters), rng.uniform(92, 110, n_raters)
    scaled = np.clip(100 * (ratings - low) / (high - low), 0, 100)
    winners = ":".join(LETTERS[i] for i in np.flatnonzero(counts == counts.max()))
    head = [*map(int, counts), take.name, n_raters, float(counts.max() / n_raters), winners]
    return [*head, *_rating_columns(ratings, chosen), *_rating_columns(scaled, chosen)]


def choices(take: Take, mode: str, config: DemoConfig) -> np.ndarray:
    """``(emotions,)`` probability that a rater of ``mode`` picks each; sums to 1."""
    energy = np.zeros(len(EMOTIONS))
    if mode != "face":
        energy += _energy(take.voice, voice_prototypes(config.voice_gap), take.gain, KEENNESS["voice"])
    if mode != "voice":
        energy += _energy(take.face, face_prototypes(config.face_gap), take.gain, KEENNESS["face"])
    likely = np.exp(energy.min() - energy)
    return (1 - LAPSE) * likely / likely.sum() + LAPSE / len(EMOTIONS)


def _energy(shown: np.ndarray, prototypes: np.ndarray, gain: float, blur: float) -> np.ndarray:
    """Half the squared distance of ``shown`` from each emotion at ``gain``, in units of ``blur``."""
    return ((at_intensity(prototypes, gain) - shown) ** 2).sum(axis=1) / (2 * blur**2)


def _rating_columns(ratings: np.ndarray, chosen: np.ndarray) -> list[float]:
    """Mean over all raters, over those who chose each emotion (-1 where none did), and the median."""
    each = [ratings[chosen == i].mean() if (chosen == i).any() else -1 for i in range(len(EMOTIONS))]
    return [float(value) for value in (ratings.mean(), *each, np.median(ratings))]


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with aside(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
