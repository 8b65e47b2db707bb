"""Linking and filling by hand-made faces, detection by real ones."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avemo.base.contracts import TRACK_COLUMNS, AvemoError, Clip, TrackStatus
from avemo.faces.integral import Integral, summed, summed_on
from avemo.faces.track import FaceTracker, choose, fill, iou, link
from avemo.media.pictures import iter_frames

SIZE = (360, 480)
STATUS, N_FACES = TRACK_COLUMNS.index("status"), TRACK_COLUMNS.index("n_faces")


def face(x: float, y: float, side: float = 100) -> np.ndarray:
    """One detection: box, score 0.99, landmarks in its middle."""
    row = np.zeros(15, np.float32)
    row[:4], row[4] = [x, y, x + side, y + side], 0.99
    row[5:] = np.tile([x + side / 2, y + side / 2], 5)
    return row


def found(*faces: np.ndarray) -> np.ndarray:
    return np.stack(faces) if faces else np.zeros((0, 15), np.float32)


@pytest.fixture(scope="module")
def tracker() -> FaceTracker:
    return FaceTracker(FaceTracker.Config(device="cpu"))


def picture(path) -> list[tuple[float, np.ndarray]]:
    return list(iter_frames(Clip(path.stem, "s", "g", video_path=path)))


# -- geometry ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "expected"),
    [([0, 0, 10, 10], 1.0), ([5, 0, 15, 10], 1 / 3), ([20, 20, 30, 30], 0.0), ([2, 2, 4, 4], 0.04)],
)
def test_iou_by_hand(other, expected):
    assert iou(np.array([0.0, 0, 10, 10]), np.array([other], float))[0] == pytest.approx(expected)


# -- linking and choosing ------------------------------------------------------


def test_two_moving_faces_stay_two_tracks_in_whatever_order_they_come():
    faces = []
    for n in range(10):
        pair = [face(50 + 5 * n, 100), face(300 - 5 * n, 100)]
        faces.append(found(*(pair if n % 2 else pair[::-1])))
    tracks = link(faces)
    assert [len(track) for track in tracks] == [10, 10]
    ends = sorted(track[9][0] for track in tracks)
    assert ends == [95, 255]


def test_a_face_that_comes_back_is_the_same_face():
    faces = [found(face(100, 100)) if n < 5 or n > 80 else found() for n in range(90)]
    assert [sorted(track) for track in link(faces)] == [[*range(5), *range(81, 90)]]


@given(st.lists(st.lists(st.tuples(st.floats(0, 380), st.floats(0, 260)), max_size=4), max_size=12))
@settings(max_examples=50)
def test_every_detection_is_in_exactly_one_track(places):
    faces = [found(*(face(x, y) for x, y in frame)) for frame in places]
    linked = sorted((n, tuple(row)) for track in link(faces) for n, row in track.items())
    assert linked == sorted((n, tuple(row)) for n, frame in enumerate(faces) for row in frame)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({n: face(190, 130) for n in range(9)}, {n: face(190, 130) for n in range(5)}),
        ({0: face(165, 105, 150)}, {0: face(190, 130, 100)}),
        ({0: face(190, 130)}, {0: face(0, 0)}),
    ],
    ids=["longer", "larger", "more central"],
)
def test_the_main_face_is_long_large_and_central(better, worse):
    assert choose([worse, better], SIZE)[0] is better
    assert choose([better, worse], SIZE)[0] is better
    assert choose([], SIZE) == ({}, 0.0)


def test_the_margin_is_how_far_the_runner_up_lies_behind():
    centred = {n: face(190, 130) for n in range(8)}
    assert choose([centred], SIZE) == (centred, 1.0)
    shorter = {n: face(190, 130) for n in range(6)}
    assert choose([shorter, centred], SIZE)[1] == pytest.approx(1 - 6 / 8)
    smaller = {n: face(215, 155, 50) for n in range(8)}
    assert choose([smaller, centred], SIZE)[1] == pytest.approx(0.5)
    assert choose([centred, dict(centred)], SIZE)[1] == pytest.approx(0.0)


# -- filling -------------------------------------------------------------------


def test_found_faces_stay_as_they_are_and_tell_key_frames():
    track = {n: face(n, 2 * n) for n in range(4)}
    x = fill(track, [True, False, False, True], np.array([0, 0.04, 0.08, 0.12]), 0.5)
    np.testing.assert_array_equal(x[:, :15], np.stack(list(track.values())))
    assert x[:, STATUS].tolist() == [TrackStatus.detected, *[TrackStatus.tracked] * 2, TrackStatus.detected]


def test_gaps_are_filled_by_lines_that_follow_time_not_frame_numbers():
    x = fill({0: face(0, 0), 2: face(100, 0)}, [True] * 3, np.array([0, 0.01, 0.1]), 0.5)
    assert x[1, 0] == pytest.approx(10)
    assert x[1, STATUS] == TrackStatus.interpolated


def test_short_gaps_are_interpolated_and_long_ones_missing():
    x = fill({n: face(0, 0) for n in (0, 5, 30)}, [True] * 31, np.arange(31) / 25, max_gap_s=0.5)
    assert set(x[1:5, STATUS]) == {TrackStatus.interpolated}
    assert set(x[6:30, STATUS]) == {TrackStatus.missing}
    assert not x[6:30, :15].any()


# -- detection -----------------------------------------------------------------


def test_real_clips_are_tracked(tracker, shared_data):
    for path in sorted((shared_data / "clips").glob("*.mp4")):
        frames = islice(iter_frames(Clip(path.stem, "s", "g", video_path=path)), 60)
        sequence = tracker.track(frames)
        assert sequence.x.shape == (60, len(TRACK_COLUMNS))
        assert sequence.x.dtype == np.float32
        assert np.mean(sequence.x[:, STATUS] != TrackStatus.missing) >= 0.95
        box, landmarks = sequence.x[:, :4], sequence.x[:, 5:15].reshape(60, 5, 2)
        assert (box[:, 3] - box[:, 1] > 100).all()
        assert (landmarks[:, 0, 0] < landmarks[:, 1, 0]).all()
        assert (landmarks[:, :2, 1].mean(axis=1) < landmarks[:, 3:, 1].mean(axis=1)).all()


def test_boxes_are_those_of_the_library_called_per_frame(tracker, shared_data):
    from facenet_pytorch import MTCNN

    detector = MTCNN(keep_all=True)
    for path in sorted((shared_data / "clips").glob("*.mp4")):
        frames = list(islice(iter_frames(Clip(path.stem, "s", "g", video_path=path)), 10))
        found = detector.detect(np.stack([frame for _, frame in frames]), landmarks=True)
        for row, *parts in zip(tracker.track(frames).x, *found, strict=True):
            boxes, scores, points = (np.asarray(part, np.float32) for part in parts)
            best = int(np.argmax(iou(row[:4], boxes)))
            np.testing.assert_allclose(row[:4], boxes[best], atol=0.01)
            np.testing.assert_allclose(row[4], scores[best], atol=1e-4)
            np.testing.assert_allclose(row[5:15], points[best].ravel(), atol=0.01)


def test_every_face_of_a_group_is_the_librarys(shared_data):
    from facenet_pytorch import MTCNN

    from avemo.faces.cascade import Cascade

    _, frame = picture(shared_data / "faces" / "multiface.jpg")[0]
    boxes, _ = MTCNN(keep_all=True).detect(frame)
    (found,) = Cascade((0.6, 0.7, 0.7), 0.709, torch.device("cpu")).detect(frame[None], min_face_px=20)
    assert len(found) == len(boxes)
    assert min(iou(box, found).max() for box in np.asarray(boxes, np.float32)) > 0.999


def test_means_over_cells_are_those_of_area_interpolation():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 50, 70, 3), np.uint8)
    rectangles = torch.tensor([[0, 0, 70, 50], [3, 7, 40, 22], [60, 40, 65, 48]])
    frame = torch.tensor([1, 0, 1])
    found = Integral(frames, torch.device("cpu")).shrunk(frame, rectangles, (9, 6))
    for number, (x0, y0, x1, y1) in enumerate(rectangles.tolist()):
        pixels = torch.from_numpy(frames[frame[number], y0:y1, x0:x1]).permute(2, 0, 1)[None].float()
        expected = torch.nn.functional.interpolate(pixels, (9, 6), mode="area")[0]
        torch.testing.assert_close(found[number], expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("shape", [(3, 24, 31, 3), (1, 3000, 3000, 3)])
def test_sums_made_on_a_device_are_opencvs_also_where_they_wrap_around(shape):
    frames = np.random.default_rng(0).integers(200, 256, shape, np.uint8)
    assert torch.equal(summed_on(frames, torch.device("cpu")), summed(frames))


@pytest.mark.parametrize("together", [1 << 20, 1 << 30])
def test_frames_looked_at_together_have_the_faces_that_they_have_alone(
    tracker, shared_data, monkeypatch, together
):
    """As a GPU looks at several groups of frames at once: fewer calls, the same track."""
    clip = Clip("c", "s", "g", video_path=sorted((shared_data / "clips").glob("*.mp4"))[0], end_s=1.3)
    frames = list(iter_frames(clip))
    calls: list[int] = []
    whole = tracker._cascade.detect

    def detect(stacked, least_px):
        calls.append(len(stacked))
        return whole(stacked, least_px)

    monkeypatch.setattr(tracker._cascade, "detect", detect)
    alone = tracker.track(frames)
    apart, calls[:] = len(calls), []
    monkeypatch.setattr(tracker, "_together", together)
    found = tracker.track(frames)
    assert sum(calls) == len(frames)
    assert len(calls) < apart / 2 if together == 1 << 30 else len(calls) <= apart
    np.testing.assert_array_equal(found.x[:, STATUS], alone.x[:, STATUS])
    np.testing.assert_allclose(found.x, alone.x, atol=1e-3)


def test_groups_end_where_frames_change_their_size(tracker, monkeypatch):
    rng = np.random.default_rng(0)
    sizes = [(60, 80)] * 11 + [(80, 60)] * 3 + [(60, 80)] * 2
    frames = [(n / 25, rng.integers(0, 256, (*size, 3), np.uint8)) for n, size in enumerate(sizes)]
    alone = tracker.track(frames)
    monkeypatch.setattr(tracker, "_together", 1 << 30)
    np.testing.assert_array_equal(tracker.track(frames).x, alone.x)


def test_the_key_follows_numbers_and_not_speed(tracker):
    assert FaceTracker(FaceTracker.Config(device="auto")).key_part() == tracker.key_part()
    changed = FaceTracker(FaceTracker.Config(device="cpu", min_face=0.2))
    assert changed.key_part() != tracker.key_part()


def test_a_face_much_smaller_than_the_first_is_found_by_the_next_key_frame(shared_data):
    ((_, large),) = picture(shared_data / "faces" / "angelina_jolie.jpg")
    shrunk = large[::10, ::10]
    small = np.zeros_like(large)
    small[: len(shrunk), : shrunk.shape[1]] = shrunk
    tracker = FaceTracker(FaceTracker.Config(device="cpu", min_face=0.04, key_every=2))
    x = tracker.track([(0.0, large), (0.04, small), (0.08, small)]).x
    assert x[:, N_FACES].tolist() == [1, 0, 1]


def test_a_group_has_several_faces_and_one_is_chosen(tracker, shared_data):
    frames = picture(shared_data / "faces" / "multiface.jpg")
    x = tracker.track(frames).x
    assert x.shape == (1, len(TRACK_COLUMNS))
    assert x[0, N_FACES] >= 4
    assert x[0, STATUS] == TrackStatus.detected
    assert 0 < x[0, TRACK_COLUMNS.index("margin")] < 1
    height, width = frames[0][1].shape[:2]
    assert 0 <= x[0, 0] < x[0, 2] <= width
    assert 0 <= x[0, 1] < x[0, 3] <= height


def test_a_clip_without_a_face_is_all_missing(tracker):
    rng = np.random.default_rng(0)
    for picture_ in (np.zeros((240, 320, 3), np.uint8), rng.integers(0, 255, (240, 320, 3), np.uint8)):
        x = tracker.track([(n / 25, picture_) for n in range(5)]).x
        assert set(x[:, STATUS]) == {TrackStatus.missing}
        assert not x.any()


def test_a_clip_without_frames_is_an_empty_track(tracker):
    assert tracker.track([]).x.shape == (0, len(TRACK_COLUMNS))


def test_a_change_of_size_within_a_clip_is_followed(tracker, shared_data):
    frames = picture(shared_data / "faces" / "angelina_jolie.jpg")
    large = frames[0][1]
    small = np.ascontiguousarray(large[::2, ::2])
    x = tracker.track([(0.0, large), (0.04, small)]).x
    assert x[:, N_FACES].tolist() == [1, 1]


def test_slow_video_has_only_key_frames(shared_data, tracker):
    _, frame = picture(shared_data / "faces" / "angelina_jolie.jpg")[0]
    x = tracker.track([(n / 3, frame) for n in range(4)]).x
    assert set(x[:, STATUS]) == {TrackStatus.detected}
    x = tracker.track([(n / 30, frame) for n in range(10)]).x
    assert [n for n in range(10) if x[n, STATUS] == TrackStatus.detected] == [0, 8]


def test_grey_frames_are_an_error(tracker):
    with pytest.raises(AvemoError, match="convert them to RGB"):
        tracker.track([(0.0, np.zeros((10, 10), np.uint8))])
