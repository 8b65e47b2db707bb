"""Pictures: every frame, in order, with its time, as displayed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from avemo.base.contracts import Status
from avemo.media.decoding import Tally
from avemo.media.pictures import iter_frames
from avemo.media.probe import probe
from media_clips import clip, cut, every_frame, failure, grey
from media_factory import restamped, set_matrix, write_video


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
    assert (info.width, info.height, info.video_reading) == (64, 96, "")


def test_frames_come_before_the_files_end_is_decoded(tmp_path):
    tally = Tally()
    stream = iter_frames(clip(video=write_video(tmp_path / "long.mp4", grey(100))), tally)
    good = [next(stream) for _ in range(10)]
    assert good[9][0] == pytest.approx(0.36, abs=1e-3)
    assert tally.decoded < 20


def test_a_file_cut_short_fails_before_its_frames_are_worked_on(tmp_path):
    stream = iter_frames(clip(video=cut(write_video(tmp_path / "long.mp4", grey(100)), 0.5)))
    assert failure(next, stream).status == Status.truncated


def turned(frames: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Each pixel moved to x' = a x + c y, y' = b x + d y, as QuickTime's file format says of ``matrix``."""
    a, b, c, d = matrix
    height, width = frames.shape[:2]
    y, x = np.mgrid[:height, :width]
    to_x, to_y = a * x + c * y, b * x + d * y
    shown = np.empty((np.ptp(to_y) + 1, np.ptp(to_x) + 1, 3), frames.dtype)
    shown[to_y - to_y.min(), to_x - to_x.min()] = frames
    return shown


@pytest.mark.parametrize(
    "matrix",
    [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)],
)
def test_each_turn_and_mirroring_is_shown_as_the_matrix_says(tmp_path, matrix):
    frames = grey(3, np.zeros(3))
    frames[:, :20, :30] = 255
    path = write_video(tmp_path / "m.mp4", frames)
    _, stored = next(iter_frames(clip(video=path)))
    set_matrix(path, matrix)
    _, found = next(iter_frames(clip(video=path)))
    np.testing.assert_array_equal(found, turned(stored, matrix))
    mirrored = matrix[0] * matrix[3] - matrix[1] * matrix[2] < 0
    assert probe(clip(video=path)).video_reading == ("mirrored" if mirrored else "")


@pytest.mark.parametrize(
    ("pixels", "shown", "rotation_deg"),
    [
        (Fraction(4, 3), (64, 128), 0),
        (Fraction(2, 3), (64, 64), 0),
        (Fraction(4, 3), (128, 64), 90),
        (Fraction(1, 500), (64, 96), 0),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_pixels_that_are_not_square_are_made_square(tmp_path, pixels, shown, rotation_deg, suffix):
    """What is drawn fills the same share of the picture; a ratio that no writer means is left alone."""
    if rotation_deg and suffix == ".mkv":
        pytest.skip("PyAV writes no rotation into Matroska")
    frames = grey(3, np.zeros(3))
    frames[:, :, :48] = 255
    path = write_video(tmp_path / f"p{suffix}", frames, pixels=pixels, rotation_deg=rotation_deg)
    (_, found), *_ = iter_frames(clip(video=path))
    assert found.shape == (*shown, 3)
    assert found.mean() == pytest.approx(127, abs=4)
    info = probe(clip(video=path))
    assert (info.height, info.width) == shown
    assert bool(info.video_reading) == (shown != (64, 96))


def test_frames_stamped_alike_still_come_one_after_the_other(tmp_path):
    times = np.array([0, 40, 40, 40, 160, 200]) / 1000
    path = write_video(tmp_path / "same.avi", grey(6), codec="mpeg4")
    same = tmp_path / "same.mkv"
    restamped(path, same, times)
    found = [time_s for time_s, _ in iter_frames(clip(video=same))]
    assert found == pytest.approx(times, abs=1e-4)
    assert (np.diff(found) > 0).all()
