"""What the containers say of a clip."""

from __future__ import annotations

import pytest

from avemo.media.probe import probe
from avemo.media.sound import read_audio
from media_clips import RATE, clip, every_frame


def test_probe_reads_headers(made):
    info = probe(clip(video=made["mp4"]))
    assert info.duration_s == pytest.approx(3.0, abs=0.1)
    assert (info.audio_rate_hz, info.fps, info.n_frames) == (RATE, 25, 75)
    assert (info.width, info.height, info.audio_reading, info.video_reading, info.notes) == (
        96,
        64,
        "",
        "",
        "",
    )


def test_probe_of_sound_alone(made):
    info = probe(clip(made["wav"]))
    assert (info.duration_s, info.audio_rate_hz) == (pytest.approx(3.0), RATE)
    assert (info.fps, info.n_frames, info.width) == (None, None, None)


def test_probe_of_an_interval_and_of_two_files(made):
    info = probe(clip(made["wav"], made["silent"], 1.0, 2.0))
    assert info.duration_s == pytest.approx(1.0)
    assert (info.n_frames, info.audio_rate_hz) == (25, RATE)
    assert probe(clip(video=made["silent"])).audio_rate_hz is None


def test_real_clips_are_read_to_their_end(shared_data):
    for path in sorted((shared_data / "clips").glob("*.mp4")):
        item = clip(video=path, end_s=2.0)
        info = probe(clip(video=path))
        assert info.audio_rate_hz == 44_100
        assert len(read_audio(item, RATE)) == 32_000
        assert len(read_audio(clip(video=path), RATE)) / RATE == pytest.approx(info.duration_s, abs=0.1)
        assert len(every_frame(item)) == pytest.approx(2 * info.fps, abs=1)
