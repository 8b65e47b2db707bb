"""Sound and picture on one clock."""

from __future__ import annotations

import av
import numpy as np
import pytest

from avemo.media.pictures import iter_frames
from avemo.media.probe import probe
from avemo.media.sound import read_audio
from media_clips import RATE, clap_and_flash, clip, grey, noise
from media_factory import write_sound, write_video


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".flv", ".avi"])
@pytest.mark.parametrize("start_s", [0.0, 0.72])
def test_clap_and_flash_come_together(tmp_path, suffix, start_s):
    frames, sound = clap_and_flash(1.2, 1.2, 3.0)
    codec = {".flv": "flv", ".avi": "mpeg4"}.get(suffix, "libx264")
    audio_codec = "pcm_s16le" if suffix in (".mkv", ".avi") else "aac"
    path = write_video(tmp_path / f"clap{suffix}", frames, 25, sound, codec=codec, audio_codec=audio_codec)
    item = clip(video=path, start_s=start_s)
    heard = np.argmax(np.abs(read_audio(item, RATE))) / RATE
    shown = max(iter_frames(item), key=lambda pair: pair[1].mean())[0]
    assert heard == pytest.approx(shown, abs=3e-3)
    delay = 0.064 if suffix == ".flv" else 0.0  # FLV stores the AAC encoder's delay as content.
    assert shown == pytest.approx(1.2 - start_s + delay, abs=3e-3)


def test_sound_that_starts_late_is_led_by_silence(tmp_path):
    path = write_video(
        tmp_path / "late.mkv", grey(50), 25, noise(1.5), audio_codec="pcm_s16le", audio_start_s=0.5
    )
    found = read_audio(clip(video=path), RATE)
    assert len(found) == 32_000
    assert not found[:7_950].any()
    np.testing.assert_allclose(found[8_000:], noise(1.5), atol=1e-4)


def test_a_picture_that_starts_late_keeps_its_time(tmp_path):
    """Zero is the file's own start, whichever stream begins there and wherever its clock does."""
    for start_s in (0.0, 5.0):
        path = write_video(
            tmp_path / f"late{start_s}.mkv",
            grey(50),
            25,
            noise(2),
            audio_codec="pcm_s16le",
            audio_start_s=start_s,
            times_s=start_s + 0.4 + np.arange(50) / 25,
        )
        np.testing.assert_allclose(read_audio(clip(video=path), RATE), noise(2), atol=1e-4)
        times = [time_s for time_s, _ in iter_frames(clip(video=path))]
        np.testing.assert_allclose(times, 0.4 + np.arange(50) / 25, atol=2e-3)
        assert probe(clip(video=path)).duration_s == pytest.approx(2.4, abs=0.05)
        part = clip(video=path, start_s=0.2, end_s=1.0)
        np.testing.assert_allclose(read_audio(part, RATE), noise(2)[3_200:16_000], atol=1e-4)
        assert next(iter_frames(part))[0] == pytest.approx(0.2, abs=2e-3)


def test_a_transport_streams_clock_does_not_start_at_zero(tmp_path):
    frames, sound = clap_and_flash(1.2, 1.2, 3.0)
    path = write_video(
        tmp_path / "tv.ts", frames, 25, sound, times_s=1.4 + np.arange(75) / 25, audio_start_s=1.4
    )
    with av.open(str(path)) as container:
        assert container.start_time > 1_000_000
    item = clip(video=path)
    shown = max(iter_frames(item), key=lambda pair: pair[1].mean())[0]
    heard = np.argmax(np.abs(read_audio(item, RATE))) / RATE
    assert heard == pytest.approx(shown, abs=3e-3)


def test_two_files_of_a_clip_each_start_at_zero(tmp_path):
    frames, sound = clap_and_flash(1.2, 1.2, 3.0)
    picture = write_video(tmp_path / "p.mkv", frames, times_s=2.0 + np.arange(75) / 25)
    heard = write_sound(tmp_path / "s.mka", sound, RATE, "flac", start_s=1.0)
    item = clip(heard, picture)
    shown = max(iter_frames(item), key=lambda pair: pair[1].mean())[0]
    assert np.argmax(np.abs(read_audio(item, RATE))) / RATE == pytest.approx(shown, abs=2e-3)
