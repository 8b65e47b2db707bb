"""RAVDESS, EmoDB, SAVEE and eNTERFACE'05: their layouts and names."""

from __future__ import annotations

from pathlib import Path

from avemo.base.contracts import AvemoError
from avemo.corpora.base import Counting
from avemo.corpora.emodb import MEN, WOMEN
from avemo.corpora.enterface05 import EMOTIONS as ENTERFACE_NAMES
from avemo.corpora.enterface05 import SUBJECTS
from avemo.corpora.savee import SPEAKERS
from avemo.synthetic.encode import write_clip, write_wav
from avemo.synthetic.generate import render, sound
from avemo.synthetic.miniatures.studio import film, open_folder, settings, takes_by_speaker
from avemo.synthetic.takes import Take
from avemo.synthetic.voice import RATE_HZ

RAVDESS = {"ANG": "05", "FEA": "06", "HAP": "03", "NEU": "01"}
EMODB = {"ANG": "W", "DIS": "E", "FEA": "A", "HAP": "F", "NEU": "N", "SAD": "T"}
ENTERFACE = {"ANG": "an", "DIS": "di", "FEA": "fe", "HAP": "ha", "SAD": "sa"}
SAVEE = {"ANG": "a", "FEA": "f", "HAP": "h", "SAD": "sa"}


def write_ravdess(root: Path, speakers: int = 3, progress: Counting | None = None) -> None:
    """Four full clips and their sound of each of ``speakers``, in the folders that the zip files make."""
    files = []
    for number, takes in enumerate(_takes(root, "RAVDESS", speakers, 24), start=1):
        for take in takes:
            if take.emotion in RAVDESS:
                rest = f"01-{RAVDESS[take.emotion]}-01-01-01-{number:02d}"
                actor = f"Actor_{number:02d}"
                video = root / f"Video_Speech_{actor}" / actor / f"01-{rest}.mp4"
                audio = root / "Audio_Speech_Actors_01-24" / actor / f"03-{rest}.wav"
                files.append((take, video, audio))
    _films(files, speakers, progress)


def write_emodb(root: Path, speakers: int = 3, progress: Counting | None = None) -> None:
    """Six sentences of each of ``speakers``, in ``wav``."""
    people = _takes(root, "EmoDB", speakers, len(MEN) + len(WOMEN))
    named = [
        (take, root / "wav" / f"{who}a01{EMODB[take.emotion]}a.wav")
        for who, takes in zip(sorted((*MEN, *WOMEN)), people, strict=False)
        for take in takes
    ]
    (root / "wav").mkdir(exist_ok=True)
    for done, (take, path) in enumerate(named, start=1):
        if not path.exists():
            write_wav(path, sound(take), RATE_HZ)
        if progress:
            progress(done, len(named))


def write_enterface05(root: Path, speakers: int = 3, progress: Counting | None = None) -> None:
    """Five films of each of ``speakers``, in folders of subject, emotion and sentence."""
    people = _takes(root, "eNTERFACE'05", speakers, SUBJECTS)
    named = [
        (take, _enterface05_path(root, number, ENTERFACE[take.emotion]))
        for number, takes in enumerate(people, start=1)
        for take in takes
        if take.emotion in ENTERFACE
    ]
    config = settings(speakers)
    for done, (take, path) in enumerate(named, start=1):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            frames, signal = render(take, config)
            write_clip(path, frames, config.fps, signal, RATE_HZ)
        if progress:
            progress(done, len(named))


def _enterface05_path(root: Path, number: int, emotion: str) -> Path:
    return root / f"subject {number}" / ENTERFACE_NAMES[emotion] / "sentence 1" / f"s{number}_{emotion}_1.avi"


def write_savee(root: Path, speakers: int = 3, progress: Counting | None = None) -> None:
    """Four sentences of each of ``speakers``, four at most, as sound and film."""
    files = []
    for who, takes in zip(SPEAKERS, _takes(root, "SAVEE", speakers, len(SPEAKERS)), strict=False):
        for take in takes:
            if take.emotion in SAVEE:
                name = f"{SAVEE[take.emotion]}01"
                files.append(
                    (
                        take,
                        root / "AudioVisualClip" / who / f"{name}.avi",
                        root / "AudioData" / who / f"{name}.wav",
                    )
                )
    _films(files, speakers, progress)


def _takes(root: Path, corpus: str, speakers: int, most: int) -> list[list[Take]]:
    if speakers > most:
        raise AvemoError(
            f"--speakers: expected at most {most}, as {corpus} has, found {speakers}; ask for fewer"
        )
    open_folder(root, corpus)
    return takes_by_speaker(settings(speakers))


def _films(files: list[tuple[Take, Path, Path]], speakers: int, progress: Counting | None) -> None:
    for done, (take, video, audio) in enumerate(files, start=1):
        film(take, settings(speakers), video, audio)
        if progress:
            progress(done, len(files))
