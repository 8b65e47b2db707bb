"""MSP-IMPROV's layout: six dyads, target sentences improvised and read, raters' notes, partitions."""

from __future__ import annotations

from pathlib import Path

from avemo.base.atomic import aside
from avemo.corpora.base import Counting
from avemo.synthetic.miniatures.studio import (
    feeling,
    film,
    open_folder,
    rotated,
    settings,
    takes_by_speaker,
    write_rows,
)
from avemo.synthetic.takes import Take

LETTERS = {"ANG": "A", "HAP": "H", "NEU": "N", "SAD": "S"}
WORDS = {"A": "Angry", "H": "Happy", "N": "Neutral", "S": "Sad"}


def write(root: Path, speakers: int = 6, progress: Counting | None = None) -> None:
    """``speakers`` (two a dyad) improvise four target emotions and read one.

    Writes ``session<d>/S01<emotion>/<T or R>/MSP-IMPROV-….{avi,wav}``,
    ``Evaluation.txt`` and ``partitions/labels_consensus_<1 to 5>.csv``, one
    dyad in dev and one in test.
    """
    config = settings(speakers)
    open_folder(root, "MSP-IMPROV")
    clips = [clip for number, takes in enumerate(takes_by_speaker(config)) for clip in _clips(number, takes)]
    for done, (name, take) in enumerate(clips, start=1):
        scene, recording = name.split("-")[2], name.split("-")[4]
        folder = root / f"session{int(name.split('-')[3][1:])}" / scene / recording
        film(take, config, folder / f"{name}.avi", folder / f"{name}.wav")
        if progress:
            progress(done, len(clips))
    _write_evaluation(root / "Evaluation.txt", clips)
    for number in range(5):
        write_rows(
            root / "partitions" / f"labels_consensus_{number + 1}.csv",
            ("FileName", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set"),
            [_row(name, take, rotated((speakers + 1) // 2, number)) for name, take in clips],
        )


def _clips(number: int, takes: list[Take]) -> list[tuple[str, Take]]:
    """Names and takes of speaker ``number``; a man and a woman make a dyad."""
    sex, dyad = takes[0].actor.sex[0].upper(), number // 2 + 1
    other = {"F": "M", "M": "F"}[sex]
    found = [
        (f"MSP-IMPROV-S01{LETTERS[take.emotion]}-{sex}{dyad:02d}-T-{sex}{other}01", take)
        for take in takes
        if take.emotion in LETTERS
    ]
    read = next(take for take in takes if take.emotion == "SAD")
    return [*found, (f"MSP-IMPROV-S01S-{sex}{dyad:02d}-R-{sex}{sex}01", read)]


def _row(name: str, take: Take, sides: list[str]) -> list[object]:
    sex, dyad = name.split("-")[3][0], int(name.split("-")[3][1:])
    gender = {"F": "Female", "M": "Male"}[sex]
    return [f"{name}.wav", *feeling(take), dyad, gender, sides[dyad - 1]]


def _write_evaluation(path: Path, clips: list[tuple[str, Take]]) -> None:
    """Two lines a clip, what was agreed and one rater, and an empty one, as in the corpus' own file."""
    lines = []
    for name, take in clips:
        letter = LETTERS[take.emotion]
        a, v, d = feeling(take)
        lines += [
            f"UTD{name[3:]}.avi; {letter}; A:{a:.6f}; V:{v:.6f}; D:{d:.6f} ; N:4.000000;",
            f"generated; {WORDS[letter]}; {WORDS[letter]}; A:{a:.6f}; V:{v:.6f}; D:{d:.6f}; N:4.000000;",
            "",
        ]
    with aside(path) as temporary:
        temporary.write_text("\n".join(lines))
