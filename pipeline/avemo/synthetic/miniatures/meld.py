"""MELD's layout: three tables, and films of utterances that show who speaks beside who listens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avemo.corpora.base import Counting
from avemo.corpora.meld import SIDES
from avemo.synthetic.encode import write_clip
from avemo.synthetic.generate import render
from avemo.synthetic.miniatures.studio import open_folder, settings, sides, takes_by_speaker, write_rows
from avemo.synthetic.takes import Take
from avemo.synthetic.voice import RATE_HZ

EMOTIONS = {
    "ANG": ("anger", "negative"),
    "DIS": ("disgust", "negative"),
    "FEA": ("fear", "negative"),
    "HAP": ("joy", "positive"),
    "NEU": ("neutral", "neutral"),
    "SAD": ("sadness", "negative"),
}
NAMES = ("Joey", "Ross", "Rachel", "Phoebe", "Monica", "Chandler")
COLUMNS = (
    *("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"),
    *("Season", "Episode", "StartTime", "EndTime"),
)


def write(root: Path, speakers: int = 3, progress: Counting | None = None) -> None:
    """Two dialogues of three utterances for each of ``speakers``, in which the next one listens; all sides have some."""
    config = settings(speakers)
    open_folder(root, "MELD")
    people = takes_by_speaker(config)
    dialogues = [(number, takes[at : at + 3]) for number, takes in enumerate(people) for at in (0, 3)]
    given = sides(len(dialogues), ("train", "dev", "test"))
    rows: dict[str, list[list[object]]] = {side: [] for side in SIDES}
    for done, ((number, takes), side) in enumerate(zip(dialogues, given, strict=True), start=1):
        dialogue = given[: done - 1].count(side)
        for utterance, take in enumerate(takes):
            path = root.joinpath(*SIDES[side], f"dia{dialogue}_utt{utterance}.mp4")
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                frames, signal = render(take, config)
                listener, _ = render(people[(number + 1) % speakers][4], config)
                write_clip(path, _beside(frames, listener[0]), config.fps, signal, RATE_HZ)
            rows[side].append(
                _row(len(rows[side]) + 1, take, NAMES[number % len(NAMES)], dialogue, utterance)
            )
        if progress:
            progress(done, len(dialogues))
    for side, listed in rows.items():
        write_rows(root / f"{side}_sent_emo.csv", COLUMNS, listed)


def _beside(frames: np.ndarray, listener: np.ndarray) -> np.ndarray:
    """``frames (n, height, width, 3)`` with a smaller, still face to their right."""
    small = np.full_like(listener, 90)
    half = listener[::2, ::2]
    small[-half.shape[0] :, : half.shape[1]] = half
    return np.concatenate([frames, np.broadcast_to(small, frames.shape)], axis=2)


def _row(number: int, take: Take, speaker: str, dialogue: int, utterance: int) -> list[object]:
    times = [f"00:0{dialogue % 10}:{3 * utterance + second:02d},000" for second in (1, 2)]
    return [
        number,
        take.sentence,
        speaker,
        *EMOTIONS[take.emotion],
        dialogue,
        utterance,
        1,
        1 + dialogue,
        *times,
    ]
