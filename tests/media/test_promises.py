"""What a header promises against what there is: what decodes counts, and a promise only where it can be one."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from avemo.base.contracts import Status
from avemo.media.probe import probe
from avemo.media.sound import read_audio
from media_clips import RATE, clip, cut, every_frame, failure, grey, noise
from media_factory import muxed, write_sound, write_video, write_wav


def with_sizes(path: Path, riff: int | None = None, data: int | None = None, more: int = 0) -> Path:
    """A WAV whose size fields say something else."""
    content = bytearray(path.read_bytes())
    for at, size in ((4, riff), (content.index(b"data") + 4, data)):
        (found,) = struct.unpack_from("<I", content, at)
        struct.pack_into("<I", content, at, found + more if size is None else size)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        (0x7FFF_FFFF, 0x7FFF_FFFF),
        (0x7FFF_F024, 0x7FFF_F000),
        (0x8000_0024, 0x8000_0000),
        (0xFFFF_FFFF, 0xFFFF_FFFF),
        (0xFFFF_FFFF, 0xFFFF_FFDB),
        (0, 0),
        (36, 0),
    ],
)
def test_a_wav_that_was_piped_is_as_long_as_its_data(tmp_path, riff, data):
    path = with_sizes(write_wav(tmp_path / "p.wav", noise(1.6)), riff, data)
    assert len(read_audio(clip(path), RATE)) == 25_600
    assert probe(clip(path)).duration_s == pytest.approx(1.6)


def test_a_wav_that_lacks_more_than_a_header_is_cut(tmp_path):
    """Its size is exact, so that a sixth of a second counts."""
    path = write_wav(tmp_path / "p.wav", noise(3))
    path.write_bytes(path.read_bytes()[:-5000])
    found = failure(probe, clip(path))
    assert (found.status, found.detail) == (Status.truncated, failure(read_audio, clip(path), RATE).detail)
    assert len(read_audio(clip(path, end_s=2.5), RATE)) == 2.5 * RATE


@pytest.mark.parametrize("more", [1, 16, 1000])
def test_a_size_that_is_a_little_too_large_is_no_cut(tmp_path, more):
    path = with_sizes(write_wav(tmp_path / "p.wav", noise(1.6)), more=more)
    assert len(read_audio(clip(path), RATE)) == 25_600
    assert probe(clip(path)).duration_s == pytest.approx(1.6)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.wav", "pcm_s16le"), ("a.aiff", "pcm_s16be"), ("a.au", "pcm_s16be"), ("a.flac", "flac")],
)
def test_a_promise_that_can_be_one_still_tells_a_cut(tmp_path, name, codec):
    path = cut(write_sound(tmp_path / name, noise(3), RATE, codec), 0.6)
    index, extraction = failure(probe, clip(path)), failure(read_audio, clip(path), RATE)
    assert (index.status, index.detail) == (extraction.status, extraction.detail)
    assert index.status == Status.truncated


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp3", "libmp3lame"), ("a.aac", "aac"), ("a.wav", "pcm_s16le"), ("a.opus", "libopus")],
)
def test_zeros_after_the_end_are_no_damage(tmp_path, name, codec):
    rate_hz = 48_000 if codec == "libopus" else RATE
    path = write_sound(tmp_path / name, noise(1.6, rate_hz), rate_hz, codec)
    before = read_audio(clip(path), RATE)
    with path.open("ab") as file:
        file.write(bytes(20_000))
    found = read_audio(clip(path), RATE)
    # libav shortens the last frame of an MP3 by what the header says, where it finds the end.
    assert len(before) <= len(found) <= len(before) + 1200
    np.testing.assert_allclose(found[: len(before) - 1200], before[:-1200], atol=1e-6)
    assert probe(clip(path)).duration_s == pytest.approx(len(before) / RATE, abs=0.15)


def test_a_subtitle_that_outlasts_the_film_does_not_count(tmp_path):
    film = write_video(tmp_path / "film.mkv", grey(40), 25, noise(1.6), audio_codec="pcm_s16le")
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:01:00,000\nhello\n\n")
    path = muxed(tmp_path / "both.mkv", film, words)
    info = probe(clip(video=path))
    assert (info.duration_s, info.n_frames) == (pytest.approx(1.6, abs=0.01), 40)
    assert len(every_frame(clip(video=path))) == 40
    assert len(read_audio(clip(video=path), RATE)) == 25_600
    short = cut(path, 0.5)
    assert failure(probe, clip(video=short)).status == Status.truncated


@pytest.mark.parametrize("kind", ["mp4", "flv", "mkv", "avi"])
@pytest.mark.parametrize("share", [0.6, 0.8, 0.95])
def test_index_and_extraction_agree_on_every_cut(made, tmp_path, kind, share):
    path = tmp_path / f"cut.{kind}"
    content = made[kind].read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    def outcome(function, *arguments) -> str:
        try:
            function(clip(video=path), *arguments)
        except Exception as error:
            return str(error)
        return "ok"

    assert outcome(probe) == outcome(read_audio, RATE) == outcome(every_frame)
