"""Pictures: every frame, in order, with its time, as displayed."""

from __future__ import annotations

import numpy as np
import pytest

from avemo.base.contracts import Status
from avemo.media.pictures import iter_frames
from avemo.media.probe import probe
from media_clips import clip, cut, every_frame, failure, grey
from media_factory import write_video


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
