"""Crops against pictures in which each pixel tells where it was."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avemo.base.contracts import TRACK_COLUMNS, AvemoError, FeatureSequence, TrackStatus
from avemo.faces.crop import LANDMARKS, UPRIGHT, CropPolicy, crops, cut, similarity
from avemo.faces.sheet import contact_sheet

MAP = np.zeros((120, 160, 3), np.uint8)
MAP[..., 0], MAP[..., 1] = np.arange(160)[None], np.arange(120)[:, None]
"""Red is the column, green the row."""


def track(boxes, statuses, times_s) -> FeatureSequence:
    x = np.zeros((len(boxes), len(TRACK_COLUMNS)), np.float32)
    x[:, :4], x[:, TRACK_COLUMNS.index("status")] = boxes, statuses
    return FeatureSequence(x, np.asarray(times_s, float))


def test_unscaled_crop_is_a_slice():
    found = cut(MAP, np.array([40, 30, 80, 70]), CropPolicy(size_px=60, margin=0.25))
    np.testing.assert_array_equal(found, MAP[20:80, 30:90])


def test_a_tall_box_gives_a_square_about_its_centre():
    found = cut(MAP, np.array([70, 20, 90, 100]), CropPolicy(size_px=80, margin=0))
    np.testing.assert_array_equal(found, MAP[20:100, 40:120])


def test_beyond_the_border_the_edge_repeats():
    found = cut(MAP, np.array([-20, -10, 20, 30]), CropPolicy(size_px=40, margin=0))
    expected = np.pad(MAP[:30, :20], ((10, 0), (20, 0), (0, 0)), mode="edge")
    np.testing.assert_array_equal(found, expected)


def test_shrinking_averages_areas():
    checkers = np.indices((120, 160)).sum(axis=0) % 2 * 200
    frame = np.repeat(checkers[..., None], 3, axis=2).astype(np.uint8)
    found = cut(frame, np.array([20, 20, 100, 100]), CropPolicy(size_px=40, margin=0))
    np.testing.assert_array_equal(found, np.full((40, 40, 3), 100))


@given(
    box=st.tuples(*[st.floats(-50, 200) for _ in range(2)], *[st.floats(0.1, 150) for _ in range(2)]),
    margin=st.floats(0, 1),
    size=st.integers(1, 64),
)
@settings(max_examples=50)
def test_every_box_gives_a_crop_of_the_size_asked(box, margin, size):
    x, y, width, height = box
    found = cut(MAP, np.array([x, y, x + width, y + height]), CropPolicy(size_px=size, margin=margin))
    assert found.shape == (size, size, 3)
    assert found.dtype == np.uint8


def points_row(points: np.ndarray, box=(0, 0, 1, 1)) -> np.ndarray:
    """A track row with five landmarks (complex)."""
    row = np.zeros(len(TRACK_COLUMNS), np.float32)
    row[:4], row[LANDMARKS] = box, points.astype(complex).view(float)
    return row


def test_upright_landmarks_give_the_crop_of_their_box():
    row = points_row(59.5 + 49.5j + 20 * UPRIGHT)
    found = cut(MAP, row, CropPolicy(size_px=60, margin=0.25, alignment="landmarks"))
    np.testing.assert_array_equal(found, MAP[20:80, 30:90])


def test_a_turned_face_gives_the_upright_crop():
    rng = np.random.default_rng(0)
    frame = cv2.GaussianBlur(rng.integers(0, 255, (120, 160, 3), np.uint8), (0, 0), 2)
    row = points_row(80.5 + 60.5j + 25 * UPRIGHT)
    policy = CropPolicy(size_px=24, alignment="landmarks")
    turned = np.ascontiguousarray(np.rot90(frame))
    # rot90 sends pixel (x, y) to (y, width - 1 - x).
    moved = points_row(np.array([complex(z.imag, 159 - z.real) for z in 80.5 + 60.5j + 25 * UPRIGHT]))
    np.testing.assert_allclose(cut(turned, moved, policy), cut(frame, row, policy), atol=2)


def test_the_similarity_is_the_least_squares_one():
    rng = np.random.default_rng(1)
    points, targets = (rng.normal(size=(2, 5, 2)) @ [1, 1j]).reshape(2, 5)
    turn, shift = similarity(points, targets)
    # x' = a x - b y + c, y' = b x + a y + d, as a real system.
    x, y, one, zero = points.real, points.imag, np.ones(5), np.zeros(5)
    system = np.vstack([np.c_[x, -y, one, zero], np.c_[y, x, zero, one]])
    a, b, c, d = np.linalg.lstsq(system, np.r_[targets.real, targets.imag], rcond=None)[0]
    np.testing.assert_allclose([turn, shift], [a + 1j * b, c + 1j * d])
    with pytest.raises(AvemoError, match="expected five different points"):
        similarity(np.zeros(5, complex), targets)


def test_the_mask_keeps_the_ellipse_of_the_box():
    white = np.full((200, 200, 3), 255, np.uint8)
    found = cut(
        white, np.array([60, 40, 140, 160]), CropPolicy(size_px=240, margin=0.25, background="masked")
    )
    y, x = (np.indices((240, 240)) - 119.5) / (240 / 180)
    inside = (x / 40) ** 2 + (y / 60) ** 2
    assert (found[inside < 0.95] == 255).all()
    assert (found[inside > 1.05] == 0).all()


def test_the_mask_turns_with_the_face():
    white = np.full((200, 200, 3), 255, np.uint8)
    row = points_row(99.5 + 99.5j + 60 * 1j * UPRIGHT, box=(40, 60, 160, 140))
    policy = CropPolicy(size_px=120, margin=0.0, alignment="landmarks", background="masked")
    found = cut(white, row, policy)[..., 0] > 0
    assert found[60, 25:95].all(), "what was high in the frame is wide no more"
    assert found[3:117, 60].all()
    assert not found[:, :15].any()


def test_three_frames_a_second():
    times = np.arange(26) / 25
    tracked = track([[40, 30, 80, 70]] * 26, [TrackStatus.detected] * 26, times)
    found = [t for t, _ in crops(((t, MAP) for t in times), tracked, CropPolicy(size_px=8, fps=3))]
    np.testing.assert_allclose(found, [0.0, 0.36, 0.68, 1.0])
    slow = track([[40, 30, 80, 70]] * 4, [TrackStatus.detected] * 4, [0.0, 1.0, 2.0, 2.1])
    found = crops(((t, MAP) for t in slow.times_s), slow, CropPolicy(size_px=8, fps=3))
    assert [t for t, _ in found] == [0.0, 1.0, 2.0]


def test_frames_without_a_face_give_no_crop():
    statuses = [TrackStatus.detected, TrackStatus.missing, TrackStatus.tracked, TrackStatus.interpolated]
    boxes = [[40, 30, 80, 70]] * 4
    times = [0.0, 0.04, 0.08, 0.12]
    frames = ((t, MAP) for t in times)
    found = list(crops(frames, track(boxes, statuses, times), CropPolicy(size_px=8)))
    assert [t for t, _ in found] == [0.0, 0.08, 0.12]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0.0], "expected 0.040 s, found the end"),
        ([0.0, 0.04, 0.08], "expected the end, found 0.080 s"),
        ([0.0, 0.05], "expected 0.040 s, found 0.050 s"),
    ],
)
def test_frames_that_were_not_tracked_are_an_error(times, message):
    tracked = track([[40, 30, 80, 70]] * 2, [TrackStatus.detected] * 2, [0.0, 0.04])
    with pytest.raises(AvemoError, match=message):
        list(crops(((t, MAP) for t in times), tracked, CropPolicy()))


def test_policies_need_no_heavy_library():
    code = (
        "import sys, avemo.faces.crop, avemo.faces.track, avemo.media.pictures\n"
        "heavy = {'torch', 'cv2', 'av', 'facenet_pytorch'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_contact_sheet_places_labels_and_crops():
    red, blue = np.zeros((2, 50, 50, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    sheet = contact_sheet([("1001_X\nno_face", []), ("1002_Y\nok", [red, blue])], cell_px=40)
    assert sheet.shape == (88, 176, 3)
    np.testing.assert_array_equal(sheet[50, 90], [255, 0, 0])
    np.testing.assert_array_equal(sheet[50, 140], [0, 0, 255])
    assert (sheet[:40, :80] < 128).any()
    assert (sheet[:40, 88:] == 255).all()


def test_contact_sheet_of_nothing():
    assert (contact_sheet([]) == 255).all()
