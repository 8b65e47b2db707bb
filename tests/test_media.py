"""Decoding against files whose content and times are known."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_factory import write_sound, write_video, write_wav
from scipy.io import wavfile
from scipy.signal import resample_poly

from pipeline.contracts import Clip, ClipFailure, Status
from pipeline.media import check_file, iter_frames, probe, read_audio

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


# -- sound -------------------------------------------------------------------


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
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_interval_of_sound_is_a_slice(made, start, length):
    whole = read_audio(clip(made["wav"]), RATE)
    part = read_audio(clip(made["wav"], start_s=start / RATE, end_s=(start + length) / RATE), RATE)
    np.testing.assert_array_equal(part, whole[start : start + length])


@pytest.mark.parametrize("kind", ["mp4", "flv", "mkv", "avi"])
def test_interval_of_a_videos_sound_is_a_slice(made, kind):
    whole = read_audio(clip(video=made[kind]), RATE)
    part = read_audio(clip(video=made[kind], start_s=1.5, end_s=2.25), RATE)
    assert len(part) == 12_000
    # AAC in FLV has times in whole milliseconds, so a part may lie some samples off.
    shift = 0 if kind != "flv" else np.argmax(np.correlate(whole[23_900:36_100], part, "valid")) - 100
    assert abs(shift) <= 16
    np.testing.assert_allclose(part[16:-16], whole[24_016 + shift : 35_984 + shift], atol=2e-3)


# -- pictures ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mp4", "flv", "mkv", "avi"])
def test_every_frame_comes_once_in_order(made, kind):
    found = every_frame(clip(video=made[kind]))
    assert len(found) == 75
    times = np.array([time_s for time_s, _ in found])
    np.testing.assert_allclose(times - times[0], np.arange(75) / 25, atol=2e-3)
    np.testing.assert_allclose([f.mean() for _, f in found], np.arange(75) * 2, atol=3)
    assert found[0][1].shape == (64, 96, 3)
    assert found[0][1].dtype == np.uint8


@pytest.mark.parametrize("kind", ["mp4", "flv", "mkv", "avi"])
@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, 1.0), (0.52, 1.96), (2.0, None)])
def test_interval_of_frames_is_a_slice(made, kind, start_s, end_s):
    whole = every_frame(clip(video=made[kind]))
    inside = [
        (t - start_s, f) for t, f in whole if t >= start_s - 1e-6 and (end_s is None or t < end_s - 1e-6)
    ]
    part = every_frame(clip(video=made[kind], start_s=start_s, end_s=end_s))
    assert [t for t, _ in part] == pytest.approx([t for t, _ in inside], abs=1e-6)
    assert all((a == b).all() for (_, a), (_, b) in zip(part, inside, strict=True))


def test_colours_are_rgb(tmp_path):
    frames = grey(5, np.zeros(5))
    frames[..., 0] = 220
    _, found = next(iter_frames(clip(video=write_video(tmp_path / "red.mp4", frames))))
    np.testing.assert_allclose(found.mean(axis=(0, 1)), [220, 0, 0], atol=6)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_frame_rate_keeps_each_frames_time(tmp_path, suffix):
    times = np.concatenate([[0], np.cumsum(np.random.default_rng(0).integers(10, 200, 30))]) / 1000
    path = write_video(tmp_path / f"v{suffix}", grey(31), 25, times_s=times)
    assert [t for t, _ in iter_frames(clip(video=path))] == pytest.approx(times, abs=1.1e-3)


def test_rotation_metadata_is_applied(tmp_path):
    frames = grey(3, np.zeros(3))
    frames[:, :32, :48] = 255
    path = write_video(tmp_path / "r.mp4", frames, rotation_deg=90)
    # QuickTime: x' = a x + c y, y' = b x + d y with y downwards; (a, b) = (0, -1) turns right to up.
    header = path.read_bytes()
    at = header.index(b"tkhd") + 4 + 40
    assert header[at : at + 8] == (0).to_bytes(4) + (-1 << 16).to_bytes(4, signed=True)
    _, found = next(iter_frames(clip(video=path)))
    assert found.shape == (96, 64, 3)
    assert found[60:, :20].mean() > 240
    assert found[:40, :20].mean() < 15
    info = probe(clip(video=path))
    assert (info.width, info.height, info.rotation_deg) == (64, 96, 90)


def test_frames_stream_before_the_files_end_is_read(tmp_path):
    path = cut(write_video(tmp_path / "long.mp4", grey(100)), 0.5)
    stream = iter_frames(clip(video=path))
    good = [next(stream) for _ in range(10)]
    assert good[9][0] == pytest.approx(0.36, abs=1e-3)
    assert failure(list, stream).status == Status.truncated


# -- sound and picture together ------------------------------------------------


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


# -- headers -----------------------------------------------------------------


def test_probe_reads_headers(made):
    info = probe(clip(video=made["mp4"]))
    assert info.duration_s == pytest.approx(3.0, abs=0.1)
    assert (info.audio_rate_hz, info.fps, info.n_frames) == (RATE, 25, 75)
    assert (info.width, info.height, info.rotation_deg) == (96, 64, 0)


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


# -- failures ----------------------------------------------------------------


def test_missing_and_empty_files(tmp_path):
    assert failure(check_file, tmp_path / "none.wav", "c1").status == Status.missing_file
    assert failure(check_file, tmp_path, "c1").status == Status.missing_file
    (tmp_path / "empty.wav").touch()
    error = failure(probe, clip(tmp_path / "empty.wav"))
    assert error.status == Status.empty_file
    assert "c1" in str(error)


def test_lfs_pointer_is_named(shared_data):
    path = shared_data / "crema-d" / "lfs-pointer_1001_DFA_ANG_XX.flv"
    for function in (probe, every_frame):
        error = failure(function, clip(video=path))
        assert error.status == Status.lfs_pointer
        assert "git lfs pull" in str(error)


def test_files_that_are_no_media(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("this is not a video " * 100)
    for function in (probe, every_frame):
        assert failure(function, clip(video=path)).status == Status.unreadable


def test_streams_that_are_not_there(made):
    assert failure(read_audio, clip(video=made["silent"]), RATE).status == Status.no_audio
    assert failure(every_frame, clip(video=made["wav"])).status == Status.no_video
    assert failure(every_frame, clip(made["wav"])).status == Status.no_video
    assert failure(probe, clip(made["silent"])).status == Status.no_audio


@pytest.mark.parametrize("kind", ["mp4", "flv", "mkv", "avi"])
def test_a_cut_video_is_truncated_in_sound_and_picture(made, kind, tmp_path):
    path = cut(Path(shutil.copy(made[kind], tmp_path)), 0.6)
    assert failure(read_audio, clip(video=path), RATE).status == Status.truncated
    assert failure(every_frame, clip(video=path)).status == Status.truncated


def test_a_cut_wav_is_truncated(made, tmp_path):
    path = cut(Path(shutil.copy(made["wav"], tmp_path)), 0.6)
    error = failure(read_audio, clip(path), RATE)
    assert error.status == Status.truncated
    assert "expected 3.00 s, found 1.80 s" in str(error)


def test_a_cut_after_the_interval_does_no_harm(made, tmp_path):
    path = cut(Path(shutil.copy(made["mp4"], tmp_path)), 0.7)
    assert len(every_frame(clip(video=path, end_s=1.0))) == 25


def test_an_interval_after_the_end_is_a_failure(made):
    assert failure(read_audio, clip(made["wav"], start_s=9.0), RATE).status == Status.truncated
    assert failure(every_frame, clip(video=made["mp4"], start_s=9.0)).status == Status.truncated


def test_flv_without_duration_raises_no_alarm(made, tmp_path):
    data = bytearray(made["flv"].read_bytes())
    at = data.index(b"duration") + len(b"duration") + 1
    data[at : at + 8] = bytes(8)
    path = tmp_path / "no_duration.flv"
    path.write_bytes(data)
    assert len(every_frame(clip(video=path))) == 75
    assert len(read_audio(clip(video=path), RATE)) > 2.9 * RATE


def test_sound_much_shorter_than_picture_is_not_truncated(tmp_path):
    path = write_video(tmp_path / "short.mkv", grey(75), 25, noise(1), audio_codec="pcm_s16le")
    assert len(read_audio(clip(video=path), RATE)) == RATE
    assert len(every_frame(clip(video=path))) == 75


def test_damage_in_the_middle_is_a_failure(made, tmp_path):
    data = bytearray(made["mp4"].read_bytes())
    middle = len(data) // 2
    data[middle : middle + 9000] = np.random.default_rng(0).bytes(9000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    assert failure(read_audio, clip(video=path), RATE).status == Status.truncated


def test_a_cover_picture_is_no_video(tmp_path):
    path = write_video(tmp_path / "song.mp4", grey(1), 25, noise(1), codec="mjpeg", cover=True)
    assert failure(every_frame, clip(video=path)).status == Status.no_video
    assert len(read_audio(clip(video=path), RATE)) >= RATE


def test_an_mp4_without_its_index_is_truncated_not_just_unreadable(tmp_path):
    whole = write_video(
        tmp_path / "whole.mkv", np.random.default_rng(0).integers(0, 255, (10, 64, 64, 3), np.uint8), fps=10
    )
    path = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    content = path.read_bytes()
    assert content.index(b"moov") > len(content) // 2
    path.write_bytes(content[: len(content) // 2])
    found = failure(every_frame, clip(video=path))
    assert found.status == Status.truncated
    assert f"found {len(content) // 2} in" in found.detail
