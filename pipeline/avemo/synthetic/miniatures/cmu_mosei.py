"""CMU-MOSEI's layout: whole videos, segments as intervals with emotion intensities, official folds."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np

from avemo.base.atomic import aside
from avemo.corpora.base import Counting
from avemo.corpora.cmu_mosei import DIMENSIONS, FOLDS, SEQUENCE
from avemo.synthetic.demo_config import DemoConfig
from avemo.synthetic.generate import render
from avemo.synthetic.miniatures.studio import in_step, open_folder, save, settings, sides, takes_by_speaker
from avemo.synthetic.takes import Take

FELT = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "SAD": "sad"}
MIXED = {"FEA": "surprise", "HAP": "surprise", "ANG": "disgust", "SAD": "fear"}
"""What half of the takes of an emotion show besides: MOSEI's bits are not exclusive."""


def write(root: Path, speakers: int = 3, progress: Counting | None = None) -> None:
    """One video of six segments from each of ``speakers``.

    Writes ``Raw/Videos/Full/Combined/<video>.mp4``, ``Raw/Audio/Full/WAV_16000/<video>.wav``,
    ``CMU_MOSEI_Labels.csd`` and ``cmu_mosei_std_folds.py``.
    """
    config = settings(speakers).model_copy(update={"container": "mp4"})
    open_folder(root, "CMU-MOSEI")
    videos = {f"miniature{number + 1:02d}": takes for number, takes in enumerate(takes_by_speaker(config))}
    for done, (name, takes) in enumerate(videos.items(), start=1):
        video = root / "Raw" / "Videos" / "Full" / "Combined" / f"{name}.mp4"
        audio = root / "Raw" / "Audio" / "Full" / "WAV_16000" / f"{name}.wav"
        if not (video.exists() and audio.exists()):
            save(*_joined(takes, config), config.fps, video, audio)
        if progress:
            progress(done, len(videos))
    _write_sequence(root / "CMU_MOSEI_Labels.csd", videos, config)
    _write_folds(root / "cmu_mosei_std_folds.py", list(videos))


def _n_frames(take: Take, config: DemoConfig) -> int:
    return max(1, round(take.duration_s * config.fps))


def _joined(takes: list[Take], config: DemoConfig) -> tuple[np.ndarray, np.ndarray]:
    """Takes one after the other; each one's sound is cut or filled to the length of its pictures."""
    rendered = [render(take, config) for take in takes]
    sounds = [in_step(frames, signal, config.fps) for frames, signal in rendered]
    return np.concatenate([frames for frames, _ in rendered]), np.concatenate(sounds)


def intensities(take: Take) -> list[float]:
    """A row of `DIMENSIONS`: sentiment from -3 to 3, six emotions from 0 to 3 in thirds."""
    values = dict.fromkeys(DIMENSIONS, 0.0)
    values["sentiment"] = {"HAP": 2.0, "NEU": 0.0}.get(take.emotion, -1.0)
    if take.emotion in FELT:
        values[FELT[take.emotion]] = max(1, round(9 * take.gain)) / 3
    if take.emotion in MIXED and take.rng(8).random() < 0.5:
        values[MIXED[take.emotion]] = 2 / 3
    return list(values.values())


def _write_sequence(path: Path, videos: dict[str, list[Take]], config: DemoConfig) -> None:
    """A computational sequence of the CMU Multimodal SDK: features and intervals (s) per video."""
    import h5py

    with aside(path) as temporary, h5py.File(temporary, "w") as file:
        for name, takes in videos.items():
            edges = np.cumsum([0, *(_n_frames(take, config) for take in takes)]) / config.fps
            group = file.create_group(f"{SEQUENCE}/data/{name}")
            group["features"] = np.array([intensities(take) for take in takes], np.float32)
            group["intervals"] = np.array(list(pairwise(edges)), np.float32)
        file[f"{SEQUENCE}/metadata/dimension names"] = [json.dumps(DIMENSIONS)]


def _write_folds(path: Path, videos: list[str]) -> None:
    given = sides(len(videos), tuple(FOLDS.values()))
    lines = [
        f"{variable} = {[name for name, side in zip(videos, given, strict=True) if side == fold]!r}\n"
        for variable, fold in FOLDS.items()
    ]
    with aside(path) as temporary:
        temporary.write_text("".join(lines))
