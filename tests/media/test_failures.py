"""Files that are damaged, cut short, or no media."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from avemo.base.contracts import Status
from avemo.media.files import check_file
from avemo.media.probe import probe
from avemo.media.sound import read_audio
from media_clips import RATE, clip, cut, every_frame, failure, grey, noise
from media_factory import write_video, write_wav


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
    for item in (clip(made["wav"], start_s=9.0), clip(video=made["mp4"], start_s=1.0, end_s=60.0)):
        error = failure(probe, item)
        assert error.status == Status.outside
        assert "found 3.0" in error.detail
        assert failure(read_audio, item, RATE).detail == error.detail
    assert failure(every_frame, item).status == Status.outside


def test_an_interval_that_ends_a_little_late_ends_with_the_file(made):
    item = clip(video=made["mp4"], start_s=1.0, end_s=3.2)
    assert probe(item).duration_s == pytest.approx(2.0, abs=0.1)
    assert len(every_frame(item)) == 50


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
    found = failure(read_audio, clip(video=path), RATE)
    assert found.status == Status.corrupt
    assert "frames damaged in the audio" in found.detail


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


def test_a_number_of_hundreds_of_digits_is_told_in_a_few(tmp_path):
    path = write_wav(tmp_path / "a.wav", np.zeros(8000))
    for start_s, end_s in ((0.0, 1e300), (1e200, 1e300)):
        failed = failure(probe, clip(path, start_s=start_s, end_s=end_s))
        assert failed.status == Status.outside
        assert len(failed.detail) < 100 + len(str(path))
