"""Sound: samples, rates, channels, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import wavfile
from scipy.signal import resample_poly

from avemo.base.contracts import Status
from avemo.media.probe import probe
from avemo.media.sound import read_audio, read_sound
from media_clips import RATE, clip, failure, noise
from media_factory import write_sound, write_wav


def test_wav_samples_are_those_scipy_reads(made):
    rate, expected = wavfile.read(made["wav"])
    found = read_audio(clip(made["wav"]), rate)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected / 32768, atol=1e-7)


def test_mono_is_the_mean_of_the_channels(tmp_path):
    left, right = noise(0.2, seed=1), noise(0.2, seed=2)
    path = write_wav(tmp_path / "stereo.wav", np.stack([left, right]))
    np.testing.assert_allclose(read_audio(clip(path), RATE), (left + right) / 2, atol=1e-4)


def test_equal_loud_channels_do_not_overflow(tmp_path):
    loud = np.full(1600, 0.99, np.float32)
    path = write_wav(tmp_path / "loud.wav", np.stack([loud, loud]))
    np.testing.assert_allclose(read_audio(clip(path), RATE), 0.99, atol=1e-3)


def test_overshooting_float_samples_are_clipped(tmp_path):
    wavfile.write(tmp_path / "f.wav", RATE, np.array([0.5, 1.5, -2.0, 0.0] * 100, np.float32))
    np.testing.assert_allclose(read_audio(clip(tmp_path / "f.wav"), RATE)[:4], [0.5, 1, -1, 0], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_samples_on_the_scale_of_integers_are_refused_by_name(tmp_path, dtype):
    loud = noise(0.5) * 32767
    wavfile.write(tmp_path / "i.wav", RATE, loud.astype(dtype))
    found = failure(read_audio, clip(tmp_path / "i.wav"), RATE)
    assert found.status == Status.wrong_scale
    assert "expected samples from -1 to 1, found 16" in found.detail


def test_samples_beyond_full_scale_are_noted(tmp_path):
    wavfile.write(tmp_path / "f.wav", RATE, np.array([0.5, 1.9, -2.0, 0.0] * 100, np.float32))
    assert read_sound(clip(tmp_path / "f.wav"), RATE).notes == ("samples up to 2.0 of 1, cut",)


@pytest.mark.parametrize(
    ("right", "noted"),
    [
        (lambda left, _: -left, True),
        (lambda left, _: -0.8 * left, True),
        (lambda left, _: left, False),
        (lambda _, other: other, False),
        (lambda left, _: 0 * left, False),
    ],
)
def test_channels_that_cancel_each_other_are_noted(tmp_path, right, noted):
    left, other = noise(0.5, seed=1), noise(0.5, seed=2)
    sound = read_sound(clip(write_wav(tmp_path / "p.wav", np.stack([left, right(left, other)]))), RATE)
    assert any("antiphase" in note for note in sound.notes) == noted


def test_silence_in_both_channels_is_no_antiphase(tmp_path):
    path = write_wav(tmp_path / "s.wav", np.zeros((2, 8000)))
    assert read_sound(clip(path), RATE).notes == ()


def test_nan_samples_are_a_failure(tmp_path):
    wavfile.write(tmp_path / "n.wav", RATE, np.full(100, np.nan, np.float32))
    assert failure(read_audio, clip(tmp_path / "n.wav"), RATE).status == Status.unreadable


@pytest.mark.parametrize("source_hz", [44_100, 48_000, 8_000])
def test_resampling_keeps_a_tone_in_time_and_pitch(tmp_path, source_hz):
    tone = np.sin(2 * np.pi * 440 * np.arange(source_hz) / source_hz) * 0.5
    found = read_audio(clip(write_wav(tmp_path / "t.wav", tone, source_hz)), RATE)
    expected = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE) * 0.5
    assert abs(len(found) - RATE) <= 1
    np.testing.assert_allclose(found[500:15_500], expected[500:15_500], atol=5e-3)


def test_resampling_agrees_with_scipy_on_band_limited_noise(tmp_path):
    signal = resample_poly(noise(1, 8000), 6, 1).astype(np.float32) * 0.5
    found = read_audio(clip(write_wav(tmp_path / "b.wav", signal, 48_000)), RATE)
    expected = resample_poly(signal, 1, 3)
    assert np.corrcoef(found[200:-200], expected[200 : len(found) - 200])[0, 1] > 0.999


@pytest.mark.parametrize(
    ("name", "codec", "source_hz", "channels"),
    [
        ("phone.wav", "pcm_s16le", 8_000, 1),
        ("phone_law.wav", "pcm_mulaw", 8_000, 1),
        ("phone.mp3", "libmp3lame", 8_000, 1),
        ("studio.wav", "pcm_f32le", 48_000, 6),
        ("studio.flac", "flac", 48_000, 6),
        ("cd.flac", "flac", 44_100, 2),
        ("cd.mp3", "libmp3lame", 44_100, 2),
        ("cd.m4a", "aac", 44_100, 2),
        ("film.m4a", "aac", 48_000, 6),
        ("film.mka", "ac3", 48_000, 6),
        ("film.opus", "libopus", 48_000, 6),
        ("call.webm", "libopus", 48_000, 2),
    ],
)
def test_any_rate_channel_count_and_codec(tmp_path, name, codec, source_hz, channels):
    """Against SciPy's resampling of the mean of the channels, whose levels fall from the first on."""
    bandlimited = resample_poly(noise(2, 4_000), source_hz // 100, 40)
    signal = np.outer(0.8 ** np.arange(channels), bandlimited)
    path = write_sound(tmp_path / name, signal, source_hz, codec)
    found = read_audio(clip(path), RATE)
    expected = resample_poly(signal.mean(axis=0), RATE // 100, source_hz // 100)
    assert probe(clip(path)).audio_rate_hz == source_hz
    # An encoder may fill its last block; it may not move the sound.
    assert len(expected) <= len(found) < len(expected) + 400
    shifts = np.correlate(found[1_000:31_000], expected[1_100:30_900], "valid")
    assert np.argmax(shifts) == 100
    assert np.corrcoef(found[200:31_000], expected[200:31_000])[0, 1] > 0.99


def test_digital_silence_stays_zero(tmp_path):
    path = write_sound(tmp_path / "s.flac", np.zeros((2, 44_100)), 44_100, "flac")
    found = read_audio(clip(path), RATE)
    assert len(found) == RATE
    assert not found.any()


@given(start=st.integers(0, 45_000), length=st.integers(1600, 30_000))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_interval_of_sound_is_a_slice(made, start, length):
    whole = read_audio(clip(made["wav"]), RATE)
    end = min(start + length, len(whole))
    part = read_audio(clip(made["wav"], start_s=start / RATE, end_s=end / RATE), RATE)
    np.testing.assert_array_equal(part, whole[start:end])


@pytest.mark.parametrize("kind", ["mp4", "flv", "mkv", "avi"])
def test_interval_of_a_videos_sound_is_a_slice(made, kind):
    whole = read_audio(clip(video=made[kind]), RATE)
    part = read_audio(clip(video=made[kind], start_s=1.5, end_s=2.25), RATE)
    assert len(part) == 12_000
    # AAC in FLV has times in whole milliseconds, so a part may lie some samples off.
    shift = 0 if kind != "flv" else np.argmax(np.correlate(whole[23_900:36_100], part, "valid")) - 100
    assert abs(shift) <= 16
    np.testing.assert_allclose(part[16:-16], whole[24_016 + shift : 35_984 + shift], atol=2e-3)
