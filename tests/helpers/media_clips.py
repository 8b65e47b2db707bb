"""Clips, frames and sounds that the tests of decoding share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avemo.base.contracts import Clip, ClipFailure
from avemo.media.pictures import iter_frames

RATE = 16_000


def clip(audio: Path | None = None, video: Path | None = None, start_s: float = 0.0, end_s=None) -> Clip:
    return Clip("c1", "s", "g", audio_path=audio, video_path=video, start_s=start_s, end_s=end_s)


def failure(function, *arguments) -> ClipFailure:
    with pytest.raises(ClipFailure) as caught:
        function(*arguments)
    return caught.value


def every_frame(item: Clip) -> list[tuple[float, np.ndarray]]:
    return list(iter_frames(item))


def grey(n: int, levels=None) -> np.ndarray:
    """Frames of one grey each: 2 x their number, or as given."""
    levels = np.arange(n) * 2 if levels is None else levels
    return np.broadcast_to(np.asarray(levels, np.uint8)[:, None, None, None], (n, 64, 96, 3)).copy()


def noise(seconds: float, rate_hz: int = RATE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate_hz)).astype(np.float32)


def clap_and_flash(clap_s: float, flash_s: float, seconds: float, fps: int = 25):
    """A video black but for one white frame, and sound silent but for one click."""
    frames = grey(round(seconds * fps), np.zeros(round(seconds * fps)))
    frames[round(flash_s * fps)] = 255
    sound = np.zeros(round(seconds * RATE), np.float32)
    sound[round(clap_s * RATE) : round(clap_s * RATE) + 16] = 0.9
    return frames, sound


def cut(path: Path, fraction: float) -> Path:
    data = path.read_bytes()
    short = path.with_name(f"cut_{path.name}")
    short.write_bytes(data[: int(len(data) * fraction)])
    return short
