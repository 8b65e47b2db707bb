"""Frames that the decoder marks corrupt or cannot decode: counted, and too many are a failure."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from avemo.base.contracts import Status
from avemo.media.decoding import Tally
from avemo.media.pictures import iter_frames
from avemo.media.sound import read_sound
from media_clips import RATE, clip, failure, noise
from media_factory import write_sound, write_video


def pictures(path: Path) -> Path:
    moving = np.random.default_rng(0).integers(0, 255, (1, 64, 96, 3), np.uint8).repeat(40, axis=0)
    for number, frame in enumerate(moving):
        frame[:] = np.roll(frame, 3 * number, axis=1)
    return write_video(path, moving)


def flipped(path: Path, packets: list[int], kind: str) -> Path:
    """A few bits changed in some of a stream's packets: in the middle of a picture, at the beginning of sound."""
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(**{kind: 0}) if p.size]
    for number in packets:
        start, size = places[number]
        middle = start + (size // 2 if kind == "video" else 0)
        for at in range(middle, middle + 6):
            content[at] ^= 0x5A
    path.write_bytes(content)
    return path


def by_libav(path: Path) -> tuple[int, int, int]:
    """Frames decoded, marked corrupt, and packets refused, of the first video stream."""
    decoded, corrupt, refused = 0, 0, 0
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                refused += 1
                continue
            decoded += len(frames)
            corrupt += sum(frame.is_corrupt for frame in frames)
    return decoded, corrupt, refused


def test_a_sound_clip_has_no_damage(tmp_path):
    tally = Tally()
    list(iter_frames(clip(video=pictures(tmp_path / "a.mp4")), tally))
    assert (tally, tally.share) == (Tally(40), 0)


def test_pictures_marked_corrupt_are_counted_as_libav_marks_them(tmp_path):
    path, tally = flipped(pictures(tmp_path / "a.mp4"), [13, 25], "video"), Tally()
    list(iter_frames(clip(video=path), tally))
    expected = by_libav(path)
    assert (tally.decoded, tally.corrupt, tally.lost) == expected
    assert expected[1] + expected[2] >= 1
    assert Tally.read(str(tally)).share == tally.share


def test_damage_outside_the_interval_does_not_count(tmp_path):
    path, tally = flipped(pictures(tmp_path / "a.mp4"), [39], "video"), Tally()
    list(iter_frames(clip(video=path, end_s=1.4), tally))
    assert tally == Tally(35)


def test_too_much_damage_is_a_failure_that_counts_it(tmp_path):
    path = flipped(pictures(tmp_path / "a.mp4"), list(range(1, 40, 2)), "video")
    found = failure(list, iter_frames(clip(video=path)))
    assert found.status == Status.corrupt
    assert "of 40 frames damaged in the video" in found.detail


def test_a_tail_of_zeros_in_a_file_of_the_right_size_is_damage(tmp_path):
    """As a download leaves that was given its room in advance."""
    path = pictures(tmp_path / "a.mp4")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    assert failure(list, iter_frames(clip(video=path))).status == Status.corrupt


def test_damaged_sound_is_noted_and_keeps_its_time(tmp_path):
    whole = write_sound(tmp_path / "a.m4a", noise(3), RATE, "aac")
    before = read_sound(clip(whole), RATE)
    assert before.notes == ()
    found = read_sound(clip(flipped(whole, [15], "audio")), RATE)
    assert found.tally.corrupt + found.tally.lost == 1
    assert any(note.startswith("sound: 1 of ") for note in found.notes)
    assert abs(len(found.samples) - len(before.samples)) < 0.1 * RATE
