"""What all miniatures share: the folder's marker, short takes, feelings as numbers, tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from avemo.base.atomic import aside
from avemo.base.contracts import AvemoError
from avemo.corpora.base import MARKER
from avemo.synthetic.demo_config import DemoConfig
from avemo.synthetic.encode import write_clip, write_wav
from avemo.synthetic.generate import render
from avemo.synthetic.takes import Take, all_takes
from avemo.synthetic.voice import RATE_HZ

FEELINGS = {
    "ANG": (4.3, 1.7, 4.2),
    "DIS": (3.1, 1.8, 3.4),
    "FEA": (3.8, 1.9, 1.9),
    "HAP": (3.9, 4.4, 3.5),
    "NEU": (2.6, 3.0, 3.0),
    "SAD": (1.9, 1.8, 2.1),
}
"""Arousal, valence, dominance of each emotion acted in full, 1 to 5, 3 being neither."""


def settings(speakers: int, seed: int = 1) -> DemoConfig:
    """``speakers`` people who say one sentence in each of six emotions, about a second each."""
    chosen = {"actors": speakers, "graded": (), "plain": ("DFA",), "neutral": (), "seed": seed}
    return DemoConfig.model_validate(chosen | {"seconds": 1.0, "size_px": 112, "fps": 5})


def takes_by_speaker(config: DemoConfig) -> list[list[Take]]:
    """The takes of each speaker, in the order of `FEELINGS`."""
    takes = all_takes(config)
    size = len(takes) // config.actors
    return [takes[start : start + size] for start in range(0, len(takes), size)]


def open_folder(root: Path, corpus: str) -> None:
    """Make ``root`` and mark it as generated; raises `AvemoError` if it holds anything not so marked."""
    if root.is_dir() and any(root.iterdir()) and not (root / MARKER).is_file():
        raise AvemoError(
            f"{root}: expected an empty folder or a miniature, found other files; give --out a folder of its own"
        )
    root.mkdir(parents=True, exist_ok=True)
    (root / MARKER).write_text(
        f"A miniature of {corpus}: its layout and names, with generated faces, voices and labels.\n"
        "Nobody was recorded; results on it say nothing about people.\n"
    )


def film(take: Take, config: DemoConfig, video: Path, audio: Path) -> None:
    """Render ``take`` into ``video`` and ``audio``, unless they exist."""
    if not (video.exists() and audio.exists()):
        save(*render(take, config), config.fps, video, audio)


def save(frames: np.ndarray, signal: np.ndarray, fps: int, video: Path, audio: Path) -> None:
    """Write pictures with sound, and the sound again, making the folders."""
    for path in (video, audio):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(video, frames, fps, signal, RATE_HZ)
    write_wav(audio, signal, RATE_HZ)


def in_step(frames: np.ndarray, signal: np.ndarray, fps: int) -> np.ndarray:
    """The sound cut or filled to the length of its pictures, so that takes can be joined."""
    length = len(frames) * RATE_HZ // fps
    return np.pad(signal[:length], (0, max(0, length - len(signal))))


def feeling(take: Take, scale: int = 5) -> tuple[float, float, float]:
    """Arousal, valence, dominance of a take as raters might give them, from 1 to ``scale``."""
    neutral = np.array(FEELINGS["NEU"])
    shown = neutral + take.gain * (np.array(FEELINGS[take.emotion]) - neutral)
    rated = np.clip(shown + take.rng(7).normal(0, 0.25, 3), 1, 5)
    arousal, valence, dominance = (1 + (rated - 1) * (scale - 1) / 4).round(6).tolist()
    return arousal, valence, dominance


def sides(n: int, names: Sequence[str] = ("Train", "Development", "Test")) -> list[str]:
    """The side of each of ``n`` groups: one or 15 % in dev, as many in test, the others in train."""
    held_out = max(1, round(0.15 * n))
    return [names[1]] * held_out + [names[2]] * held_out + [names[0]] * (n - 2 * held_out)


def rotated(n: int, by: int) -> list[str]:
    """`sides` of partition number ``by``."""
    given = sides(n)
    return [given[(i + by) % n] for i in range(n)]


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
