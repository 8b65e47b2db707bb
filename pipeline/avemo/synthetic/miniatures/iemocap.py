"""IEMOCAP's layout: sessions of two, films that show both, turns cut out of them, raters' files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from avemo.base.atomic import aside
from avemo.base.contracts import AvemoError
from avemo.corpora.base import Counting
from avemo.synthetic.demo_config import DemoConfig
from avemo.synthetic.encode import write_wav
from avemo.synthetic.generate import render
from avemo.synthetic.miniatures.studio import (
    feeling,
    in_step,
    open_folder,
    save,
    settings,
    takes_by_speaker,
)
from avemo.synthetic.takes import Take
from avemo.synthetic.voice import RATE_HZ

EMOTIONS = {"ANG": "ang", "DIS": "fru", "FEA": "fea", "HAP": "hap", "NEU": "neu", "SAD": "sad"}
"""The demo's actors know no frustration; disgust stands for it."""
WORDS = {
    "ang": "Anger",
    "fru": "Frustration",
    "fea": "Fear",
    "hap": "Happiness",
    "neu": "Neutral state",
    "sad": "Sadness",
}
ACTORS = 10


def write(root: Path, speakers: int = 6, progress: Counting | None = None) -> None:
    """Two dialogues of each two of ``speakers``, one improvised and one by script; of each, the other one wears the markers."""
    if speakers > ACTORS:
        raise AvemoError(
            f"--speakers: expected at most {ACTORS}, as IEMOCAP has, found {speakers}; ask for fewer"
        )
    config = settings(speakers)
    open_folder(root, "IEMOCAP")
    people = takes_by_speaker(config)
    sessions = [people[start : start + 2] for start in range(0, speakers, 2)]
    for number, pair in enumerate(sessions, start=1):
        for part, dialogue in enumerate(("impro01", "script01_1")):
            takes = [take for person in pair for take in person[3 * part : 3 * part + 3]]
            marked = _sex(pair[part % len(pair)][0])
            _write_dialogue(root / f"Session{number}", f"Ses{number:02d}{marked}_{dialogue}", takes, config)
        if progress:
            progress(number, len(sessions))


def _sex(take: Take) -> str:
    return take.actor.sex[0].upper()


def _write_dialogue(session: Path, name: str, takes: Sequence[Take], config: DemoConfig) -> None:
    """The film, its sound, each turn's sound, and what raters said."""
    film = session / "dialog" / "avi" / "DivX" / f"{name}.avi"
    sound = session / "dialog" / "wav" / f"{name}.wav"
    turns = [f"{name}_{_sex(take)}{number:03d}" for number, take in enumerate(takes)]
    sentences = [session / "sentences" / "wav" / name / f"{turn}.wav" for turn in turns]
    rendered = [render(take, config) for take in takes]
    sounds = [in_step(frames, signal, config.fps) for frames, signal in rendered]
    if not (film.exists() and sound.exists()):
        marked = [_sex(take) == name[5] for take in takes]
        pictures = [_beside(frames, left) for (frames, _), left in zip(rendered, marked, strict=True)]
        save(np.concatenate(pictures), np.concatenate(sounds), config.fps, film, sound)
    for path, signal in zip(sentences, sounds, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_wav(path, signal, RATE_HZ)
    edges = np.cumsum([0, *(len(frames) for frames, _ in rendered)]) / config.fps
    told = zip(turns, takes, pairwise(edges.tolist()), strict=True)
    lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
    lines += [line for turn, take, (start_s, end_s) in told for line in _judged(turn, take, start_s, end_s)]
    evaluation = session / "dialog" / "EmoEvaluation" / f"{name}.txt"
    evaluation.parent.mkdir(parents=True, exist_ok=True)
    with aside(evaluation) as temporary:
        temporary.write_text("\n".join(lines))


def _beside(frames: np.ndarray, left: bool) -> np.ndarray:
    """``frames (n, height, width, 3)`` in one half, an empty wall in the other."""
    wall = np.full_like(frames, 90)
    return np.concatenate([frames, wall] if left else [wall, frames], axis=2)


def _judged(turn: str, take: Take, start_s: float, end_s: float) -> list[str]:
    """A turn's lines: what was agreed, three raters' emotions and one's attributes, and an empty one."""
    emotion = EMOTIONS[take.emotion]
    arousal, valence, dominance = feeling(take)
    second = "neu" if take.rng(5).random() < 0.3 else emotion
    return [
        f"[{start_s:.4f} - {end_s:.4f}]\t{turn}\t{emotion}\t[{valence:.4f}, {arousal:.4f}, {dominance:.4f}]",
        f"C-E1:\t{WORDS[emotion]};\t()",
        f"C-E2:\t{WORDS[second]};\t()",
        f"C-E4:\t{WORDS[emotion]};\t()",
        f"C-{_sex(take)}1:\t{WORDS[emotion]};\t()",
        f"A-E3:\tval {round(valence)}; act {round(arousal)}; dom  {round(dominance)};\t()",
        "",
    ]
