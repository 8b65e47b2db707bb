"""Small files of every container."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_clips import grey, noise
from media_factory import write_video, write_wav


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    """Three seconds of sound and picture in the containers that corpora use."""
    folder = tmp_path_factory.mktemp("media")
    frames, sound = grey(75), noise(3)
    return {
        "mp4": write_video(folder / "a.mp4", frames, 25, sound),
        "flv": write_video(folder / "a.flv", frames, 25, sound, codec="flv"),
        "mkv": write_video(folder / "a.mkv", frames, 25, sound, audio_codec="pcm_s16le"),
        "avi": write_video(folder / "a.avi", frames, 25, sound, codec="mpeg4", audio_codec="pcm_s16le"),
        "wav": write_wav(folder / "a.wav", sound),
        "silent": write_video(folder / "silent.mp4", frames, 25),
    }
