"""MSP-Podcast's layout: speaking turns and their consensus labels."""

from __future__ import annotations

from pathlib import Path

from avemo.corpora.base import Counting
from avemo.synthetic.encode import write_wav
from avemo.synthetic.generate import sound
from avemo.synthetic.miniatures.studio import (
    feeling,
    open_folder,
    settings,
    sides,
    takes_by_speaker,
    write_rows,
)
from avemo.synthetic.takes import Take
from avemo.synthetic.voice import RATE_HZ

CLASSES = {"ANG": "A", "DIS": "D", "FEA": "F", "HAP": "H", "NEU": "N", "SAD": "S"}


def write(root: Path, speakers: int = 3, progress: Counting | None = None) -> None:
    """Six turns of each of ``speakers``: ``Audios/*.wav`` and ``Labels/labels_consensus.csv``."""
    open_folder(root, "MSP-Podcast")
    (root / "Audios").mkdir(exist_ok=True)
    people = takes_by_speaker(settings(speakers, seed=2))
    given = sides(speakers, ("Train", "Development", "Test1"))
    turns = [
        (f"MSP-PODCAST_{number + 1:04d}_{turn:04d}.wav", number, take)
        for number, takes in enumerate(people)
        for turn, take in enumerate(takes, start=1)
    ]
    for done, (name, _, take) in enumerate(turns, start=1):
        if not (root / "Audios" / name).exists():
            write_wav(root / "Audios" / name, sound(take), RATE_HZ)
        if progress:
            progress(done, len(turns))
    write_rows(
        root / "Labels" / "labels_consensus.csv",
        ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set"),
        [_row(name, number, take, given[number]) for name, number, take in turns],
    )


def _row(name: str, number: int, take: Take, side: str) -> list[object]:
    sex = take.actor.sex.capitalize()
    return [name, CLASSES[take.emotion], *feeling(take, scale=7), number + 1, sex, side]
