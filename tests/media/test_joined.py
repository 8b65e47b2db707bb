"""Files whose timestamps start anew or go back: joined end to end, or stamped in the order of decoding."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest

from avemo.base.contracts import Status
from avemo.media.pictures import iter_frames
from avemo.media.probe import probe
from avemo.media.sound import read_audio
from media_clips import RATE, clip, failure, grey
from media_factory import write_sound, write_video

CODECS = {".ts": ("libx264", "aac"), ".mpg": ("mpeg2video", "mp2"), ".mkv": ("libx264", "pcm_s16le")}


def tone(hz: float, seconds: float, rate_hz: int) -> np.ndarray:
    return 0.4 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def part(path: Path, hz: float, level: int, seconds: float = 1.6, start_s: float = 0.0) -> Path:
    """A film of one tone and one grey, whose clock starts at ``start_s``."""
    rate_hz = 48_000 if path.suffix == ".mpg" else RATE
    codec, audio_codec = CODECS[path.suffix]
    frames = round(seconds * 25)
    return write_video(
        path,
        grey(frames, np.full(frames, level)),
        25,
        tone(hz, seconds, rate_hz),
        rate_hz,
        codec,
        audio_codec,
        times_s=start_s + np.arange(frames) / 25 if start_s else None,
        audio_start_s=start_s,
    )


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(one.read_bytes() for one in parts))
    return path


def pitch_hz(sound: np.ndarray) -> float:
    return np.argmax(np.abs(np.fft.rfft(sound))) * RATE / len(sound)


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_parts_joined_end_to_end_follow_each_other(tmp_path, suffix):
    """As many samples and pictures as both have, and the second part's sound with the second part's pictures."""
    parts = [part(tmp_path / f"{hz}{suffix}", hz, level) for hz, level in ((300, 40), (1200, 200))]
    path = joined(tmp_path / f"both{suffix}", *parts)
    each = [len(read_audio(clip(video=one), RATE)) for one in parts]
    sound = read_audio(clip(video=path), RATE)
    assert len(sound) == pytest.approx(sum(each), abs=RATE * 0.05)
    assert pitch_hz(sound[2000 : each[0] - 2000]) == pytest.approx(300, abs=5)
    assert pitch_hz(sound[each[0] + 2000 : -2000]) == pytest.approx(1200, abs=5)
    frames = list(iter_frames(clip(video=path)))
    times = np.array([time_s for time_s, _ in frames])
    assert (len(frames), (np.diff(times) > 0).all()) == (80, True)
    turn_s = next(time_s for time_s, frame in frames if frame.mean() > 120)
    assert turn_s == pytest.approx(each[0] / RATE, abs=0.1)
    info = probe(clip(video=path))
    assert info.duration_s == pytest.approx(sum(each) / RATE, abs=0.1)
    assert (info.audio_reading, info.video_reading) == ("joined", "joined")
    assert "clock starts anew, joined at 1.6" in info.notes


def test_an_interval_of_a_joined_file_is_a_slice(tmp_path):
    parts = [part(tmp_path / f"{hz}.mkv", hz, level) for hz, level in ((300, 40), (1200, 200))]
    path = joined(tmp_path / "both.mkv", *parts)
    whole, pictures = read_audio(clip(video=path), RATE), list(iter_frames(clip(video=path)))
    item = clip(video=path, start_s=2.0, end_s=2.8)
    np.testing.assert_allclose(read_audio(item, RATE), whole[32_000:44_800], atol=1e-4)
    inside = [time_s - 2 for time_s, _ in pictures if 2 <= time_s < 2.8]
    assert [time_s for time_s, _ in iter_frames(item)] == pytest.approx(inside, abs=1e-6)


def test_three_parts_and_a_clock_that_jumps_ahead(tmp_path):
    parts = [
        part(tmp_path / f"{n}.ts", hz, 90, start_s=start_s)
        for n, hz, start_s in ((0, 300, 50.0), (1, 700, 3000.0), (2, 1200, 2.0))
    ]
    path = joined(tmp_path / "three.ts", *parts)
    each = [len(read_audio(clip(video=one), RATE)) for one in parts]
    sound = read_audio(clip(video=path), RATE)
    assert len(sound) == pytest.approx(sum(each), abs=RATE * 0.1)
    pitches = [pitch_hz(sound[n * each[0] + 3000 : (n + 1) * each[0] - 3000]) for n in range(3)]
    assert pitches == pytest.approx([300, 700, 1200], abs=5)


def test_a_pause_within_one_clock_is_no_join(tmp_path):
    times = np.concatenate([np.arange(20) / 25, 4 + np.arange(20) / 25])
    path = write_video(tmp_path / "pause.ts", grey(40), 25, times_s=times)
    found = [time_s for time_s, _ in iter_frames(clip(video=path))]
    assert np.diff(found).max() == pytest.approx(3.24, abs=0.01)
    assert probe(clip(video=path)).video_reading == ""


@pytest.mark.parametrize(("suffix", "codec"), [(".opus", "libopus"), (".ogg", "flac"), (".flac", "flac")])
def test_sound_joined_end_to_end_keeps_every_sample(tmp_path, suffix, codec):
    rate_hz = 48_000 if codec == "libopus" else RATE
    parts = [
        write_sound(tmp_path / f"{hz}{suffix}", tone(hz, 1.6, rate_hz), rate_hz, codec) for hz in (300, 1200)
    ]
    both = joined(tmp_path / f"both{suffix}", *parts)
    sound, found = read_audio(clip(both), RATE), probe(clip(both))
    assert len(sound) == 2 * 1.6 * RATE
    assert found.duration_s == pytest.approx(3.2, abs=0.02)
    # Ogg stamps pages, so that the clock starts anew only after the second part's first one.
    at_s = "2.61" if suffix == ".ogg" else r"1.6[0-2]"
    assert re.fullmatch(rf"the file's clock starts anew, joined at {at_s} s", found.notes)
    assert pitch_hz(sound[2000:23_000]) == pytest.approx(300, abs=5)
    assert pitch_hz(sound[27_000:49_000]) == pytest.approx(1200, abs=5)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        *(
            (".wav", "pcm_s16le"),
            (".au", "pcm_s16be"),
            (".aiff", "pcm_s16be"),
            (".mp3", "libmp3lame"),
            (".mp2", "mp2"),
        ),
        *(
            (".aac", "aac"),
            (".ac3", "ac3"),
            (".tta", "tta"),
            (".wv", "wavpack"),
            (".mka", "pcm_s16le"),
            (".avi", "mp2"),
        ),
        *(
            (".flac", "flac"),
            (".opus", "libopus"),
            (".webm", "libopus"),
            (".ts", "mp2"),
            (".flv", "libmp3lame"),
        ),
    ],
)
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_index_and_extraction_agree_on_the_length_of_sound_joined_end_to_end(tmp_path, suffix, codec, parts):
    """Whether a container goes on after its first part or not: to less than a frame of MP3 for each part."""
    rate_hz = 48_000 if codec in ("libopus", "ac3", "mp2") else 44_100
    one = write_sound(tmp_path / f"one{suffix}", tone(300, 1.37, rate_hz), rate_hz, codec)
    both = clip(joined(tmp_path / f"many{suffix}", *[one] * parts))
    heard_s = len(read_audio(both, RATE)) / RATE
    assert probe(both).duration_s == pytest.approx(heard_s, abs=0.03 * parts)
    # libav reads one part of some containers, and two of a Matroska file.
    assert any(heard_s == pytest.approx(1.37 * n, abs=0.1 * parts) for n in range(1, parts + 1))


def test_pictures_stamped_in_the_order_of_decoding_are_shown_in_theirs(tmp_path):
    """H.264 with B frames in AVI, which has no display times."""
    options = {"preset": "medium", "x264-params": "bframes=3:b-adapt=0"}
    path = write_video(tmp_path / "b.avi", grey(50, np.arange(50) * 5), options=options)
    with av.open(str(path)) as container:
        stamps = [frame.pts for frame in container.decode(video=0)]
    assert (np.diff(stamps) < 0).any()
    frames = list(iter_frames(clip(video=path)))
    times = np.array([time_s for time_s, _ in frames])
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-6)
    levels = np.array([frame.mean() for _, frame in frames])
    np.testing.assert_allclose(levels, np.arange(50) * 5, atol=4)
    assert probe(clip(video=path)).video_reading == "in order of decoding"


def test_one_streams_clock_that_goes_back_alone_is_named(tmp_path):
    """No timeline fits sound and pictures, so that neither is guessed."""
    first = part(tmp_path / "first.ts", 300, 90, seconds=6)
    pictures = write_video(tmp_path / "second.ts", grey(150), 25, tone(300, 12, RATE), audio_start_s=6)
    path = joined(tmp_path / "torn.ts", first, pictures)
    for function, arguments in ((probe, ()), (read_audio, (RATE,))):
        found = failure(function, clip(video=path), *arguments)
        assert found.status == Status.discontinuous
        assert "one stream's clock goes back at 6.0" in found.detail
    assert len(read_audio(clip(video=path, end_s=2.0), RATE)) == 2 * RATE
