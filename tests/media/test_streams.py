"""Which of a file's streams is read, whatever the file is called, and what is no media at all."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from avemo.base.contracts import Status
from avemo.media.pictures import iter_frames
from avemo.media.probe import kinds, probe
from avemo.media.sound import read_audio
from media_clips import RATE, clip, every_frame, failure, grey, noise
from media_factory import muxed, write_sound, write_video


@pytest.mark.parametrize(
    ("default", "which", "why"), [((1,), 1, "the default"), ((), 0, "the first"), ((0, 1), 0, "the default")]
)
def test_the_default_sound_is_read_and_said(tmp_path, default, which, why):
    takes = [write_sound(tmp_path / f"{n}.mka", noise(1, seed=n), RATE, "pcm_s16le") for n in range(2)]
    path = muxed(tmp_path / "two.mka", *takes, default=default)
    np.testing.assert_allclose(read_audio(clip(path), RATE), noise(1, seed=which), atol=1e-4)
    info = probe(clip(path))
    assert info.notes == f"sound: stream {which + 1} of 2, {why}"
    assert info.audio_reading == ("stream 2" if which else "")


def test_the_default_picture_is_read_and_said(tmp_path):
    takes = [
        write_video(tmp_path / f"{n}.mkv", grey(10, np.full(10, level))) for n, level in enumerate((30, 200))
    ]
    path = muxed(tmp_path / "two.mkv", *takes, default=(1,))
    assert np.mean([frame.mean() for _, frame in iter_frames(clip(video=path))]) == pytest.approx(200, abs=4)
    info = probe(clip(video=path))
    assert (info.notes, info.video_reading) == ("picture: stream 2 of 2, the default", "stream 2")


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.aiff", "pcm_s16be"),
        ("a.au", "pcm_s16be"),
        ("a.caf", "pcm_s16le"),
        ("a.wma", "wmav2"),
        ("a.mka", "flac"),
        ("a.webm", "libopus"),
        ("a.mp4", "aac"),
        ("a.mov", "pcm_s16le"),
        ("a.w64", "pcm_s16le"),
    ],
)
def test_sound_alone_is_known_by_its_streams(tmp_path, name, codec):
    rate_hz = 48_000 if codec == "libopus" else RATE
    path = write_sound(tmp_path / name, noise(1, rate_hz), rate_hz, codec)
    assert kinds(path, "c1") == ["audio"]
    assert probe(clip(path)).duration_s == pytest.approx(1.0, abs=0.1)
    assert len(read_audio(clip(path), RATE)) == pytest.approx(RATE, abs=0.1 * RATE)


def test_what_a_file_is_called_does_not_count(tmp_path):
    video = write_video(tmp_path / "film.mkv", grey(10), 25, noise(0.4), audio_codec="pcm_s16le")
    named = video.rename(tmp_path / "film.wav")
    assert kinds(named, "c1") == ["audio", "video"]
    assert len(every_frame(clip(video=named))) == 10


SCRIPTS = {
    "ffconcat": "ffconcat version 1.0\nfile '{}'\n",
    "ffconcat with options": "\n ffconcat version 1.0\nfile '{}'\noption safe 0\n",
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.0,\n{}\n#EXT-X-ENDLIST\n",
    "DASH": "<?xml version='1.0'?><MPD><Period><AdaptationSet><BaseURL>{}</BaseURL></AdaptationSet></Period></MPD>",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    "PLS": "[playlist]\nFile1={}\n",
}


@pytest.mark.parametrize("suffix", [".mp4", ".wav", ".m3u8", ".ffconcat"])
@pytest.mark.parametrize("kind", sorted(SCRIPTS))
@pytest.mark.parametrize("place", ["{}", "file:{}", "../media/{}"])
def test_a_text_that_names_other_files_opens_none(made, tmp_path, kind, suffix, place):
    target = made["mp4"] if place != "../media/{}" else made["mp4"].name
    path = tmp_path / f"script{suffix}"
    path.write_text(SCRIPTS[kind].format(place.format(target)))
    for function, arguments in ((probe, ()), (read_audio, (RATE,)), (every_frame, ())):
        found = failure(function, clip(video=path), *arguments)
        assert found.status == Status.not_media
        assert "expected media, found a" in found.detail or "found the description" in found.detail


def test_libav_itself_is_told_not_to_follow(made, tmp_path, monkeypatch):
    """Also where a script is not known by its first words."""
    monkeypatch.setattr("avemo.media.files.SCRIPTS", {})
    path = tmp_path / "a.mp4"
    path.write_text(SCRIPTS["ffconcat"].format(made["mp4"]))
    assert failure(probe, clip(video=path)).status == Status.not_media


def test_a_pictures_name_is_no_pattern_of_other_pictures_names(tmp_path):
    cv2.imwrite(str(tmp_path / "b001.png"), np.full((64, 64, 3), 255, np.uint8))
    cv2.imwrite(str(tmp_path / "own.png"), np.zeros((64, 64, 3), np.uint8))
    named = (tmp_path / "own.png").rename(tmp_path / "b%03d.png")
    assert [frame.max() for _, frame in every_frame(clip(video=named))] == [0]
    named.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert failure(every_frame, clip(video=named)).status == Status.unreadable
